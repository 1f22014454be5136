/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server with a device behind it that only keeps books: tests of the server
 * and of the worker's library need no engine. The test itself plays the
 * engine, on the owner's view of a queue.
 *
 * And a worker that speaks raw messages, for what the library would not say.
 */
#ifndef FAKE_OWNER_H
#define FAKE_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "svm_proto.h"
#include "svm_ring.h"
#include "svm_server.h"

/* Bound of every wait; what a test finds does not depend on it. */
#define FAKE_BOUND_MS	20000
#define FAKE_QUEUES	8
#define FAKE_ASKED	32

/* How the memory of a queue is made wrong. */
enum fake_memory {
	FAKE_MEMORY_GOOD,
	FAKE_MEMORY_UNSEALED,
	FAKE_MEMORY_SHORT,
	FAKE_MEMORY_BAD_HEADER,
};

struct fake_queue {
	void *mem;		/* NULL: free */
	size_t size;
	struct svm_ring ring;
};

/** What the device has mapped, and was asked; of fake_mem.h. */
struct fake_mem {
	int status;		/* what MEM_MAP and MEM_WATCH are answered */
	int maps, unmaps, watches;	/* atomic: that were asked for */
	uint64_t va, len, off;	/* of the last MEM_MAP, or MEM_UNMAP */
	uint32_t rights;
	uint64_t ino;		/* of its file */
	uint64_t bytes;		/* mapped */
	uint32_t ranges;
};

/*
 * Counters are atomic: the server's thread adds, the test reads. The rest is
 * set before the worker's message that makes the server look at it.
 */
struct fake_owner {
	char dir[64];
	char path[96];
	struct svm_server *server;

	struct svm_server_conf limits;	/* of these the rules and max_per_*, max_worker_*, max_rate, max_mem*,
					 * max_ranges*, end_ms */
	int bind_status;	/* what BIND is answered */
	int prove_status;	/* what PROOF is, when the nonce is right */
	enum fake_memory memory;
	uint64_t windows;	/* how many the worker has */
	int busy;		/* atomic: how often to answer -EBUSY from now on */

	int hold;		/* atomic: binds of this `user` make no step; 0: of nobody */
	int hold_as;		/* atomic: what they say: 0, -EINPROGRESS; or -EBUSY */
	int steps_held;		/* steps that were not made */

	int binds, unbinds, created, destroyed, doorbells, gone;
	int order_wrong;	/* unbound while queues existed */
	int asked;		/* binds, the refused ones, too */
	int ended;		/* requests of binds given back */
	uint64_t asked_by[FAKE_ASKED];	/* their users, in order */
	pid_t pid;		/* of the last bind */
	uid_t uid;
	uint64_t user;
	uint64_t gone_bond;
	struct fake_queue queue[FAKE_QUEUES];
	bool has_mem;		/* the device maps memory of workers */
	struct fake_mem mem;
};

/** Make a folder and a path in it, no server yet. NULL when that fails. */
struct fake_owner *
fake_owner_create(void);

/** Start the server, with 4 workers, 8 queues, depth 1024 at the most. */
int
fake_owner_start(struct fake_owner *fo, uint32_t idle_us);

/** Both of the above; NULL when one fails. */
struct fake_owner *
fake_owner_serving(uint32_t idle_us);

/** End the server, if there is one, as an owner does that leaves. */
void
fake_owner_stop(struct fake_owner *fo);

/** Stop, remove the folder, free. */
void
fake_owner_destroy(struct fake_owner *fo);

/** Wait until a counter is at least `value`: whether it came to that. */
bool
fake_wait_for(const int *counter, int value);

/** Wait until exactly n workers are connected. */
bool
fake_wait_workers(const struct fake_owner *fo, uint32_t n);

/** Value of a counter now. */
int
fake_count(const int *counter);

/** Set one that the server's thread looks at. */
void
fake_set(int *counter, int value);

/* ---- a raw worker ---- */

/** @return A connected socket, or -errno. */
int
raw_connect(const char *path);

/** Send bytes as they are. @return 0, -errno. */
int
raw_send(int sock, const void *msg, size_t len);

/** Receive one message within the bound. @return Bytes, 0: hung up, -errno. */
int
raw_recv(int sock, union svm_msg *msg);

/** Send a request and receive what comes. @return As raw_recv(). */
int
raw_ask(int sock, union svm_msg *msg);

/** Connect and say HELLO. @return A socket, or -errno. */
int
raw_ready(const char *path);

/** Where a raw worker keeps a nonce. */
extern struct svm_nonce raw_word;
/** The nonce heard last, which raw_proof() repeats. */
extern struct svm_nonce raw_told;

/** BIND. @return The status of CHALLENGE; the nonce is in *nonce. */
int
raw_challenge(int sock, uint64_t user, const void *word, struct svm_nonce *nonce);

/** PROOF. @return The reply's status. */
int
raw_proof(int sock);

/** BIND to the end, as the library does it. @return The status. */
int
raw_bind(int sock, uint64_t user);

/** QUEUE_CREATE; the memory that comes along is dropped. @return The reply's status. */
int
raw_queue(int sock, uint32_t depth, uint32_t features);

/** QUEUE_DESTROY. @return The reply's status. */
int
raw_queue_destroy(int sock, uint32_t queue);

/** UNBIND. @return The reply's status. */
int
raw_unbind(int sock);

/** Whether ERROR with this status comes, and then a hang-up. */
bool
raw_refused(int sock, int status);

#endif /* FAKE_OWNER_H */
