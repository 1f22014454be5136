/* SPDX-License-Identifier: BSD-3-Clause */
/* Of the fake owner and its raw worker: what is about memory. */
#ifndef FAKE_MEM_H
#define FAKE_MEM_H

#include "fake_owner.h"

/** Put the operations in of a device that maps; it keeps books, no more. */
void
fake_mem_ops(struct svm_server_ops *ops);

/* ---- a raw worker: each returns the reply's status ---- */

/** MEM_CREATE. *fd -1: none came. */
int
raw_mem_create(int sock, uint64_t len, uint32_t page, int node,
		struct svm_msg_mem_create_reply *reply, int *fd);

int
raw_mem_destroy(int sock, uint32_t mem);

/** MEM_MAP of [0, len) from `off` of a file at `addr`. */
int
raw_mem_map(int sock, uint64_t addr, uint64_t len, int fd, uint64_t off, uint32_t rights);

int
raw_mem_watch(int sock, int fd);

int
raw_mem_unmap(int sock, uint64_t addr, uint64_t len);

/** Send a message with so many copies of a descriptor. @return 0, -errno. */
int
raw_send_fds(int sock, const union svm_msg *msg, size_t len, int fd, int nb);

/** A sealed file of small pages of the raw worker's own. */
int
raw_file(uint64_t len, int seals);

#endif /* FAKE_MEM_H */
