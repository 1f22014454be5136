/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process that nobody can open for as long as it likes: it stands in the
 * middle of exec, where a file of its own FUSE file system does not close.
 */
#include <linux/fuse.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "runner.h"
#include "suites.h"
#include "svm_ident.h"
#include "test_child.h"
#include "test_ident.h"

static void
fuse_reply(int fuse, const struct fuse_in_header *in, int error, const void *body, size_t len)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + len),
		.error = error,
		.unique = in->unique,
	};
	struct iovec iov[] = {
		{ .iov_base = &out, .iov_len = sizeof(out) },
		{ .iov_base = (void *)(uintptr_t)body, .iov_len = len },
	};

	if (writev(fuse, iov, 2) < 0)
		_exit(1);
}

/* One file, which is the whole file system. Its close waits to be told. */
static void
fuse_serve(int fuse, int in, int out)
{
	static const struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 4096 };
	static const struct fuse_attr_out attr = {
		.attr = { .ino = 1, .mode = S_IFREG | 0666, .nlink = 1 },
	};
	static const struct fuse_open_out opened = { .fh = 1 };
	static union {
		struct fuse_in_header hdr;
		char room[64 * 1024];
	} req;

	while (read(fuse, &req, sizeof(req)) > 0) {
		switch (req.hdr.opcode) {
		case FUSE_INIT:
			fuse_reply(fuse, &req.hdr, 0, &init, sizeof(init));
			break;
		case FUSE_GETATTR:
			fuse_reply(fuse, &req.hdr, 0, &attr, sizeof(attr));
			break;
		case FUSE_OPEN:
			fuse_reply(fuse, &req.hdr, 0, &opened, sizeof(opened));
			break;
		case FUSE_FLUSH:
			child_tell(out, 1);
			child_listen(in);
			fuse_reply(fuse, &req.hdr, 0, NULL, 0);
			break;
		default:
			fuse_reply(fuse, &req.hdr, -ENOSYS, NULL, 0);
			break;
		}
	}
}

static void
exec_with_file(const char *path, int fuse)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(fuse);
	if (open(path, O_RDONLY | O_CLOEXEC) >= 0)
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	_exit(1);
}

/* Tells the pid of the process in exec, 0 when there is no FUSE here. */
static void
body_fuse(int in, int out, void *arg)
{
	const char *path = arg;
	const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[128];
	pid_t pid;

	snprintf(options, sizeof(options), "fd=%d,rootmode=100000,user_id=%u,group_id=%u", fuse,
		getuid(), getgid());
	/* In a namespace of its own, so that nothing of it is left behind. */
	if (fuse < 0 || unshare(CLONE_NEWNS) != 0 ||
			mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
			mount("svm-test", path, "fuse", 0, options) != 0) {
		child_tell(out, 0);
		return;
	}
	pid = fork();
	if (pid == 0)
		exec_with_file(path, fuse);
	child_tell(out, (uint64_t)pid);
	fuse_serve(fuse, in, out);
}

void
test_ident_open_timed_gives_up_on_who_holds_it_up(void)
{
	char path[] = "/tmp/svm-test-XXXXXX";
	struct svm_ident id;
	struct child child;
	pid_t pid;
	int fd, ret;
	uint64_t end;

	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	child_start(&child, body_fuse, path);
	pid = (pid_t)child_hear(&child);
	if (pid == 0) {
		test_skip("no FUSE");
		goto end_child;
	}
	TEST_EQUAL(child_hear(&child), 1);
	/* It cannot end sooner than the next line lets it. */
	TEST_EQUAL(svm_ident_open_timed(&id, pid, 20000), -ETIMEDOUT);
	TEST_EQUAL(id.pidfd, -1);
	TEST_EQUAL(id.memfd, -1);
	child_say(&child, 'x');
	end = child_now_ms() + CHILD_BOUND_MS;
	/* The exec may end in the middle of the first try: again then. */
	while ((ret = svm_ident_open_timed(&id, pid, 1000000)) != 0 && child_now_ms() < end)
		child_sleep_ms(1);
	TEST_EQUAL(ret, 0);
	TEST_EQUAL(id.pid, pid);
	svm_ident_close(&id);
	TEST_EQUAL(svm_ident_open_timed(&id, -1, 1000000), -EINVAL);
end_child:
	child_end(&child);
	unlink(path);
}
