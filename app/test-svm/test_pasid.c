/* SPDX-License-Identifier: BSD-3-Clause */
/* The PASID allocator: states, order of reuse, refusals. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <CUnit/CUnit.h>

#include "suites.h"
#include "svm_pasid.h"

static void
test_pasid_create_checks_range(void)
{
	struct svm_pasid_table *t = NULL;

	CU_ASSERT_EQUAL(svm_pasid_table_create(0, &t), -EINVAL);
	CU_ASSERT_EQUAL(svm_pasid_table_create(0x100000, &t), -EINVAL);
	CU_ASSERT_PTR_NULL(t);
	CU_ASSERT_EQUAL_FATAL(svm_pasid_table_create(0xfffff, &t), 0);
	svm_pasid_table_destroy(t);
}

static void
test_pasid_alloc_gives_each_once_and_never_zero(void)
{
	enum { MAX = 65535 };
	struct svm_pasid_table *t;
	uint8_t *seen = calloc(MAX + 1, 1);
	uint32_t i, pasid, doubled = 0, bad = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(seen);
	CU_ASSERT_EQUAL_FATAL(svm_pasid_table_create(MAX, &t), 0);
	for (i = 0; i != MAX; i++) {
		CU_ASSERT_EQUAL_FATAL(svm_pasid_alloc(t, &pasid), 0);
		if (pasid == 0 || pasid > MAX)
			bad++;
		else
			doubled += seen[pasid]++;
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(doubled, 0);
	CU_ASSERT_EQUAL(svm_pasid_alloc(t, &pasid), -ENOSPC);
	svm_pasid_table_destroy(t);
	free(seen);
}

static void
test_pasid_in_quarantine_is_not_given_out(void)
{
	struct svm_pasid_table *t;
	uint32_t a, b, used, quarantine, nb_free;

	CU_ASSERT_EQUAL_FATAL(svm_pasid_table_create(1, &t), 0);
	CU_ASSERT_EQUAL(svm_pasid_alloc(t, &a), 0);
	CU_ASSERT_EQUAL(svm_pasid_retire(t, a), 0);
	svm_pasid_count(t, &used, &quarantine, &nb_free);
	CU_ASSERT(used == 0 && quarantine == 1 && nb_free == 0);
	CU_ASSERT_EQUAL(svm_pasid_alloc(t, &b), -ENOSPC);
	CU_ASSERT_EQUAL(svm_pasid_release(t, a), 0);
	CU_ASSERT_EQUAL(svm_pasid_alloc(t, &b), 0);
	CU_ASSERT_EQUAL(a, b);
	svm_pasid_table_destroy(t);
}

static void
test_pasid_released_first_is_reused_first(void)
{
	struct svm_pasid_table *t;
	uint32_t p[4], again, i;

	CU_ASSERT_EQUAL_FATAL(svm_pasid_table_create(4, &t), 0);
	for (i = 0; i != 4; i++)
		CU_ASSERT_EQUAL(svm_pasid_alloc(t, &p[i]), 0);
	for (i = 4; i-- != 0;) {
		CU_ASSERT_EQUAL(svm_pasid_retire(t, p[i]), 0);
		CU_ASSERT_EQUAL(svm_pasid_release(t, p[i]), 0);
	}
	for (i = 4; i-- != 0;) {
		CU_ASSERT_EQUAL(svm_pasid_alloc(t, &again), 0);
		CU_ASSERT_EQUAL(again, p[i]);
	}
	svm_pasid_table_destroy(t);
}

static void
test_pasid_wrong_transition_is_refused(void)
{
	struct svm_pasid_table *t;
	uint32_t p;

	CU_ASSERT_EQUAL_FATAL(svm_pasid_table_create(2, &t), 0);
	CU_ASSERT_EQUAL(svm_pasid_retire(t, 0), -EINVAL);
	CU_ASSERT_EQUAL(svm_pasid_retire(t, 1), -EINVAL);
	CU_ASSERT_EQUAL(svm_pasid_retire(t, 3), -EINVAL);
	CU_ASSERT_EQUAL(svm_pasid_alloc(t, &p), 0);
	CU_ASSERT_EQUAL(svm_pasid_release(t, p), -EINVAL);
	CU_ASSERT_EQUAL(svm_pasid_retire(t, p), 0);
	CU_ASSERT_EQUAL(svm_pasid_retire(t, p), -EINVAL);
	CU_ASSERT_EQUAL(svm_pasid_release(t, p), 0);
	CU_ASSERT_EQUAL(svm_pasid_release(t, p), -EINVAL);
	svm_pasid_table_destroy(t);
}

/* Against a model: which are out, and in which order the others came back. */
static void
test_pasid_recycled_under_load_is_never_live(void)
{
	enum { MAX = 65535, STEPS = 600000 };
	uint8_t *live = calloc(MAX + 1, 1);
	uint32_t *out = calloc(MAX, sizeof(*out)), *back = calloc(STEPS + 1, sizeof(*back));
	uint32_t nb = 0, head = 0, tail = 0, fresh = 1, pasid, i, wrong = 0;
	struct svm_pasid_table *t;
	uint64_t x = 88172645463325252u;

	CU_ASSERT_FATAL(live != NULL && out != NULL && back != NULL);
	CU_ASSERT_EQUAL_FATAL(svm_pasid_table_create(MAX, &t), 0);
	for (i = 0; i != STEPS; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* Three of four steps take one, until all are out; then it is even. */
		if (nb == 0 || (nb != MAX && (x & 3) != 0)) {
			const uint32_t due = fresh <= MAX ? fresh++ : back[head++];

			wrong += svm_pasid_alloc(t, &pasid) != 0 || pasid != due ||
				pasid == 0 || live[pasid]++ != 0;
			out[nb++] = due;
		} else {
			const uint32_t k = (uint32_t)((x >> 8) % nb);

			pasid = out[k];
			out[k] = out[--nb];
			live[pasid]--;
			back[tail++] = pasid;
			wrong += svm_pasid_retire(t, pasid) != 0 ||
				svm_pasid_release(t, pasid) != 0;
		}
		if (nb == MAX)
			wrong += svm_pasid_alloc(t, &pasid) != -ENOSPC;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(fresh == MAX + 1 && head > 1000);
	svm_pasid_table_destroy(t);
	free(back);
	free(out);
	free(live);
}

int
test_pasid_suite(void)
{
	CU_pSuite s = CU_add_suite("pasid", NULL, NULL);

	if (s == NULL ||
	    !CU_ADD_TEST(s, test_pasid_create_checks_range) ||
	    !CU_ADD_TEST(s, test_pasid_alloc_gives_each_once_and_never_zero) ||
	    !CU_ADD_TEST(s, test_pasid_in_quarantine_is_not_given_out) ||
	    !CU_ADD_TEST(s, test_pasid_released_first_is_reused_first) ||
	    !CU_ADD_TEST(s, test_pasid_recycled_under_load_is_never_live) ||
	    !CU_ADD_TEST(s, test_pasid_wrong_transition_is_refused))
		return -1;
	return 0;
}
