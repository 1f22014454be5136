/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue's end: edges E1 to E7 of doc/ordering.md. One thread closes the queue and
 * frees it, another one's doorbell is on its way, the engine runs, and whoever has
 * its token may do its work.
 *
 * Claimed: the queue is closed in the end; when it is, it is on no list, nobody
 * touches it any more, and what was in flight has ended; what belongs to the engine
 * has one runner at a time.
 */
#define NT	3
#define CONTROL	0
#define POSTER	1
#define ENGINE	2

#define POST	0		/* svm_eq.post */
#define POSTED	1		/* svm_engine.posted */
#define ATTENTION 2
#define RUNNER	3
#define LIFE	4		/* svm_eq.life */
#define NATOM	5
#define LINK	5		/* svm_eq.next_post */
#define QUEUE	6		/* the engine's part of svm_eq; freed at last */
#define LIST	7		/* the engine's own */
#define NLOC	8
#define HIST	8

#define NONE	0
#define SENT	1
#define OVER	2
#define RUN	0
#define CLOSING	1
#define CLOSED	2

#ifdef MUTANT_NO_FENCE_POST
#define FENCE_POST(me)	skip
#else
#define FENCE_POST(me)	FENCE(me)
#endif
#ifdef MUTANT_NO_FENCE_ATTEND
#define FENCE_ATTEND(me) skip
#else
#define FENCE_ATTEND(me) FENCE(me)
#endif
#ifdef MUTANT_E1_RELEASE_RELAXED
#define O_E1	RLX
#else
#define O_E1	REL
#endif
#ifdef MUTANT_E1_ACQUIRE_RELAXED
#define O_E1A	RLX
#else
#define O_E1A	ACQ
#endif
#ifdef MUTANT_E2_PUSH_RELAXED
#define O_E2	RLX
#else
#define O_E2	REL
#endif
#ifdef MUTANT_E2_POP_RELAXED
#define O_E2A	RLX
#else
#define O_E2A	ACQ
#endif
#ifdef MUTANT_E4_CLOSED_RELAXED
#define O_E4	RLX
#else
#define O_E4	REL
#endif
#ifdef MUTANT_E4_LOOK_RELAXED
#define O_E4A	RLX
#else
#define O_E4A	ACQ
#endif
#ifdef MUTANT_E7_NONE_RELAXED
#define O_E7	RLX
#else
#define O_E7	REL
#endif
#ifdef MUTANT_E7_EXCHANGE_RELAXED
#define O_E7A	RLX
#else
#define O_E7A	ACQ
#endif

#include "c11.pml"

bool closing, listed = 1, issued, freed, posted;
byte x[NT];
bool ok[NT];

/* lib/svm/svm_engine.c:svm_engine_post */
#define POST_QUEUE(me) \
	FENCE_POST(me); \
	CAS(me, POST, O_E7A, NONE, SENT, ok[me]); \
	if \
	:: ok[me] -> \
		assert(!freed); \
		PLAIN(me, LINK); \
		XCHG(me, POSTED, O_E2, 1, x[me]); \
		assert(x[me] == 0);	/* on the stack once at the most */ \
		STORE(me, ATTENTION, REL, 1) \
	:: else \
	fi; \
	ok[me] = 0; x[me] = 0

/* lib/svm/svm_engine.c:svm_eq_close, lib/svm/svm_engine.c:svm_eq_closed */
#ifdef MUTANT_CLOSE_WHILE_POSTED
#define OVER_FROM_NONE(me)	ok[me] = 1
#else
#define OVER_FROM_NONE(me)	CAS(me, POST, RLX, NONE, OVER, ok[me])
#endif
#ifdef MUTANT_CLOSE_IN_FLIGHT
#define IN_FLIGHT	0
#else
#define IN_FLIGHT	issued
#endif
#define SWEEP(me) \
	if \
	:: closing && listed && !IN_FLIGHT -> \
		OVER_FROM_NONE(me); \
		if \
		:: ok[me] -> \
			PLAIN(me, QUEUE); \
			listed = 0; \
			assert(!issued); \
			STORE(me, LIFE, O_E4, CLOSED) \
		:: else \
		fi; \
		ok[me] = 0 \
	:: else \
	fi

/* lib/svm/svm_engine.c:engine_attend, lib/svm/svm_engine.c:eq_attend, lib/svm/svm_active.c:svm_active_sweep */
#define ATTEND(me) \
	PLAIN(me, LIST); \
	XCHG(me, POSTED, O_E2A, 0, x[me]); \
	if \
	:: x[me] != 0 -> \
		assert(!freed); \
		PLAIN(me, LINK); \
		STORE(me, POST, O_E7, NONE); \
		FENCE_ATTEND(me); \
		LOAD(me, LIFE, ACQ, x[me]); \
		PLAIN(me, QUEUE); \
		if :: x[me] == CLOSING -> closing = 1 :: else fi \
	:: else \
	fi; \
	x[me] = 0; \
	SWEEP(me)

/* lib/svm/svm_engine.c:svm_engine_detach, once */
#define ATTEMPT \
	XCHG(CONTROL, RUNNER, O_E1A, 1, x[CONTROL]); \
	if \
	:: x[CONTROL] == 0 -> \
		XCHG(CONTROL, ATTENTION, ACQ, 0, x[CONTROL]); \
		ATTEND(CONTROL); \
		STORE(CONTROL, RUNNER, O_E1, 0) \
	:: else \
	fi; \
	x[CONTROL] = 0

/* lib/svm/svm_oq.c:svm_oq_close, then lib/svm/svm_eq.c:svm_eq_destroy */
proctype control()
{
	STORE(CONTROL, LIFE, REL, CLOSING);
	POST_QUEUE(CONTROL);
	ATTEMPT;
	/* It would go on trying; that the engine alone gets there is claimed, too. */
	AWAIT(CONTROL, LIFE, O_E4A, CLOSED);
	posted;		/* calls that name the queue have returned */
	assert(LAST(POSTED) == 0);
	PLAIN(CONTROL, QUEUE);
	PLAIN(CONTROL, LINK);
	freed = 1
}

/* lib/svm/svm_dev.c:serve_doorbell, for a doorbell */
proctype poster()
{
	POST_QUEUE(POSTER);
	posted = 1
}

/* lib/svm/svm_engine.c:svm_engine_turn */
proctype engine()
{
endidle:
	do
	:: LAST(RUNNER) == 0 && !freed &&
		(closing || c_expr { c11_may OF ENGINE, ATTENTION, RLX, 1, SAME END }) ->
		XCHG(ENGINE, RUNNER, O_E1A, 1, x[ENGINE]);
		if
		:: x[ENGINE] == 0 ->
			XCHG(ENGINE, ATTENTION, ACQ, 0, x[ENGINE]);
			if
			:: x[ENGINE] != 0 -> ATTEND(ENGINE)
			:: else -> PLAIN(ENGINE, LIST); SWEEP(ENGINE)
			fi;
			/* lib/svm/svm_batch.c:svm_batch_poll: what was in flight ends, once. */
			issued = 0;
			STORE(ENGINE, RUNNER, O_E1, 0)
		:: else
		fi;
		x[ENGINE] = 0
	od
}

init {
	atomic {
		C11_INIT;
		/* These are exchanged, never loaded. */
		C11_BLIND(CONTROL, RUNNER); C11_BLIND(POSTER, RUNNER); C11_BLIND(ENGINE, RUNNER);
		C11_BLIND(CONTROL, POSTED); C11_BLIND(POSTER, POSTED); C11_BLIND(ENGINE, POSTED);
		C11_BLIND(CONTROL, ATTENTION); C11_BLIND(POSTER, ATTENTION); C11_BLIND(POSTER, LIFE);
		if :: issued = 0 :: issued = 1 fi;
		run control(); run poster(); run engine()
	}
}
