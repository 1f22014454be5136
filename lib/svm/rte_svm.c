/* SPDX-License-Identifier: BSD-3-Clause */
/* The public calls: argument checks, then the object that does it. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "svm_dev.h"

/* What the public header promises is what the ABI says. */
static_assert((int)RTE_SVM_OP_COMPARE_PATTERN == SVM_OP_COMPARE_PATTERN &&
	(int)RTE_SVM_ST_NO_MEMORY == SVM_ST_NO_MEMORY &&
	RTE_SVM_SG_MAX == SVM_SG_MAX && RTE_SVM_LEN_MAX == SVM_LEN_MAX &&
	RTE_SVM_OP_F_FENCE == SVM_F_FENCE, "the public header says what the ABI says");

/** An owner queue for operations between any bonds. */
struct rte_svm_queue {
	struct svm_oq *oq;
	struct svm_dev *dev;
	uint64_t *cookies;		/* by slot */
	/*
	 * Bonds this queue has named, one bit a PASID: each is held, so that the
	 * PASID is not given to another while a descriptor here may carry it.
	 * When some bond has been retired, those that are not live are named no
	 * more, and given back when all that was submitted until then is gathered.
	 */
	uint64_t *held;			/* may be named */
	uint64_t *dying;		/* to be given back */
	uint32_t nb_held, nb_dying;
	uint32_t dying_until;		/* ... once reaped has come here */
	uint32_t retire_epoch;
};

/* ---- bonds ---- */

int
rte_svm_bind(uint16_t dev_id, pid_t pid, uint64_t *bond)
{
	struct svm_dev *dev;
	int ret;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	ret = svm_dev_bind(dev, pid, bond);
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_unbind(uint16_t dev_id, uint64_t bond)
{
	struct svm_dev *dev;
	int ret;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	ret = bond == RTE_SVM_OWNER ? -EINVAL : svm_dev_unbind(dev, bond);
	svm_registry_put(dev_id);
	return ret;
}

static void
bond_describe(const struct svm_bond *b, struct rte_svm_bond_info *info)
{
	const uint32_t life = __atomic_load_n(&b->life, __ATOMIC_RELAXED);

	/* Relaxed: counters, each whole. */
	*info = (struct rte_svm_bond_info){
		.bond = b->id,
		.user = b->user,
		.ops = __atomic_load_n(&b->nb_ops, __ATOMIC_RELAXED),
		.bytes_in = __atomic_load_n(&b->bytes_in, __ATOMIC_RELAXED),
		.bytes_out = __atomic_load_n(&b->bytes_out, __ATOMIC_RELAXED),
		.faults = __atomic_load_n(&b->faults, __ATOMIC_RELAXED),
		.pasid = b->pasid,
		.pid = b->ident.pid,
		.state = life == SVM_BOND_ACTIVE ? RTE_SVM_BOND_ACTIVE :
			life == SVM_BOND_DEAD ? RTE_SVM_BOND_DEAD :
			RTE_SVM_BOND_DRAINING,
		.tier = b->atc != NULL && svm_atc_bytes(b->atc) != 0 ? RTE_SVM_TIER_ALIAS :
			RTE_SVM_TIER_CMA,
		.by_socket = b->by_socket,
	};
}

int
rte_svm_bond_info_get(uint16_t dev_id, uint64_t bond, struct rte_svm_bond_info *info)
{
	struct svm_dev *dev;
	struct svm_bond *b;
	int ret = -EINVAL;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	if (info == NULL)
		goto put_dev;
	ret = 0;
	pthread_mutex_lock(&dev->bonds->lock);
	b = svm_bond_find_locked(dev->bonds, bond);
	if (b == NULL)
		ret = -ENOENT;
	else
		bond_describe(b, info);
	pthread_mutex_unlock(&dev->bonds->lock);
put_dev:
	svm_registry_put(dev_id);
	return ret;
}

int
rte_svm_bond_list(uint16_t dev_id, uint64_t *bonds, uint32_t n)
{
	struct svm_dev *dev;
	uint32_t i, found = 0;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	pthread_mutex_lock(&dev->bonds->lock);
	for (i = 0; i != svm_pasid_highest(dev->bonds->pasids); i++) {
		const uint64_t id = dev->bonds->bonds[i].id;

		if (svm_bond_find_locked(dev->bonds, id) == NULL)
			continue;
		if (found < n)
			bonds[found] = id;
		found++;
	}
	pthread_mutex_unlock(&dev->bonds->lock);
	svm_registry_put(dev_id);
	return found;
}

int
rte_svm_vchan_attach(uint16_t dev_id, uint16_t vchan, uint64_t src_bond,
		uint64_t dst_bond)
{
	struct svm_dev *dev;
	int ret = -ENODEV;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	if (dev->attach != NULL)
		ret = dev->attach(dev->attach_arg, vchan, src_bond, dst_bond);
	svm_registry_put(dev_id);
	return ret;
}

/* ---- queues ---- */

#define HELD_WORDS(dev)	((dev)->conf.max_bonds / 64 + 1)

static int
queue_create(struct svm_dev *dev, uint32_t depth, struct rte_svm_queue **queue)
{
	struct rte_svm_queue *q;
	int ret;

	if (queue == NULL || svm_ring_depth_check(depth) < 0)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	q->dev = dev;
	ret = -ENOMEM;
	q->cookies = calloc(depth, sizeof(*q->cookies));
	q->held = calloc(2 * HELD_WORDS(dev), sizeof(*q->held));
	if (q->cookies == NULL || q->held == NULL)
		goto free_queue;
	q->dying = q->held + HELD_WORDS(dev);
	q->retire_epoch = __atomic_load_n(&dev->bonds->retire_epoch, __ATOMIC_ACQUIRE);
	ret = svm_oq_create(dev, depth, &q->oq);
	if (ret < 0)
		goto free_queue;
	svm_dev_hold(dev);
	*queue = q;
	return 0;

free_queue:
	free(q->held);
	free(q->cookies);
	free(q);
	return ret;
}

int
rte_svm_queue_create(uint16_t dev_id, uint32_t depth, struct rte_svm_queue **queue)
{
	struct svm_dev *dev;
	int ret;

	if (svm_registry_get(dev_id, &dev) != 0)
		return -ENODEV;
	ret = queue_create(dev, depth, queue);
	svm_registry_put(dev_id);
	return ret;
}

/* Give the bonds of a set back. */
static void
queue_release(const struct rte_svm_queue *q, uint64_t *set, uint32_t *nb)
{
	uint32_t word;

	for (word = 0; word != HELD_WORDS(q->dev) && *nb != 0; word++) {
		for (; set[word] != 0; set[word] &= set[word] - 1) {
			svm_bond_table_release(q->dev->bonds,
				word * 64 + __builtin_ctzll(set[word]));
			(*nb)--;
		}
	}
}

/* Bonds that are not live any more are not named again from here on. */
static void
queue_sort_out(struct rte_svm_queue *q)
{
	uint32_t word, left = q->nb_held;

	for (word = 0; word != HELD_WORDS(q->dev) && left != 0; word++) {
		uint64_t bits = q->held[word];

		for (; bits != 0; bits &= bits - 1, left--) {
			const uint64_t bit = bits & -bits;

			if (svm_bond_pasid_live(q->dev->bonds,
					word * 64 + __builtin_ctzll(bits)))
				continue;
			q->held[word] &= ~bit;
			q->dying[word] |= bit;
			q->nb_held--;
			q->nb_dying++;
		}
	}
}

/* Bonds were retired, or wait to be given back. Not the hot path. */
static __rte_noinline void
queue_let_go(struct rte_svm_queue *q, uint32_t epoch)
{
	const struct svm_producer *p = &q->oq->prod;

	if (q->nb_dying == 0 && epoch != q->retire_epoch) {
		q->retire_epoch = epoch;
		q->dying_until = p->tail;
		queue_sort_out(q);
	}
	/* One set at a time: bonds retired since then wait for the next look. */
	if ((int32_t)(p->reaped - q->dying_until) >= 0)
		queue_release(q, q->dying, &q->nb_dying);
}

/* The device is being removed, which closes the queue, or has been. */
static int
queue_await_removal(const struct rte_svm_queue *q)
{
	const uint64_t end = svm_now_us() + SVM_ENGINE_END_US(q->dev->conf.timeout_us);

	/* Acquire: pairs with the store in svm_dev_destroy(). */
	while (__atomic_load_n(&q->dev->down, __ATOMIC_ACQUIRE) == 0) {
		if (svm_now_us() > end)
			return -EBUSY;
		svm_pause_us(50);
	}
	return 0;
}

int
rte_svm_queue_destroy(struct rte_svm_queue *q)
{
	int ret;

	if (q == NULL)
		return -EINVAL;
	if (svm_registry_get_dev(q->dev->id, q->dev) == 0) {
		ret = svm_oq_close(q->oq);
		svm_registry_put(q->dev->id);
	} else {
		ret = queue_await_removal(q);
	}
	if (ret < 0)
		return ret;
	svm_oq_free(q->oq);
	queue_release(q, q->dying, &q->nb_dying);
	queue_release(q, q->held, &q->nb_held);
	svm_dev_drop(q->dev);
	free(q->held);
	free(q->cookies);
	free(q);
	return 0;
}

/* First use of a bond in this queue: hold it. Not the hot path. */
static __rte_noinline uint32_t
queue_hold(struct rte_svm_queue *q, uint64_t bond)
{
	uint32_t pasid;

	if (svm_bond_table_hold(q->dev->bonds, bond, &pasid) < 0)
		return SVM_SPACE(SVM_SPACE_NONE,
			svm_bond_was_given(q->dev->bonds, bond) ?
				SVM_ST_BOND_DEAD : SVM_ST_BAD_SPACE);
	q->held[pasid / 64] |= UINT64_C(1) << (pasid % 64);
	q->nb_held++;
	return SVM_SPACE(SVM_SPACE_PASID, pasid);
}

/*
 * The space a bond id stands for. One that names no bond becomes a space that
 * the engine refuses, so that the refusal is a result like any other.
 */
static inline uint32_t
queue_space(struct rte_svm_queue *q, uint64_t bond)
{
	const uint32_t pasid = bond & SVM_PASID_MAX;

	if (bond == RTE_SVM_OWNER)
		return SVM_SPACE(SVM_SPACE_PASID, 0);
	/* Relaxed: an id does not change while it is held. */
	if (likely(pasid != 0 && pasid <= q->dev->conf.max_bonds &&
			(q->held[pasid / 64] >> (pasid % 64) & 1) &&
			__atomic_load_n(&q->dev->bonds->bonds[pasid - 1].id,
				__ATOMIC_RELAXED) == bond))
		return SVM_SPACE(SVM_SPACE_PASID, pasid);
	return queue_hold(q, bond);
}

static inline void
queue_put(struct rte_svm_queue *q, uint32_t counter, const struct rte_svm_op *op)
{
	struct svm_producer *p = &q->oq->prod;
	struct svm_desc d = {
		.op = op->op <= UINT8_MAX ? op->op : UINT8_MAX,
		.flags = op->flags <= UINT8_MAX ? op->flags : UINT8_MAX,
		.len = op->len,
		.src = op->src,
		.dst = op->dst,
		.src_space = queue_space(q, op->src_bond),
		.dst_space = queue_space(q, op->dst_bond),
		.cookie = op->cookie,
		.pattern = op->pattern,
	};

	if (op->op == RTE_SVM_OP_COPY_SG) {
		struct svm_seg *segs = svm_producer_segs(p, counter);
		uint32_t i;

		d.len = op->nb_segs;
		for (i = 0; i != op->nb_segs; i++)
			segs[i] = (struct svm_seg){
				.src = op->segs[i].src,
				.dst = op->segs[i].dst,
				.len = op->segs[i].len,
			};
	}
	q->cookies[counter & p->ring.mask] = op->cookie;
	svm_producer_fill(p, counter, &d);
}

static inline bool
op_segs_ok(const struct rte_svm_op *op)
{
	return op->op != RTE_SVM_OP_COPY_SG || (op->segs != NULL &&
		op->nb_segs != 0 && op->nb_segs <= RTE_SVM_SG_MAX);
}

static inline void
queue_check_epoch(struct rte_svm_queue *q)
{
	/* Acquire: pairs with the release add in svm_bond_retire(). */
	const uint32_t epoch = __atomic_load_n(&q->dev->bonds->retire_epoch,
			__ATOMIC_ACQUIRE);

	if (unlikely(epoch != q->retire_epoch || q->nb_dying != 0))
		queue_let_go(q, epoch);
}

int
rte_svm_submit(struct rte_svm_queue *q, const struct rte_svm_op *ops, uint32_t n)
{
	struct svm_producer *p = &q->oq->prod;
	uint32_t room, first, i;

	/* Relaxed: what it would submit to is memory still, that nobody reads. */
	if (unlikely(__atomic_load_n(&q->oq->closed, __ATOMIC_RELAXED) != 0))
		return -ENODEV;
	queue_check_epoch(q);
	room = svm_producer_room(p);
	n = RTE_MIN(n, room);
	for (i = 0; i != n && likely(op_segs_ok(&ops[i])); i++)
		;
	if (i == 0 && n != 0)
		return -EINVAL;
	n = i;
	if (n == 0 || !svm_producer_claim(p, n, &first))
		return 0;
	for (i = 0; i != n; i++)
		queue_put(q, first + i, &ops[i]);
	/* The first one last: the engine sees the whole burst at once. */
	for (i = n; i-- != 0;)
		svm_producer_mark(p, first + i);
	svm_oq_kick(q->oq);
	return n;
}

int
rte_svm_poll(struct rte_svm_queue *q, struct rte_svm_result *results, uint32_t n)
{
	struct svm_producer *p = &q->oq->prod;
	/* Acquire, and before the results: then all are there; pairs with svm_oq_close(). */
	const uint32_t closed = __atomic_load_n(&q->oq->closed, __ATOMIC_ACQUIRE);
	uint32_t i;

	svm_oq_kick(q->oq);
	for (i = 0; i != n; i++) {
		const uint32_t slot = p->reaped & p->ring.mask;
		struct svm_cpl c;

		if (!svm_producer_poll(p, &c))
			break;
		results[i] = (struct rte_svm_result){
			.cookie = q->cookies[slot],
			.fault_addr = c.fault_addr,
			.done = c.done,
			.status = c.status,
		};
	}
	queue_check_epoch(q);
	return unlikely(closed != 0 && i == 0 && n != 0) ? -ENODEV : (int)i;
}

const char *
rte_svm_status_name(enum rte_svm_status status)
{
	static const char *const names[] = {
		[RTE_SVM_ST_OK] = "OK",
		[RTE_SVM_ST_PAGE_FAULT] = "PAGE_FAULT",
		[RTE_SVM_ST_MISMATCH] = "MISMATCH",
		[RTE_SVM_ST_BAD_OP] = "BAD_OP",
		[RTE_SVM_ST_BAD_DESC] = "BAD_DESC",
		[RTE_SVM_ST_BAD_LEN] = "BAD_LEN",
		[RTE_SVM_ST_BAD_SPACE] = "BAD_SPACE",
		[RTE_SVM_ST_BOND_DEAD] = "BOND_DEAD",
		[RTE_SVM_ST_DENIED] = "DENIED",
		[RTE_SVM_ST_TIMEOUT] = "TIMEOUT",
		[RTE_SVM_ST_ABORTED] = "ABORTED",
		[RTE_SVM_ST_NO_MEMORY] = "NO_MEMORY",
	};

	return (unsigned int)status < RTE_DIM(names) ? names[status] : "?";
}
