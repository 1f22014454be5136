/* SPDX-License-Identifier: BSD-3-Clause */
/* What svm_exchange_owner and svm_exchange_worker agree on. */
#ifndef SVM_EXCHANGE_H
#define SVM_EXCHANGE_H

#include <stdint.h>

#define SVM_EXCHANGE_LEN	65536u

/* What the owner calls a window: what it is for. */
#define SVM_EXCHANGE_FROM_PEER	1u	/* the other worker's bytes, to read */
#define SVM_EXCHANGE_TO_OWNER	2u	/* where the owner collects, to write */

/* The byte that the worker with this number has at an offset. */
static inline uint8_t
svm_exchange_byte(unsigned int worker, uint32_t offset)
{
	return (uint8_t)((offset + worker) * 2654435761u >> 24);
}

#endif /* SVM_EXCHANGE_H */
