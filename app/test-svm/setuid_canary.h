/* SPDX-License-Identifier: BSD-3-Clause */
/* What svm-test-setuid and the test that watches it agree on. */
#ifndef SETUID_CANARY_H
#define SETUID_CANARY_H

#include "test_proto.h"

/* Of a pattern that no test fills memory with: seeds are random elsewhere. */
#define CANARY_SEED	UINT64_C(0xca9a12ca9a12ca9a)

#endif /* SETUID_CANARY_H */
