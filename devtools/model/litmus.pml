/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether c11.pml is C11: small programs whose outcomes are known. "Caught" means
 * that the weak outcome is reachable. Each MUTANT is a program whose weak outcome
 * C11 allows, so the machine must show it; without one, all the forbidden ones of
 * the same shapes run, and none may show.
 *
 * The shapes are those that doc/ordering.md builds on: message passing (P1, C2, E2),
 * the same over a third thread (P3), store buffering by fences (W1), by seq_cst
 * accesses (B1/B2) and by one of each, coherence, a release sequence (E6), and the
 * independent reads of independent writes.
 */
#define NT	4
#define X	0
#define Y	1
#define Z	2
#define NATOM	3
#define DATA	3
#define NLOC	4
#define HIST	5
#include "c11.pml"

/* What each test varies. */
#ifdef MUTANT_MP_RELAXED_STORE
#define MP_STORE	RLX
#else
#define MP_STORE	REL
#endif
#ifdef MUTANT_MP_RELAXED_LOAD
#define MP_LOAD		RLX
#else
#define MP_LOAD		ACQ
#endif
#ifdef MUTANT_SB_ACQ_REL
#define SB_STORE	REL
#define SB_LOAD		ACQ
#else
#define SB_STORE	SC
#define SB_LOAD		SC
#endif
#ifdef MUTANT_SB_ONE_SC_LOAD
#define SB_LOAD0	ACQ
#else
#define SB_LOAD0	SB_LOAD
#endif
#ifdef MUTANT_SB_FENCE
#define SB_FENCE(t)	skip
#else
#define SB_FENCE(t)	FENCE(t)
#endif
#ifdef MUTANT_IRIW_ACQUIRE
#define IRIW_LOAD	ACQ
#else
#define IRIW_LOAD	SC
#endif
#ifdef MUTANT_WRC_RELAXED
#define WRC_STORE	RLX
#else
#define WRC_STORE	REL
#endif
#ifdef MUTANT_SEQUENCE_BROKEN
#define SEQUENCE	STORE(1, X, RLX, 2)
#else
#define SEQUENCE	ADD(1, X, RLX, 1)
#endif

byte which, a, b, c, d;

proctype t0()
{
	if
	:: which == 0 -> PLAIN(0, DATA); STORE(0, X, MP_STORE, 1)
	:: which == 1 -> STORE(0, X, SB_STORE, 1); LOAD(0, Y, SB_LOAD0, a)
	:: which == 2 -> STORE(0, X, RLX, 1); SB_FENCE(0); LOAD(0, Y, RLX, a)
	:: which == 3 -> STORE(0, X, SC, 1)
	:: which == 4 -> PLAIN(0, DATA); STORE(0, X, REL, 1)
	:: which == 5 -> STORE(0, X, RLX, 1); STORE(0, X, RLX, 2)
	:: which == 6 -> PLAIN(0, DATA); STORE(0, X, REL, 1)
	:: which == 7 -> STORE(0, X, SC, 1); LOAD(0, Y, SC, a)
	fi
}

proctype t1()
{
	if
	:: which == 0 -> AWAIT(1, X, MP_LOAD, 1); PLAIN(1, DATA)
	:: which == 1 -> STORE(1, Y, SB_STORE, 1); LOAD(1, X, SB_LOAD, b)
	:: which == 2 -> STORE(1, Y, RLX, 1); SB_FENCE(1); LOAD(1, X, RLX, b)
	:: which == 3 -> STORE(1, Y, SC, 1)
	:: which == 4 -> AWAIT(1, X, ACQ, 1); STORE(1, Y, WRC_STORE, 1)
	:: which == 5 -> LOAD(1, X, RLX, a); LOAD(1, X, RLX, b); assert(a <= b)
	:: which == 6 -> AWAIT(1, X, RLX, 1); SEQUENCE
	:: which == 7 -> STORE(1, Y, RLX, 1); SB_FENCE(1); LOAD(1, X, RLX, b)
	fi
}

proctype t2()
{
	if
	:: which == 3 -> LOAD(2, X, IRIW_LOAD, a); LOAD(2, Y, IRIW_LOAD, b)
	:: which == 4 -> AWAIT(2, Y, ACQ, 1); PLAIN(2, DATA)
	:: which == 6 -> AWAIT(2, X, ACQ, 2); PLAIN(2, DATA)
	:: else
	fi
}

proctype t3()
{
	if
	:: which == 3 -> LOAD(3, Y, IRIW_LOAD, c); LOAD(3, X, IRIW_LOAD, d)
	:: else
	fi
}

init {
	C11_INIT;
	if
	:: which = 0 :: which = 1 :: which = 2 :: which = 3
	:: which = 4 :: which = 5 :: which = 6 :: which = 7
	fi;
	atomic { run t0(); run t1(); run t2(); run t3() };
	_nr_pr == 1;
	if
	:: which == 1 || which == 2 || which == 7 -> assert(a != 0 || b != 0)
	:: which == 3 -> assert(!(a == 1 && b == 0 && c == 1 && d == 0))
	:: else
	fi
}
