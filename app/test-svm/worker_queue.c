/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's queues, and single operations in them. */
#include <errno.h>

#include "worker.h"

int64_t
worker_queue(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	for (r->v[0] = 0; r->v[0] < WORKER_QUEUES; r->v[0]++)
		if (w->queue[r->v[0]] == NULL)
			return svm_worker_queue_create(w->conn, q->a[0], q->a[1],
				&w->queue[r->v[0]]);
	return -EMFILE;
}

int64_t
worker_queue_end(struct worker *w, const struct wk_req *q)
{
	const int64_t ret = svm_worker_queue_destroy(w->queue[q->a[0] % WORKER_QUEUES]);

	if (ret == 0)
		w->queue[q->a[0] % WORKER_QUEUES] = NULL;
	return ret;
}

int64_t
worker_run(struct svm_worker_queue *queue, const struct svm_worker_op *op, struct wk_rep *r)
{
	struct svm_worker_result res;
	int ret = svm_worker_submit(queue, op, 1);

	if (ret != 1)
		return ret < 0 ? ret : -EAGAIN;
	ret = svm_worker_wait(queue, &res, 1, WORKER_WAIT_US);
	if (ret != 1)
		return ret < 0 ? ret : -EAGAIN;
	r->v[0] = res.status;
	r->v[1] = res.done;
	r->v[2] = res.fault_addr;
	r->v[3] = res.cookie;
	return 0;
}

int64_t
worker_op(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const struct svm_worker_op op = {
		.op = (enum svm_worker_opcode)(uint32_t)q->a[1],
		.flags = q->a[1] >> 32,
		.src = (const void *)(uintptr_t)q->a[2],
		.dst = (void *)(uintptr_t)q->a[3],
		.len = q->a[4],
		.pattern = q->a[5],
		.cookie = q->a[2] ^ q->a[3],
	};

	return worker_run(w->queue[q->a[0] % WORKER_QUEUES], &op, r);
}

int64_t
worker_sg(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct svm_worker_seg segs[SVM_WORKER_SG_MAX];
	const struct svm_worker_op op = {
		.op = SVM_WORKER_COPY_SG,
		.segs = segs,
		.nb_segs = q->a[4],
		.cookie = q->a[1] ^ q->a[2],
	};
	uint32_t i;

	for (i = 0; i < SVM_WORKER_SG_MAX; i++) {
		const uint64_t at = i * (q->a[3] + q->a[5]);

		segs[i].src = (const void *)(uintptr_t)(q->a[1] + at);
		segs[i].dst = (void *)(uintptr_t)(q->a[2] + at);
		segs[i].len = q->a[3];
	}
	return worker_run(w->queue[q->a[0] % WORKER_QUEUES], &op, r);
}
