/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the suite "alias" share. */
#ifndef TEST_ALIAS_H
#define TEST_ALIAS_H

#include "fixture.h"

#define ALIAS_PAGE	4096u

/** Memory of a worker's: a file that it and the owner have mapped. */
struct test_alias_mem {
	struct fx_worker *w;
	uint64_t addr, other;	/* in the worker; `other` is a view that stays */
	int fd;			/* in the worker */
	size_t len;
};

struct test_alias_mem
test_alias_mem(struct fx_worker *w, size_t len);

#endif /* TEST_ALIAS_H */
