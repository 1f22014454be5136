/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>

#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_service.h>

#include "fixture.h"
#include "svm_dev.h"
#include "svm_lane_pool.h"
#include "svm_registry.h"

static const struct row {
	unsigned int bit;
	const char *name;
	enum rte_svm_engine engine;
	enum rte_svm_cma cma;
	const char *args;
	bool alias;
} rows[] = {
	{ FX_THREAD_LANE, "thread,lane", RTE_SVM_ENGINE_THREAD, RTE_SVM_CMA_LANE,
		"engine=thread,cma=lane" },
	{ FX_THREAD_CMA, "thread,inline", RTE_SVM_ENGINE_THREAD, RTE_SVM_CMA_INLINE,
		"engine=thread,cma=inline" },
	{ FX_INLINE_LANE, "inline,lane", RTE_SVM_ENGINE_INLINE, RTE_SVM_CMA_LANE,
		"engine=inline,cma=lane" },
	{ FX_INLINE_CMA, "inline,inline", RTE_SVM_ENGINE_INLINE, RTE_SVM_CMA_INLINE,
		"engine=inline,cma=inline" },
	{ FX_SERVICE_LANE, "service,lane", RTE_SVM_ENGINE_SERVICE, RTE_SVM_CMA_LANE,
		"engine=service,cma=lane" },
	{ FX_THREAD_ALIAS, "thread,alias", RTE_SVM_ENGINE_THREAD, RTE_SVM_CMA_LANE,
		"engine=thread,cma=lane", true },
	{ FX_INLINE_ALIAS, "inline,alias", RTE_SVM_ENGINE_INLINE, RTE_SVM_CMA_LANE,
		"engine=inline,cma=lane", true },
};

#define ROWS	(sizeof(rows) / sizeof(rows[0]))

/* The fixture of the running test. A test of CUnit takes no argument. */
static struct fx fx;
static unsigned int nb_made;

int
fx_add_tests(const char *suite, const struct fx_test *tests, size_t nb)
{
	CU_pSuite s = CU_add_suite_with_setup_and_teardown(suite, NULL, NULL, NULL, fx_end);
	char name[128];
	size_t i, k;

	if (s == NULL)
		return -1;
	for (i = 0; i < nb; i++)
		for (k = 0; k < ROWS; k++) {
			if ((tests[i].rows & rows[k].bit) == 0)
				continue;
			snprintf(name, sizeof(name), "%s[%s]", tests[i].name, rows[k].name);
			if (CU_add_test(s, name, tests[i].run) == NULL)
				return -1;
		}
	return 0;
}

static const struct row *
row_of_test(void)
{
	const char *name = CU_get_current_test()->pName, *at = strchr(name, '[');
	size_t k;

	for (k = 0; at != NULL && k < ROWS; k++)
		if (strncmp(at + 1, rows[k].name, strlen(rows[k].name)) == 0)
			return &rows[k];
	return &rows[0];
}

uint64_t
fx_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000u + t.tv_nsec / 1000000u;
}

void
fx_idle(struct fx *f)
{
	if (f->started && f->engine == RTE_SVM_ENGINE_INLINE)
		rte_svm_progress(f->dev);
	sched_yield();
}

__attribute__((noinline, no_sanitize("thread"))) uint64_t
fx_peek_at(const void *at, size_t len)
{
	/* volatile: one load, now; an atomic would claim an order that is not there. */
	switch (len) {
	case sizeof(uint8_t):
		return *(const volatile uint8_t *)at;
	case sizeof(uint32_t):
		return *(const volatile uint32_t *)at;
	case sizeof(uint64_t):
		return *(const volatile uint64_t *)at;
	}
	test_fail("no number has %zu bytes", len);
	return 0;
}

unsigned int
fx_count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

unsigned int
fx_await_fds(struct fx *f, unsigned int nb)
{
	struct svm_lane_pool *lanes = fx_dev(f)->lanes;
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	unsigned int has;

	do {
		fx_idle(f);
		has = fx_count_fds();
		if (lanes != NULL) {
			pthread_mutex_lock(&lanes->lock);
			has -= lanes->nb_lanes;
			pthread_mutex_unlock(&lanes->lock);
		}
	} while (has != nb && fx_now_ms() < end);
	return has;
}

/* ---- the device ---- */

/* A service core, unless the command line gave one. */
static bool
service_lcore_get(struct fx *f)
{
	if (rte_service_lcore_count() > 0)
		return true;
	f->lcore = rte_get_next_lcore(-1, 1, 0);
	if (f->lcore >= RTE_MAX_LCORE || rte_service_lcore_add(f->lcore) != 0)
		return false;
	f->service_lcore = true;
	return true;
}

struct fx *
fx_begin_bare(const char *args)
{
	const struct row *row = row_of_test();
	struct fx *f = &fx;

	memset(f, 0, sizeof(*f));
	f->engine = row->engine;
	f->cma = row->cma;
	f->alias = row->alias;
	snprintf(f->name, sizeof(f->name), "svm_t%u", nb_made++);
	snprintf(f->socket, sizeof(f->socket), "/tmp/svm-test-XXXXXX");
	if (mkdtemp(f->socket) == NULL)
		test_fail("mkdtemp: %s", strerror(errno));
	strcat(f->socket, "/socket");
	if (f->engine == RTE_SVM_ENGINE_SERVICE && !service_lcore_get(f)) {
		test_skip("no second lcore for a service core");
		return NULL;
	}
	snprintf(f->devargs, sizeof(f->devargs), "%s,socket=%s%s%s", row->args, f->socket,
		args[0] != '\0' ? "," : "", args);
	return f;
}

struct fx *
fx_begin(const char *args)
{
	struct fx *f = fx_begin_bare(args);
	int ret;

	if (f == NULL)
		return NULL;
	fx_probe_again(f, false);
	ret = rte_svm_queue_create(f->dev, FX_DEPTH, &f->queue);
	if (ret != 0)
		test_fail("rte_svm_queue_create: %d", ret);
	return f;
}

void
fx_probe_again(struct fx *f, bool hotplug)
{
	int ret = hotplug ? rte_eal_hotplug_add("vdev", f->name, f->devargs) :
		rte_vdev_init(f->name, f->devargs);

	if (ret != 0)
		test_fail("probe of %s,%s: %d", f->name, f->devargs, ret);
	f->made = true;
	ret = rte_svm_get_dev_id(f->name);
	if (ret < 0)
		test_fail("rte_svm_get_dev_id: %d", ret);
	f->dev = ret;
	ret = rte_svm_start(f->dev);
	if (ret != 0)
		test_fail("rte_svm_start: %d", ret);
	f->started = true;
}

void
fx_removed(struct fx *f)
{
	f->made = false;
	f->started = false;
}

static void
expect_no_error(const char *what, int ret)
{
	char text[128];

	snprintf(text, sizeof(text), "at the end, %s: %d", what, ret);
	CU_assertImplementation(ret == 0, __LINE__, text, __FILE__, "", CU_FALSE);
}

static int
queue_end(struct fx *f)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	int ret;

	do {
		fx_idle(f);
		ret = rte_svm_queue_destroy(f->queue);
	} while (ret == -EBUSY && fx_now_ms() < end);
	return ret;
}

/* The folder of the socket is empty when the device has gone; what a failing test left is
 * told, and goes as well. */
static void
folder_end(char *socket)
{
	struct dirent *e;
	DIR *d;

	*strrchr(socket, '/') = '\0';
	if (rmdir(socket) == 0)
		return;
	expect_no_error("a socket is left behind, rmdir", -errno);
	d = opendir(socket);
	while (d != NULL && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(socket);
}

void
fx_end(void)
{
	struct fx *f = &fx;
	unsigned int i;

	for (i = 0; i < FX_WORKERS; i++)
		if (f->worker[i].pid != 0)
			fx_kill(&f->worker[i], SIGKILL);
	if (f->queue != NULL)
		expect_no_error("rte_svm_queue_destroy", queue_end(f));
	if (f->started)
		expect_no_error("rte_svm_stop", rte_svm_stop(f->dev));
	if (f->made)
		expect_no_error("rte_vdev_uninit", rte_vdev_uninit(f->name));
	if (f->service_lcore) {
		rte_service_lcore_stop(f->lcore);
		rte_eal_wait_lcore(f->lcore);
		rte_service_lcore_del(f->lcore);
	}
	if (f->socket[0] != '\0')
		folder_end(f->socket);
	for (i = 0; i < f->nb_mem; i++)
		free(f->mem[i]);
	memset(f, 0, sizeof(*f));
}

struct svm_dev *
fx_dev(const struct fx *f)
{
	struct svm_dev *dev;

	if (svm_registry_get(f->dev, &dev) != 0)
		test_fail("%s has gone", f->name);
	svm_registry_put(f->dev);
	return dev;
}

void *
fx_mem(struct fx *f, size_t len)
{
	void *p = NULL;

	if (f->nb_mem == sizeof(f->mem) / sizeof(f->mem[0]) ||
			posix_memalign(&p, sysconf(_SC_PAGESIZE), len) != 0)
		test_fail("no memory");
	f->mem[f->nb_mem++] = p;
	return memset(p, 0, len);
}

void *
fx_mem_filled(struct fx *f, size_t len, uint64_t *seed)
{
	void *p = fx_mem(f, len);

	if (getrandom(seed, sizeof(*seed), 0) != sizeof(*seed))
		test_fail("getrandom");
	wk_pattern_write(p, len, *seed, 0);
	return p;
}

void
fx_run(struct fx *f, const struct rte_svm_op *ops, uint32_t n,
		struct rte_svm_result *results)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	uint32_t sent = 0, got = 0;

	if (f->alias)
		fx_alias_warm(f);
	while (got < n) {
		int ret = 0;

		if (sent < n)
			ret = rte_svm_submit(f->queue, ops + sent, n - sent);
		if (ret < 0)
			test_fail("rte_svm_submit: %d", ret);
		sent += ret;
		ret = rte_svm_poll(f->queue, results + got, n - got);
		if (ret < 0)
			test_fail("rte_svm_poll: %d", ret);
		got += ret;
		if (ret == 0)
			fx_idle(f);
		if (fx_now_ms() > end)
			test_fail("%u of %u operations ended in time", got, n);
	}
}

struct rte_svm_result
fx_run_one(struct fx *f, struct rte_svm_op op)
{
	struct rte_svm_result r;

	fx_run(f, &op, 1, &r);
	return r;
}

struct rte_svm_result
fx_copy(struct fx *f, uint64_t src_bond, uint64_t src, uint64_t dst_bond,
		uint64_t dst, uint32_t len)
{
	return fx_run_one(f, (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .src = src,
		.dst = dst, .src_bond = src_bond, .dst_bond = dst_bond, .len = len });
}

void
fx_await_taken(struct fx *f, uint32_t nb)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	const struct svm_dev *dev = fx_dev(f);
	uint32_t taken, i;

	do {
		fx_idle(f);
		/* Relaxed: a look at how far they are. */
		for (taken = i = 0; i != SVM_QUEUES_MAX; i++)
			if (dev->oqs[i] != NULL)
				taken += __atomic_load_n(&dev->oqs[i]->eq->ring.hdr->sq_head,
						__ATOMIC_RELAXED);
		if (fx_now_ms() > end)
			test_fail("%u of %u operations are taken", taken, nb);
	} while (taken != nb);
}

int
fx_unbind(struct fx *f, uint64_t bond)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	int ret;

	do {
		ret = rte_svm_unbind(f->dev, bond);
		fx_idle(f);
	} while (ret == -EBUSY && fx_now_ms() < end);
	return ret;
}

struct rte_svm_stats
fx_stats(const struct fx *f)
{
	struct rte_svm_stats s;

	if (rte_svm_stats_get(f->dev, &s) != 0)
		test_fail("rte_svm_stats_get");
	return s;
}
