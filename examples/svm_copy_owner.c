/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm_copy, the owner: starts a worker, writes into its malloc'ed buffer and
 * reads the answer out of its memory.
 *
 *   build/examples/svm_copy_owner --no-huge -m 64 --no-pci \
 *	-d build/drivers/librte_dma_svm.so --vdev svm0
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>

#include "rte_svm.h"
#include "svm_copy.h"

#define WAIT_MS		5000

static int
worker_start(char *socket, pid_t *pid)
{
	char self[PATH_MAX], path[PATH_MAX];
	char *const argv[] = { path, socket, NULL };
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0)
		return -errno;
	self[len] = '\0';
	if (snprintf(path, sizeof(path), "%s/svm_copy_worker", dirname(self)) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return -posix_spawn(pid, path, NULL, NULL, argv, environ);
}

/* The worker binds itself when it is ready; its bond is found by its pid. */
static int
worker_find(uint16_t dev, pid_t pid, struct rte_svm_bond_info *info)
{
	uint64_t bonds[8];
	int ms, i, nb;

	for (ms = 0; ms < WAIT_MS; ms++) {
		nb = rte_svm_bond_list(dev, bonds, 8);
		for (i = 0; i < nb && i < 8; i++)
			if (rte_svm_bond_info_get(dev, bonds[i], info) == 0 && info->pid == pid)
				return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

/* Submit one copy and wait for it. */
static int
copy(struct rte_svm_queue *q, uint64_t src_bond, uint64_t src, uint64_t dst_bond, uint64_t dst,
		uint32_t len)
{
	const struct rte_svm_op op = {
		.op = RTE_SVM_OP_COPY, .src_bond = src_bond, .src = src,
		.dst_bond = dst_bond, .dst = dst, .len = len,
	};
	struct rte_svm_result result;
	int ret = rte_svm_submit(q, &op, 1);

	if (ret != 1)
		return ret < 0 ? ret : -EAGAIN;
	while (rte_svm_poll(q, &result, 1) == 0)
		;
	if (result.status == RTE_SVM_ST_OK)
		return 0;
	fprintf(stderr, "svm_copy_owner: %s after %u bytes, at %#jx\n",
		rte_svm_status_name(result.status), result.done, (uintmax_t)result.fault_addr);
	return -EIO;
}

/* `control` is an address in the worker, never followed here: only the device goes there. */
static int
converse(struct rte_svm_queue *q, uint64_t bond, uint64_t control)
{
	static uint8_t data[SVM_COPY_LEN];
	struct svm_copy_control c;
	int ret, ms;

	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = svm_copy_byte(i);
	ret = copy(q, bond, control, RTE_SVM_OWNER, (uintptr_t)&c, sizeof(c));
	if (ret != 0)
		return ret;
	ret = copy(q, RTE_SVM_OWNER, (uintptr_t)data, bond, c.buffer, sizeof(data));
	if (ret != 0)
		return ret;
	snprintf(c.message, sizeof(c.message), "%u bytes for you, from process %d", SVM_COPY_LEN,
		getpid());
	ret = copy(q, RTE_SVM_OWNER, (uintptr_t)c.message, bond,
		control + offsetof(struct svm_copy_control, message), sizeof(c.message));
	if (ret != 0)
		return ret;
	c.written = 1;
	ret = copy(q, RTE_SVM_OWNER, (uintptr_t)&c.written, bond,
		control + offsetof(struct svm_copy_control, written), sizeof(c.written));
	for (ms = 0; ret == 0 && c.answered == 0 && ms < WAIT_MS; ms++) {
		usleep(1000);
		ret = copy(q, bond, control + offsetof(struct svm_copy_control, answered),
			RTE_SVM_OWNER, (uintptr_t)&c.answered, sizeof(c.answered));
	}
	if (ret != 0 || c.answered == 0)
		return ret != 0 ? ret : -ETIMEDOUT;
	ret = copy(q, bond, control, RTE_SVM_OWNER, (uintptr_t)&c, sizeof(c));
	if (ret != 0)
		return ret;
	c.done = 1;
	ret = copy(q, RTE_SVM_OWNER, (uintptr_t)&c.done, bond,
		control + offsetof(struct svm_copy_control, done), sizeof(c.done));
	if (ret != 0)
		return ret;
	printf("the owner wrote: %s\nthe worker answered: %.*s\n", c.message,
		(int)sizeof(c.answer), c.answer);
	return c.right == 1 ? 0 : -EBADMSG;
}

static int
work(uint16_t dev)
{
	struct rte_svm_bond_info bond;
	struct rte_svm_queue *q = NULL;
	struct rte_svm_info info;
	pid_t pid = -1;
	int ret, status;

	ret = rte_svm_info_get(dev, &info);
	if (ret == 0)
		ret = worker_start(info.socket, &pid);
	if (ret == 0)
		ret = worker_find(dev, pid, &bond);
	if (ret == 0)
		ret = rte_svm_queue_create(dev, 32, &q);
	if (ret == 0)
		ret = converse(q, bond.bond, bond.user);
	if (q != NULL && rte_svm_queue_destroy(q) != 0)
		fprintf(stderr, "svm_copy_owner: the queue is still busy\n");
	if (pid > 0) {
		if (ret != 0)
			kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) == pid && ret == 0 && status != 0)
			ret = -ECHILD;
	}
	return ret;
}

int
main(int argc, char **argv)
{
	int dev, ret;

	if (rte_eal_init(argc, argv) < 0)
		return EXIT_FAILURE;	/* EAL has said why */
	dev = ret = rte_svm_get_dev_id("svm0");
	if (dev >= 0)
		ret = rte_svm_start(dev);
	if (ret == 0) {
		ret = work(dev);
		if (rte_svm_stop(dev) != 0)
			fprintf(stderr, "svm_copy_owner: svm0 does not stop\n");
	}
	if (ret != 0)
		fprintf(stderr, "svm_copy_owner: %s\n", strerror(-ret));
	rte_eal_cleanup();
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
