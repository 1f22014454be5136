/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm_copy, the worker: plain C. It has its address space bound, then waits in
 * its own memory for what the owner writes there. svm_copy_owner starts it.
 *
 *   svm_copy_worker SOCKET
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "svm_copy.h"
#include "svm_worker.h"

#define WAIT_MS		5000

/* The acquire's partner is the owner: the copy before the one that wrote this byte. */
static int
flag_wait(const uint8_t *flag)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < WAIT_MS; i++) {
		if (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0)
			return 0;
		nanosleep(&ms, NULL);
	}
	return -1;
}

/* The release's partner is the owner, which reads the answer after this byte. */
static void
answer(struct svm_copy_control *control, const uint8_t *buffer)
{
	uint32_t wrong = 0, i;

	for (i = 0; i < SVM_COPY_LEN; i++)
		wrong += buffer[i] != svm_copy_byte(i);
	control->right = wrong == 0;
	snprintf(control->answer, sizeof(control->answer),
		"process %d has them at %p, %u of %u bytes are wrong", getpid(),
		(const void *)buffer, wrong, SVM_COPY_LEN);
	__atomic_store_n(&control->answered, 1, __ATOMIC_RELEASE);
}

int
main(int argc, char **argv)
{
	struct svm_copy_control *control = calloc(1, sizeof(*control));
	uint8_t *buffer = malloc(SVM_COPY_LEN);
	struct svm_worker *worker = NULL;
	int ret, status = EXIT_FAILURE;

	if (argc != 2) {
		fprintf(stderr, "usage: svm_copy_worker SOCKET\n");
		goto free_memory;
	}
	if (control == NULL || buffer == NULL) {
		perror("svm_copy_worker");
		goto free_memory;
	}
	control->buffer = (uintptr_t)buffer;
	ret = svm_worker_connect(argv[1], &worker);
	if (ret != 0) {
		fprintf(stderr, "svm_copy_worker: %s: %s\n", argv[1], strerror(-ret));
		goto free_memory;
	}
	ret = svm_worker_bind(worker, (uintptr_t)control, NULL);
	if (ret != 0) {
		fprintf(stderr, "svm_copy_worker: bind: %s\n", strerror(-ret));
		goto disconnect;
	}
	if (flag_wait(&control->written) != 0) {
		fprintf(stderr, "svm_copy_worker: the owner wrote nothing\n");
		goto disconnect;
	}
	answer(control, buffer);
	if (flag_wait(&control->done) == 0)	/* the memory has to stay until then */
		status = EXIT_SUCCESS;
disconnect:
	svm_worker_disconnect(worker);
free_memory:
	free(buffer);
	free(control);
	return status;
}
