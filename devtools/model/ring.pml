/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One queue: two producers that claim and mark, one thread that polls, the engine;
 * over the wrap of slots and of counters (modulo 8 here, first 6). Each step names
 * the code that it stands for, and doc/ordering.md has the edges P1 to P5, C1, C2.
 *
 * Claimed: a descriptor is taken once, whole, in order; each gets one completion,
 * read whole; nobody writes a slot, a cookie or a buffer while another still reads
 * it. Plain memory: the slot, the cookie beside it (svm_worker's, private to the
 * producing side), and what the engine writes for it (buffer and fault_addr).
 */
#define DEPTH	2
#define FIRST	6
#define N	4		/* descriptors: each slot is used twice */
#define NT	4
#define P0	0
#define P1	1
#define POLL	2
#define ENGINE	3

#define TAIL	0		/* svm_queue_hdr.sq_tail */
#define REAPED	1		/* svm_producer.reaped */
#define SEQ	2		/* [DEPTH] svm_desc.seq */
#define CPL	4		/* [DEPTH] the word with phase: id * 2 + phase */
#define NATOM	6
#define SLOT	6		/* [DEPTH] the rest of struct svm_desc */
#define COOKIE	8		/* [DEPTH] */
#define BUFFER	10		/* [DEPTH] */
#define NLOC	12
#define HIST	6

#define M8(n)		((n) & 7)
#define AT(place, n)	((place) + ((n) & 1))
#define MARK(n)		M8((n) + 1)
#define PHASE(n)	(((n) & DEPTH) == 0)

#ifdef MUTANT_P1_RELAXED
#define O_P1	RLX
#else
#define O_P1	REL
#endif
#ifdef MUTANT_C1_RELAXED
#define O_C1	RLX
#else
#define O_C1	ACQ
#endif
#ifdef MUTANT_C2_RELAXED
#define O_C2	RLX
#else
#define O_C2	REL
#endif
#ifdef MUTANT_P2_RELAXED
#define O_P2	RLX
#else
#define O_P2	ACQ
#endif
#ifdef MUTANT_P3_RELAXED
#define O_P3	RLX
#else
#define O_P3	REL
#endif
#ifdef MUTANT_P4_RELAXED
#define O_P4	RLX
#else
#define O_P4	ACQ
#endif
#ifdef MUTANT_MARK_WITHOUT_LAP
#undef MARK
#define MARK(n)		((n) & 1)
#endif
#ifdef MUTANT_PHASE_WITHOUT_LAP
#undef PHASE
#define PHASE(n)	1
#endif
#ifdef MUTANT_ROOM_ONE_MORE
#define ROOM	(DEPTH + 1)
#else
#define ROOM	DEPTH
#endif

#include "c11.pml"

byte tail[2], reaped[2], first[2], left[2];	/* of a producer */
bool got[2];
byte head, next;			/* of the engine, of the poller */
byte slot_holds[DEPTH] = 255, cookie_holds[DEPTH] = 255;	/* counters */
byte taken, polled;			/* bit n: counter FIRST + n */

#define BIT(n)		(1 << M8((n) - FIRST))

/* lib/svm/svm_ring.h:svm_producer_claim, mp: n counters at once. */
#ifdef MUTANT_CLAIM_IN_TWO_STEPS
#define CLAIM_P5(me, n) \
	LOAD(me, TAIL, RLX, got[me]); got[me] = 0; \
	if \
	:: atomic { LAST(TAIL) == tail[me] -> got[me] = 1 } \
	:: atomic { LAST(TAIL) != tail[me] -> tail[me] = LAST(TAIL) } \
	fi; \
	if :: got[me] -> STORE(me, TAIL, RLX, M8(now.tail[me] + (n))) :: else fi
#else
#define CLAIM_P5(me, n) \
	CAS(me, TAIL, RLX, now.tail[me], M8(now.tail[me] + (n)), got[me]); \
	if :: got[me] :: else -> LOAD(me, TAIL, RLX, tail[me]) fi
#endif
#define CLAIM(me, n) \
	LOAD(me, TAIL, RLX, tail[me]); \
	do \
	:: LOAD(me, REAPED, O_P4, reaped[me]); \
		if \
		:: M8(tail[me] - reaped[me]) > ROOM -> \
			/* One of the two is old: read the tail again, or refuse, which helps \
			 * once the other changes. */ \
			if \
			:: AWAIT_NOT(me, TAIL, RLX, now.tail[me], tail[me]) \
			:: AWAIT_NOT(me, REAPED, O_P4, now.reaped[me], reaped[me]) \
			fi \
		:: else -> \
			if \
			:: n > ROOM - M8(tail[me] - reaped[me]) -> \
				/* No room: the caller tries again, which helps once it changes. */ \
				AWAIT_NOT(me, REAPED, O_P4, now.reaped[me], reaped[me]); \
				LOAD(me, TAIL, RLX, tail[me]) \
			:: else -> \
				CLAIM_P5(me, n); \
				if :: got[me] -> break :: else fi \
			fi \
		fi \
	od; \
	first[me] = tail[me]; got[me] = 0; reaped[me] = 0

/* lib/svm_worker/worker_queue.c:op_write, then lib/svm/svm_ring.h:svm_producer_fill */
#define FILL(me, n) atomic { \
	PLAIN(me, AT(COOKIE, n)); PLAIN(me, AT(SLOT, n)); \
	c_code { now.cookie_holds[(n) & 1] = now.slot_holds[(n) & 1] = M8(n); } }
/* lib/svm/svm_ring.h:svm_producer_mark */
#define HAND_OVER(me, n)	STORE(me, AT(SEQ, n), O_P1, MARK(n))

/* A batch of two, marked last to first: lib/svm_worker/worker_queue.c:svm_worker_submit */
proctype producer0()
{
	CLAIM(P0, 2);
	FILL(P0, now.first[P0]);
	FILL(P0, now.first[P0] + 1);
	HAND_OVER(P0, now.first[P0] + 1);
	HAND_OVER(P0, now.first[P0])
}

proctype producer1()
{
	left[P1] = 2;
	do
	:: left[P1] != 0 ->
		CLAIM(P1, 1);
		FILL(P1, now.first[P1]);
		HAND_OVER(P1, now.first[P1]);
		left[P1]--
	:: else -> break
	od
}

/* lib/svm/svm_intake.c:svm_intake, lib/svm/svm_intake.c:svm_eq_complete */
proctype engine()
{
	do
	:: taken == (1 << N) - 1 -> break
	:: else ->
		/* lib/svm/svm_ring.h:svm_ring_ready, lib/svm/svm_ring.h:svm_ring_take */
		AWAIT(ENGINE, AT(SEQ, now.head), O_C1, MARK(now.head));
		PLAIN(ENGINE, AT(SLOT, now.head));
		atomic {
			/* Neither lost nor doubled, and in order. */
			assert(slot_holds[head & 1] == head);
			assert((taken & BIT(head)) == 0);
			taken = taken | BIT(head)
		};
		PLAIN(ENGINE, AT(BUFFER, now.head));
		/* lib/svm/svm_ring.h:svm_ring_complete */
		STORE(ENGINE, AT(CPL, now.head), O_C2, now.head * 2 + PHASE(now.head));
		head = M8(head + 1)
	od
}

/* lib/svm/svm_ring.h:svm_producer_poll; cookies: lib/svm_worker/worker_queue.c:svm_worker_poll */
proctype poller()
{
	byte word;

	do
	:: polled == (1 << N) - 1 -> break
	:: else ->
		AWAIT_BIT0(POLL, AT(CPL, now.next), O_P2, PHASE(now.next), word);
		PLAIN(POLL, AT(COOKIE, now.next));
		PLAIN(POLL, AT(BUFFER, now.next));
		atomic {
			assert(word / 2 == next && cookie_holds[next & 1] == next);
			assert((polled & BIT(next)) == 0 && (taken & BIT(next)) != 0);
			polled = polled | BIT(next)
		};
		/* Before the slot is free: P3. */
		STORE(POLL, REAPED, O_P3, M8(now.next + 1));
		next = M8(next + 1)
	od
}

init {
	atomic {
		/* lib/svm/svm_ring.h:svm_ring_format with a start */
		C11_INIT;
		C11_SET(TAIL, FIRST); C11_SET(REAPED, FIRST);
		C11_SET(AT(SEQ, FIRST), MARK(FIRST - DEPTH));
		C11_SET(AT(SEQ, FIRST + 1), MARK(FIRST + 1 - DEPTH));
		C11_SET(AT(CPL, FIRST), (FIRST - DEPTH) * 2 + PHASE(FIRST - DEPTH));
		C11_SET(AT(CPL, FIRST + 1), (FIRST + 1 - DEPTH) * 2 + PHASE(FIRST + 1 - DEPTH));
		head = FIRST; next = FIRST;
		run producer0(); run producer1(); run engine(); run poller()
	}
}
