/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resting queues and the sleeping engine: edges W1 to W4 and E2, E5, E6 of
 * doc/ordering.md. A worker submits to a queue that may rest, the owner to one that has
 * no doorbell, control stops the engine, at any time.
 *
 * Claimed: no wake-up is lost. When nothing moves any more, all that was submitted
 * has been taken, or the engine was stopped and has ended. A ring is its number of
 * marks here (ring.pml has the rest); the clock that lets a queue rest may strike
 * at any turn.
 */
#define NT	5
#define WORKER	0
#define OWNER	1
#define SERVER	2
#define CONTROL	3
#define ENGINE	4

#define MARKS	0		/* the worker's queue */
#define NEED	1		/* its svm_queue_hdr.need_wakeup */
#define MARKS_O	2		/* the owner's queue */
#define NEED_O	3
#define SOCK	4		/* doorbells sent; the kernel's socket orders as release and acquire */
#define POST	5		/* svm_eq.post: NONE 0, SENT 1 */
#define POSTED	6		/* svm_engine.posted: the queue, or nothing */
#define ATTENTION 7
#define SLEEPING 8
#define STOP	9
#define NATOM	10
#define NLOC	10
#define HIST	8
#define NAPS	2		/* the engine polls on after so many, in place of for ever */

#include "c11.pml"

#ifdef MUTANT_NO_FENCE_DOORBELL
#define FENCE_DOORBELL	skip
#else
#define FENCE_DOORBELL	FENCE(WORKER)
#endif
#ifdef MUTANT_NO_FENCE_KICK
#define FENCE_KICK	skip
#else
#define FENCE_KICK	FENCE(OWNER)
#endif
#ifdef MUTANT_NO_FENCE_SWEEP
#define FENCE_SWEEP	skip
#else
#define FENCE_SWEEP	FENCE(ENGINE)
#endif
#ifdef MUTANT_NO_FENCE_SLEEP
#define FENCE_SLEEP	skip
#else
#define FENCE_SLEEP	FENCE(ENGINE)
#endif
#ifdef MUTANT_NO_FENCE_WAKE
#define FENCE_WAKE(me)	skip
#else
#define FENCE_WAKE(me)	FENCE(me)
#endif
#ifdef MUTANT_NO_FENCE_ATTEND
#define FENCE_ATTEND	skip
#else
#define FENCE_ATTEND	FENCE(ENGINE)
#endif
#ifdef MUTANT_FUTEX_DOES_NOT_COMPARE
#define FUTEX_VALUE	1
#else
#define FUTEX_VALUE	LAST(SLEEPING)
#endif
#ifdef MUTANT_SLEEP_WITHOUT_LOOK_AT_STOP
#define STOP_SEEN	0
#else
#define STOP_SEEN	stop
#endif
#ifdef MUTANT_REST_WITHOUT_LOOK
#define LOOK_BEFORE_REST	1
#else
#define LOOK_BEFORE_REST	(n == taken)
#endif

byte taken, taken_o;
byte doorbells;			/* submits of the worker */
bool listed = 1, waits, stopped, ended, may_sleep;

/* lib/svm/svm_engine.c:svm_engine_ask, then lib/svm/svm_active.c:svm_engine_wake */
#define WAKE(me) \
	FENCE_WAKE(me); \
	atomic { XCHG(me, SLEEPING, RLX, 0, x); if :: x != 0 -> waits = 0 :: else fi; x = 0 }
#define ASK(me) STORE(me, ATTENTION, REL, 1); WAKE(me)

/* lib/svm_worker/worker_queue.c:svm_worker_submit, lib/svm_worker/worker_queue.c:doorbell */
proctype worker()
{
	byte i, x;

	do
	:: i < doorbells ->
		i++;
		ADD(WORKER, MARKS, REL, 1);
		FENCE_DOORBELL;
		LOAD(WORKER, NEED, RLX, x);
		if :: x != 0 -> ADD(WORKER, SOCK, REL, 1) :: else fi
	:: else -> break
	od
}

/* lib/svm/svm_oq.c:svm_oq_kick_slow */
proctype owner()
{
	byte x;

	ADD(OWNER, MARKS_O, REL, 1);
	FENCE_KICK;
	LOAD(OWNER, NEED_O, RLX, x);
	if :: x != 0 -> WAKE(OWNER) :: else fi
}

/* lib/svm/svm_engine.c:svm_engine_post, for each turn in which doorbells came */
proctype server()
{
	byte seen, x;
	bool mine;

end:	do
	:: AWAIT_NOT(SERVER, SOCK, ACQ, Pserver->seen, seen);
		FENCE(SERVER);	/* close.pml needs it: a doorbell has its own */
		CAS(SERVER, POST, ACQ, 0, 1, mine);
		if
		:: mine -> XCHG(SERVER, POSTED, REL, 1, x); x = 0; ASK(SERVER)
		:: else
		fi
	od
}

/* lib/svm/svm_run.c:run_stop_threads */
proctype control()
{
	byte x;

	if
	:: STORE(CONTROL, STOP, REL, 1);
		stopped = 1;
		ASK(CONTROL)
	:: skip
	fi
}

/* lib/svm/svm_run.c:thread_main, lib/svm/svm_engine.c:svm_engine_turn */
proctype engine()
{
	byte x, n, m, naps;
	bool stop, stay;

	do
	:: /* What a turn would find: an engine that polls in vain does not move. */
		skip;
endidle:	if
		:: c_expr { c11_may OF ENGINE, STOP, ACQ, 1, SAME END }
		:: c_expr { c11_may OF ENGINE, ATTENTION, RLX, 1, SAME END }
		:: listed && c_expr { c11_may OF ENGINE, MARKS, ACQ, now.taken, OTHER END }
		:: c_expr { c11_may OF ENGINE, MARKS_O, ACQ, now.taken_o, OTHER END }
		:: listed
		:: may_sleep && naps < NAPS
		fi;
		LOAD(ENGINE, STOP, ACQ, stop);
		if :: stop -> break :: else fi;
		LOAD(ENGINE, ATTENTION, RLX, x);
		if
		:: x != 0 ->
			XCHG(ENGINE, ATTENTION, ACQ, 0, x);
			/* lib/svm/svm_engine.c:engine_attend */
			XCHG(ENGINE, POSTED, ACQ, 0, x);
			if
			:: x != 0 ->
				/* lib/svm/svm_engine.c:eq_attend */
				STORE(ENGINE, POST, REL, 0);
				FENCE_ATTEND;
				if
				:: !listed ->
					/* lib/svm/svm_active.c:svm_active_wake */
					LOAD(ENGINE, MARKS, ACQ, n);
					if
					:: n != taken -> STORE(ENGINE, NEED, RLX, 0); listed = 1
					:: else
					fi
				:: else
				fi
			:: else
			fi
		:: else
		fi;
		x = 0;
		stay = 0;
		LOAD(ENGINE, MARKS_O, ACQ, m);
		if :: m != taken_o -> taken_o = m; stay = 1 :: else fi;
		if
		:: listed ->
			LOAD(ENGINE, MARKS, ACQ, n);
			if
			:: n != taken -> taken = n; stay = 1
			:: else ->
				if
				:: skip
				:: /* lib/svm/svm_active.c:svm_active_sweep */
					STORE(ENGINE, NEED, RLX, 1);
					FENCE_SWEEP;
					LOAD(ENGINE, MARKS, ACQ, n);
					if
					:: LOOK_BEFORE_REST -> listed = 0
					:: else -> STORE(ENGINE, NEED, RLX, 0)
					fi
				fi
			fi
		:: else
		fi;
		if
		:: may_sleep && !stay && naps < NAPS ->
			naps++;
			/* lib/svm/svm_active.c:svm_engine_sleep */
			STORE(ENGINE, SLEEPING, RLX, 1);
			if :: listed -> STORE(ENGINE, NEED, RLX, 1) :: else fi;
			STORE(ENGINE, NEED_O, RLX, 1);
			FENCE_SLEEP;
			/* lib/svm/svm_active.c:engine_may_sleep */
			LOAD(ENGINE, MARKS_O, ACQ, m);
			stay = (m != taken_o);
			if
			:: listed ->
				LOAD(ENGINE, MARKS, ACQ, n);
				if :: n != taken -> stay = 1 :: else -> listed = 0 fi
			:: else
			fi;
			LOAD(ENGINE, ATTENTION, RLX, x);
			LOAD(ENGINE, STOP, RLX, stop);
			if
			:: !stay && x == 0 && STOP_SEEN == 0 ->
				waits = FUTEX_VALUE;
endsleep:			!waits
			:: else
			fi;
			STORE(ENGINE, SLEEPING, RLX, 0);
			if :: listed -> STORE(ENGINE, NEED, RLX, 0) :: else fi;
			STORE(ENGINE, NEED_O, RLX, 0)
		:: !may_sleep || stay || naps == NAPS
		fi;
		n = 0; m = 0; x = 0; stay = 0; stop = 0
	od;
	ended = 1
}

/* Nothing moves any more. */
proctype quiet()
{
	timeout -> assert(ended || (!stopped && taken == doorbells && LAST(MARKS_O) == taken_o))
}

init {
	atomic {
		C11_INIT;
		/* Each pair of sides by itself: all of them at once are too many states. */
		if
		:: doorbells = 2; run worker(); run server()
		:: doorbells = 1; may_sleep = 1; run worker(); run server()
		:: may_sleep = 1; run owner(); run control()
		fi;
		run engine(); run quiet()
	}
}
