/* SPDX-License-Identifier: BSD-3-Clause */
/* What svm_copy_owner and svm_copy_worker agree on. */
#ifndef SVM_COPY_H
#define SVM_COPY_H

#include <stdint.h>

#define SVM_COPY_TEXT_LEN	128u
#define SVM_COPY_LEN		65536u

/*
 * Lies in the worker's memory; the worker names its address when it binds. The
 * flags are one byte each, so that a DMA that is not atomic cannot split them.
 */
struct svm_copy_control {
	uint64_t buffer;	/* address of SVM_COPY_LEN bytes of the worker's heap */
	uint8_t written;	/* the owner sets it: the buffer is full */
	uint8_t answered;	/* the worker sets it: the answer stands below */
	uint8_t right;		/* the worker's judgement: 1 when the bytes are right */
	uint8_t done;		/* the owner sets it: the answer is read */
	char message[SVM_COPY_TEXT_LEN];
	char answer[SVM_COPY_TEXT_LEN];
};

/* The byte that belongs at an offset. */
static inline uint8_t
svm_copy_byte(uint32_t offset)
{
	return (uint8_t)(offset * 2654435761u >> 24);
}

#endif /* SVM_COPY_H */
