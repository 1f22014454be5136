/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copy, fill and compare: against memcpy and plain loops as the model, and at
 * every kind of memory that cannot be touched. Each test runs once for each
 * vector unit that this CPU has.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include "suites.h"
#include "svm_copy.h"
#include "test_trap.h"

#define PAGE 4096ul
#define AREA (1024 * 1024 + 2 * PAGE)
#define HOLE_LEN (32 * PAGE)
#define PATTERN 0xf0e1d2c3b4a59687ull

/* Memory of AREA bytes, followed by one kind of memory that is not there. */
enum hole {
	HOLE_NO_ACCESS,	/* PROT_NONE */
	HOLE_READ_ONLY,	/* a hole only for writing */
	HOLE_TRUNCATED,	/* a mapped file that ends here: SIGBUS */
};

struct area {
	uint8_t *base;
	uint8_t *end;	/* first byte of the hole */
};

static int
area_create(struct area *area, enum hole hole)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	int fd = -1, ret = -1;
	uint8_t *p;

	*area = (struct area){ NULL, NULL };
	if (hole == HOLE_TRUNCATED) {
		fd = memfd_create("test_copy", 0);
		if (fd < 0 || ftruncate(fd, AREA) != 0)
			goto close_fd;
		flags = MAP_SHARED;
	}
	p = mmap(NULL, AREA + HOLE_LEN, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (p == MAP_FAILED)
		goto close_fd;
	area->base = p;
	area->end = p + AREA;
	ret = 0;
	if (hole == HOLE_NO_ACCESS)
		ret = mprotect(area->end, HOLE_LEN, PROT_NONE);
	else if (hole == HOLE_READ_ONLY)
		ret = mprotect(area->end, HOLE_LEN, PROT_READ);
	if (ret != 0)
		munmap(p, AREA + HOLE_LEN);
close_fd:
	if (fd >= 0)
		close(fd);
	return ret;
}

static void
area_destroy(struct area *area)
{
	munmap(area->base, AREA + HOLE_LEN);
}

static void
area_scramble(struct area *area, unsigned int seed)
{
	uint64_t x = seed * 2654435761ull + 1;
	size_t i;

	for (i = 0; i < AREA; i += 8) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		memcpy(area->base + i, &x, 8);
	}
}

static void
test_trap_on(void)
{
	CU_ASSERT_EQUAL_FATAL(svm_trap_install(), 0);
	CU_ASSERT_EQUAL_FATAL(svm_trap_thread_init(), 0);
}

static void
test_each_isa(void (*body)(void))
{
	int isa;

	test_trap_on();
	for (isa = 0; isa < SVM_COPY_NB_ISA; isa++)
		if (svm_copy_isa_set(isa) == 0)
			body();
	svm_copy_isa_set(svm_copy_isa_best());
	svm_trap_remove();
}

/* Every size up to 300, then around each place where the method changes. */
static size_t
next_size(size_t n)
{
	static const size_t around[] = { 512, 1024, 4096, 16384, 65536, 1 << 20 };
	size_t i;

	if (n < 300)
		return n + 1;
	for (i = 0; i < sizeof(around) / sizeof(around[0]); i++)
		if (n < around[i] + 1)
			return n + 1 < around[i] ? around[i] - 1 : n + 1;
	return 0;
}

static size_t
count_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t n;

	for (n = 0; n < len && a[n] == b[n]; n++)
		;
	return n;
}

static bool
is_pattern(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != (uint8_t)(PATTERN >> (8 * (i % 8))))
			return false;
	return true;
}

static bool
is_value(const uint8_t *p, uint8_t value, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

/* One copy and one fill of n bytes, checked with 64 bytes on either side. */
static bool
copy_and_fill_right(struct area *d, struct area *s, size_t n, unsigned int da,
		    unsigned int sa)
{
	uint8_t *dst = d->base + 64 + da, *src = s->base + 64 + sa;

	memset(dst - 64, 0xa5, n + 128);
	if (svm_copy(dst, src, n, NULL) != n || memcmp(dst, src, n) != 0)
		return false;
	if (!is_value(dst - 64, 0xa5, 64) || !is_value(dst + n, 0xa5, 64))
		return false;
	if (svm_fill(dst, PATTERN, n, NULL) != n || !is_pattern(dst, n))
		return false;
	return is_value(dst - 64, 0xa5, 64) && is_value(dst + n, 0xa5, 64);
}

static void
any_size_body(void)
{
	struct area d, s;
	unsigned int align, wrong = 0;
	size_t n = 0;

	CU_ASSERT_EQUAL_FATAL(area_create(&d, HOLE_NO_ACCESS), 0);
	CU_ASSERT_EQUAL_FATAL(area_create(&s, HOLE_NO_ACCESS), 0);
	area_scramble(&s, 1);
	do {
		for (align = 0; align < 64; align += n < 5000 ? 1 : 21) {
			wrong += !copy_and_fill_right(&d, &s, n, align, 0);
			wrong += !copy_and_fill_right(&d, &s, n, 5, align);
		}
		n = next_size(n);
	} while (n != 0);
	CU_ASSERT_EQUAL(wrong, 0);
	area_destroy(&d);
	area_destroy(&s);
}

static void
test_copy_any_size_matches_model(void)
{
	test_each_isa(any_size_body);
}

/* Equal but for the byte at `at` (n: none); returns false when not so found. */
static bool
compare_right(uint8_t *a, uint8_t *b, size_t n, size_t at, bool pattern)
{
	struct svm_fault_info fault = { .addr = 1, .hit = 1 };
	bool equal = at < n;
	size_t got;

	if (at < n)
		a[at] ^= 0x40;
	got = pattern ? svm_compare_pattern(a, PATTERN, n, &equal, &fault) :
			svm_compare(a, b, n, &equal, &fault);
	if (at < n)
		a[at] ^= 0x40;
	if (got != at || equal != (at == n))
		return false;
	return at == n || (fault.hit == 0 && fault.addr == 0);
}

static void
compare_body(void)
{
	struct area a, b;
	unsigned int align, wrong = 0;
	size_t n = 0, step, at;
	uint8_t *p, *q;

	CU_ASSERT_EQUAL_FATAL(area_create(&a, HOLE_NO_ACCESS), 0);
	CU_ASSERT_EQUAL_FATAL(area_create(&b, HOLE_NO_ACCESS), 0);
	do {
		for (align = 0; align < 64; align += 13) {
			p = a.base + align;
			q = b.base + 64 - align;
			svm_fill(p, PATTERN, n + 8, NULL);
			memcpy(q, p, n);
			p[n] ^= 1;
			step = n / 9 + 1;
			for (at = n % step; at < n; at += step) {
				wrong += !compare_right(p, q, n, at, false);
				wrong += !compare_right(p, q, n, at, true);
			}
			wrong += !compare_right(p, q, n, n, false);
			wrong += !compare_right(p, q, n, n, true);
		}
		n = next_size(n);
	} while (n != 0);
	CU_ASSERT_EQUAL(wrong, 0);
	area_destroy(&a);
	area_destroy(&b);
}

static void
test_compare_any_difference_found_at_its_byte(void)
{
	test_each_isa(compare_body);
}

static bool
fault_is(const struct svm_fault_info *f, const void *addr, int write, int bus)
{
	return f->addr == (uintptr_t)addr && f->write == write &&
	       f->bus == bus && f->hit == 1;
}

/* Both ways over the border: k bytes before the hole, more than k asked for. */
static unsigned int
half_mapped_wrong(struct area *holed, struct area *whole, size_t len, size_t k,
		  unsigned int align, enum hole hole)
{
	uint8_t *in = holed->end - k, *other = whole->base + 64 + align;
	struct svm_fault_info f = { 0 };
	bool bus = hole == HOLE_TRUNCATED, equal = true;
	unsigned int wrong = 0;

	memset(in - 64, 0x11, 64);
	wrong += svm_copy(in, other, len, &f) != k ||
		 !fault_is(&f, holed->end, 1, bus) || memcmp(in, other, k) != 0;
	wrong += svm_fill(in, PATTERN, len, &f) != k ||
		 !fault_is(&f, holed->end, 1, bus) || !is_pattern(in, k);
	wrong += !is_value(in - 64, 0x11, 64);
	if (hole == HOLE_READ_ONLY)
		return wrong;

	wrong += svm_compare_pattern(in, PATTERN, len, &equal, &f) != k ||
		 equal || !fault_is(&f, holed->end, 0, bus);
	memset(other - 64, 0x22, len + 128);
	wrong += svm_copy(other, in, len, &f) != k ||
		 !fault_is(&f, holed->end, 0, bus) || memcmp(in, other, k) != 0;
	wrong += !is_value(other - 64, 0x22, 64) ||
		 !is_value(other + len, 0x22, 64);
	equal = true;
	wrong += svm_compare(other, in, len, &equal, &f) != k || equal ||
		 !fault_is(&f, holed->end, 0, bus);
	equal = true;
	wrong += svm_compare(in, other, len, &equal, &f) != k || equal ||
		 !fault_is(&f, holed->end, 0, bus);
	if (k == 0)
		return wrong;
	/* A difference ahead of the hole is a difference, not a fault. */
	other[k - 1] ^= 1;
	wrong += svm_compare(in, other, len, &equal, &f) != k - 1 || equal ||
		 f.hit != 0 || f.addr != 0;
	return wrong;
}

static unsigned int
half_mapped_hole(enum hole hole)
{
	static const size_t lens[] = {
		1, 3, 7, 8, 15, 16, 17, 32, 33, 64, 65, 96, 128, 129, 200, 256,
		257, 300, 513, 4096, 5000, 16384, 20000, 70000,
	};
	struct area holed, whole;
	unsigned int align, wrong = 0;
	size_t i, len;

	CU_ASSERT_EQUAL_FATAL(area_create(&holed, hole), 0);
	CU_ASSERT_EQUAL_FATAL(area_create(&whole, HOLE_NO_ACCESS), 0);
	area_scramble(&whole, 2);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		len = lens[i];
		for (align = 0; align < 64; align++) {
			wrong += half_mapped_wrong(&holed, &whole, len,
						   align * 37 % len, align,
						   hole);
			wrong += half_mapped_wrong(&holed, &whole, len,
						   len - 1 - align % len, 0,
						   hole);
		}
	}
	area_destroy(&holed);
	area_destroy(&whole);
	return wrong;
}

static void
prot_none_body(void)
{
	CU_ASSERT_EQUAL(half_mapped_hole(HOLE_NO_ACCESS), 0);
}

static void
test_copy_into_prot_none_counts_exactly(void)
{
	test_each_isa(prot_none_body);
}

static void
read_only_body(void)
{
	CU_ASSERT_EQUAL(half_mapped_hole(HOLE_READ_ONLY), 0);
}

static void
test_copy_into_read_only_counts_exactly(void)
{
	test_each_isa(read_only_body);
}

static void
truncated_body(void)
{
	CU_ASSERT_EQUAL(half_mapped_hole(HOLE_TRUNCATED), 0);
}

static void
test_copy_past_end_of_file_counts_exactly(void)
{
	test_each_isa(truncated_body);
}

/* Addresses that no mapping can have; nothing before them is mapped either. */
static void
bad_address_body(void)
{
	static const uint64_t bad[] = {
		0, 1, 0xfff, 0xdead000000000000, 0x8000000000000000,
		0x0000800000000000, 0xffff800000000000, 0xfffffffffffffff0,
		0xffffffffffffffff,
	};
	static const size_t lens[] = { 1, 4, 8, 16, 40, 64, 100, 200, 1000, 40000 };
	static uint8_t good[40000];
	struct svm_fault_info f;
	unsigned int wrong = 0;
	bool equal;
	size_t i, j;
	void *p;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		p = (void *)(uintptr_t)bad[i];
		for (j = 0; j < sizeof(lens) / sizeof(lens[0]); j++) {
			wrong += svm_copy(good, p, lens[j], &f) != 0 ||
				 !fault_is(&f, p, 0, 0);
			wrong += svm_copy(p, good, lens[j], &f) != 0 ||
				 !fault_is(&f, p, 1, 0);
			wrong += svm_fill(p, PATTERN, lens[j], &f) != 0 ||
				 !fault_is(&f, p, 1, 0);
			wrong += svm_compare(good, p, lens[j], &equal, &f) != 0 ||
				 equal || !fault_is(&f, p, 0, 0);
			wrong += svm_copy(p, good, lens[j], NULL) != 0;
		}
		equal = false;
		wrong += svm_copy(p, p, 0, &f) != 0 ||
			 svm_fill(p, PATTERN, 0, &f) != 0 ||
			 svm_compare(p, p, 0, &equal, &f) != 0 || !equal;
		equal = false;
		wrong += svm_compare_pattern(p, PATTERN, 0, &equal, &f) != 0 ||
			 !equal;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void
test_copy_bad_address_reported_as_given(void)
{
	test_each_isa(bad_address_body);
}

struct flicker {
	struct area area;
	_Atomic bool stop;
};

static void *
flicker_run(void *arg)
{
	struct flicker *fl = arg;

	/* Relaxed: only an order to stop, pairs with nothing but the join. */
	while (!atomic_load_explicit(&fl->stop, memory_order_relaxed)) {
		mprotect(fl->area.end, PAGE, PROT_READ | PROT_WRITE);
		mprotect(fl->area.end, PAGE, PROT_NONE);
	}
	return NULL;
}

static void
flicker_body(void)
{
	struct flicker fl = { .stop = false };
	struct area src;
	struct svm_fault_info f;
	unsigned int i, wrong = 0;
	size_t n, len = 3 * PAGE;
	uint8_t *dst;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(area_create(&fl.area, HOLE_NO_ACCESS), 0);
	CU_ASSERT_EQUAL_FATAL(area_create(&src, HOLE_NO_ACCESS), 0);
	area_scramble(&src, 3);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, flicker_run, &fl), 0);
	for (i = 0; i < 2000; i++) {
		dst = fl.area.end - PAGE - i % 200;
		n = svm_copy(dst, src.base, len, &f);
		/* The second page behind is never there. */
		wrong += n >= len || dst + n > fl.area.end + PAGE ||
			 dst + n < fl.area.end || !fault_is(&f, dst + n, 1, 0);
		wrong += count_equal(dst, src.base, fl.area.end - dst) !=
			 (size_t)(fl.area.end - dst);
	}
	atomic_store_explicit(&fl.stop, true, memory_order_relaxed);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(wrong, 0);
	area_destroy(&fl.area);
	area_destroy(&src);
}

static void
test_copy_page_coming_and_going_stays_exact(void)
{
	test_each_isa(flicker_body);
}

static void
test_copy_unknown_unit_refused(void)
{
	CU_ASSERT_NOT_EQUAL(svm_copy_isa_set(SVM_COPY_NB_ISA), 0);
	CU_ASSERT_EQUAL(svm_copy_isa_set(svm_copy_isa_best()), 0);
}

int
test_copy_suite(void)
{
	CU_pSuite suite = CU_add_suite("copy", NULL, NULL);

	if (suite == NULL ||
	    CU_ADD_TEST(suite, test_copy_any_size_matches_model) == NULL ||
	    CU_ADD_TEST(suite, test_compare_any_difference_found_at_its_byte) == NULL ||
	    CU_ADD_TEST(suite, test_copy_into_prot_none_counts_exactly) == NULL ||
	    CU_ADD_TEST(suite, test_copy_into_read_only_counts_exactly) == NULL ||
	    CU_ADD_TEST(suite, test_copy_past_end_of_file_counts_exactly) == NULL ||
	    CU_ADD_TEST(suite, test_copy_bad_address_reported_as_given) == NULL ||
	    CU_ADD_TEST(suite, test_copy_page_coming_and_going_stays_exact) == NULL ||
	    CU_ADD_TEST(suite, test_copy_unknown_unit_refused) == NULL)
		return -1;
	return test_trap_add(suite);
}
