/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of ranges that are mapped here, too: what is found, what is refused,
 * and that nothing is touched once a range has left it. The files are this
 * process's own; `va` are numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "suites.h"
#include "svm_copy.h"
#include "svm_trap.h"
#include "test_atc.h"

struct test_atc_fx atc_fx;

static int
file_make(unsigned int flags, int seals)
{
	int fd = memfd_create("test_atc", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0 || ftruncate(fd, PAGES * PAGE) != 0 ||
			(seals != 0 && fcntl(fd, F_ADD_SEALS, seals) != 0))
		test_fail("no memfd: %s", strerror(errno));
	return fd;
}

static void
setup(void)
{
	uint32_t i;

	memset(&atc_fx, 0, sizeof(atc_fx));
	atc_fx.quota.max = 1000;
	CU_ASSERT_EQUAL_FATAL(svm_trap_install(), 0);
	CU_ASSERT_EQUAL_FATAL(svm_trap_thread_init(), 0);
	CU_ASSERT_EQUAL_FATAL(svm_atc_create(&atc_fx.quota, &atc_fx.atc), 0);
	atc_fx.fd = file_make(0, F_SEAL_SHRINK);
	atc_fx.mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, atc_fx.fd, 0);
	CU_ASSERT_FATAL(atc_fx.mem != MAP_FAILED);
	for (i = 0; i != PAGES; i++)
		memcpy(atc_fx.mem + i * PAGE, &i, sizeof(i));
}

static void
teardown(void)
{
	munmap(atc_fx.mem, PAGES * PAGE);
	close(atc_fx.fd);
	svm_atc_destroy(atc_fx.atc);
	CU_ASSERT_EQUAL(atc_fx.quota.nb, 0);
	svm_trap_remove();
}

int
test_atc_map(uint32_t first, uint32_t nb)
{
	return svm_atc_map(atc_fx.atc, VA + first * PAGE, nb * PAGE, atc_fx.fd, first * PAGE, RW);
}

bool
test_atc_unmap(uint32_t first, uint32_t nb)
{
	return svm_atc_unmap(atc_fx.atc, VA + first * PAGE, nb * PAGE);
}

int64_t
test_atc_number(uint32_t i)
{
	const uint32_t turn = svm_atc_enter(atc_fx.atc);
	const void *p = svm_atc_find(atc_fx.atc, &atc_fx.hit, VA + i * PAGE, PAGE, SVM_ATC_READ);
	uint32_t n;
	int64_t ret = -1;

	if (p != NULL)
		ret = svm_copy(&n, p, sizeof(n), NULL) == sizeof(n) ? (int64_t)n : -2;
	svm_atc_leave(atc_fx.atc, turn);
	return ret;
}

void
test_atc_expect(uint32_t first, uint32_t nb, bool there)
{
	uint32_t i;

	for (i = first; i != first + nb; i++)
		TEST_EQUAL(test_atc_number(i), there ? (int64_t)i : -1);
}

/* Whether anything is mapped at these addresses of this process. */
static bool
taken(void *p, size_t len)
{
	unsigned char in[PAGES];

	return mincore(p, len, in) == 0 || errno != ENOMEM;
}

static void
test_atc_range_is_found(void)
{
	uint8_t *p;

	CU_ASSERT_EQUAL(test_atc_map(3, 5), 0);
	test_atc_expect(0, 3, false);
	test_atc_expect(3, 5, true);
	test_atc_expect(8, 4, false);
	TEST_EQUAL(svm_atc_bytes(atc_fx.atc), 5 * PAGE);
	p = svm_atc_find(atc_fx.atc, &atc_fx.hit, VA + 4 * PAGE + 7, 1, SVM_ATC_WRITE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	*p = 0xa5;
	TEST_EQUAL(atc_fx.mem[4 * PAGE + 7], 0xa5);
}

static void
test_atc_partly_covered_is_not_found(void)
{
	static const struct {
		int64_t off;
		uint64_t len;
		bool found;
	} rows[] = {
		{ 0, 2 * PAGE, true }, { 1, 2 * PAGE - 1, true }, { 2 * PAGE - 1, 1, true },
		{ 0, 2 * PAGE + 1, false }, { -1, 2, false }, { 2 * PAGE - 1, 2, false },
		{ 2 * PAGE, 1, false }, { -1, 1, false }, { 5, UINT64_MAX - VA - 6 * PAGE, false },
	};
	uint32_t i;

	CU_ASSERT_EQUAL(test_atc_map(4, 2), 0);
	for (i = 0; i != RTE_DIM(rows); i++) {
		const uint64_t va = VA + 4 * PAGE + rows[i].off;
		struct svm_atc_hit none = { 0 };

		/* Looked up, and by the last hit. */
		TEST_EQUAL(svm_atc_find(atc_fx.atc, &none, va, rows[i].len, 1) != NULL, rows[i].found);
		test_atc_number(4);
		TEST_EQUAL(svm_atc_find(atc_fx.atc, &atc_fx.hit, va, rows[i].len, 1) != NULL,
			rows[i].found);
	}
	TEST_EQUAL(svm_atc_reach(atc_fx.atc, &atc_fx.hit, VA + 4 * PAGE + 1, 1), 2 * PAGE - 1);
	TEST_EQUAL(svm_atc_reach(atc_fx.atc, &atc_fx.hit, VA + 6 * PAGE, 1), 0);
}

static void
test_atc_rights_are_kept(void)
{
	struct svm_atc_hit hit = { 0 };
	uint8_t *p;

	CU_ASSERT_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, atc_fx.fd, 0, SVM_ATC_READ), 0);
	CU_ASSERT_EQUAL(svm_atc_map(atc_fx.atc, VA + PAGE, PAGE, atc_fx.fd, 0, SVM_ATC_WRITE), 0);
	p = svm_atc_find(atc_fx.atc, &hit, VA, 8, SVM_ATC_READ);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_PTR_NULL(svm_atc_find(atc_fx.atc, &hit, VA, 8, SVM_ATC_WRITE));
	/* Nor by the pages themselves. */
	TEST_EQUAL(svm_copy(p, "x", 1, NULL), 0);
	CU_ASSERT_PTR_NOT_NULL(svm_atc_find(atc_fx.atc, &hit, VA + PAGE, 8, SVM_ATC_WRITE));
	CU_ASSERT_PTR_NULL(svm_atc_find(atc_fx.atc, &hit, VA + PAGE, 8, SVM_ATC_READ));
}

static void
test_atc_unmapped_is_not_found(void)
{
	CU_ASSERT_EQUAL(test_atc_map(0, 16), 0);
	CU_ASSERT_EQUAL(test_atc_map(16, 16), 0);
	test_atc_expect(0, 32, true);
	CU_ASSERT(test_atc_unmap(4, 2));
	test_atc_expect(0, 4, true);
	test_atc_expect(4, 2, false);
	test_atc_expect(6, 26, true);
	CU_ASSERT(test_atc_unmap(14, 4));
	test_atc_expect(14, 4, false);
	test_atc_expect(6, 8, true);
	test_atc_expect(18, 14, true);
	CU_ASSERT(!test_atc_unmap(14, 4));
	/* A byte of a page is the page. */
	CU_ASSERT(svm_atc_unmap(atc_fx.atc, VA + 20 * PAGE - 1, 2));
	test_atc_expect(19, 2, false);
	test_atc_expect(18, 1, true);
	test_atc_expect(21, 11, true);
	TEST_EQUAL(svm_atc_bytes(atc_fx.atc), 24 * PAGE);
	CU_ASSERT(svm_atc_unmap(atc_fx.atc, 0, UINT64_MAX));
	test_atc_expect(0, 32, false);
	TEST_EQUAL(svm_atc_bytes(atc_fx.atc), 0);
	CU_ASSERT(!svm_atc_unmap(atc_fx.atc, 1, UINT64_MAX));
	CU_ASSERT(!svm_atc_unmap(atc_fx.atc, VA, 0));
}

static void
test_atc_unmapped_is_not_touched(void)
{
	const uint32_t turn = svm_atc_enter(atc_fx.atc);
	uint8_t *p, byte = 1;

	CU_ASSERT_EQUAL(test_atc_map(0, 4), 0);
	p = svm_atc_find(atc_fx.atc, &atc_fx.hit, VA, 4 * PAGE, SVM_ATC_WRITE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(test_atc_unmap(1, 2));
	/* What a reader has in its hands still: what is left, and nothing else. */
	TEST_EQUAL(svm_copy(p + PAGE - 1, &byte, 1, NULL), 1);
	TEST_EQUAL(svm_copy(p + PAGE, &byte, 1, NULL), 0);
	TEST_EQUAL(svm_copy(p + 3 * PAGE - 1, &byte, 1, NULL), 0);
	TEST_EQUAL(svm_copy(p + 3 * PAGE, &byte, 1, NULL), 1);
	CU_ASSERT(test_atc_unmap(0, 4));
	TEST_EQUAL(svm_copy(p, &byte, 1, NULL), 0);
	svm_atc_leave(atc_fx.atc, turn);
}

static void
test_atc_addresses_stay_for_readers(void)
{
	uint32_t turn[2], i;
	uint8_t *p;

	turn[0] = svm_atc_enter(atc_fx.atc);
	CU_ASSERT_EQUAL(test_atc_map(0, 1), 0);
	turn[1] = svm_atc_enter(atc_fx.atc);
	p = svm_atc_find(atc_fx.atc, &atc_fx.hit, VA, PAGE, SVM_ATC_READ);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(test_atc_unmap(0, 1));
	for (i = 0; i != 8; i++) {
		CU_ASSERT(!test_atc_unmap(0, 1));
		CU_ASSERT(taken(p, PAGE));
	}
	svm_atc_leave(atc_fx.atc, turn[0]);
	for (i = 0; i != 8; i++)
		CU_ASSERT(!test_atc_unmap(0, 1));
	CU_ASSERT(taken(p, PAGE));
	svm_atc_leave(atc_fx.atc, turn[1]);
	for (i = 0; i != 2; i++)
		CU_ASSERT(!test_atc_unmap(0, 1));
	CU_ASSERT(!taken(p, PAGE));
}

/* Somebody is inside at any time, and yet nobody stays. */
static void
test_atc_addresses_go_under_load(void)
{
	uint32_t turn = svm_atc_enter(atc_fx.atc), next, i;
	uint8_t *p;

	CU_ASSERT_EQUAL(test_atc_map(0, 1), 0);
	p = svm_atc_find(atc_fx.atc, &atc_fx.hit, VA, PAGE, SVM_ATC_READ);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT(test_atc_unmap(0, 1));
	for (i = 0; i != 4; i++) {
		next = svm_atc_enter(atc_fx.atc);
		svm_atc_leave(atc_fx.atc, turn);
		turn = next;
		test_atc_unmap(0, 1);
	}
	CU_ASSERT(!taken(p, PAGE));
	svm_atc_leave(atc_fx.atc, turn);
}

static void
test_atc_hit_of_another_table_does_not_hold(void)
{
	struct svm_atc *other;

	CU_ASSERT_EQUAL(test_atc_map(0, 4), 0);
	TEST_EQUAL(test_atc_number(0), 0);
	CU_ASSERT_EQUAL_FATAL(svm_atc_create(&atc_fx.quota, &other), 0);
	CU_ASSERT_PTR_NULL(svm_atc_find(other, &atc_fx.hit, VA, 1, SVM_ATC_READ));
	CU_ASSERT_EQUAL(svm_atc_map(other, VA, PAGE, atc_fx.fd, 7 * PAGE, RW), 0);
	TEST_EQUAL(*svm_atc_find(other, &atc_fx.hit, VA, 1, SVM_ATC_READ), 7);
	TEST_EQUAL(test_atc_number(0), 0);
	svm_atc_destroy(other);
}

static void
test_atc_mapped_again_is_found(void)
{
	uint32_t i;

	for (i = 0; i != 10 * SVM_ATC_RANGES; i++) {
		CU_ASSERT_EQUAL(test_atc_map(i % PAGES, 1), 0);
		TEST_EQUAL(test_atc_number(i % PAGES), i % PAGES);
		CU_ASSERT(test_atc_unmap(i % PAGES, 1));
		TEST_EQUAL(test_atc_number(i % PAGES), -1);
	}
}

static void
test_atc_bad_range_refused(void)
{
	static const struct {
		uint64_t va, len, off;
		uint32_t rights;
		int ret;
	} rows[] = {
		{ VA, 0, 0, RW, -EINVAL },
		{ VA, PAGE, 0, 0, -EINVAL },
		{ VA, PAGE, 0, 4, -EINVAL },
		{ VA + 1, PAGE, 0, RW, -EINVAL },
		{ VA, PAGE + 8, 0, RW, -EINVAL },
		{ VA, PAGE, 8, RW, -EINVAL },
		{ UINT64_MAX - PAGE + 1, PAGE, 0, RW, -EINVAL },
		{ UINT64_MAX - PAGE + 1, 2 * PAGE, 0, RW, -EINVAL },
		{ VA, UINT64_MAX - PAGE + 1, 0, RW, -EINVAL },
		{ UINT64_C(1) << 63, PAGE, 0, RW, -EINVAL },
		{ VA, (PAGES + 1) * PAGE, 0, RW, -EINVAL },
		{ VA, PAGE, PAGES * PAGE, RW, -EINVAL },
		{ VA, 2 * PAGE, UINT64_MAX - PAGE + 1, RW, -EINVAL },
		{ VA + 2 * PAGE, PAGE, 0, RW, -EEXIST },
		{ VA, 3 * PAGE, 0, RW, -EEXIST },
		{ VA + 4 * PAGE, PAGE, 0, RW, -EEXIST },
		{ VA, 8 * PAGE, 0, RW, -EEXIST },
	};
	uint32_t i;

	CU_ASSERT_EQUAL(test_atc_map(2, 3), 0);
	for (i = 0; i != RTE_DIM(rows); i++)
		TEST_EQUAL(svm_atc_map(atc_fx.atc, rows[i].va, rows[i].len, atc_fx.fd, rows[i].off,
			rows[i].rights), rows[i].ret);
	TEST_EQUAL(svm_atc_bytes(atc_fx.atc), 3 * PAGE);
	TEST_EQUAL(atc_fx.quota.nb, 1);
	test_atc_expect(0, 2, false);
	test_atc_expect(2, 3, true);
	test_atc_expect(5, 4, false);
}

static void
test_atc_other_files_refused(void)
{
	char path[] = "/tmp/svm-test-atc-XXXXXX";
	const int unsealed = file_make(0, 0), grow = file_make(0, F_SEAL_GROW);
	const int sealed = file_make(0, F_SEAL_SHRINK | F_SEAL_WRITE), file = mkstemp(path);
	int pipefd[2], readonly;

	CU_ASSERT_FATAL(file >= 0 && unlink(path) == 0);
	CU_ASSERT_EQUAL_FATAL(pipe(pipefd), 0);
	CU_ASSERT_EQUAL(ftruncate(file, PAGE), 0);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, unsealed, 0, RW), -EPERM);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, grow, 0, RW), -EPERM);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, file, 0, RW), -EPERM);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, pipefd[0], 0, RW), -EPERM);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, -1, 0, RW), -EPERM);
	/* Sealed against writing: what may be read may be mapped. */
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, sealed, 0, RW), -EACCES);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", atc_fx.fd);
	readonly = open(path, O_RDONLY | O_CLOEXEC);
	CU_ASSERT_FATAL(readonly >= 0);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, readonly, 0, RW), -EACCES);
	TEST_EQUAL(svm_atc_bytes(atc_fx.atc), 0);
	TEST_EQUAL(atc_fx.quota.nb, 0);
	TEST_EQUAL(svm_atc_map(atc_fx.atc, VA, PAGE, readonly, 0, SVM_ATC_READ), 0);
	close(readonly);
	test_atc_expect(0, 1, true);
	close(unsealed);
	close(grow);
	close(sealed);
	close(file);
	close(pipefd[0]);
	close(pipefd[1]);
}

int
test_atc_suite(void)
{
	CU_pSuite s = CU_add_suite_with_setup_and_teardown("atc", NULL, NULL, setup, teardown);

	if (s == NULL ||
	    !CU_ADD_TEST(s, test_atc_range_is_found) ||
	    !CU_ADD_TEST(s, test_atc_partly_covered_is_not_found) ||
	    !CU_ADD_TEST(s, test_atc_rights_are_kept) ||
	    !CU_ADD_TEST(s, test_atc_unmapped_is_not_found) ||
	    !CU_ADD_TEST(s, test_atc_unmapped_is_not_touched) ||
	    !CU_ADD_TEST(s, test_atc_addresses_stay_for_readers) ||
	    !CU_ADD_TEST(s, test_atc_addresses_go_under_load) ||
	    !CU_ADD_TEST(s, test_atc_hit_of_another_table_does_not_hold) ||
	    !CU_ADD_TEST(s, test_atc_mapped_again_is_found) ||
	    !CU_ADD_TEST(s, test_atc_bad_range_refused) ||
	    !CU_ADD_TEST(s, test_atc_other_files_refused))
		return -1;
	return test_atc_many_add(s);
}
