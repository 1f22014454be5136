/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The life of a bond and of its PASID: edges B1 to B5 of doc/ordering.md. The owner's
 * queue names a bond, two engines run operations on it (an owner's queue and the
 * worker's own), the worker exits at any time, control ends the bond and binds the
 * next process, for which there is but this one PASID.
 *
 * Claimed: nothing that was meant for one bond meets another: no descriptor in a ring
 * and no operation in flight outlives the PASID that it carries; the process's
 * descriptors are closed after the last operation that used them; and in the end the
 * PASID comes back, so that a new bond is made.
 */
#define NT	4
#define CONTROL	0
#define OWNER	1
#define ENGINE	2
#define OTHER_ENGINE	3

#define LIFE	0
#define USES	1		/* svm_bond.ops */
#define EPOCH	2		/* svm_bond_table.retire_epoch */
#define NATOM	3
#define IDENT	3		/* pidfd, mem descriptor and the other fields, for the first engine */
#define IDENT_2	4		/* ... and the second: reading at once is no race */
#define NLOC	5
#define HIST	8

#define FREE	0
#define ACTIVE	1
#define DEAD	2
#define DRAINING 3
#define RETIRED	4

#ifdef MUTANT_GET_LOOKS_FIRST
#define GET_ADD_FIRST	0
#else
#define GET_ADD_FIRST	1
#endif
#ifdef MUTANT_GET_ACQ_REL
#define O_GET	ACQREL
#define O_LOOK	ACQ
#else
#define O_GET	SC
#define O_LOOK	SC
#endif
#ifdef MUTANT_DRAIN_RELEASE
#define O_DRAIN	REL
#else
#define O_DRAIN	SC
#endif
#ifdef MUTANT_PUT_RELAXED
#define O_PUT	RLX
#else
#define O_PUT	REL
#endif
#ifdef MUTANT_DRAINED_RELAXED
#define O_DRAINED RLX
#else
#define O_DRAINED SC
#endif
#ifdef MUTANT_CREATE_RELAXED
#define O_CREATE RLX
#else
#define O_CREATE SC
#endif

#include "c11.pml"

byte bond = 1;			/* which bond the slot holds, the first or the second */
byte holds;			/* svm_bond.holds, under the table's lock */
bool quarantined, pasid_free;
byte in_ring;			/* which bond the descriptor in the owner's ring was meant for */
bool reaped, second, owner_over;
byte flying[NT];		/* which bond the engine's operation was meant for */

/* lib/svm/svm_bond.h:svm_bond_get */
#define GET(me, got) \
	if \
	:: GET_ADD_FIRST -> ADD(me, USES, O_GET, 1); LOAD(me, LIFE, O_LOOK, got) \
	:: else -> LOAD(me, LIFE, O_LOOK, got); ADD(me, USES, O_GET, 1) \
	fi; \
	if :: got != ACTIVE -> ADD(me, USES, O_PUT, -1) :: else fi

/* lib/svm/svm_bond.c:bond_free_locked, lib/svm/svm_pasid.c:svm_pasid_release */
inline free_locked()
{
	if
#ifdef MUTANT_FREE_WITH_HOLDS
	:: 1 -> pasid_free = 1; quarantined = 0
#else
	:: holds == 0 -> pasid_free = 1; quarantined = 0
	:: else
#endif
	fi
}

/* lib/svm/rte_svm.c:rte_svm_submit, lib/svm/rte_svm.c:queue_let_go */
proctype owner()
{
	byte epoch;

	/* Held since the queue named the bond first: lib/svm/svm_bond.c:svm_bond_table_hold.
	 * One submit, in time or not. */
	if
	:: in_ring = 1
	:: reaped = 1
	fi;
	/* lib/svm/rte_svm.c:queue_check_epoch: the bond was retired, so let go of it, once
	 * all that names it has come back. */
	AWAIT(OWNER, EPOCH, ACQ, 1);
#ifndef MUTANT_LET_GO_BEFORE_REAPED
	reaped;
#endif
	atomic {
		/* lib/svm/svm_bond.c:svm_bond_table_release */
		holds--;
		if :: quarantined -> free_locked() :: else fi
	};
	owner_over = 1
}

/* lib/svm/svm_intake.c:svm_intake, lib/svm/svm_intake.c:svm_op_finish, lib/svm/svm_intake.c:svm_eq_complete */
proctype engine()
{
	byte got;

endidle:
	in_ring != 0;
	flying[ENGINE] = in_ring;
	GET(ENGINE, got);
	if
	:: got == ACTIVE ->
		PLAIN(ENGINE, IDENT);
		assert(bond == flying[ENGINE]);	/* else it reaches another's memory */
		ADD(ENGINE, USES, O_PUT, -1)
	:: else
	fi;
	flying[ENGINE] = 0;
	in_ring = 0;
	reaped = 1
}

/* The worker's own queue: lib/svm/svm_conn.c destroys it before the bond's end. */
proctype other_engine()
{
	byte got;

	GET(OTHER_ENGINE, got);
	if
	:: got == ACTIVE ->
		flying[OTHER_ENGINE] = bond;
		PLAIN(OTHER_ENGINE, IDENT_2);
		assert(bond == flying[OTHER_ENGINE]);
		flying[OTHER_ENGINE] = 0;
		ADD(OTHER_ENGINE, USES, O_PUT, -1)
	:: else
	fi
}

/* lib/svm/svm_bind.c:svm_dev_unbind_step, then lib/svm/svm_bond.c:svm_bond_create_held */
proctype control()
{
	/* lib/svm/svm_bond.c:svm_bond_mark_dead, when the process exits first */
	if
	:: STORE(CONTROL, LIFE, SC, DEAD)
	:: skip
	fi;
	/* lib/svm/svm_bond.c:svm_bond_drain */
	STORE(CONTROL, LIFE, O_DRAIN, DRAINING);
	/* lib/svm/svm_bond.h:svm_bond_drained */
#ifndef MUTANT_RETIRE_UNDRAINED
	AWAIT(CONTROL, USES, O_DRAINED, 0);
#endif
	/* lib/svm/svm_bond.c:svm_bond_retire; the identity is closed after it */
	PLAIN(CONTROL, IDENT);
	PLAIN(CONTROL, IDENT_2);
	bond = 0;
	STORE(CONTROL, LIFE, REL, RETIRED);
	atomic { quarantined = 1; free_locked() };
	ADD(CONTROL, EPOCH, REL, 1);
	/* A bind is refused until then: -ENOSPC. */
	pasid_free;
	assert(in_ring == 0 && flying[ENGINE] == 0);
	STORE(CONTROL, LIFE, REL, FREE);
	PLAIN(CONTROL, IDENT);
	PLAIN(CONTROL, IDENT_2);
	bond = 2;
	STORE(CONTROL, LIFE, O_CREATE, ACTIVE);
	second = 1
}

proctype quiet()
{
	timeout -> assert(second && owner_over)
}

init {
	atomic {
		C11_INIT;
		C11_SET(LIFE, ACTIVE);
		holds = 1;
		run control(); run owner(); run engine(); run other_engine(); run quiet()
	}
}
