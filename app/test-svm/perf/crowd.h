/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Thousands of real processes, each with an address space of its own, for what
 * counts bonds: cheap, because one small program is started once (svm-test-crowd,
 * the nursery) and forks the members, one after another.
 *
 *   crowd_create(&conf, &c);
 *   crowd_grow(c, 64);            64 members; each has connected, is bound, has a queue
 *   crowd_member(c, 5)->bond      what it was given
 *   crowd_destroy(c);             all of them have ended and are reaped
 *
 * A member then only waits; SIGUSR1 has it leave its owner in order. It ends with the nursery, and that with its owner.
 * Descriptors: a bound member with a queue costs an owner 3, the crowd itself 1.
 */
#ifndef CROWD_H
#define CROWD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct crowd_conf {
	/** Path of the owner's socket; "": members do not connect, bind them by pid. */
	const char *socket;
	/** Slots of each member's queue; 0: no queue. */
	uint32_t depth;
	/** Bytes of private memory, written once, that each member has; 0: none. */
	uint32_t mem_len;
};

struct crowd_member {
	pid_t pid;
	uint64_t bond;		/* 0: not bound by itself */
	uint64_t mem;		/* address of its memory, 0: none */
	/* Nanoseconds that its calls took, as the member saw them. */
	uint64_t connect_ns, bind_ns, queue_ns;
};

struct crowd;

/** Start the nursery. 0, -errno. */
int
crowd_create(const struct crowd_conf *conf, struct crowd **crowd);

/**
 * Grow to nb members; nothing to do when there are as many.
 *
 * @return 0; -errno of the first that failed, whose stage is printed; those before
 *   it stay. -ETIMEDOUT: one took more than 30 s.
 */
int
crowd_grow(struct crowd *crowd, uint32_t nb);

uint32_t
crowd_size(const struct crowd *crowd);

/** Member number i, 0 to size - 1. Valid until the crowd grows. */
const struct crowd_member *
crowd_member(const struct crowd *crowd, uint32_t i);

/** End all members and wait until they are gone. NULL is allowed. */
void
crowd_destroy(struct crowd *crowd);

/**
 * Raise the soft limit of descriptors so that `nb` more fit.
 *
 * @return 0; -EMFILE: the hard limit is too low.
 */
int
crowd_fds_reserve(uint32_t nb);

#endif /* CROWD_H */
