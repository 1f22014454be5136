/* SPDX-License-Identifier: BSD-3-Clause */
/* What crowd.c and svm-test-crowd say to each other, over descriptor CROWD_FD. */
#ifndef CROWD_PROTO_H
#define CROWD_PROTO_H

#include <stdint.h>

#define CROWD_FD	3

/* To the nursery: make a member; or end them all. */
struct crowd_order {
	uint32_t nb;		/* 1; 0: the end */
	uint32_t depth;
	uint32_t mem_len;
	char socket[108];
};

enum crowd_stage {
	CROWD_READY,
	CROWD_AT_FORK,
	CROWD_AT_MEMORY,
	CROWD_AT_CONNECT,
	CROWD_AT_BIND,
	CROWD_AT_QUEUE,
};

/* From a member, or from the nursery that could not fork it. */
struct crowd_report {
	int32_t error;		/* 0, or -errno at the stage */
	uint32_t stage;
	uint64_t pid, bond, mem;
	uint64_t connect_ns, bind_ns, queue_ns;
};

#endif /* CROWD_PROTO_H */
