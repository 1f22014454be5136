/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Page requests: descriptors that park on a missing page and ask the owner, a bond
 * that ends, an owner that reads late and answers late, twice, or what nobody asked.
 * Everything happens under two locks (the turn lock of kmod/sw, the spinlock of the
 * event ring), so this model has no memory order.
 *
 * Claimed: every request ends once, by its answer, its deadline or its bond's end, and
 * every parked descriptor goes on or completes; an answer meets the request that it
 * names or none; a request finds the slot that was promised to it, whatever else is
 * posted meanwhile; at the end nothing is open and nothing stays promised.
 */
#define OPS	2
#define SLOTS	2
#define IDS	3		/* requests that are ever made; the bound of this model */
#define INFORMS	9

mtype = { ready, parked, done };
mtype state[OPS] = ready;
byte request[OPS];		/* sw_op.request_id; 0: none is open */
byte ended[IDS + 1];		/* how often a request ended */
byte last_request, reserved, used, got;
byte ring[SLOTS], put;
bool turn_lock, bond_active = 1;

/* kmod/vfio_svm_event.c:events_room */
#ifdef MUTANT_ROOM_FORGETS_PROMISES
#define ROOM	(used < SLOTS)
#else
#define ROOM	(used + reserved < SLOTS)
#endif

/* kmod/vfio_svm_event.c:events_write */
inline event_write(what)
{
	assert(used < SLOTS);	/* else it would overwrite what was not read */
	ring[put] = what;
	put = (put + 1) % SLOTS;
	used++
}

/* kmod/sw/sw_fault.c:sw_fault_forget */
inline forget(op)
{
	if
	:: request[op] != 0 ->
		ended[request[op]]++;
		assert(ended[request[op]] == 1);
#ifndef MUTANT_END_LEAVES_THE_REQUEST_OPEN
		request[op] = 0
#endif
	:: else
	fi
}

/* kmod/sw/sw_fault.c:sw_op_fail, and whatever else completes a descriptor */
inline finish(op)
{
	assert(state[op] != done);
	forget(op);
	state[op] = done
}

#ifdef MUTANT_DEATH_IS_NOT_LOOKED_FOR
#define MAY_END(op)	bond_active
#elif defined(MUTANT_NO_DEADLINE)
#define MAY_END(op)	(!bond_active)
#else
#define MAY_END(op)	1	/* the bond has ended, or the time is up */
#endif

/* Of one descriptor: kmod/sw/sw_fault.c:sw_fault_poll, kmod/sw/sw_fault.c:sw_op_fault */
#define STEPS(op) \
	:: atomic { !turn_lock && state[op] == ready -> finish(op) }	/* the page is there */ \
	:: atomic { !turn_lock && state[op] == ready && last_request < IDS -> state[op] = parked } \
	:: atomic { !turn_lock && state[op] == parked && MAY_END(op) -> finish(op) } \
	:: atomic { !turn_lock && state[op] == parked && request[op] == 0 && bond_active && \
			last_request < IDS && (ROOM || !RESERVE) -> \
		turn_lock = 1; reserved = reserved + RESERVE; \
		last_request++; request[op] = last_request }; \
		/* Others post here. Then kmod/vfio_svm_event.c:vfio_svm_event_post_reserved */ \
		atomic { \
			reserved = reserved - KEPT; \
			if :: RESERVE || ROOM -> event_write(request[op]) :: else fi; \
			turn_lock = 0 \
		}

/* kmod/vfio_svm_event.c:vfio_svm_event_reserve */
#ifdef MUTANT_POST_WITHOUT_RESERVE
#define RESERVE	0
#else
#define RESERVE	1
#endif
#ifdef MUTANT_PROMISE_IS_KEPT_FOR_EVER
#define KEPT	0
#else
#define KEPT	RESERVE
#endif

/* The DMA thread */
proctype device()
{
	do
	:: state[0] == done && state[1] == done -> break
	STEPS(0)
	STEPS(1)
	od
}

/* The owner's loop, until the device is quiet; kmod/sw/sw_fault.c:sw_fault_response */
proctype owner()
{
	byte id, op, answers;

endquiet:
	do
	:: atomic {
			used != 0 ->
			id = ring[(put + SLOTS - used) % SLOTS];
			used--;
			if :: id != INFORMS -> got++ :: else fi
		}
	:: answers < 3 && last_request != 0 ->
		/* Any number, also one that is answered already: it is the owner's word. */
		answers++;
		if :: id = 1 :: id = 2 :: id = last_request fi;
		atomic {
			!turn_lock;
			/* kmod/sw/sw_fault.c:request_find */
			if
#ifdef MUTANT_ANSWER_MEETS_THE_OPERATION
			:: state[id % OPS] == parked && bond_active -> op = id % OPS
#else
			:: id != 0 && request[0] == id && bond_active -> op = 0
			:: id != 0 && request[1] == id && bond_active -> op = 1
#endif
			:: else -> op = OPS
			fi;
			if
			:: op < OPS ->
#ifdef MUTANT_ANSWER_MEETS_THE_OPERATION
				assert(request[op] == id);
#endif
				if
				:: forget(op); state[op] = ready	/* SUCCESS */
				:: finish(op)				/* INVALID, FAILURE */
				fi
			:: else	/* -ENOENT */
			fi
		};
		id = 0; op = 0
	od
}

/* Other events of the same ring: kmod/vfio_svm_event.c:vfio_svm_event_post */
proctype others()
{
	byte n;

	do
	:: n < 2 -> n++; atomic { if :: ROOM -> event_write(INFORMS) :: else fi }
	:: else -> break
	od
}

/* kmod/vfio_svm_bond.c, from the mmu notifier or an unbind: at any time, or never. */
proctype death()
{
	if
	:: bond_active = 0
	:: skip
	fi
}

proctype quiet()
{
	timeout ->
	assert(state[0] == done && state[1] == done);
	assert(request[0] == 0 && request[1] == 0 && reserved == 0);
	/* Each was told of, and each ended. */
	assert(got == last_request);
	assert(ended[1] + ended[2] + ended[3] == last_request)
}

init {
	atomic { run device(); run owner(); run others(); run death(); run quiet() }
}
