/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A producer that dies between claim and mark. Its queue has another producer; a second
 * queue of the same engine has an honest one. ring.pml has the memory order.
 *
 * Claimed: the dead one's slot is never taken, nor what stands behind it; the other
 * queue gets everything done; the first queue is given up, and whoever waits for it is
 * told, unless the slot was handed over after all.
 */
#define DEPTH	2
#define N	3		/* descriptors of the honest queue */
#define BROKEN	1		/* svm_queue_hdr.state: SVM_QS_BROKEN */

byte tail[2], head[2], reaped[2];
byte mark[4];			/* [queue * DEPTH + slot]: counter + 1 of who handed it over */
bool state, died, told;

#define SLOT(q, n)	((q) * DEPTH + (n) % DEPTH)
#define READY(q)	(mark[SLOT(q, head[q])] == head[q] + 1)
#define FULL(q)		(tail[q] - reaped[q] >= DEPTH)

/* lib/svm/svm_ring.h:svm_producer_claim, then lib/svm/svm_ring.h:svm_producer_mark */
proctype mortal()
{
	byte c;

	atomic { !FULL(0) -> c = tail[0]; tail[0]++ };
	if
	:: died = 1
	:: atomic { assert(mark[SLOT(0, c)] != c + 1); mark[SLOT(0, c)] = c + 1 }
	fi
}

proctype survivor()
{
	byte c;

	atomic { !FULL(0) -> c = tail[0]; tail[0]++ };
	mark[SLOT(0, c)] = c + 1;
	/* lib/svm_worker/worker_queue.c:queue_state, in svm_worker_wait() */
	if
	:: reaped[0] > c
	:: state == BROKEN
	fi;
	told = 1
}

proctype honest()
{
	byte c;

	do
	:: tail[1] < N ->
		atomic { !FULL(1) -> c = tail[1]; tail[1]++ };
		mark[SLOT(1, c)] = c + 1
	:: else -> break
	od
}

/* One queue of a turn: lib/svm/svm_intake.c:svm_intake, lib/svm/svm_intake.c:svm_eq_complete */
inline take(q)
{
	assert(mark[SLOT(q, head[q])] == head[q] + 1);
	head[q]++;
	reaped[q]++	/* completed, and polled by its producer */
}

#ifdef MUTANT_TAKE_UNMARKED
#define TAKES(q)	(tail[q] != head[q])
#else
#define TAKES(q)	READY(q)
#endif

proctype engine()
{
endidle:
	do
	:: atomic { state != BROKEN && TAKES(0) -> take(0) }
	:: atomic { TAKES(1) -> take(1) }
#ifndef MUTANT_NEVER_GIVEN_UP
	/* lib/svm/svm_active.c:svm_active_look: claimed, not handed over, and the time is up;
	 * lib/svm/svm_engine.c:svm_eq_break */
	:: atomic { state != BROKEN && tail[0] != head[0] && !READY(0) && timeout -> state = BROKEN }
#endif
#ifdef MUTANT_ENGINE_WAITS_FOR_THE_MARK
	:: state != BROKEN && tail[0] != head[0] -> READY(0)
#endif
	od
}

proctype quiet()
{
	/* More quiet than what the clock of svm_active_look() waits for. */
#ifdef MUTANT_NEVER_GIVEN_UP
	timeout;
#else
	timeout && (told || state == BROKEN || tail[0] == head[0] || READY(0));
#endif
	assert(told && head[1] == N);
	assert(died || state != BROKEN)
}

init {
	atomic { run mortal(); run survivor(); run honest(); run engine(); run quiet() }
}
