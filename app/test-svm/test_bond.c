/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may be bound, and what the device tells about bonds.
 */
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_bus_vdev.h>

#include "fake_owner.h"
#include "fixture.h"
#include "suites.h"

#define NOBODY	65534
#define LEN	10000

static void
test_bond_by_pid_moves_data(void)
{
	struct fx *f = fx_begin("");

	if (f != NULL)
		fx_check_moves(f, fx_bound(f));
}

static void
test_bond_by_socket_moves_data(void)
{
	struct fx *f = fx_begin("");

	if (f != NULL)
		fx_check_moves(f, fx_joined(f));
}

static void
test_bond_foreign_user_moves_data(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);

	if (geteuid() != 0) {
		test_skip("only root may reach another user's process");
		return;
	}
	fx_do(w, WK_SETUID, NOBODY);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
	fx_check_moves(f, w);
}

static void
test_bond_bad_argument_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);
	uint64_t bond;

	TEST_EQUAL(rte_svm_bind(f->dev, 0, &bond), -EINVAL);
	TEST_EQUAL(rte_svm_bind(f->dev, -1, &bond), -EINVAL);
	TEST_EQUAL(rte_svm_bind(f->dev, getpid(), &bond), -EINVAL);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, NULL), -EINVAL);
	TEST_EQUAL(rte_svm_bind(UINT16_MAX, w->pid, &bond), -ENODEV);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
}

static void
test_bond_unknown_pid_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_worker(f) : NULL;
	const pid_t pid = w != NULL ? w->pid : 0;
	uint64_t bond;

	if (w == NULL)
		return;
	fx_kill(w, SIGKILL);
	TEST_EQUAL(rte_svm_bind(f->dev, pid, &bond), -ESRCH);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
}

static void
test_bond_zombie_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);
	uint64_t bond;

	kill(w->pid, SIGKILL);
	fx_await_exit(w);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), -ESRCH);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
}

static void
test_bond_kernel_thread_refused(void)
{
	struct fx *f = fx_begin("");
	char comm[32] = "";
	FILE *in = fopen("/proc/2/comm", "re");
	uint64_t bond;

	if (in != NULL) {
		(void)!fgets(comm, sizeof(comm), in);
		fclose(in);
	}
	if (strcmp(comm, "kthreadd\n") != 0 || geteuid() != 0) {
		test_skip("pid 2 is no kernel thread here, or not root");
		return;
	}
	TEST_EQUAL(rte_svm_bind(f->dev, 2, &bond), -ESRCH);
}

static void
test_bond_not_dumpable_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);
	uint64_t bond;

	/* As root it could reach even itself. */
	if (geteuid() == 0)
		fx_do(w, WK_SETUID, NOBODY);
	fx_do(w, WK_DUMPABLE, 0);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), -EPERM);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
	fx_do(w, WK_DUMPABLE, 1);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
}

/* What the kernel refuses a lane with the worker's rights, the owner's own may do. */
static void
test_bond_not_dumpable_bound_by_privileged_only(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);
	uint64_t bond;
	int dev;

	if (geteuid() != 0) {
		test_skip("only root has rights to keep");
		return;
	}
	fx_do(w, WK_SETUID, NOBODY);
	fx_do(w, WK_DUMPABLE, 0);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), -EPERM);
	TEST_EQUAL(rte_vdev_init("svm_privileged", "cma=privileged,socket=none"), 0);
	dev = rte_svm_get_dev_id("svm_privileged");
	TEST_EQUAL(rte_svm_start(dev), 0);
	TEST_EQUAL(rte_svm_bind(dev, w->pid, &bond), 0);
	TEST_EQUAL(rte_svm_unbind(dev, bond), 0);
	TEST_EQUAL(rte_svm_stop(dev), 0);
	TEST_EQUAL(rte_vdev_uninit("svm_privileged"), 0);
}

struct attempt {
	uint16_t dev;
	pid_t pid;
	int ids, bind;
};

/* Raw system calls: the ids of this thread alone. */
static void *
bind_as_nobody(void *arg)
{
	struct attempt *a = arg;
	uint64_t bond;

	a->ids = syscall(SYS_setgroups, 0, NULL) != 0 ||
		syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) != 0 ||
		syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) != 0;
	if (a->ids == 0)
		a->bind = rte_svm_bind(a->dev, a->pid, &bond);
	return NULL;
}

static void
test_bond_owner_not_root_refused(void)
{
	struct fx *f = fx_begin("");
	struct attempt a = { .dev = f->dev, .pid = fx_worker(f)->pid };
	pthread_t t;

	if (geteuid() != 0) {
		test_skip("not root: cannot become another user than the worker");
		return;
	}
	CU_ASSERT_FATAL(pthread_create(&t, NULL, bind_as_nobody, &a) == 0);
	pthread_join(t, NULL);
	CU_ASSERT_FATAL(a.ids == 0);
	TEST_EQUAL(a.bind, -EPERM);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 0);
}

/* Connects as one user, binds as another; how a process does that makes no difference. */
static int
child_binds(const char *path, uid_t first, uid_t then)
{
	const pid_t child = fork();
	int status = -1, sock;

	if (child == 0) {
		if (seteuid(first) != 0)
			_exit(100);
		setfsuid(0);	/* the socket is root's */
		sock = raw_ready(path);
		if (sock < 0 || seteuid(0) != 0 || seteuid(then) != 0)
			_exit(101);
		_exit(-raw_bind(sock, 0));
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : status;
}

static void
test_bond_user_changed_since_connect_refused(void)
{
	struct fx *f = fx_begin("");

	if (geteuid() != 0) {
		test_skip("not root: cannot change users");
		return;
	}
	TEST_EQUAL(child_binds(f->socket, NOBODY, 0), -EPERM);
	/* The saved user is root's still. */
	TEST_EQUAL(child_binds(f->socket, NOBODY, NOBODY), -EPERM);
	TEST_EQUAL(child_binds(f->socket, 0, 0), 0);
}

static void
test_bond_permission_revoked_denied(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_worker(f) : NULL;
	uint64_t mem, seed;
	void *src;

	if (w == NULL)
		return;
	if (geteuid() == 0)
		fx_do(w, WK_SETUID, NOBODY);
	mem = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, LEN);
	seed = fx_do(w, WK_FILL, mem, LEN);
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &w->bond), 0);
	fx_do(w, WK_DUMPABLE, 0);
	src = fx_mem(f, LEN);
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, mem, LEN).status,
		RTE_SVM_ST_DENIED);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
}

static void
test_bond_twice_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	uint64_t bond = 77;

	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), -EEXIST);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 1);
	fx_check_moves(f, w);
}

static void
test_bond_by_socket_then_by_pid_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_joined(f);
	uint64_t bond;

	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), -EEXIST);
	fx_check_moves(f, w);
}

static void
test_bond_unbind_never_given_refused(void)
{
	struct fx *f = fx_begin("");

	TEST_EQUAL(rte_svm_unbind(f->dev, UINT64_C(0x123456789)), -ENOENT);
	TEST_EQUAL(rte_svm_unbind(f->dev, RTE_SVM_OWNER), -EINVAL);
	TEST_EQUAL(rte_svm_unbind(UINT16_MAX, 1), -ENODEV);
}

static void
test_bond_unbind_given_back_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f);
	struct rte_svm_bond_info info;

	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	TEST_EQUAL(rte_svm_unbind(f->dev, w->bond), -ENOENT);
	TEST_EQUAL(rte_svm_bond_info_get(f->dev, w->bond, &info), -ENOENT);
}

static void
test_bond_operation_on_unbound_refused(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_bound(f) : NULL;
	uint64_t mem, seed, bond;
	void *src;

	if (w == NULL)
		return;
	mem = fx_do(w, WK_ALLOC, WK_MEM_MALLOC, LEN);
	seed = fx_do(w, WK_FILL, mem, LEN);
	src = fx_mem(f, LEN);
	TEST_EQUAL(fx_unbind(f, w->bond), 0);
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, mem, LEN).status,
		RTE_SVM_ST_BOND_DEAD);
	/* Bound again it has another id, and the old one stays dead. */
	TEST_EQUAL(rte_svm_bind(f->dev, w->pid, &bond), 0);
	CU_ASSERT(bond != w->bond);
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)src, w->bond, mem, LEN).status,
		RTE_SVM_ST_BOND_DEAD);
	CU_ASSERT(fx_verify(w, mem, LEN, seed, 0));
}

static void
test_bond_info_tells_what_happened(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = f != NULL ? fx_bound(f) : NULL;
	struct rte_svm_bond_info i;

	if (w == NULL)
		return;
	fx_check_moves(f, w);
	fx_copy(f, w->bond, 0x1000, RTE_SVM_OWNER, (uintptr_t)fx_mem(f, 8), 8);
	CU_ASSERT_FATAL(rte_svm_bond_info_get(f->dev, w->bond, &i) == 0);
	TEST_EQUAL(i.bond, w->bond);
	TEST_EQUAL(i.pid, w->pid);
	TEST_EQUAL(i.state, RTE_SVM_BOND_ACTIVE);
	TEST_EQUAL(i.tier, f->alias ? RTE_SVM_TIER_ALIAS : RTE_SVM_TIER_CMA);
	TEST_EQUAL(i.by_socket, 0);
	TEST_EQUAL(i.ops, 3);
	TEST_EQUAL(i.bytes_in, LEN);
	TEST_EQUAL(i.bytes_out, LEN);
	TEST_EQUAL(i.faults, 1);
	CU_ASSERT(i.pasid != 0);
	TEST_EQUAL(rte_svm_bond_info_get(f->dev, w->bond, NULL), -EINVAL);
	TEST_EQUAL(rte_svm_bond_info_get(f->dev, w->bond + 1000, &i), -ENOENT);
}

static void
test_bond_info_counts_operation_within_once(void)
{
	struct fx_worker *w = fx_begin_bound();
	struct rte_svm_bond_info i;
	uint64_t from, to;

	if (w == NULL)
		return;
	from = fx_worker_mem(w, LEN, NULL);
	to = fx_worker_mem(w, LEN, NULL);
	TEST_STATUS(fx_copy(w->f, w->bond, from, w->bond, to, LEN).status, RTE_SVM_ST_OK);
	CU_ASSERT_FATAL(rte_svm_bond_info_get(w->f->dev, w->bond, &i) == 0);
	TEST_EQUAL(i.ops, 1);
	TEST_EQUAL(i.bytes_in, LEN);
	TEST_EQUAL(i.bytes_out, LEN);
}

static void
test_bond_info_carries_user_value(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_worker(f);
	struct wk_req req = { .cmd = WK_CONNECT };
	struct rte_svm_bond_info i;
	struct wk_rep rep;

	strcpy(req.text, f->socket);
	TEST_EQUAL(fx_try(w, &req, &rep), 0);
	w->bond = fx_do(w, WK_BIND, 0xfeedface12345678);
	CU_ASSERT_FATAL(rte_svm_bond_info_get(f->dev, w->bond, &i) == 0);
	TEST_EQUAL(i.user, 0xfeedface12345678);
	TEST_EQUAL(i.by_socket, 1);
	TEST_EQUAL(i.pid, w->pid);
}

static void
test_bond_list_shows_all(void)
{
	struct fx *f = fx_begin("");
	uint64_t a = fx_bound(f)->bond, b = fx_bound(f)->bond, list[4] = { 0 };
	struct rte_svm_info info;

	TEST_EQUAL(rte_svm_bond_list(f->dev, list, 1), 2);
	TEST_EQUAL(list[1], 0);
	TEST_EQUAL(rte_svm_bond_list(f->dev, list, 4), 2);
	CU_ASSERT((list[0] == a && list[1] == b) || (list[0] == b && list[1] == a));
	TEST_EQUAL(rte_svm_info_get(f->dev, &info), 0);
	TEST_EQUAL(info.nb_bonds, 2);
	TEST_EQUAL(fx_unbind(f, a), 0);
	TEST_EQUAL(rte_svm_bond_list(f->dev, list, 4), 1);
	TEST_EQUAL(list[0], b);
}

static void
test_bond_max_bonds_exhausted_refused(void)
{
	struct fx *f = fx_begin("max_bonds=2");
	struct fx_worker *a = fx_bound(f), *b = fx_bound(f), *c = fx_worker(f);

	TEST_EQUAL(rte_svm_bind(f->dev, c->pid, &c->bond), -ENOSPC);
	TEST_EQUAL(rte_svm_bond_list(f->dev, NULL, 0), 2);
	TEST_EQUAL(fx_unbind(f, a->bond), 0);
	TEST_EQUAL(rte_svm_bind(f->dev, c->pid, &c->bond), 0);
	CU_ASSERT(c->bond != a->bond && c->bond != b->bond);
	fx_check_moves(f, c);
	fx_check_moves(f, b);
}

static const struct fx_test tests[] = {
	{ "test_bond_by_pid_moves_data", test_bond_by_pid_moves_data, FX_ALL },
	{ "test_bond_by_socket_moves_data", test_bond_by_socket_moves_data, FX_ALL },
	{ "test_bond_foreign_user_moves_data", test_bond_foreign_user_moves_data,
		FX_THREAD_LANE | FX_THREAD_CMA },
	{ "test_bond_bad_argument_refused", test_bond_bad_argument_refused, FX_ONE },
	{ "test_bond_unknown_pid_refused", test_bond_unknown_pid_refused, FX_ALL },
	{ "test_bond_zombie_refused", test_bond_zombie_refused,
		FX_THREAD_LANE | FX_THREAD_CMA },
	{ "test_bond_kernel_thread_refused", test_bond_kernel_thread_refused,
		FX_THREAD_LANE | FX_THREAD_CMA },
	{ "test_bond_not_dumpable_refused", test_bond_not_dumpable_refused,
		FX_THREAD_LANE | FX_INLINE_LANE },
	{ "test_bond_not_dumpable_bound_by_privileged_only",
		test_bond_not_dumpable_bound_by_privileged_only, FX_ONE },
	{ "test_bond_owner_not_root_refused", test_bond_owner_not_root_refused,
		FX_THREAD_LANE | FX_THREAD_CMA },
	{ "test_bond_user_changed_since_connect_refused",
		test_bond_user_changed_since_connect_refused, FX_ONE },
	{ "test_bond_permission_revoked_denied", test_bond_permission_revoked_denied,
		FX_LANE },
	{ "test_bond_twice_refused", test_bond_twice_refused, FX_ONE },
	{ "test_bond_by_socket_then_by_pid_refused",
		test_bond_by_socket_then_by_pid_refused, FX_ONE },
	{ "test_bond_unbind_never_given_refused", test_bond_unbind_never_given_refused,
		FX_ONE },
	{ "test_bond_unbind_given_back_refused", test_bond_unbind_given_back_refused,
		FX_ONE | FX_INLINE_LANE },
	{ "test_bond_operation_on_unbound_refused",
		test_bond_operation_on_unbound_refused, FX_ALL },
	{ "test_bond_info_tells_what_happened", test_bond_info_tells_what_happened,
		FX_ALL },
	{ "test_bond_info_counts_operation_within_once",
		test_bond_info_counts_operation_within_once, FX_ONE },
	{ "test_bond_info_carries_user_value", test_bond_info_carries_user_value, FX_ONE },
	{ "test_bond_list_shows_all", test_bond_list_shows_all, FX_ONE },
	{ "test_bond_max_bonds_exhausted_refused", test_bond_max_bonds_exhausted_refused,
		FX_ONE | FX_INLINE_CMA },
};

int
test_bond_suite(void)
{
	return fx_add_tests("bond", tests, sizeof(tests) / sizeof(tests[0]));
}
