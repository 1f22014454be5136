/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <numa.h>

#include "svm_mem.h"
#include "svm_numa.h"

#define HUGE_SIZE	(UINT64_C(2) << 20)
#define LEN_MAX		(UINT64_C(1) << 46)

#define SHMEM_SWITCH	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static bool
node_exists(int node)
{
	return node == -1 || (node >= 0 && numa_available() >= 0 && node <= numa_max_node() &&
		numa_bitmask_isbitset(numa_all_nodes_ptr, node));
}

/* Whether the kernel gives a memfd huge pages, at least where it is advised to. */
static bool
transparent_to_be_had(void)
{
	const int fd = open(SHMEM_SWITCH, O_RDONLY | O_CLOEXEC);
	char text[128];
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	return strstr(text, "[never]") == NULL && strstr(text, "[deny]") == NULL;
}

/* One kind of pages, or why not. */
static int
kind_create(uint64_t len, enum svm_msg_page page, int node, struct svm_mem *mem, int *fd)
{
	const bool huge = page == SVM_MSG_PAGE_HUGE;
	struct svm_mem m = { .page = page,
		.page_size = huge ? HUGE_SIZE : (uint64_t)sysconf(_SC_PAGESIZE) };
	int ret;

	m.len = (len + m.page_size - 1) & ~(m.page_size - 1);
	*fd = memfd_create("svm-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING |
			(huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, m.len) != 0 || fcntl(*fd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
		ret = -errno;
		goto close_fd;
	}
	/* This sets huge pages aside for the file, or fails. */
	m.map = mmap(NULL, m.len, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (m.map == MAP_FAILED) {
		ret = -errno;
		goto close_fd;
	}
	/* The file's policy, that is: it holds for whoever touches a page first. */
	svm_numa_prefer(m.map, m.len, node);
	if (madvise(m.map, m.len, MADV_DONTFORK) != 0) {
		ret = -errno;
		goto unmap;
	}
	*mem = m;
	return 0;

unmap:
	munmap(m.map, m.len);
close_fd:
	close(*fd);
	*fd = -1;
	return ret;
}

int
svm_mem_create(uint64_t len, enum svm_msg_page page, int node, struct svm_mem *mem, int *fd)
{
	*fd = -1;
	if (len == 0 || len > LEN_MAX || !node_exists(node))
		return -EINVAL;
	if (page == SVM_MSG_PAGE_BEST || page == SVM_MSG_PAGE_HUGE) {
		/* Whatever keeps it from huge pages, none are to be had. */
		if (kind_create(len, SVM_MSG_PAGE_HUGE, node, mem, fd) == 0)
			return 0;
		page = SVM_MSG_PAGE_TRANSPARENT;
	}
	if (page == SVM_MSG_PAGE_TRANSPARENT && !transparent_to_be_had())
		page = SVM_MSG_PAGE_SMALL;
	return kind_create(len, page, node, mem, fd);
}

void
svm_mem_release(struct svm_mem *mem)
{
	munmap(mem->map, mem->len);
	mem->map = NULL;
}

void
svm_mem_destroy(struct svm_mem *mem)
{
	/* Pages that the worker keeps mapped would be the owner's account for ever. */
	madvise(mem->map, mem->len, MADV_REMOVE);
	svm_mem_release(mem);
}
