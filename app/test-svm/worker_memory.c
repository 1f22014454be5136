/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's memory: what it allocates, and what does not answer. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker.h"

uint64_t
worker_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		abort();
	return seed;
}

char *
worker_pages(const struct worker *w, size_t len, int flags, uint64_t where)
{
	const size_t page = w->page, inner = (len + page - 1) & ~(page - 1);
	char *hint = where == 0 ? NULL : (char *)(uintptr_t)where - page;
	char *p = mmap(hint, inner + 2 * page, PROT_NONE, flags | MAP_ANONYMOUS |
		(where == 0 ? 0 : MAP_FIXED_NOREPLACE), -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mprotect(p + page, inner, PROT_READ | PROT_WRITE) != 0)
		return NULL;
	return p + page;
}

int64_t
worker_alloc(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	const size_t len = q->a[1];
	char *p = NULL;

	switch (q->a[0]) {
	case WK_MEM_SEALED:
		return worker_sealed(w, len, r);
	case WK_MEM_MALLOC:
		p = malloc(len);
		break;
	case WK_MEM_STACK:
		p = len <= WORKER_STACK_LEN ? w->stack : NULL;
		break;
	case WK_MEM_PRIVATE:
		p = worker_pages(w, len, MAP_PRIVATE, q->a[2]);
		break;
	case WK_MEM_SHARED:
		p = worker_pages(w, len, MAP_SHARED, q->a[2]);
		break;
	}
	if (p == NULL)
		return -ENOMEM;
	r->v[0] = (uintptr_t)p;
	return 0;
}

size_t
worker_word_check(const char *p, size_t len, uint64_t word)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != ((const char *)&word)[i % sizeof(word)])
			break;
	return i;
}

int64_t
worker_uffd(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *p = worker_pages(w, q->a[0], MAP_PRIVATE, 0);

	if (p == NULL)
		return -ENOMEM;
	if (w->uffd < 0)
		w->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (w->uffd < 0 || ioctl(w->uffd, UFFDIO_API, &api) != 0)
		return -errno;
	reg.range.start = (uintptr_t)p;
	reg.range.len = q->a[0];
	if (ioctl(w->uffd, UFFDIO_REGISTER, &reg) != 0)
		return -errno;
	r->v[0] = (uintptr_t)p;
	return 0;
}

int64_t
worker_uffd_faults(const struct worker *w, struct wk_rep *r)
{
	struct uffd_msg msg;

	while (read(w->uffd, &msg, sizeof(msg)) == sizeof(msg))
		r->v[0] = 1;
	return 0;
}

int64_t
worker_uffd_answer(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct uffdio_copy copy = { .dst = q->a[0], .len = q->a[1] };
	char *page = malloc(q->a[1]);
	int64_t ret = 0;

	if (page == NULL)
		return -ENOMEM;
	r->v[0] = worker_seed();
	wk_pattern_write(page, q->a[1], r->v[0], 0);
	copy.src = (uintptr_t)page;
	if (ioctl(w->uffd, UFFDIO_COPY, &copy) != 0)
		ret = -errno;
	free(page);
	return ret;
}
