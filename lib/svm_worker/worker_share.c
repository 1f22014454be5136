/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory of the worker's own becomes the owner's to reach: its content goes into a
 * file of the owner's making, which is then mapped in its place. The kernel moves
 * the bytes, whatever a sanitizer of the program's thinks of some of them.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "worker_share.h"

/* ---- what may be shared ---- */

/*
 * One line of /proc/self/maps: whether it is private memory without a file, to be
 * read and written, that neither grows by itself nor is the kernel's.
 */
static bool
line_fits(const char *line, uint64_t *start, uint64_t *end)
{
	char perms[8] = "", name[16] = "";
	unsigned long long from, to, inode;

	if (sscanf(line, "%llx-%llx %7s %*s %*s %llu %15s", &from, &to, perms, &inode, name) < 4)
		return false;
	*start = from;
	*end = to;
	return perms[0] == 'r' && perms[1] == 'w' && perms[3] == 'p' && inode == 0 &&
		(name[0] != '[' || strcmp(name, "[heap]") == 0 || strncmp(name, "[anon", 5) == 0);
}

/* Whether all of the range is such memory: 0, -EINVAL, -errno. */
static int
range_check(uint64_t addr, size_t len)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	uint64_t at = addr, start = 0, end = 0;
	char *line = NULL;
	size_t size = 0;

	if (maps == NULL)
		return -errno;
	while (at < addr + len && getline(&line, &size, maps) > 0) {
		const bool fits = line_fits(line, &start, &end);

		if (end <= at)
			continue;
		if (start > at || !fits)
			break;
		at = end;
	}
	free(line);
	fclose(maps);
	return at >= addr + len ? 0 : -EINVAL;
}

static struct svm_wshare **
share_find(struct svm_worker *w, const char *addr, size_t len)
{
	struct svm_wshare **at;

	for (at = &w->shares; *at != NULL; at = &(*at)->next)
		if ((*at)->addr == addr && (*at)->len == len)
			return at;
	return NULL;
}

static int
args_check(struct svm_worker *w, const char *addr, size_t len)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)addr;
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0);

	if (w == NULL || addr == NULL || len == 0 || from % page != 0 || len % page != 0 ||
			len > UINTPTR_MAX - from)
		return -EINVAL;
	/* What is moved must hold still: not the stack that this runs on. */
	if (here >= from && here < from + len)
		return -EINVAL;
	if (getpid() != w->pid)
		return -EPERM;
	return 0;
}

/* ---- moving ---- */

/* All of it, by the kernel. `nr` is SYS_pread64 or SYS_pwrite64. */
static int
move(long nr, int fd, char *mem, size_t len)
{
	size_t done = 0;

	while (done != len) {
		const long n = syscall(nr, fd, mem + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* Put a mapping where another one is. */
static int
replace(char *addr, char *by, size_t len)
{
	return mremap(by, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, addr) == addr ? 0 : -errno;
}

/* Private memory again, with what is in the file. */
static int
privatise(char *addr, size_t len, int fd)
{
	char *by = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	if (by == MAP_FAILED)
		return -ENOMEM;
	rc = move(SYS_pread64, fd, by, len);
	if (rc == 0)
		rc = replace(addr, by, len);
	if (rc != 0)
		munmap(by, len);
	return rc;
}

static int
publish(char *addr, size_t len, int fd)
{
	char *by = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int rc;

	if (by == MAP_FAILED)
		return -ENOMEM;
	rc = madvise(by, len, MADV_DONTFORK) != 0 ? -ENOMEM : move(SYS_pwrite64, fd, addr, len);
	if (rc == 0)
		rc = replace(addr, by, len);
	if (rc != 0)
		munmap(by, len);
	return rc;
}

/* ---- the calls ---- */

int
svm_worker_share(struct svm_worker *worker, void *addr, size_t len)
{
	struct svm_wshare *s;
	int rc = args_check(worker, addr, len);

	if (rc != 0)
		return rc;
	if ((worker->features & SVM_PROTO_F_MEM) == 0)
		return -EOPNOTSUPP;
	if (worker->bond == 0)
		return -ENOENT;
	rc = range_check((uintptr_t)addr, len);
	if (rc != 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->addr = addr;
	s->len = len;
	rc = svm_wmem_create(worker, len, SVM_WORKER_PAGES_TRANSPARENT, -1, &s->mem, &s->fd);
	if (rc != 0)
		goto free_share;
	rc = -EPROTO;
	if (s->mem.len != len)
		goto destroy_mem;
	rc = publish(addr, len, s->fd);
	if (rc != 0)
		goto destroy_mem;
	rc = svm_wmem_map(worker, addr, len, s->fd);
	if (rc != 0)
		goto privatise;
	s->next = worker->shares;
	worker->shares = s;
	return 0;

privatise:
	/* Without memory even for that it stays where it is, and the owner keeps the file. */
	if (privatise(addr, len, s->fd) != 0)
		goto close_fd;
destroy_mem:
	svm_wmem_destroy(worker, &s->mem);
close_fd:
	close(s->fd);
free_share:
	free(s);
	return rc;
}

/* Out of the list, and the memory private again if that can be had. */
static int
share_end(struct svm_worker *w, struct svm_wshare **at, bool own)
{
	struct svm_wshare *s = *at;
	int rc = 0;

	if (own) {
		svm_wmem_unmap(w, s->addr, s->len);
		rc = privatise(s->addr, s->len, s->fd);
	}
	if (rc != 0)
		return rc;
	if (own)
		svm_wmem_destroy(w, &s->mem);
	*at = s->next;
	close(s->fd);
	free(s);
	return 0;
}

int
svm_worker_unshare(struct svm_worker *worker, void *addr, size_t len)
{
	struct svm_wshare **at;
	int rc;

	if (worker == NULL)
		return -EINVAL;
	if (getpid() != worker->pid)
		return -EPERM;
	at = share_find(worker, addr, len);
	if (at == NULL)
		return -ENOENT;
	rc = share_end(worker, at, true);
	if (rc != 0)
		svm_wmem_map(worker, addr, len, (*at)->fd);
	return rc;
}

void
svm_wshare_end_all(struct svm_worker *w, bool own)
{
	struct svm_wshare *s;

	while ((s = w->shares) != NULL) {
		if (share_end(w, &w->shares, own) == 0)
			continue;
		/* No memory for a copy: what is mapped stays, and stays right. */
		w->shares = s->next;
		close(s->fd);
		free(s);
	}
}
