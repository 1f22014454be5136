/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "worker_queue.h"

/* svm_worker_wait(): polls between two looks at the clock, then the naps. */
#define WAIT_POLLS	64
#define WAIT_SPIN_NS	UINT64_C(20000)
#define WAIT_NAP_MIN_NS	UINT64_C(10000)
#define WAIT_NAP_MAX_NS	UINT64_C(1000000)

_Static_assert(SVM_WORKER_SG_MAX == SVM_SG_MAX, "one limit");
_Static_assert(SVM_WORKER_FENCE == SVM_F_FENCE, "one flag");
_Static_assert(SVM_WORKER_COMPARE_PATTERN == (int)SVM_OP_COMPARE_PATTERN, "one numbering");
_Static_assert(SVM_WORKER_ST_NO_MEMORY == (int)SVM_ST_NO_MEMORY, "one numbering");

/* ---- making and freeing ---- */

/*
 * Whether a descriptor is memory that cannot be taken away from under the
 * mapping: the size expected, and sealed against shrinking.
 */
static int
memory_check(int fd, uint64_t size)
{
	const int want = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	int seals;

	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & want) != want)
		return -EPROTO;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return -EPROTO;
	return 0;
}

/* Whether the header says what this library was compiled for. */
static int
header_check(const struct svm_queue_hdr *h, uint32_t depth, uint32_t features)
{
	const struct svm_ring_layout l = svm_ring_layout(depth);

	if (h->magic != SVM_ABI_MAGIC || h->version != SVM_ABI_VERSION ||
			h->hdr_len != sizeof(*h) || h->features != features ||
			h->depth != depth || h->desc_size != sizeof(struct svm_desc) ||
			h->cpl_size != sizeof(struct svm_cpl) || h->sg_max != SVM_SG_MAX ||
			h->sq_off != l.sq_off || h->cq_off != l.cq_off ||
			h->sg_off != l.sg_off || h->size != l.size || h->sq_tail != 0)
		return -EPROTO;
	return 0;
}

/* Map the memory into q, and take nothing but its content from it later on. */
static int
queue_map(struct svm_worker_queue *q, int fd, uint32_t depth, uint32_t features)
{
	struct svm_ring ring;
	int rc;

	q->size = svm_ring_layout(depth).size;
	rc = memory_check(fd, q->size);
	if (rc != 0)
		return rc;
	q->mem = mmap(NULL, q->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (q->mem == MAP_FAILED)
		return -ENOMEM;
	if (madvise(q->mem, q->size, MADV_DONTFORK) != 0) {
		rc = -ENOMEM;
		goto unmap;
	}
	rc = header_check(q->mem, depth, features);
	if (rc != 0)
		goto unmap;
	svm_ring_view(&ring, q->mem, depth);
	svm_producer_init(&q->prod, &ring, (features & SVM_QF_MULTI_PRODUCER) != 0, 0);
	q->may_sleep = (features & SVM_QF_MAY_SLEEP) != 0;
	return 0;

unmap:
	munmap(q->mem, q->size);
	return rc;
}

/* Ask the owner to take a queue back. */
static int
queue_end(struct svm_worker *w, uint32_t id)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_QUEUE_DESTROY, w->version, 0);
	msg.queue_destroy.queue = id;
	return svm_wconn_give_back(w, &msg);
}

/* The reply's own fields: the features asked for, and MAY_SLEEP perhaps. */
static int
created_check(const struct svm_msg_queue_create_reply *r, uint32_t depth, uint32_t features,
		int fd)
{
	if (fd < 0 || r->depth != depth || r->size != svm_ring_layout(depth).size ||
			(r->features & ~SVM_QF_MAY_SLEEP) != features)
		return -EPROTO;
	return 0;
}

int
svm_worker_queue_create(struct svm_worker *worker, uint32_t depth, uint32_t flags,
		struct svm_worker_queue **queue)
{
	const uint32_t features = flags & SVM_WORKER_MULTI_PRODUCER ?
		SVM_QF_MULTI_PRODUCER : 0;
	struct svm_worker_queue *q;
	union svm_msg msg;
	int fd, rc;

	if (worker == NULL || queue == NULL || svm_ring_depth_check(depth) != 0 ||
			depth > worker->max_depth || (flags & ~SVM_WORKER_MULTI_PRODUCER) != 0)
		return -EINVAL;
	if (worker->bond == 0)
		return -ENOENT;
	q = calloc(1, sizeof(*q) + depth * sizeof(q->cookies[0]));
	if (q == NULL)
		return -ENOMEM;

	svm_msg_init(&msg, SVM_MSG_QUEUE_CREATE, worker->version, 0);
	msg.queue_create.depth = depth;
	msg.queue_create.features = features;
	rc = svm_wconn_request(worker, &msg, &fd);
	if (rc != 0)
		goto free_queue;
	rc = svm_wconn_status(msg.queue_create_reply.status);
	if (rc != 0)
		goto close_fd;
	rc = created_check(&msg.queue_create_reply, depth, features, fd);
	if (rc == 0)
		rc = queue_map(q, fd, depth, msg.queue_create_reply.features);
	if (rc == -ENOMEM)
		queue_end(worker, msg.queue_create_reply.queue);
	else if (rc != 0)
		svm_wconn_break(worker);
	if (rc != 0)
		goto close_fd;
	close(fd);
	q->id = msg.queue_create_reply.queue;
	q->worker = worker;
	q->next = worker->queues;
	worker->queues = q;
	*queue = q;
	return 0;

close_fd:
	if (fd >= 0)
		close(fd);
free_queue:
	free(q);
	return rc;
}

void
svm_wqueue_free(struct svm_worker_queue *q, bool mapped)
{
	struct svm_worker_queue **at = &q->worker->queues;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	if (mapped)
		munmap(q->mem, q->size);
	free(q);
}

int
svm_worker_queue_destroy(struct svm_worker_queue *queue)
{
	int rc;

	if (queue == NULL)
		return -EINVAL;
	rc = queue_end(queue->worker, queue->id);
	if (rc == 0 || rc == -EPIPE)
		svm_wqueue_free(queue, true);
	return rc;
}

/* ---- the hot path: no lock, no allocation ---- */

/* 0, or what the owner has made of the queue. Acquire: what completed first is seen, too. */
static int
queue_state(const struct svm_worker_queue *q)
{
	switch (__atomic_load_n(&q->prod.ring.hdr->state, __ATOMIC_ACQUIRE)) {
	case SVM_QS_RUNNING:
		return 0;
	case SVM_QS_STOPPED:
		return -ESHUTDOWN;
	default:
		return -EIO;
	}
}

/* How many operations, from the first, have a segment list that fits a row. */
static uint32_t
ops_valid(const struct svm_worker_op *ops, uint32_t n)
{
	uint32_t i;

	for (i = 0; i != n; i++)
		if (ops[i].op == SVM_WORKER_COPY_SG && (ops[i].segs == NULL ||
				ops[i].nb_segs == 0 || ops[i].nb_segs > SVM_SG_MAX))
			break;
	return i;
}

/* The space of a side. A number that is no window's must not turn into one that is. */
static uint32_t
side_space(uint32_t window)
{
	return window == 0 ? SVM_SPACE(SVM_SPACE_SELF, 0) :
		window <= SVM_SPACE_ID_MASK ? SVM_SPACE(SVM_SPACE_WINDOW, window) :
		SVM_SPACE(SVM_SPACE_NONE, 0);
}

/* An address, or an offset, each from where its own type stands. */
#define SIDE_AT(of, side, window) \
	((window) == 0 ? (uintptr_t)(of)->side : (of)->side##_off)

static void
segs_write(struct svm_seg *row, const struct svm_worker_op *op)
{
	uint32_t i;

	for (i = 0; i != op->nb_segs; i++)
		row[i] = (struct svm_seg) {
			.src = SIDE_AT(&op->segs[i], src, op->src_window),
			.dst = SIDE_AT(&op->segs[i], dst, op->dst_window),
			.len = op->segs[i].len,
		};
}

/* Write one operation into a claimed slot. Values without a meaning stay without one. */
static void
op_write(struct svm_worker_queue *q, uint32_t counter, const struct svm_worker_op *op)
{
	struct svm_desc d = {
		.op = (uint32_t)op->op < SVM_OP_COUNT ? (uint8_t)op->op : UINT8_MAX,
		.flags = op->flags <= UINT8_MAX ? (uint8_t)op->flags : UINT8_MAX,
		.cookie = op->cookie,
	};

	switch (op->op) {
	case SVM_WORKER_COPY:
	case SVM_WORKER_COMPARE:
		d.src = SIDE_AT(op, src, op->src_window);
		d.dst = SIDE_AT(op, dst, op->dst_window);
		d.src_space = side_space(op->src_window);
		d.dst_space = side_space(op->dst_window);
		d.len = op->len;
		break;
	case SVM_WORKER_COPY_SG:
		segs_write(svm_producer_segs(&q->prod, counter), op);
		d.src_space = side_space(op->src_window);
		d.dst_space = side_space(op->dst_window);
		d.len = op->nb_segs;
		break;
	case SVM_WORKER_FILL:
		d.dst = SIDE_AT(op, dst, op->dst_window);
		d.dst_space = side_space(op->dst_window);
		d.len = op->len;
		d.pattern = op->pattern;
		break;
	case SVM_WORKER_COMPARE_PATTERN:
		d.src = SIDE_AT(op, src, op->src_window);
		d.src_space = side_space(op->src_window);
		d.len = op->len;
		d.pattern = op->pattern;
		break;
	case SVM_WORKER_NOP:
	default:
		break;
	}
	q->cookies[counter & q->prod.ring.mask] = op->cookie;
	svm_producer_fill(&q->prod, counter, &d);
}

/*
 * Claim as many counters as there are, at most n. With several producers the
 * room is a guess that a claim may refuse; less is tried then, so the loop ends
 * whatever the owner writes into the shared tail.
 */
static uint32_t
slots_claim(struct svm_producer *p, uint32_t n, uint32_t *first)
{
	while (n != 0) {
		const uint32_t room = svm_producer_room(p);

		if (n > room)
			n = room;
		if (n != 0 && svm_producer_claim(p, n, first))
			return n;
		n /= 2;
	}
	return 0;
}

/*
 * The owner's engine sets need_wakeup, fences, and looks at the ring a last
 * time before this queue rests; here the mark is stored, then comes the fence,
 * then need_wakeup is read. With both fences one of the two sees the other's
 * store: the engine takes the descriptor, or we ring.
 */
static void
doorbell(struct svm_worker_queue *q)
{
	union svm_msg msg;
	bool unrung = false;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&q->prod.ring.hdr->need_wakeup, __ATOMIC_RELAXED) == 0)
		return;
	svm_msg_init(&msg, SVM_MSG_DOORBELL, q->worker->version, 0);
	/*
	 * EAGAIN: the socket is full of doorbells that the owner has yet to read,
	 * and each is for all queues of this connection. A hang-up shows elsewhere.
	 */
	while (send(q->worker->fd, &msg, msg.hdr.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		unrung = errno == ENOBUFS || errno == ENOMEM;
		break;
	}
	/* Relaxed: for whoever polls next, who looks again. */
	__atomic_store_n(&q->unrung, unrung, __ATOMIC_RELAXED);
}

/* The kernel had no memory for a doorbell: once more, until it has. */
static void
ring_again(struct svm_worker_queue *q)
{
	if (__atomic_load_n(&q->unrung, __ATOMIC_RELAXED))
		doorbell(q);
}

int
svm_worker_submit(struct svm_worker_queue *queue, const struct svm_worker_op *ops, uint32_t n)
{
	struct svm_producer *p = &queue->prod;
	uint32_t first, i;
	int rc;

	rc = queue_state(queue);
	if (rc != 0 || n == 0)
		return rc;
	if (n > p->ring.depth)
		n = p->ring.depth;
	n = ops_valid(ops, n);
	if (n == 0)
		return -EINVAL;
	n = slots_claim(p, n, &first);
	if (n == 0)
		return 0;
	for (i = 0; i != n; i++)
		op_write(queue, first + i, &ops[i]);
	/* The first one last: the engine then finds the whole batch at once. */
	for (i = n; i-- != 0;)
		svm_producer_mark(p, first + i);
	if (queue->may_sleep)
		doorbell(queue);
	return (int)n;
}

int
svm_worker_poll(struct svm_worker_queue *queue, struct svm_worker_result *results, uint32_t n)
{
	struct svm_producer *p = &queue->prod;
	/* Nothing that was not submitted can have completed, whatever the owner writes. */
	const uint32_t tail = p->mp ?
		__atomic_load_n(&p->ring.hdr->sq_tail, __ATOMIC_RELAXED) : p->tail;
	uint32_t i;

	if (n > tail - p->reaped)
		n = tail - p->reaped;
	if (n > p->ring.depth)
		n = p->ring.depth;
	for (i = 0; i != n; i++) {
		struct svm_cpl c;

		if (!svm_producer_pending(p))
			break;
		/* Before the slot is free for another producer. */
		results[i].cookie = queue->cookies[p->reaped & p->ring.mask];
		if (!svm_producer_poll(p, &c))
			break;
		results[i].fault_addr = c.fault_addr;
		results[i].done = c.done;
		results[i].status = (enum svm_worker_status)c.status;
	}
	if (i == 0 && n != 0)
		ring_again(queue);
	return (int)i;
}

/* ---- waiting ---- */

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static void
cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int
poll_some(struct svm_worker_queue *q, struct svm_worker_result *results, uint32_t n)
{
	int got = 0, i;

	for (i = 0; i != WAIT_POLLS && got == 0; i++) {
		got = svm_worker_poll(q, results, n);
		if (got == 0)
			cpu_relax();
	}
	return got;
}

/* Sleep, but for a hang-up of the owner: then true, at once. */
static bool
nap_hung_up(const struct svm_worker_queue *q, uint64_t ns)
{
	struct pollfd pfd = { .fd = q->worker->fd };
	const struct timespec ts = { .tv_nsec = (long)ns };

	return ppoll(&pfd, 1, &ts, NULL) > 0;
}

int
svm_worker_wait(struct svm_worker_queue *queue, struct svm_worker_result *results, uint32_t n,
		uint32_t timeout_us)
{
	const uint64_t start = now_ns(), timeout_ns = (uint64_t)timeout_us * 1000;
	uint64_t nap_ns = WAIT_NAP_MIN_NS;
	bool gone = false;

	if (n == 0)
		return 0;
	for (;;) {
		uint64_t spent;
		int got, rc;

		got = poll_some(queue, results, n);
		if (got != 0)
			return got;
		rc = queue_state(queue);
		if (rc == 0 && gone)
			rc = -EPIPE;
		if (rc != 0) {
			/* What completed before the end came. */
			got = svm_worker_poll(queue, results, n);
			return got != 0 ? got : rc;
		}
		spent = now_ns() - start;
		if (spent >= timeout_ns)
			return -ETIMEDOUT;
		if (spent < WAIT_SPIN_NS)
			continue;
		if (nap_ns > timeout_ns - spent)
			nap_ns = timeout_ns - spent;
		gone = nap_hung_up(queue, nap_ns);
		nap_ns = nap_ns * 2 > WAIT_NAP_MAX_NS ? WAIT_NAP_MAX_NS : nap_ns * 2;
	}
}
