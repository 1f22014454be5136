/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The asker of perf bind: a process of its own that connects and is bound again
 * and again, and takes the time itself.
 */
#ifndef PERF_BIND_H
#define PERF_BIND_H

#include <stdint.h>
#include <sys/types.h>

/** Bytes of the first copy. */
#define ASK_LEN		64u

enum ask_what {
	/** Connect, ask to be bound with the address of ASK_LEN bytes, wait until they came. */
	ASK_FIRST_BYTE,
	ASK_CONNECT_BIND,
	/** On a connection that stands: a request that changes nothing, and its answer. */
	ASK_MESSAGE,
};

struct asker {
	pid_t pid;
	int to, from;
	uint64_t mem;	/* ASK_LEN bytes of its own */
};

/** Start the asker; it stays connected for ASK_MESSAGE when `stays`. 0, -errno. */
int
asker_start(struct asker *a, const char *socket, int stays);

void
asker_end(struct asker *a);

/** Give an order; asker_answer() must follow. 0, -errno. */
int
asker_order(struct asker *a, enum ask_what what);

/** TSC cycles that it took. 0, -errno of the library's call that failed. */
int
asker_answer(struct asker *a, uint64_t *cycles);

#endif /* PERF_BIND_H */
