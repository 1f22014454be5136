/* SPDX-License-Identifier: BSD-3-Clause */
/* What the owner maps: MEM_MAP, MEM_UNMAP, and messages that break the rules. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_mem.h"
#include "test_server.h"

/* ---- mapping ---- */

static void
test_mem_map_reaches_the_device(void)
{
	struct fake_owner *fo = mem_serving(8 * MIB, 0);
	const int sock = mem_bound(fo), file = raw_file(MIB, FILE_SEALS);
	struct stat st = { 0 };

	CU_ASSERT_EQUAL(fstat(file, &st), 0);
	CU_ASSERT_EQUAL(raw_mem_map(sock, BASE, MIB - 4096, file, 4096, 1), 0);
	CU_ASSERT_EQUAL(fo->mem.va, BASE);
	CU_ASSERT_EQUAL(fo->mem.len, MIB - 4096);
	CU_ASSERT_EQUAL(fo->mem.off, 4096);
	CU_ASSERT_EQUAL(fo->mem.rights, 1);
	CU_ASSERT_EQUAL(fo->mem.ino, st.st_ino);
	CU_ASSERT_EQUAL(raw_mem_unmap(sock, BASE + 4096, 8192), 0);
	CU_ASSERT_EQUAL(fo->mem.va, BASE + 4096);
	CU_ASSERT_EQUAL(fo->mem.len, 8192);
	CU_ASSERT_EQUAL(raw_mem_unmap(sock, BASE + 4096, 8192), -ENOENT);
	/* What the device answers is passed on. */
	fo->mem.status = -EEXIST;
	CU_ASSERT_EQUAL(raw_mem_map(sock, BASE, MIB, file, 0, RW), -EEXIST);
	CU_ASSERT_EQUAL(raw_mem_watch(sock, file), -EEXIST);
	fo->mem.status = 0;
	CU_ASSERT_EQUAL(raw_mem_watch(sock, file), 0);
	CU_ASSERT_EQUAL(fake_count(&fo->mem.maps), 2);
	CU_ASSERT_EQUAL(fake_count(&fo->mem.watches), 2);
	close(file);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_map_by_a_device_that_maps_nothing_is_refused(void)
{
	struct fake_owner *fo = mem_owner(8 * MIB, 0);
	const int file = raw_file(MIB, FILE_SEALS);
	struct svm_msg_mem_create_reply r;
	int sock, fd;

	fo->has_mem = false;
	CU_ASSERT_EQUAL_FATAL(fake_owner_start(fo, 0), 0);
	sock = mem_bound(fo);
	CU_ASSERT_EQUAL(raw_mem_create(sock, 4096, SVM_MSG_PAGE_SMALL, -1, &r, &fd), 0);
	CU_ASSERT_EQUAL(raw_mem_map(sock, BASE, 4096, fd, 0, RW), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raw_mem_map(sock, BASE, 4096, file, 0, RW), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raw_mem_unmap(sock, BASE, 4096), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raw_mem_watch(sock, file), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, r.mem), 0);
	close(fd);
	close(file);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_map_bad_request_is_refused(void)
{
	static const struct {
		uint64_t addr, len, off;
		uint32_t rights;
		int status;
	} rows[] = {
		{ BASE, 0, 0, RW, -EINVAL }, { BASE, 4096, 0, 0, -EINVAL },
		{ BASE, 4096, 0, 4, -EINVAL }, { BASE, 4096, 0, 7, -EINVAL },
		{ BASE, 4096, 0, UINT32_MAX, -EINVAL },
		{ BASE, 8192, UINT64_MAX - 4095, RW, -EINVAL },
		{ UINT64_MAX - 4095, 8192, 0, RW, -EINVAL },
		{ BASE, UINT64_C(1) << 46, 0, RW, -ENOSPC },
		{ BASE, 16 * MIB, 0, RW, -ENOSPC },
	};
	struct fake_owner *fo = mem_serving(8 * MIB, 0);
	const int file = raw_file(MIB, FILE_SEALS);
	unsigned int fds;
	int sock, pipes[2];
	size_t i;

	CU_ASSERT_EQUAL(pipe2(pipes, O_CLOEXEC), 0);
	sock = raw_ready(fo->path);
	CU_ASSERT_EQUAL(raw_mem_map(sock, BASE, 4096, file, 0, RW), -ENOENT);
	CU_ASSERT_EQUAL(raw_mem_watch(sock, file), -ENOENT);
	CU_ASSERT_EQUAL(raw_bind(sock, 0), 0);
	fds = child_fds_count();
	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++)
		/* A file that is memory, and one whose end may take for ever. */
		CU_ASSERT_EQUAL(raw_mem_map(sock, rows[i].addr, rows[i].len,
			i % 2 == 0 ? file : pipes[1], rows[i].off, rows[i].rights),
			rows[i].status);
	CU_ASSERT_EQUAL(fake_count(&fo->mem.maps), 0);
	mem_await_fds(fds);
	close(file);
	close(pipes[0]);
	close(pipes[1]);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_mapped_over_the_limits_is_refused(void)
{
	const int file = raw_file(8 * MIB, FILE_SEALS);
	struct fake_owner *fo = mem_owner(4 * MIB, 3);
	int a, b, c;

	/* The fake counts for all connections: they see each other's. */
	fo->limits.max_mem_uid = 4 * MIB + 8192;
	fo->limits.max_ranges_uid = 4;
	CU_ASSERT_EQUAL_FATAL(fake_owner_start(fo, 0), 0);
	a = mem_bound(fo);
	CU_ASSERT_EQUAL(raw_mem_map(a, BASE, 4 * MIB + 4096, file, 0, RW), -ENOSPC);
	CU_ASSERT_EQUAL(raw_mem_map(a, BASE, 4 * MIB, file, 0, RW), 0);
	CU_ASSERT_EQUAL(raw_mem_map(a, BASE + 8 * MIB, 4096, file, 0, RW), -ENOSPC);
	CU_ASSERT_EQUAL(raw_mem_unmap(a, BASE, 4 * MIB), 0);
	CU_ASSERT_EQUAL(raw_mem_map(a, BASE + 8 * MIB, 4096, file, 0, RW), 0);
	CU_ASSERT_EQUAL(raw_mem_map(a, BASE + 16 * MIB, 4096, file, 0, RW), 0);
	CU_ASSERT_EQUAL(raw_mem_map(a, BASE + 24 * MIB, 4096, file, 0, RW), 0);
	CU_ASSERT_EQUAL(raw_mem_map(a, BASE + 32 * MIB, 4096, file, 0, RW), -ENOSPC);
	CU_ASSERT_EQUAL(raw_mem_unmap(a, BASE + 8 * MIB, 4096), 0);
	/* Two ranges are left, which count for two connections of the user's. */
	b = mem_bound(fo);
	CU_ASSERT_EQUAL(raw_mem_map(b, BASE, 4 * MIB, file, 0, RW), -ENOSPC);
	CU_ASSERT_EQUAL(raw_mem_map(b, BASE, 4096, file, 0, RW), -ENOSPC);
	close(a);
	CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 1));
	c = mem_bound(fo);
	CU_ASSERT_EQUAL(raw_mem_map(c, BASE, 4096, file, 0, RW), -ENOSPC);
	close(b);
	CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 2));
	CU_ASSERT_EQUAL(raw_mem_map(c, BASE, 4096, file, 0, RW), 0);
	close(c);
	close(file);
	fake_owner_destroy(fo);
}

/* ---- messages that break the rules ---- */

/* A message with descriptors of a pipe, none of which the server keeps. */
static void
check_hung_up(struct fake_owner *fo, const union svm_msg *msg, size_t len, int nb, int status)
{
	const int sock = mem_bound(fo);
	int pipes[2];
	char byte;

	CU_ASSERT_EQUAL_FATAL(pipe2(pipes, O_CLOEXEC), 0);
	CU_ASSERT_EQUAL(nb == 0 ? raw_send(sock, msg, len) :
		raw_send_fds(sock, msg, len, pipes[1], nb), 0);
	CU_ASSERT_TRUE(raw_refused(sock, status));
	close(pipes[1]);
	/* It ends when nobody has a copy. */
	CU_ASSERT_EQUAL(poll(&(struct pollfd){ .fd = pipes[0], .events = POLLIN }, 1,
		FAKE_BOUND_MS), 1);
	CU_ASSERT_EQUAL(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	close(sock);
}

static void
test_mem_messages_that_break_the_rules_are_refused(void)
{
	static const uint16_t types[] = { SVM_MSG_MEM_CREATE, SVM_MSG_MEM_DESTROY, SVM_MSG_MEM_MAP,
		SVM_MSG_MEM_UNMAP, SVM_MSG_MEM_WATCH };
	struct fake_owner *fo = mem_serving(8 * MIB, 0);
	union svm_msg msg;
	size_t i;

	for (i = 0; i != sizeof(types) / sizeof(types[0]); i++) {
		const int fds = types[i] == SVM_MSG_MEM_MAP || types[i] == SVM_MSG_MEM_WATCH;

		svm_msg_init(&msg, types[i], 1, 7);
		/* Without a whole header it is no message that a descriptor comes with. */
		check_hung_up(fo, &msg, msg.hdr.len - 1, fds,
			fds != 0 && msg.hdr.len == sizeof(msg.hdr) ? -EPROTO : -EMSGSIZE);
		check_hung_up(fo, &msg, sizeof(msg.hdr) / 2, 0, -EMSGSIZE);
		check_hung_up(fo, &msg, sizeof(msg.hdr) / 2, 1, -EPROTO);
		check_hung_up(fo, &msg, msg.hdr.len + 1, fds, -EMSGSIZE);
		/* None too few, none too many. */
		check_hung_up(fo, &msg, msg.hdr.len, fds == 0, -EPROTO);
		check_hung_up(fo, &msg, msg.hdr.len, 2, -EPROTO);
		check_hung_up(fo, &msg, msg.hdr.len, 100, -EPROTO);
		msg.hdr.type |= SVM_MSG_REPLY;
		msg.hdr.len = svm_msg_size(msg.hdr.type);
		check_hung_up(fo, &msg, msg.hdr.len, 0, -EPROTO);
	}
	svm_msg_init(&msg, SVM_MSG_MEM_DESTROY, 1, 7);
	msg.mem_destroy.reserved = 1;
	check_hung_up(fo, &msg, msg.hdr.len, 0, -EINVAL);
	svm_msg_init(&msg, SVM_MSG_MEM_MAP, 1, 7);
	msg.mem_map.reserved = 1;
	check_hung_up(fo, &msg, msg.hdr.len, 1, -EINVAL);
	CU_ASSERT_EQUAL(fake_count(&fo->mem.maps), 0);
	fake_owner_destroy(fo);
}

/* ---- suite ---- */

int
test_mem_map_add(CU_pSuite suite)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_mem_map_reaches_the_device),
		T(test_mem_map_by_a_device_that_maps_nothing_is_refused),
		T(test_mem_map_bad_request_is_refused),
		T(test_mem_mapped_over_the_limits_is_refused),
		T(test_mem_messages_that_break_the_rules_are_refused),
#undef T
	};

	return test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0]));
}
