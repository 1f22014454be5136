/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_TRAP_H
#define TEST_TRAP_H

#include <CUnit/CUnit.h>

/** Add the tests of the signal handler and of guards; 0, or -1. */
int test_trap_add(CU_pSuite suite);

#endif /* TEST_TRAP_H */
