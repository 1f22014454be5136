/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that the owner makes: MEM_CREATE, MEM_DESTROY, limits and ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "runner.h"
#include "suites.h"
#include "test_mem.h"
#include "test_server.h"

#define HUGETLBFS	0x958458f6

static uint64_t
meminfo(const char *key)
{
	FILE *in = fopen("/proc/meminfo", "re");
	unsigned long long n = 0;
	char line[128];

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			sscanf(line + strlen(key), ": %llu", &n);
	if (in != NULL)
		fclose(in);
	return n;
}

/* ---- memory of the owner's making ---- */

/* One memory, looked at from all sides and given back. */
static void
check_created(int sock, uint64_t len, uint32_t page)
{
	struct svm_msg_mem_create_reply r;
	struct statfs fs;
	struct stat st;
	char *p;
	int fd;

	CU_ASSERT_EQUAL_FATAL(raw_mem_create(sock, len, page, -1, &r, &fd), 0);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(fstatfs(fd, &fs), 0);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL((uint64_t)st.st_size, r.len);
	CU_ASSERT(r.len >= len && r.len - len < r.page_size && r.len % r.page_size == 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	/* It says what it is. */
	CU_ASSERT_EQUAL(r.page == SVM_MSG_PAGE_HUGE, fs.f_type == HUGETLBFS);
	CU_ASSERT_EQUAL(r.page_size, (uint64_t)fs.f_bsize);
	CU_ASSERT(r.page != SVM_MSG_PAGE_BEST && r.page <= SVM_MSG_PAGE_HUGE);
	if (page != SVM_MSG_PAGE_BEST)
		CU_ASSERT(r.page <= page);
	p = mmap(NULL, r.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(p != MAP_FAILED);
	p[0] = 1;
	p[r.len - 1] = 2;
	/* Given back means back, though it is mapped here. */
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, r.mem), 0);
	CU_ASSERT_EQUAL(fstat(fd, &st), 0);
	CU_ASSERT_EQUAL(st.st_blocks, 0);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, r.mem), -ENOENT);
	munmap(p, r.len);
	close(fd);
}

static void
test_mem_created_is_sealed_and_given_back(void)
{
	struct fake_owner *fo = mem_serving(64 * MIB, 0);
	const int sock = mem_bound(fo);

	check_created(sock, 1, SVM_MSG_PAGE_SMALL);
	check_created(sock, 3 * 4096 + 1, SVM_MSG_PAGE_SMALL);
	check_created(sock, 5 * MIB, SVM_MSG_PAGE_TRANSPARENT);
	check_created(sock, 5 * MIB, SVM_MSG_PAGE_HUGE);
	check_created(sock, 5 * MIB, SVM_MSG_PAGE_BEST);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_create_takes_huge_pages_where_there_are_some(void)
{
	struct fake_owner *fo = mem_serving(64 * MIB, 0);
	const int sock = mem_bound(fo);
	struct svm_msg_mem_create_reply r;
	int fd;

	/* Others may take the last ones at any time. */
	if (meminfo("HugePages_Free") < meminfo("HugePages_Rsvd") + 16 ||
			meminfo("Hugepagesize") != 2048) {
		test_skip("less than 16 free hugepages of 2 MiB");
	} else {
		CU_ASSERT_EQUAL(raw_mem_create(sock, HUGE_LEN, SVM_MSG_PAGE_BEST, -1, &r, &fd), 0);
		CU_ASSERT_EQUAL(r.page, SVM_MSG_PAGE_HUGE);
		CU_ASSERT_EQUAL(r.page_size, HUGE_LEN);
		close(fd);
	}
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_create_goes_on_without_huge_pages(void)
{
	const uint64_t len = (meminfo("HugePages_Total") + 1) * HUGE_LEN;
	struct fake_owner *fo = mem_serving(2 * len, 0);
	const int sock = mem_bound(fo);
	struct svm_msg_mem_create_reply r;
	int fd;

	CU_ASSERT_EQUAL(raw_mem_create(sock, len, SVM_MSG_PAGE_BEST, -1, &r, &fd), 0);
	CU_ASSERT(r.page < SVM_MSG_PAGE_HUGE);
	CU_ASSERT_EQUAL(r.page_size, (uint64_t)sysconf(_SC_PAGESIZE));
	close(fd);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_create_bad_request_is_refused(void)
{
	static const struct {
		uint64_t len;
		uint32_t page;
		int node, status;
	} rows[] = {
		{ 0, SVM_MSG_PAGE_BEST, -1, -EINVAL }, { 4096, 4, -1, -EINVAL },
		{ 4096, UINT32_MAX, -1, -EINVAL }, { 4096, SVM_MSG_PAGE_SMALL, -2, -EINVAL },
		{ 4096, SVM_MSG_PAGE_SMALL, 100000, -EINVAL },
		{ 8 * MIB + 1, SVM_MSG_PAGE_SMALL, -1, -ENOSPC },
		{ UINT64_MAX, SVM_MSG_PAGE_SMALL, -1, -ENOSPC },
		{ UINT64_MAX - 4095, SVM_MSG_PAGE_HUGE, -1, -ENOSPC },
		/* Only rounded is it too much. */
		{ 4096, SVM_MSG_PAGE_SMALL, 0, 0 },
	};
	struct fake_owner *fo = mem_serving(8 * MIB, 0);
	struct svm_msg_mem_create_reply r;
	int sock = raw_ready(fo->path), fd;
	unsigned int fds;
	size_t i;

	CU_ASSERT_EQUAL(raw_mem_create(sock, 4096, SVM_MSG_PAGE_SMALL, -1, &r, &fd), -ENOENT);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, 0), -ENOENT);
	CU_ASSERT_EQUAL(raw_mem_unmap(sock, BASE, 4096), -ENOENT);
	CU_ASSERT_EQUAL(raw_bind(sock, 0), 0);
	fds = child_fds_count();
	for (i = 0; i != sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_EQUAL(raw_mem_create(sock, rows[i].len, rows[i].page, rows[i].node, &r,
			&fd), rows[i].status);
		CU_ASSERT_EQUAL(fd >= 0, rows[i].status == 0);
		close(fd);
	}
	mem_await_fds(fds);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, 0), 0);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, SVM_PROTO_MEMS), -ENOENT);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, UINT32_MAX), -ENOENT);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_of_an_owner_without_is_refused(void)
{
	struct fake_owner *fo = fake_owner_serving(0);
	const int file = raw_file(4096, FILE_SEALS);
	struct svm_msg_mem_create_reply r;
	int sock, fd;

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	sock = mem_bound(fo);
	CU_ASSERT_EQUAL(raw_mem_create(sock, 4096, SVM_MSG_PAGE_SMALL, -1, &r, &fd), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raw_mem_map(sock, BASE, 4096, file, 0, RW), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raw_mem_unmap(sock, BASE, 4096), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, 0), -EOPNOTSUPP);
	close(file);
	close(sock);
	fake_owner_destroy(fo);
}

static int
create_small(int sock, uint64_t len, uint32_t *mem)
{
	struct svm_msg_mem_create_reply r = { .mem = UINT32_MAX };
	int fd;
	const int rc = raw_mem_create(sock, len, SVM_MSG_PAGE_SMALL, -1, &r, &fd);

	*mem = r.mem;
	close(fd);
	return rc;
}

static void
test_mem_over_the_connections_limit_is_refused(void)
{
	struct fake_owner *fo = mem_serving(8 * MIB, 0);
	const int sock = mem_bound(fo);
	uint32_t a, b, c, i;

	CU_ASSERT_EQUAL(create_small(sock, 4 * MIB, &a), 0);
	CU_ASSERT_EQUAL(create_small(sock, 4 * MIB, &b), 0);
	CU_ASSERT_EQUAL(create_small(sock, 1, &c), -ENOSPC);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, a), 0);
	CU_ASSERT_EQUAL(create_small(sock, 4 * MIB + 1, &c), -ENOSPC);
	CU_ASSERT_EQUAL(create_small(sock, 4 * MIB, &a), 0);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, a), 0);
	/* And there are only so many. */
	for (i = 1; i != SVM_PROTO_MEMS; i++)
		CU_ASSERT_EQUAL(create_small(sock, 4096, &c), 0);
	CU_ASSERT_EQUAL(create_small(sock, 4096, &c), -ENOSPC);
	CU_ASSERT_EQUAL(raw_mem_destroy(sock, b), 0);
	CU_ASSERT_EQUAL(create_small(sock, 4096, &c), 0);
	/* The bond's end is theirs. */
	CU_ASSERT_EQUAL(raw_unbind(sock), 0);
	CU_ASSERT_EQUAL(raw_bind(sock, 0), 0);
	CU_ASSERT_EQUAL(create_small(sock, 8 * MIB, &c), 0);
	close(sock);
	fake_owner_destroy(fo);
}

static void
test_mem_over_the_users_limit_is_refused(void)
{
	struct fake_owner *fo = mem_owner(8 * MIB, 0);
	int sock[3];
	uint32_t mem;

	fo->limits.max_mem_uid = 12 * MIB;
	CU_ASSERT_EQUAL_FATAL(fake_owner_start(fo, 0), 0);
	sock[0] = mem_bound(fo);
	sock[1] = mem_bound(fo);
	CU_ASSERT_EQUAL(create_small(sock[0], 8 * MIB, &mem), 0);
	CU_ASSERT_EQUAL(create_small(sock[1], 4 * MIB + 1, &mem), -ENOSPC);
	CU_ASSERT_EQUAL(create_small(sock[1], 4 * MIB, &mem), 0);
	/* One that leaves has left nothing. */
	close(sock[0]);
	CU_ASSERT_TRUE(fake_wait_for(&fo->unbinds, 1));
	sock[2] = mem_bound(fo);
	CU_ASSERT_EQUAL(create_small(sock[2], 8 * MIB, &mem), 0);
	close(sock[1]);
	close(sock[2]);
	fake_owner_destroy(fo);
}

static void
test_mem_create_before_the_last_reply_is_read_is_refused(void)
{
	struct fake_owner *fo = mem_serving(8 * MIB, 0);
	const int sock = mem_bound(fo);
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_CREATE, 1, 3);
	msg.mem_create.len = 4096;
	msg.mem_create.page = SVM_MSG_PAGE_SMALL;
	msg.mem_create.node = -1;
	CU_ASSERT_EQUAL(raw_send(sock, &msg, msg.hdr.len), 0);
	CU_ASSERT_EQUAL(raw_send(sock, &msg, msg.hdr.len), 0);
	CU_ASSERT_TRUE(fake_wait_workers(fo, 0));
	CU_ASSERT_EQUAL(raw_recv(sock, &msg), sizeof(msg.mem_create_reply));
	CU_ASSERT_TRUE(raw_refused(sock, -EPROTO));
	close(sock);
	fake_owner_destroy(fo);
}

/* ---- ends ---- */

static unsigned int
maps_count(const char *name)
{
	FILE *in = fopen("/proc/self/maps", "re");
	unsigned int nb = 0;
	char line[512];

	while (in != NULL && fgets(line, sizeof(line), in) != NULL)
		nb += strstr(line, name) != NULL;
	if (in != NULL)
		fclose(in);
	return nb;
}

static void
body_hoarder(int in, int out, void *arg)
{
	const int sock = raw_ready(arg);
	struct svm_msg_mem_create_reply r;
	int fd, i, rc = raw_bind(sock, 0);

	for (i = 0; i != 8 && rc == 0; i++) {
		rc = raw_mem_create(sock, HUGE_LEN, i % 2 == 0 ? SVM_MSG_PAGE_BEST :
			SVM_MSG_PAGE_SMALL, -1, &r, &fd);
		if (rc == 0 && i % 4 < 2)
			rc = raw_mem_map(sock, BASE + i * HUGE_LEN, HUGE_LEN, fd, 0, RW);
	}
	child_tell(out, (uint64_t)-rc);
	child_listen(in);
}

static void
test_mem_of_a_worker_that_is_killed_comes_back(void)
{
	struct fake_owner *fo = mem_serving(64 * MIB, 0);
	const unsigned int fds = child_fds_count();
	struct child c = { 0 };
	int i;

	child_start(&c, body_hoarder, fo->path);
	CU_ASSERT_EQUAL(child_hear(&c), 0);
	CU_ASSERT_EQUAL(maps_count("svm-memory"), 8);
	child_end(&c);
	CU_ASSERT_TRUE(fake_wait_workers(fo, 0));
	for (i = 0; i != FAKE_BOUND_MS && maps_count("svm-memory") != 0; i++)
		child_sleep_ms(1);
	CU_ASSERT_EQUAL(maps_count("svm-memory"), 0);
	mem_await_fds(fds);
	fake_owner_destroy(fo);
}

int
test_mem_suite(void)
{
	static const struct test_server_row rows[] = {
#define T(fn) { #fn, fn }
		T(test_mem_created_is_sealed_and_given_back),
		T(test_mem_create_takes_huge_pages_where_there_are_some),
		T(test_mem_create_goes_on_without_huge_pages),
		T(test_mem_create_bad_request_is_refused),
		T(test_mem_of_an_owner_without_is_refused),
		T(test_mem_over_the_connections_limit_is_refused),
		T(test_mem_over_the_users_limit_is_refused),
		T(test_mem_create_before_the_last_reply_is_read_is_refused),
		T(test_mem_of_a_worker_that_is_killed_comes_back),
#undef T
	};
	CU_pSuite suite = CU_add_suite("mem", NULL, NULL);

	if (suite == NULL || test_server_add(suite, rows, sizeof(rows) / sizeof(rows[0])) != 0 ||
			test_mem_map_add(suite) != 0)
		return -1;
	return 0;
}
