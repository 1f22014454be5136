/* SPDX-License-Identifier: BSD-3-Clause */
/* What else the server's thread does: it watches pidfds. */
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"
#include "test_server.h"

/* A process that ends when the pipe does. */
static pid_t
waiting_process(int *pipe_end, int *pidfd)
{
	int ends[2];
	pid_t child;
	char byte;

	CU_ASSERT_EQUAL_FATAL(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	close(ends[0]);
	*pipe_end = ends[1];
	*pidfd = (int)syscall(SYS_pidfd_open, child, 0);
	CU_ASSERT_FATAL(*pidfd >= 0);
	return child;
}

/* Another process ends and is reported: the loop has looked at everything since. */
static void
loop_turns(struct fake_owner *fo)
{
	const int before = fake_count(&fo->gone);
	int end, pidfd;
	const pid_t child = waiting_process(&end, &pidfd);

	CU_ASSERT_EQUAL(svm_server_watch(fo->server, pidfd, 99), 0);
	close(end);
	CU_ASSERT_TRUE(fake_wait_for(&fo->gone, before + 1));
	svm_server_unwatch(fo->server, pidfd);
	close(pidfd);
	waitpid(child, NULL, 0);
}

static void
test_server_watch_reports_the_end_once(void)
{
	struct fake_owner *fo = server_begin();
	int end, pidfd;
	const pid_t child = waiting_process(&end, &pidfd);

	CU_ASSERT_EQUAL(svm_server_watch(fo->server, pidfd, 1234), 0);
	CU_ASSERT_EQUAL(svm_server_watch(fo->server, pidfd, 1234), -EEXIST);
	CU_ASSERT_EQUAL(svm_server_watch(fo->server, -1, 1), -EBADF);
	CU_ASSERT_EQUAL(fake_count(&fo->gone), 0);
	close(end);
	CU_ASSERT_TRUE(fake_wait_for(&fo->gone, 1));
	CU_ASSERT_EQUAL(fo->gone_bond, 1234);
	/* Two more turns of the loop see nothing new of it. */
	loop_turns(fo);
	loop_turns(fo);
	CU_ASSERT_EQUAL(fake_count(&fo->gone), 3);
	svm_server_unwatch(fo->server, pidfd);
	close(pidfd);
	waitpid(child, NULL, 0);
	fake_owner_destroy(fo);
}

static void
test_server_unwatched_end_is_not_reported(void)
{
	struct fake_owner *fo = server_begin();
	int end, pidfd;
	const pid_t child = waiting_process(&end, &pidfd);

	CU_ASSERT_EQUAL(svm_server_watch(fo->server, pidfd, 1), 0);
	svm_server_unwatch(fo->server, pidfd);
	svm_server_unwatch(fo->server, pidfd);
	close(end);
	CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
	loop_turns(fo);
	CU_ASSERT_EQUAL(fake_count(&fo->gone), 1);
	/* And it can be watched again. */
	CU_ASSERT_EQUAL(svm_server_watch(fo->server, pidfd, 2), 0);
	CU_ASSERT_TRUE(fake_wait_for(&fo->gone, 2));
	CU_ASSERT_EQUAL(fo->gone_bond, 2);
	svm_server_unwatch(fo->server, pidfd);
	close(pidfd);
	fake_owner_destroy(fo);
}

static void
test_server_without_a_path_watches_all_the_same(void)
{
	struct fake_owner *fo = server_begin_unserved();
	int end, pidfd;
	const pid_t child = waiting_process(&end, &pidfd);

	fo->path[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(fake_owner_start(fo, 0), 0);
	CU_ASSERT_EQUAL(svm_server_watch(fo->server, pidfd, 5), 0);
	close(end);
	CU_ASSERT_TRUE(fake_wait_for(&fo->gone, 1));
	svm_server_unwatch(fo->server, pidfd);
	close(pidfd);
	waitpid(child, NULL, 0);
	fake_owner_destroy(fo);
}

int
test_server_watch_add(CU_pSuite suite)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_server_watch_reports_the_end_once),
		T(test_server_unwatched_end_is_not_reported),
		T(test_server_without_a_path_watches_all_the_same),
#undef T
	};

	return test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
