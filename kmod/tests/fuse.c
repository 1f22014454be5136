// SPDX-License-Identifier: GPL-2.0
/* The FUSE server of fuse.h: only what the kernel asks for one readable, writable file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "fuse.h"

#define DIR		"/tmp/fuse"
#define FILE_NAME	"file"
#define FILE_NODE	2u
#define KEPT_MAX	64u
#define READ_MAX	(128u << 10)

/* Shared by the test, which writes hold, and the server, which writes the others. */
struct fuse_gate {
	int hold;
	int released;		/* the server has seen the end of a hold */
	unsigned int kept;
};

struct kept {
	uint64_t unique;
	struct fuse_read_in read;
};

struct server {
	int fd;
	unsigned int flags;
	struct fuse_gate *gate;
	struct kept kept[KEPT_MAX];
	unsigned int nb_kept;
	/* One request: what a write of the largest size needs, and a header. */
	char in[READ_MAX + 4096];
	unsigned char out[READ_MAX];
};

static void reply(struct server *s, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header head = {
		.len = sizeof(head) + len, .error = error, .unique = unique,
	};
	struct iovec iov[2] = { { &head, sizeof(head) }, { (void *)data, len } };

	/* ENOENT: whoever asked is gone. */
	if (writev(s->fd, iov, len ? 2 : 1) < 0 && errno != ENOENT)
		_exit(1);
}

static void reply_read(struct server *s, uint64_t unique, const struct fuse_read_in *read)
{
	uint64_t end = read->offset + read->size;
	size_t i, len;

	if (end > FUSE_FILE_LEN)
		end = FUSE_FILE_LEN;
	len = read->offset < end ? end - read->offset : 0;
	for (i = 0; i < len; i++)
		s->out[i] = read->offset + i;
	reply(s, unique, 0, s->out, len);
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1, .blksize = 4096 };

	if (node == FILE_NODE) {
		attr.mode = S_IFREG | 0666;
		attr.size = FUSE_FILE_LEN;
	} else {
		attr.mode = S_IFDIR | 0777;
	}
	return attr;
}

static void do_init(struct server *s, uint64_t unique, const struct fuse_init_in *in)
{
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = READ_MAX, .max_background = 64, .congestion_threshold = 48,
	};

	if (s->flags & FUSE_READAHEAD) {
		out.max_readahead = in->max_readahead;
		out.flags = in->flags & FUSE_ASYNC_READ;
	}
	reply(s, unique, 0, &out, sizeof(out));
}

static void do_lookup(struct server *s, uint64_t unique, const char *name)
{
	struct fuse_entry_out out = {
		.nodeid = FILE_NODE, .entry_valid = 3600, .attr_valid = 3600,
		.attr = attr_of(FILE_NODE),
	};

	if (strcmp(name, FILE_NAME))
		reply(s, unique, -ENOENT, NULL, 0);
	else
		reply(s, unique, 0, &out, sizeof(out));
}

static void do_getattr(struct server *s, uint64_t unique, uint64_t node)
{
	struct fuse_attr_out out = { .attr_valid = 3600, .attr = attr_of(node) };

	reply(s, unique, 0, &out, sizeof(out));
}

static void do_open(struct server *s, uint64_t unique)
{
	struct fuse_open_out out = { };

	if (s->flags & FUSE_DIRECT_IO)
		out.open_flags = FOPEN_DIRECT_IO;
	reply(s, unique, 0, &out, sizeof(out));
}

static void do_read(struct server *s, uint64_t unique, const struct fuse_read_in *read)
{
	if (!__atomic_load_n(&s->gate->hold, __ATOMIC_ACQUIRE)) {
		reply_read(s, unique, read);
		return;
	}
	if (s->nb_kept == KEPT_MAX)
		_exit(1);
	s->kept[s->nb_kept].unique = unique;
	s->kept[s->nb_kept++].read = *read;
	/* Pairs with the acquire in fuse_wait_held(). */
	__atomic_store_n(&s->gate->kept, s->nb_kept, __ATOMIC_RELEASE);
}

static void do_write(struct server *s, uint64_t unique, const struct fuse_write_in *in)
{
	struct fuse_write_out out = { .size = in->size };

	reply(s, unique, 0, &out, sizeof(out));
}

static void serve_one(struct server *s)
{
	const struct fuse_in_header *head = (const void *)s->in;
	const void *arg = head + 1;
	ssize_t n = read(s->fd, s->in, sizeof(s->in));

	if (n < 0) {
		/* ENOENT: the request was withdrawn. Others: unmounted. */
		if (errno == ENOENT || errno == EINTR || errno == EAGAIN)
			return;
		_exit(0);
	}
	switch (head->opcode) {
	case FUSE_INIT:
		do_init(s, head->unique, arg);
		break;
	case FUSE_LOOKUP:
		do_lookup(s, head->unique, arg);
		break;
	case FUSE_GETATTR:
		do_getattr(s, head->unique, head->nodeid);
		break;
	case FUSE_OPEN:
		do_open(s, head->unique);
		break;
	case FUSE_READ:
		do_read(s, head->unique, arg);
		break;
	case FUSE_WRITE:
		do_write(s, head->unique, arg);
		break;
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
		reply(s, head->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		/* No answer belongs to these; and whom a signal reaches waits on. */
		break;
	default:
		reply(s, head->unique, -ENOSYS, NULL, 0);
	}
}

static void serve(struct server *s, int control)
{
	struct pollfd pfd[2] = {
		{ .fd = s->fd, .events = POLLIN }, { .fd = control, .events = POLLIN },
	};
	unsigned int i;
	char order;

	for (;;) {
		if (poll(pfd, 2, -1) < 0)
			continue;
		if (pfd[1].revents) {
			if (read(control, &order, 1) != 1)
				_exit(0);
			for (i = 0; i < s->nb_kept; i++)
				reply_read(s, s->kept[i].unique, &s->kept[i].read);
			s->nb_kept = 0;
			__atomic_store_n(&s->gate->kept, 0, __ATOMIC_RELAXED);
			/* Pairs with the acquire in fuse_release(). */
			__atomic_store_n(&s->gate->released, 1, __ATOMIC_RELEASE);
		}
		if (pfd[0].revents)
			serve_one(s);
	}
}

void fuse_start(struct fuse *f, unsigned int flags)
{
	static struct server server;
	char options[64];
	int control[2];

	CHECK_EQ(unshare(CLONE_NEWNS), 0);
	CHECK_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	mkdir(DIR, 0755);
	server.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	CHECK(server.fd >= 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", server.fd);
	CHECK_EQ(mount("kmod_test", DIR, "fuse", MS_NOSUID | MS_NODEV, options), 0);
	server.flags = flags;
	server.gate = shared_alloc(sizeof(*server.gate));
	CHECK_EQ(pipe2(control, O_CLOEXEC), 0);
	f->gate = server.gate;
	f->control = control[1];
	f->pid = fork();
	CHECK(f->pid >= 0);
	if (!f->pid) {
		close(control[1]);
		serve(&server, control[0]);
	}
	close(control[0]);
	/* The server's is the last: with it the connection ends. */
	close(server.fd);
}

void fuse_hold(struct fuse *f)
{
	__atomic_store_n(&f->gate->released, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&f->gate->hold, 1, __ATOMIC_RELEASE);
}

void fuse_wait_held(struct fuse *f, unsigned int nb)
{
	while (__atomic_load_n(&f->gate->kept, __ATOMIC_ACQUIRE) < nb)
		usleep(1000);
}

void fuse_release(struct fuse *f)
{
	__atomic_store_n(&f->gate->hold, 0, __ATOMIC_RELEASE);
	CHECK_EQ(write(f->control, "", 1), 1);
	while (!__atomic_load_n(&f->gate->released, __ATOMIC_ACQUIRE))
		usleep(1000);
}

void fuse_kill(struct fuse *f)
{
	CHECK_EQ(kill(f->pid, SIGKILL), 0);
	CHECK_EQ(waitpid(f->pid, NULL, 0), f->pid);
	close(f->control);
}

static long map_file(long len, int how)
{
	int fd = open(FUSE_FILE, O_RDWR | O_CLOEXEC);
	void *at;

	if (fd < 0)
		return -1;
	at = mmap(NULL, len, PROT_READ | PROT_WRITE, how, fd, 0);
	close(fd);
	return at == MAP_FAILED ? -1 : (long)at;
}

long do_map_fuse(long len)
{
	return map_file(len, MAP_PRIVATE);
}

long do_map_fuse_shared(long len)
{
	return map_file(len, MAP_SHARED);
}
