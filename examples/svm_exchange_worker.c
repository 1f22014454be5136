/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm_exchange, a worker: fills a buffer, copies the other worker's into its
 * own memory and on to the owner, both through windows that the owner grants.
 * svm_exchange_owner starts two of them.
 *
 *   svm_exchange_worker SOCKET NUMBER
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "svm_exchange.h"
#include "svm_worker.h"

#define WAIT_MS		5000
#define WAIT_US		5000000

static uint8_t mine[SVM_EXCHANGE_LEN], peers[SVM_EXCHANGE_LEN];

/* The window that the owner calls by this number, once it is granted. */
static int
window_find(struct svm_worker *worker, uint64_t user, uint32_t *id)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };
	struct svm_worker_window windows[2];
	int i, k, nb;

	for (i = 0; i < WAIT_MS; i++) {
		nb = svm_worker_window_list(worker, windows, 2);
		if (nb < 0)
			return nb;
		for (k = 0; k < nb && k < 2; k++) {
			if (windows[k].user == user) {
				*id = windows[k].id;
				return 0;
			}
		}
		nanosleep(&ms, NULL);
	}
	return -ETIMEDOUT;
}

static int
run(struct svm_worker_queue *q, const struct svm_worker_op *op)
{
	struct svm_worker_result result;
	int ret = svm_worker_submit(q, op, 1);

	if (ret == 1)
		ret = svm_worker_wait(q, &result, 1, WAIT_US);
	if (ret != 1)
		return ret < 0 ? ret : -EAGAIN;
	if (result.status == SVM_WORKER_ST_OK)
		return 0;
	fprintf(stderr, "svm_exchange_worker: %s after %u bytes, at %#llx\n",
		svm_worker_status_name(result.status), result.done,
		(unsigned long long)result.fault_addr);
	return -EIO;
}

static int
exchange(struct svm_worker *worker, struct svm_worker_queue *q, unsigned int number)
{
	struct svm_worker_op in = { .op = SVM_WORKER_COPY, .dst = peers, .len = sizeof(peers) };
	struct svm_worker_op out = { .op = SVM_WORKER_COPY, .src = peers, .len = sizeof(peers) };
	uint32_t i;
	int ret;

	ret = window_find(worker, SVM_EXCHANGE_FROM_PEER, &in.src_window);
	if (ret == 0)
		ret = window_find(worker, SVM_EXCHANGE_TO_OWNER, &out.dst_window);
	if (ret == 0)
		ret = run(q, &in);	/* from offset 0 of the window */
	for (i = 0; ret == 0 && i < sizeof(peers); i++)
		if (peers[i] != svm_exchange_byte(1 - number, i))
			ret = -EBADMSG;
	if (ret == 0)
		ret = run(q, &out);
	return ret;
}

int
main(int argc, char **argv)
{
	struct svm_worker_queue *q;
	struct svm_worker *worker;
	unsigned int number;
	uint32_t i;
	int ret;

	if (argc != 3) {
		fprintf(stderr, "usage: svm_exchange_worker SOCKET NUMBER\n");
		return EXIT_FAILURE;
	}
	number = argv[2][0] == '1';
	for (i = 0; i < sizeof(mine); i++)
		mine[i] = svm_exchange_byte(number, i);
	ret = svm_worker_connect(argv[1], &worker);
	if (ret == 0) {
		ret = svm_worker_bind(worker, (uintptr_t)mine, NULL);
		if (ret == 0)
			ret = svm_worker_queue_create(worker, 32, 0, &q);
		if (ret == 0)
			ret = exchange(worker, q, number);
		/* The other one reads from here: the owner says when it is over. */
		if (ret == 0)
			getchar();
		svm_worker_disconnect(worker);
	}
	if (ret != 0)
		fprintf(stderr, "svm_exchange_worker %u: %s\n", number, strerror(-ret));
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
