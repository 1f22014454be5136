/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's queues, and single operations in them. */
#include <errno.h>

#include "worker.h"

#define FLOOD_FLIGHT	8u

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

static struct svm_worker_op
op_of(const struct wk_req *q)
{
	return (struct svm_worker_op){
		.op = (enum svm_worker_opcode)(uint32_t)q->a[1],
		.flags = q->a[1] >> 32,
		.src_off = q->a[2],
		.dst_off = q->a[3],
		.src_window = q->src_window,
		.dst_window = q->dst_window,
		.len = q->a[4],
		.pattern = q->a[5],
		.cookie = q->a[2] ^ q->a[3],
	};
}

int64_t
worker_op(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const struct svm_worker_op op = op_of(q);

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
		.src_window = q->src_window,
		.dst_window = q->dst_window,
		.cookie = q->a[1] ^ q->a[2],
	};
	uint32_t i;

	for (i = 0; i < SVM_WORKER_SG_MAX; i++) {
		const uint64_t at = i * (q->a[3] + q->a[5]);

		segs[i].src_off = q->a[1] + at;
		segs[i].dst_off = q->a[2] + at;
		segs[i].len = q->a[3];
	}
	return worker_run(w->queue[q->a[0] % WORKER_QUEUES], &op, r);
}

int64_t
worker_flood(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct svm_worker_queue *queue = w->queue[q->a[0] % WORKER_QUEUES];
	const struct svm_worker_op op = op_of(q);
	struct svm_worker_result res;
	uint32_t flight = 0;
	int ret;

	do {
		while (r->v[1] + r->v[2] + r->v[3] == 0 && flight < FLOOD_FLIGHT) {
			ret = svm_worker_submit(queue, &op, 1);
			if (ret != 1)
				return ret < 0 ? ret : -EAGAIN;
			flight++;
		}
		ret = svm_worker_wait(queue, &res, 1, WORKER_WAIT_US);
		if (ret != 1)
			return ret < 0 ? ret : -EAGAIN;
		r->v[res.status == SVM_WORKER_ST_OK ? 0 :
			res.status == SVM_WORKER_ST_BAD_SPACE ? 1 :
			res.status == SVM_WORKER_ST_BOND_DEAD ? 2 : 3]++;
	} while (--flight != 0);
	return 0;
}

int64_t
worker_window(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	static struct svm_worker_window windows[64];
	const int ret = svm_worker_window_list(w->conn, windows, 64);

	if (ret < 0)
		return ret;
	r->v[0] = ret;
	if (q->a[0] < 64) {
		const struct svm_worker_window *at = &windows[q->a[0]];

		r->v[1] = at->id | (uint64_t)at->rights << 32;
		r->v[2] = at->len;
		r->v[3] = at->user;
	}
	return 0;
}
