/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker_mem.h"

#define RIGHTS_ALL	(SVM_WORKER_WINDOW_READ | SVM_WORKER_WINDOW_WRITE)

_Static_assert(SVM_WORKER_PAGES_BEST == (int)SVM_MSG_PAGE_BEST &&
	SVM_WORKER_PAGES_SMALL == (int)SVM_MSG_PAGE_SMALL &&
	SVM_WORKER_PAGES_TRANSPARENT == (int)SVM_MSG_PAGE_TRANSPARENT &&
	SVM_WORKER_PAGES_HUGE == (int)SVM_MSG_PAGE_HUGE, "one numbering");

/* The reply's own fields, and a file that nobody can shrink under a mapping. */
static int
created_check(const struct svm_msg_mem_create_reply *r, uint64_t len, int fd)
{
	const int want = F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	int seals;

	if (fd < 0 || r->reserved != 0 || r->len < len || r->page_size == 0 ||
			(r->page_size & (r->page_size - 1)) != 0 ||
			(r->len & (r->page_size - 1)) != 0 || r->page == SVM_MSG_PAGE_BEST ||
			r->page > SVM_MSG_PAGE_HUGE)
		return -EPROTO;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & want) != want)
		return -EPROTO;
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != r->len)
		return -EPROTO;
	return 0;
}

int
svm_wmem_create(struct svm_worker *w, uint64_t len, enum svm_worker_pages pages, int node,
		struct svm_wmem *mem, int *fd)
{
	const struct svm_msg_mem_create_reply *r;
	union svm_msg msg;
	int rc;

	if ((w->features & SVM_PROTO_F_MEM) == 0)
		return -EOPNOTSUPP;
	svm_msg_init(&msg, SVM_MSG_MEM_CREATE, w->version, 0);
	msg.mem_create.len = len;
	msg.mem_create.page = pages;
	msg.mem_create.node = node;
	rc = svm_wconn_request(w, &msg, fd);
	if (rc != 0)
		return rc;
	r = &msg.mem_create_reply;
	rc = svm_wconn_status(r->status);
	if (rc != 0)
		goto close_fd;
	rc = created_check(r, len, *fd);
	if (rc != 0) {
		svm_wconn_break(w);
		goto close_fd;
	}
	*mem = (struct svm_wmem){ .id = r->mem, .len = r->len, .page_size = r->page_size,
		.pages = (enum svm_worker_pages)r->page };
	return 0;

close_fd:
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return rc;
}

void
svm_wmem_destroy(struct svm_worker *w, const struct svm_wmem *mem)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_DESTROY, w->version, 0);
	msg.mem_destroy.mem = mem->id;
	/* An owner that is gone has given it back itself. */
	svm_wconn_request(w, &msg, NULL);
}

int
svm_wmem_map(struct svm_worker *w, void *addr, uint64_t len, int fd)
{
	union svm_msg msg;
	int rc;

	svm_msg_init(&msg, SVM_MSG_MEM_MAP, w->version, 0);
	msg.mem_map.addr = (uintptr_t)addr;
	msg.mem_map.len = len;
	msg.mem_map.rights = RIGHTS_ALL;
	rc = svm_wconn_request_with(w, &msg, fd);
	return rc != 0 ? rc : svm_wconn_status(msg.status.status);
}

void
svm_wmem_unmap(struct svm_worker *w, void *addr, uint64_t len)
{
	union svm_msg msg;

	svm_msg_init(&msg, SVM_MSG_MEM_UNMAP, w->version, 0);
	msg.mem_unmap.addr = (uintptr_t)addr;
	msg.mem_unmap.len = len;
	svm_wconn_request(w, &msg, NULL);
}
