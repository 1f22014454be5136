/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_mem.h"

#define FDS_MAX	100

static struct fake_mem *
of(void *arg)
{
	return &((struct fake_owner *)arg)->mem;
}

static int
fake_mem_map(void *arg, uint64_t bond, uint64_t va, uint64_t len, int fd, uint64_t off,
		uint32_t rights)
{
	struct fake_mem *m = of(arg);
	struct stat st = { 0 };

	(void)bond;
	m->ino = fstat(fd, &st) == 0 ? st.st_ino : 0;
	m->va = va;
	m->len = len;
	m->off = off;
	m->rights = rights;
	__atomic_fetch_add(&m->maps, 1, __ATOMIC_RELEASE);	/* -> fake_count() */
	if (m->status != 0)
		return m->status;
	m->bytes += len;
	m->ranges++;
	return 0;
}

static int
fake_mem_unmap(void *arg, uint64_t bond, uint64_t va, uint64_t len)
{
	struct fake_mem *m = of(arg);

	(void)bond;
	m->va = va;
	m->len = len;
	__atomic_fetch_add(&m->unmaps, 1, __ATOMIC_RELEASE);	/* -> fake_count() */
	if (m->ranges == 0)
		return -ENOENT;
	m->bytes -= len < m->bytes ? len : m->bytes;
	m->ranges--;
	return 0;
}

static int
fake_mem_watch(void *arg, uint64_t bond, int fd)
{
	struct fake_mem *m = of(arg);

	(void)bond;
	close(fd);
	__atomic_fetch_add(&m->watches, 1, __ATOMIC_RELEASE);	/* -> fake_count() */
	return m->status;
}

static void
fake_mem_used(void *arg, uint64_t bond, uint64_t *bytes, uint32_t *ranges)
{
	const struct fake_mem *m = of(arg);

	(void)bond;
	*bytes = m->bytes;
	*ranges = m->ranges;
}

void
fake_mem_ops(struct svm_server_ops *ops)
{
	ops->mem_map = fake_mem_map;
	ops->mem_unmap = fake_mem_unmap;
	ops->mem_watch = fake_mem_watch;
	ops->mem_used = fake_mem_used;
}

int
raw_send_fds(int sock, const union svm_msg *msg, size_t len, int fd, int nb)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} ctl = { .room = { 0 } };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
		.msg_controllen = CMSG_SPACE(nb * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
	int i;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nb * sizeof(int));
	for (i = 0; i != nb; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(fd), &fd, sizeof(fd));
	return sendmsg(sock, &mh, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Receive a reply, and the descriptor with it. */
static int
recv_fd(int sock, union svm_msg *msg, int *fd)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &ctl,
		.msg_controllen = sizeof(ctl.room) };
	const struct timeval bound = { .tv_sec = FAKE_BOUND_MS / 1000 };
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
	n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&mh);
	if (c != NULL && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return (int)n;
}

int
raw_mem_create(int sock, uint64_t len, uint32_t page, int node,
		struct svm_msg_mem_create_reply *reply, int *fd)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_CREATE, 1, 11);
	msg.mem_create.len = len;
	msg.mem_create.page = page;
	msg.mem_create.node = node;
	if (raw_send(sock, &msg, msg.hdr.len) != 0 ||
			recv_fd(sock, &msg, fd) != sizeof(msg.mem_create_reply) ||
			msg.hdr.type != SVM_MSG_MEM_CREATE_REPLY || msg.hdr.seq != 11)
		return -EPROTO;
	*reply = msg.mem_create_reply;
	return msg.mem_create_reply.status;
}

static int
ask_status(int sock, union svm_msg *msg)
{
	const uint16_t type = msg->hdr.type;

	if (raw_ask(sock, msg) != sizeof(msg->status) ||
			msg->hdr.type != (type | SVM_MSG_REPLY))
		return -EPROTO;
	return msg->status.status;
}

int
raw_mem_destroy(int sock, uint32_t mem)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_DESTROY, 1, 12);
	msg.mem_destroy.mem = mem;
	return ask_status(sock, &msg);
}

int
raw_mem_map(int sock, uint64_t addr, uint64_t len, int fd, uint64_t off, uint32_t rights)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_MAP, 1, 13);
	msg.mem_map.addr = addr;
	msg.mem_map.len = len;
	msg.mem_map.off = off;
	msg.mem_map.rights = rights;
	if (raw_send_fds(sock, &msg, msg.hdr.len, fd, 1) != 0 ||
			raw_recv(sock, &msg) != sizeof(msg.status) ||
			msg.hdr.type != SVM_MSG_MEM_MAP_REPLY || msg.hdr.seq != 13)
		return -EPROTO;
	return msg.status.status;
}

int
raw_mem_watch(int sock, int fd)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_WATCH, 1, 15);
	if (raw_send_fds(sock, &msg, msg.hdr.len, fd, 1) != 0 ||
			raw_recv(sock, &msg) != sizeof(msg.status) ||
			msg.hdr.type != SVM_MSG_MEM_WATCH_REPLY || msg.hdr.seq != 15)
		return -EPROTO;
	return msg.status.status;
}

int
raw_mem_unmap(int sock, uint64_t addr, uint64_t len)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_UNMAP, 1, 14);
	msg.mem_unmap.addr = addr;
	msg.mem_unmap.len = len;
	return ask_status(sock, &msg);
}

int
raw_file(uint64_t len, int seals)
{
	const int fd = memfd_create("raw", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, len) == 0 && (seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0))
		return fd;
	close(fd);
	return -1;
}
