/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the suite "atc" share: a table, and a file whose pages are numbered. */
#ifndef TEST_ATC_H
#define TEST_ATC_H

#include <CUnit/CUnit.h>

#include "runner.h"
#include "svm_atc.h"

#define PAGE	4096u
#define PAGES	64u
#define VA	UINT64_C(0x7e0000000000)
#define RW	(SVM_ATC_READ | SVM_ATC_WRITE)

/* Of the running test. */
struct test_atc_fx {
	struct svm_atc_quota quota;
	struct svm_atc *atc;
	struct svm_atc_hit hit;
	int fd;			/* PAGES pages; the first word of each is its number */
	uint8_t *mem;		/* they, mapped by the test */
};

extern struct test_atc_fx atc_fx;

/** Pages [first, first + nb) of the file, at their place behind VA. */
int
test_atc_map(uint32_t first, uint32_t nb);

bool
test_atc_unmap(uint32_t first, uint32_t nb);

/** The number in page i as the table reaches it, -1: it does not. */
int64_t
test_atc_number(uint32_t i);

void
test_atc_expect(uint32_t first, uint32_t nb, bool there);

/** Add the tests of test_atc_many.c. @return 0, -1. */
int
test_atc_many_add(CU_pSuite suite);

#endif /* TEST_ATC_H */
