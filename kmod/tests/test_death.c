// SPDX-License-Identifier: GPL-2.0
/* Workers that die or become another program in the middle of copies. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define LEN	16384ul
#define IN_FLIGHT	32u
#define USER	1000
#define SETUID_PROGRAM	"/tmp/setuid_program"

/*
 * The same address in every process of this program, which is linked to a fixed
 * place: what a copy for the old program would hit in the new one.
 */
static unsigned char target[LEN] __attribute__((aligned(4096)));

struct shared {
	unsigned char ref[LEN];
	unsigned char out[LEN];
	char path[64];
	int control, reply;
};

struct scene {
	struct device dev;
	struct queue q;
	struct vfio_svm_bind self;
	struct shared *sh;
};

static void scene_open(struct scene *s)
{
	s->sh = shared_alloc(sizeof(*s->sh));
	bytes_lay(s->sh->ref, LEN, 0);
	device_open(&s->dev, 0);
	queue_open(&s->q, &s->dev, 0, IN_FLIGHT, 0);
	CHECK_EQ(bind_type(&s->dev, VFIO_SVM_BIND_SELF, 0, RIGHTS, &s->self), 0);
}

/* Into the worker, and from it to us, in turn. */
static struct svm_desc copy_nr(const struct scene *s, uint32_t pasid, unsigned int nr)
{
	if (nr % 2)
		return desc_copy(pasid, (unsigned long)target, s->self.pasid,
				 (unsigned long)s->sh->out, LEN);
	return desc_copy(s->self.pasid, (unsigned long)s->sh->ref, pasid, (unsigned long)target,
			 LEN);
}

static void check_cpl(struct svm_cpl cpl)
{
	if (cpl.status == SVM_ST_OK) {
		CHECK_EQ(cpl.done, LEN);
		return;
	}
	CHECK_EQ(cpl.status, SVM_ST_BOND_DEAD);
	CHECK(cpl.done < LEN);
}

static void check_exit(struct scene *s, const struct vfio_svm_bind *bind)
{
	struct vfio_svm_event event = device_event(&s->dev);

	CHECK_EQ(event.type, VFIO_SVM_EVENT_EXIT);
	CHECK_EQ(event.bond_id, bind->bond_id);
	CHECK_EQ(unbind_id(&s->dev, bind->bond_id), 0);
}

static void worker_is_killed(void)
{
	unsigned int i, j, n = rounds(400);
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct worker w;
	struct scene s;

	scene_open(&s);
	for (i = 0; i < n; i++) {
		worker_start(&w);
		bind = worker_bind(&s.dev, &w);
		memset(s.sh->out, 0, LEN);
		for (j = 0; j < IN_FLIGHT; j++) {
			desc = copy_nr(&s, bind.pasid, j);
			queue_send(&s.q, &desc);
		}
		for (j = 0; j < i % 4; j++)
			check_cpl(queue_wait(&s.q));
		worker_kill(&w);
		for (; j < IN_FLIGHT; j++)
			check_cpl(queue_wait(&s.q));
		CHECK_EQ(bytes_good(s.sh->out, s.sh->ref, LEN), LEN);
		check_exit(&s, &bind);
	}
}

/* main() of the program that a worker becomes: nothing may come to stand in target. */
int exec_watch(char **argv)
{
	int control = atoi(argv[0]), reply = atoi(argv[1]);
	unsigned int look;
	char say = 0;
	size_t i;

	for (look = 0; look < 2; look++) {
		for (i = 0; i < LEN && !((volatile unsigned char *)target)[i]; i++)
			;
		say = i < LEN ? 'b' : geteuid() ? 'u' : 'r';
		if (write(reply, &say, 1) != 1 || read(control, &say, 1) != 1)
			return 1;
	}
	return 0;
}

static long do_exec(long arg)
{
	struct shared *sh = (struct shared *)arg;
	char control[16], reply[16];
	char *argv[] = { sh->path, "--watch", control, reply, NULL };

	snprintf(control, sizeof(control), "%d", sh->control);
	snprintf(reply, sizeof(reply), "%d", sh->reply);
	execv(sh->path, argv);
	return -errno;
}

static long do_become_user(long unused)
{
	(void)unused;
	return setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER);
}

static char read_byte(int fd)
{
	char byte = 0;

	CHECK_EQ(read(fd, &byte, 1), 1);
	return byte;
}

/* One worker from its start to its end; the new program must say what is expected. */
static void exec_once(struct scene *s, const char *path, bool as_user, char expected)
{
	int control[2], reply[2];
	struct pollfd pfd = { .events = POLLIN };
	struct vfio_svm_bind bind;
	struct svm_desc desc;
	struct worker w;
	unsigned int i;

	CHECK_EQ(pipe(control), 0);
	CHECK_EQ(pipe(reply), 0);
	snprintf(s->sh->path, sizeof(s->sh->path), "%s", path);
	s->sh->control = control[0];
	s->sh->reply = reply[1];
	pfd.fd = reply[0];
	worker_start(&w);
	if (as_user)
		CHECK_EQ(worker_call(&w, do_become_user, 0), 0);
	bind = worker_bind(&s->dev, &w);
	desc = copy_nr(s, bind.pasid, 0);
	CHECK_EQ(queue_run(&s->q, &desc).status, SVM_ST_OK);
	worker_send(&w, do_exec, (long)s->sh);
	while (!poll(&pfd, 1, 0))
		check_cpl(queue_run(&s->q, &desc));
	CHECK_EQ(read_byte(reply[0]), expected);
	for (i = 0; i < IN_FLIGHT; i++)
		CHECK_EQ(queue_run(&s->q, &desc).status, SVM_ST_BOND_DEAD);
	CHECK_EQ(write(control[1], "", 1), 1);
	CHECK_EQ(read_byte(reply[0]), expected);
	check_exit(s, &bind);
	worker_kill(&w);
	for (i = 0; i < 2; i++) {
		close(control[i]);
		close(reply[i]);
	}
}

static void worker_executes_a_program(void)
{
	unsigned int i, n = rounds(100);
	struct scene s;

	scene_open(&s);
	for (i = 0; i < n; i++)
		exec_once(&s, "/proc/self/exe", false, 'r');
}

static void make_setuid_program(void)
{
	char buf[65536];
	int from, to;
	ssize_t n;

	from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	to = open(SETUID_PROGRAM, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	CHECK(from >= 0 && to >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		CHECK_EQ(write(to, buf, n), n);
	CHECK_EQ(n, 0);
	CHECK_EQ(fchmod(to, 04755), 0);
	close(from);
	close(to);
}

static void worker_executes_a_setuid_program(void)
{
	unsigned int i, n = rounds(100);
	struct scene s;

	make_setuid_program();
	scene_open(&s);
	for (i = 0; i < n; i++)
		exec_once(&s, SETUID_PROGRAM, true, 'r');
	CHECK_EQ(unlink(SETUID_PROGRAM), 0);
}

/* Nor may an owner who is the same user bind what the program became. */
static void setuid_program_is_not_bound(void)
{
	int control[2], reply[2];
	struct vfio_svm_bind bind;
	struct worker w;
	struct scene s;

	make_setuid_program();
	scene_open(&s);
	CHECK_EQ(pipe(control), 0);
	CHECK_EQ(pipe(reply), 0);
	snprintf(s.sh->path, sizeof(s.sh->path), SETUID_PROGRAM);
	s.sh->control = control[0];
	s.sh->reply = reply[1];
	CHECK_EQ(do_become_user(0), 0);
	CHECK_EQ(prctl(PR_SET_DUMPABLE, 1), 0);
	worker_start(&w);
	bind = worker_bind(&s.dev, &w);
	worker_send(&w, do_exec, (long)s.sh);
	CHECK_EQ(read_byte(reply[0]), 'r');
	check_exit(&s, &bind);
	CHECK_EQ(bind_type(&s.dev, VFIO_SVM_BIND_PID, w.pid, RIGHTS, NULL), -EACCES);
}

static const struct test death_tests[] = {
	TEST(worker_is_killed),
	TEST(worker_executes_a_program),
	TEST(worker_executes_a_setuid_program),
	TEST(setuid_program_is_not_bound),
};

SUITE(death);
