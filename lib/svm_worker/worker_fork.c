/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker_fork.h"

/* The number; 0: nobody in this process has asked. Atomic, as is the pointer. */
static uint32_t *page;
/* The last one given, in this process or before it was forked. Atomic. */
static uint32_t last;

static int
page_make(void)
{
	const size_t len = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t *p, *none = NULL;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	if (madvise(p, len, MADV_WIPEONFORK) != 0) {
		munmap(p, len);
		return -ENOSYS;
	}
	/* Release: pairs with the loads of it; another thread was faster, perhaps. */
	if (!__atomic_compare_exchange_n(&page, &none, p, false, __ATOMIC_RELEASE,
			__ATOMIC_RELAXED))
		munmap(p, len);
	return 0;
}

int
svm_wfork_number(uint32_t *number)
{
	uint32_t *p, none = 0, next;
	int rc;

	/* Acquire: pairs with page_make(). */
	while ((p = __atomic_load_n(&page, __ATOMIC_ACQUIRE)) == NULL) {
		rc = page_make();
		if (rc != 0)
			return rc;
	}
	/* Relaxed: nothing else is told by it. */
	next = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	if (!__atomic_compare_exchange_n(p, &none, next, false, __ATOMIC_RELAXED,
			__ATOMIC_RELAXED))
		next = none;
	*number = next;
	return 0;
}

bool
svm_wfork_is_own(uint32_t number)
{
	/* Whoever has a number has seen the page. */
	return __atomic_load_n(__atomic_load_n(&page, __ATOMIC_RELAXED), __ATOMIC_RELAXED) ==
		number;
}
