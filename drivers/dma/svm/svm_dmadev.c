/* SPDX-License-Identifier: BSD-3-Clause */
/* Control side of the dmadev: configure, vchans, start and stop, statistics. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "svm_dmadev.h"

/* rte_dmadev has checked the arguments against what info_get tells. */

static int
dma_info_get(const struct rte_dma_dev *dev, struct rte_dma_info *info, uint32_t info_sz)
{
	RTE_SET_USED(dev);
	RTE_SET_USED(info_sz);
	info->dev_capa = RTE_DMA_CAPA_MEM_TO_MEM |
		RTE_DMA_CAPA_MEM_TO_DEV |
		RTE_DMA_CAPA_DEV_TO_MEM |
		RTE_DMA_CAPA_DEV_TO_DEV |
		RTE_DMA_CAPA_SVA |
		RTE_DMA_CAPA_SILENT |
		RTE_DMA_CAPA_HANDLES_ERRORS |
		RTE_DMA_CAPA_OPS_COPY |
		RTE_DMA_CAPA_OPS_COPY_SG |
		RTE_DMA_CAPA_OPS_FILL;
	info->max_vchans = SVM_QUEUES_MAX;
	info->min_desc = SVM_DEPTH_MIN;
	info->max_desc = SVM_DEPTH_MAX;
	info->max_sges = SVM_DMA_SGES_MAX;
	return 0;
}

static void
vchan_reset(struct svm_vchan *vc)
{
	memset(vc, 0, sizeof(*vc));
	vc->oq = &svm_dma_closed_oq;
}

void
svm_dma_init(struct svm_dma *dma)
{
	unsigned int i;

	for (i = 0; i != RTE_DIM(dma->vchan); i++)
		vchan_reset(&dma->vchan[i]);
}

/* The spaces of a vchan are PASIDs: kind 0, so the number is the space. */
static void
vchan_bonds_release(struct svm_dma *dma, struct svm_vchan *vc)
{
	svm_bond_release(dma->svm, vc->src_space);
	svm_bond_release(dma->svm, vc->dst_space);
	vc->src_space = 0;
	vc->dst_space = 0;
}

/* Forget all vchans; their queues are gone. */
static void
vchans_free(struct svm_dma *dma)
{
	uint16_t i;

	for (i = 0; i != dma->nb_vchans; i++) {
		vchan_bonds_release(dma, &dma->vchan[i]);
		vchan_reset(&dma->vchan[i]);
	}
	dma->nb_vchans = 0;
}

static int
dma_configure(struct rte_dma_dev *dev, const struct rte_dma_conf *conf, uint32_t conf_sz)
{
	struct svm_dma *dma = dev->data->dev_private;

	RTE_SET_USED(conf_sz);
	vchans_free(dma);
	dma->nb_vchans = conf->nb_vchans;
	dma->silent = conf->enable_silent;
	return 0;
}

static bool
dir_src_is_dev(enum rte_dma_direction dir)
{
	return dir == RTE_DMA_DIR_DEV_TO_MEM || dir == RTE_DMA_DIR_DEV_TO_DEV;
}

static bool
dir_dst_is_dev(enum rte_dma_direction dir)
{
	return dir == RTE_DMA_DIR_MEM_TO_DEV || dir == RTE_DMA_DIR_DEV_TO_DEV;
}

/* Hold the bond that a port names; a side that is memory is the owner. */
static int
port_hold(struct svm_dma *dma, uint16_t vchan, const char *side, bool is_dev,
		const struct rte_dma_port_param *port, uint32_t *pasid)
{
	int ret;

	*pasid = 0;
	if (!is_dev)
		return 0;
	if (port->port_type != RTE_DMA_PORT_PCIE) {
		SVM_DMA_LOG(ERR, "%s: vchan %u: %s port type %d is wrong; allowed is PCIE, for its PASID",
			dma->dmadev->data->dev_name, vchan, side, (int)port->port_type);
		return -EINVAL;
	}
	if (port->pcie.pasid == 0)
		return 0;
	ret = svm_bond_hold_pasid(dma->svm, (uint32_t)port->pcie.pasid);
	if (ret != 0) {
		SVM_DMA_LOG(ERR, "%s: vchan %u: %s port: no bond has PASID %u",
			dma->dmadev->data->dev_name, vchan, side, (unsigned int)port->pcie.pasid);
		return ret;
	}
	*pasid = (uint32_t)port->pcie.pasid;
	return 0;
}

static int
dma_vchan_setup(struct rte_dma_dev *dev, uint16_t vchan, const struct rte_dma_vchan_conf *conf,
		uint32_t conf_sz)
{
	struct svm_dma *dma = dev->data->dev_private;
	struct svm_vchan *vc = &dma->vchan[vchan];
	uint32_t src, dst;
	int ret;

	RTE_SET_USED(conf_sz);
	ret = port_hold(dma, vchan, "source", dir_src_is_dev(conf->direction),
		&conf->src_port, &src);
	if (ret != 0)
		return ret;
	ret = port_hold(dma, vchan, "destination", dir_dst_is_dev(conf->direction),
		&conf->dst_port, &dst);
	if (ret != 0)
		goto release_src;

	vchan_bonds_release(dma, vc);
	vchan_reset(vc);
	vc->src_space = SVM_SPACE(SVM_SPACE_PASID, src);
	vc->dst_space = SVM_SPACE(SVM_SPACE_PASID, dst);
	vc->dir = (uint8_t)conf->direction;
	vc->depth = rte_align32pow2(conf->nb_desc);
	vc->silent = dma->silent;
	vc->set_up = true;
	return 0;

release_src:
	svm_bond_release(dma->svm, src);
	return ret;
}

/* Free the queues that there are. -EBUSY: some remain, call again. */
static int
queues_destroy(struct svm_dma *dma)
{
	int ret = 0;
	uint16_t i;

	for (i = 0; i != dma->nb_vchans; i++) {
		struct svm_vchan *vc = &dma->vchan[i];

		if (vc->oq == &svm_dma_closed_oq)
			continue;
		if (svm_oq_destroy(vc->oq) != 0) {
			ret = -EBUSY;
			continue;
		}
		vc->oq = &svm_dma_closed_oq;
		vc->batch = 0;
	}
	return ret;
}

/* Fresh queues at each start, because ids begin with 0 then. */
static int
queues_create(struct svm_dma *dma)
{
	struct svm_oq *oq;
	uint16_t i;
	int ret;

	for (i = 0; i != dma->nb_vchans; i++) {
		struct svm_vchan *vc = &dma->vchan[i];

		ret = svm_oq_create(dma->svm, vc->depth, &oq);
		if (ret != 0) {
			SVM_DMA_LOG(ERR, "%s: vchan %u: no queue of %u operations: %s",
				dma->dmadev->data->dev_name, i, vc->depth, strerror(-ret));
			return ret;
		}
		vc->oq = oq;
		vc->batch = oq->prod.tail;
		memset(&vc->stats, 0, sizeof(vc->stats));
	}
	return 0;
}

static int
dma_start(struct rte_dma_dev *dev)
{
	struct svm_dma *dma = dev->data->dev_private;
	uint16_t i;
	int ret;

	for (i = 0; i != dma->nb_vchans; i++) {
		if (!dma->vchan[i].set_up) {
			SVM_DMA_LOG(ERR, "%s: vchan %u has not been set up",
				dev->data->dev_name, i);
			return -EINVAL;
		}
	}
	ret = queues_create(dma);
	if (ret != 0)
		goto destroy_queues;
	ret = svm_dev_start(dma->svm);
	if (ret != 0)
		goto destroy_queues;
	return 0;

destroy_queues:
	/* Nothing has been submitted, so nothing can keep them. */
	queues_destroy(dma);
	return ret;
}

static int
dma_stop(struct rte_dma_dev *dev)
{
	struct svm_dma *dma = dev->data->dev_private;

	if (queues_destroy(dma) != 0) {
		SVM_DMA_LOG(ERR, "%s: something in flight could not be ended in time; stop it again",
			dev->data->dev_name);
		return -EBUSY;
	}
	/* Counted, and it has stopped even when it answers -EBUSY. */
	svm_dev_stop(dma->svm);
	return 0;
}

static int
dma_close(struct rte_dma_dev *dev)
{
	struct svm_dma *dma = dev->data->dev_private;
	int ret;

	/* First, so that no rte_svm_vchan_attach() is on its way to a vchan. */
	ret = svm_dev_withdraw(dma->svm);
	if (ret != 0)
		return ret;
	/* Left over only when a start failed and could not clean up. */
	if (queues_destroy(dma) != 0) {
		svm_dev_publish(dma->svm);
		return -EBUSY;
	}
	vchans_free(dma);
	svm_dev_destroy(dma->svm);
	return 0;
}

static int
dma_stats_get(const struct rte_dma_dev *dev, uint16_t vchan, struct rte_dma_stats *stats,
		uint32_t stats_sz)
{
	const struct svm_dma *dma = dev->data->dev_private;
	uint16_t i;

	RTE_SET_USED(stats_sz);
	if (vchan != RTE_DMA_ALL_VCHAN) {
		*stats = dma->vchan[vchan].stats;
		return 0;
	}
	for (i = 0; i != dma->nb_vchans; i++) {
		stats->submitted += dma->vchan[i].stats.submitted;
		stats->completed += dma->vchan[i].stats.completed;
		stats->errors += dma->vchan[i].stats.errors;
	}
	return 0;
}

static int
dma_stats_reset(struct rte_dma_dev *dev, uint16_t vchan)
{
	struct svm_dma *dma = dev->data->dev_private;
	uint16_t i;

	for (i = 0; i != dma->nb_vchans; i++) {
		if (vchan == RTE_DMA_ALL_VCHAN || vchan == i)
			memset(&dma->vchan[i].stats, 0, sizeof(dma->vchan[i].stats));
	}
	return 0;
}

static int
dma_vchan_status(const struct rte_dma_dev *dev, uint16_t vchan,
		enum rte_dma_vchan_status *status)
{
	struct svm_dma *dma = dev->data->dev_private;
	struct svm_vchan *vc = &dma->vchan[vchan];

	*status = svm_dma_idle(vc) ? RTE_DMA_VCHAN_IDLE : RTE_DMA_VCHAN_ACTIVE;
	/* After the question: what idle covers is in the statistics, too. */
	if (vc->silent)
		svm_dma_silent_gather(vc);
	return 0;
}

static const char *
dir_name(uint8_t dir)
{
	switch ((enum rte_dma_direction)dir) {
	case RTE_DMA_DIR_MEM_TO_MEM:
		return "mem-to-mem";
	case RTE_DMA_DIR_MEM_TO_DEV:
		return "mem-to-dev";
	case RTE_DMA_DIR_DEV_TO_MEM:
		return "dev-to-mem";
	case RTE_DMA_DIR_DEV_TO_DEV:
		return "dev-to-dev";
	}
	return "?";
}

static int
dma_dump(const struct rte_dma_dev *dev, FILE *f)
{
	static const char *const engines[] = {
		[RTE_SVM_ENGINE_THREAD] = "thread",
		[RTE_SVM_ENGINE_INLINE] = "inline",
		[RTE_SVM_ENGINE_SERVICE] = "service",
	};
	static const char *const cmas[] = {
		[RTE_SVM_CMA_LANE] = "lane",
		[RTE_SVM_CMA_INLINE] = "inline",
		[RTE_SVM_CMA_PRIVILEGED] = "privileged",
	};
	const struct svm_dma *dma = dev->data->dev_private;
	struct rte_svm_info info;
	uint16_t i;
	int ret;

	ret = rte_svm_info_get(svm_dev_id(dma->svm), &info);
	if (ret != 0)
		return ret;
	fprintf(f, "  engine: %s, cma: %s, bonds: %u of %u, timeout_us: %u, idle_us: %u\n",
		engines[info.engine], cmas[info.cma], info.nb_bonds, info.max_bonds,
		info.timeout_us, info.idle_us);
	fprintf(f, "  socket: %s\n", info.socket[0] != '\0' ? info.socket : "none");
	for (i = 0; i != dma->nb_vchans; i++) {
		const struct svm_vchan *vc = &dma->vchan[i];
		const struct svm_producer *p = &vc->oq->prod;

		if (!vc->set_up) {
			fprintf(f, "  vchan %u: not set up\n", i);
			continue;
		}
		fprintf(f, "  vchan %u: %s, source PASID %u, destination PASID %u, depth %u\n",
			i, dir_name(vc->dir), vc->src_space, vc->dst_space, vc->depth);
		fprintf(f, "    not submitted: %u, not gathered: %u\n",
			p->tail - vc->batch, vc->batch - p->reaped);
		fprintf(f, "    submitted: %" PRIu64 ", completed: %" PRIu64 ", errors: %" PRIu64 "\n",
			vc->stats.submitted, vc->stats.completed, vc->stats.errors);
	}
	return 0;
}

int
svm_dma_vchan_attach(void *arg, uint16_t vchan, uint64_t src_bond, uint64_t dst_bond)
{
	struct svm_dma *dma = arg;
	struct svm_vchan *vc;
	uint32_t src, dst;
	int ret;

	if (vchan >= dma->nb_vchans || !dma->vchan[vchan].set_up)
		return -EINVAL;
	vc = &dma->vchan[vchan];
	if ((src_bond != RTE_SVM_OWNER && !dir_src_is_dev(vc->dir)) ||
			(dst_bond != RTE_SVM_OWNER && !dir_dst_is_dev(vc->dir)))
		return -EINVAL;
	if (vc->silent)
		svm_dma_silent_gather(vc);
	if (vc->oq->prod.tail != vc->oq->prod.reaped)
		return -EBUSY;

	ret = svm_bond_hold(dma->svm, src_bond, &src);
	if (ret != 0)
		return ret;
	ret = svm_bond_hold(dma->svm, dst_bond, &dst);
	if (ret != 0)
		goto release_src;
	vchan_bonds_release(dma, vc);
	vc->src_space = SVM_SPACE(SVM_SPACE_PASID, src);
	vc->dst_space = SVM_SPACE(SVM_SPACE_PASID, dst);
	return 0;

release_src:
	svm_bond_release(dma->svm, src);
	return ret;
}

const struct rte_dma_dev_ops svm_dma_ops = {
	.dev_info_get = dma_info_get,
	.dev_configure = dma_configure,
	.dev_start = dma_start,
	.dev_stop = dma_stop,
	.dev_close = dma_close,
	.vchan_setup = dma_vchan_setup,
	.stats_get = dma_stats_get,
	.stats_reset = dma_stats_reset,
	.vchan_status = dma_vchan_status,
	.dev_dump = dma_dump,
};
