/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of the owner's making, and what the owner's device shall reach like its own. */
#ifndef WORKER_MEM_H
#define WORKER_MEM_H

#include <stdint.h>

#include "worker_conn.h"

/** As the owner made it. */
struct svm_wmem {
	uint32_t id;
	uint64_t len;
	uint64_t page_size;
	enum svm_worker_pages pages;
};

/**
 * Have the owner make memory.
 *
 * @param fd  Out: its file, checked; the caller's.
 * @return 0; -EOPNOTSUPP: the owner gives none; -ENOENT: not bound; -ENOSPC: a limit
 *   of the owner's; -EINVAL: no such node; -ENOMEM; as svm_wconn_request().
 */
int
svm_wmem_create(struct svm_worker *w, uint64_t len, enum svm_worker_pages pages, int node,
		struct svm_wmem *mem, int *fd);

/** Its pages go back to the system, whoever has them mapped. */
void
svm_wmem_destroy(struct svm_worker *w, const struct svm_wmem *mem);

/** From here on the file's part [0, len) that stands at addr is reached as the owner's own. */
int
svm_wmem_map(struct svm_worker *w, void *addr, uint64_t len, int fd);

/** ... and no more. */
void
svm_wmem_unmap(struct svm_worker *w, void *addr, uint64_t len);

#endif /* WORKER_MEM_H */
