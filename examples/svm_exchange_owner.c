/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * svm_exchange, the owner: starts two workers and grants each a window onto the
 * other's buffer and one onto memory of its own. The workers then move the data
 * themselves, and the owner takes the windows back.
 *
 *   build/examples/svm_exchange_owner --no-huge -m 64 --no-pci \
 *	-d build/drivers/librte_dma_svm.so --vdev svm0
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_eal.h>

#include "rte_svm.h"
#include "svm_exchange.h"

#define WAIT_MS		5000

struct worker {
	pid_t pid;
	int to;			/* closing it lets the worker go */
	struct rte_svm_bond_info bond;
	uint32_t from_peer, to_owner;
	uint8_t collected[SVM_EXCHANGE_LEN];
};

static int
worker_start(struct worker *w, const char *socket, unsigned int number)
{
	const char *const text = number == 0 ? "0" : "1";
	char self[PATH_MAX], path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int pair[2];

	if (len < 0)
		return -errno;
	self[len] = '\0';
	if (snprintf(path, sizeof(path), "%s/svm_exchange_worker", dirname(self)) >=
			(int)sizeof(path))
		return -ENAMETOOLONG;
	if (pipe2(pair, O_CLOEXEC) != 0)
		return -errno;
	w->pid = fork();
	if (w->pid == 0) {
		dup2(pair[0], STDIN_FILENO);
		execl(path, path, socket, text, (char *)NULL);
		_exit(EXIT_FAILURE);
	}
	close(pair[0]);
	w->to = pair[1];
	return w->pid < 0 ? -EAGAIN : 0;
}

/* The worker binds itself when it is ready; its bond is found by its pid. */
static int
worker_find(uint16_t dev, struct worker *w)
{
	uint64_t bonds[8];
	int ms, i, nb;

	for (ms = 0; ms < WAIT_MS; ms++) {
		nb = rte_svm_bond_list(dev, bonds, 8);
		for (i = 0; i < nb && i < 8; i++)
			if (rte_svm_bond_info_get(dev, bonds[i], &w->bond) == 0 &&
					w->bond.pid == w->pid)
				return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int
grant(uint16_t dev, struct worker *w, const struct worker *peer)
{
	struct rte_svm_window_conf conf = {
		.grantee = w->bond.bond,
		.target = peer->bond.bond,
		.base = peer->bond.user,	/* the peer said where when it bound */
		.len = SVM_EXCHANGE_LEN,
		.rights = RTE_SVM_WINDOW_READ,
		.user = SVM_EXCHANGE_FROM_PEER,
	};
	int ret = rte_svm_window_grant(dev, &conf, &w->from_peer);

	if (ret != 0)
		return ret;
	conf.target = RTE_SVM_OWNER;
	conf.base = (uintptr_t)w->collected;
	conf.rights = RTE_SVM_WINDOW_WRITE;
	conf.user = SVM_EXCHANGE_TO_OWNER;
	return rte_svm_window_grant(dev, &conf, &w->to_owner);
}

/* The last byte comes last: until it is there, and then all of them. */
static int
collect(const struct worker *w, unsigned int peer)
{
	const uint32_t last = SVM_EXCHANGE_LEN - 1;
	uint32_t i, wrong = 0;
	int ms;

	for (ms = 0; ms < WAIT_MS && __atomic_load_n(&w->collected[last], __ATOMIC_ACQUIRE) !=
			svm_exchange_byte(peer, last); ms++)
		usleep(1000);
	for (i = 0; i < SVM_EXCHANGE_LEN; i++)
		wrong += w->collected[i] != svm_exchange_byte(peer, i);
	printf("through worker %u came the bytes of worker %u: %u of %u are wrong\n", 1 - peer,
		peer, wrong, SVM_EXCHANGE_LEN);
	return wrong == 0 ? 0 : -EBADMSG;
}

/* When this is back, nothing goes through them any more. */
static int
take_back(uint16_t dev, const struct worker *w)
{
	const int from = rte_svm_window_revoke(dev, w->from_peer);
	const int to = rte_svm_window_revoke(dev, w->to_owner);

	return from != 0 ? from : to;
}

static int
worker_end(struct worker *w, bool kill_it)
{
	int status;

	if (w->pid <= 0)
		return 0;
	if (kill_it)
		kill(w->pid, SIGKILL);
	close(w->to);
	return waitpid(w->pid, &status, 0) == w->pid && status == 0 ? 0 : -ECHILD;
}

static int
work(uint16_t dev)
{
	static struct worker w[2];
	struct rte_svm_info info;
	int ret, end, i;

	ret = rte_svm_info_get(dev, &info);
	for (i = 0; ret == 0 && i < 2; i++)
		ret = worker_start(&w[i], info.socket, i);
	for (i = 0; ret == 0 && i < 2; i++)
		ret = worker_find(dev, &w[i]);
	for (i = 0; ret == 0 && i < 2; i++)
		ret = grant(dev, &w[i], &w[1 - i]);
	for (i = 0; ret == 0 && i < 2; i++)
		ret = collect(&w[i], 1 - i);
	for (i = 0; ret == 0 && i < 2; i++)
		ret = take_back(dev, &w[i]);
	for (i = 0; i < 2; i++) {
		end = worker_end(&w[i], ret != 0);
		ret = ret != 0 ? ret : end;
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
			fprintf(stderr, "svm_exchange_owner: svm0 does not stop\n");
	}
	if (ret != 0)
		fprintf(stderr, "svm_exchange_owner: %s\n", strerror(-ret));
	rte_eal_cleanup();
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
