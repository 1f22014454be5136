/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a file that cannot shrink, and all the ways in which it goes. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

int64_t
worker_sealed(struct worker *w, size_t len, struct wk_rep *r)
{
	char *p = worker_pages(w, len, MAP_PRIVATE, 0);
	const int fd = memfd_create("svm-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (p == NULL || fd < 0 || ftruncate(fd, len) != 0 ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) != 0 ||
			mmap(p, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != p)
		return -errno;
	r->v[0] = (uintptr_t)p;
	r->v[1] = fd;
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	r->v[2] = (uintptr_t)p;
	return p == MAP_FAILED ? -errno : 0;
}

static uint64_t
hash(uint64_t addr, size_t len)
{
	const uint64_t *p = (const uint64_t *)(uintptr_t)addr;
	uint64_t h = 0;
	size_t i;

	for (i = 0; i != len / sizeof(*p); i++)
		h = (h ^ __atomic_load_n(&p[i], __ATOMIC_RELAXED)) * UINT64_C(0x9e3779b97f4a7c15);
	return h;
}

int64_t
worker_hash(const struct wk_req *q, struct wk_rep *r)
{
	r->v[0] = hash(q->a[0], q->a[1]);
	return 0;
}

/* Write protection that is never set: events, and no fault that anybody had to answer. */
int64_t
worker_events(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_EVENT_UNMAP |
		UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE |
		UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP,
		.range = { .start = q->a[0], .len = q->a[1] } };

	if (w->events < 0) {
		w->events = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
		if (w->events < 0 || ioctl(w->events, UFFDIO_API, &api) != 0)
			return -errno;
	}
	if (ioctl(w->events, UFFDIO_REGISTER, &reg) != 0)
		return -errno;
	r->v[0] = w->events;
	return 0;
}

/* A child that has the memory too, for a moment. */
static int
move_fork(void)
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

int64_t
worker_move(struct worker *w, const struct wk_req *q, struct wk_rep *r)
{
	void *addr = (void *)(uintptr_t)q->a[1], *p = addr;
	const size_t len = q->a[2];
	int ret = 0;

	switch (q->a[0]) {
	case WK_MOVE_UNMAP:
		ret = munmap(addr, len);
		break;
	case WK_MOVE_REMAP:
		p = worker_pages(w, len, MAP_PRIVATE, 0);
		if (p != NULL)
			p = mremap(addr, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, p);
		break;
	case WK_MOVE_OVER:
		p = mmap(addr, len, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case WK_MOVE_DONTNEED:
		ret = madvise(addr, len, MADV_DONTNEED);
		break;
	case WK_MOVE_REMOVE:
		ret = madvise(addr, len, MADV_REMOVE);
		break;
	case WK_MOVE_PUNCH:
		ret = fallocate(q->a[3], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, len);
		break;
	case WK_MOVE_FORK:
		ret = move_fork();
		break;
	case WK_MOVE_BACK:
		p = mmap(addr, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, q->a[3], 0);
		if (p == addr)
			ret = worker_events(w, &(struct wk_req){ .a = { q->a[1], len } }, r);
		break;
	default:
		return -ENOSYS;
	}
	if (ret != 0 || p == NULL || p == MAP_FAILED)
		return -errno;
	if (q->a[4] != 0)
		r->v[1] = hash(q->a[4], len);
	r->v[0] = (uintptr_t)p;
	return 0;
}
