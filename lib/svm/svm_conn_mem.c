/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker's memory: what the owner makes for it, and what of it, or of files of
 * the worker's own, the device reaches by the alias tier.
 *
 * Counted are pages of memory given, pages mapped and ranges mapped: of a
 * connection, and of all connections of a user. What is mapped can become less
 * without a message, so that it is asked for, and the counts follow.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "svm_admit.h"
#include "svm_conn.h"
#include "svm_errand.h"
#include "svm_log.h"
#include "svm_sock.h"

/* The tally's unit. */
#define PAGE_SHIFT	12
#define PAGES(bytes)	((uint32_t)(((bytes) + (1u << PAGE_SHIFT) - 1) >> PAGE_SHIFT))
/* What can be counted in 32 bits. */
#define BYTES_MAX	((uint64_t)UINT32_MAX << PAGE_SHIFT)

#define KEY_GIVEN(uid)	(UINT64_C(1) << 32 | (uint32_t)(uid))
#define KEY_MAPPED(uid)	(UINT64_C(2) << 32 | (uint32_t)(uid))
#define KEY_RANGES(uid)	(UINT64_C(3) << 32 | (uint32_t)(uid))

#define RIGHTS_ALL	(RTE_SVM_WINDOW_READ | RTE_SVM_WINDOW_WRITE)

bool
svm_conn_mem_takes_fd(uint16_t type)
{
	return type == SVM_MSG_MEM_MAP || type == SVM_MSG_MEM_WATCH;
}

uint64_t
svm_conn_mem_features(const struct svm_conn_env *env)
{
	return env->conf->max_mem != 0 ? SVM_PROTO_F_MEM : 0;
}

/* ---- descriptors of the worker's ---- */

static void
errand_close(void *arg)
{
	close((int)(intptr_t)arg);
}

static void
errand_closed(void *arg)
{
	(void)arg;
}

bool
svm_conn_fd_drop(struct svm_conn *conn, int fd)
{
	const struct svm_errand_call call = {
		.run = errand_close,
		.drop = errand_closed,
		.arg = (void *)(intptr_t)fd,
		.who = conn->uid,
		.eventfd = -1,
	};
	struct svm_errand *errand;

	/* Memory only. What else it is may be a file of a file system that never answers. */
	if (fcntl(fd, F_GET_SEALS) >= 0) {
		close(fd);
		return true;
	}
	if (svm_errand_start(&call, &errand) != 0) {
		conn->fd_left = fd;
		return false;
	}
	svm_errand_leave(errand);
	return true;
}

/* ---- counts ---- */

static uint32_t
pages_allowed(uint64_t bytes)
{
	return bytes == 0 || bytes > BYTES_MAX ? UINT32_MAX : (uint32_t)(bytes >> PAGE_SHIFT);
}

/* A user's count, whose limit is the caller's: 0, -ENOSPC, -ENOMEM. */
static int
user_add(struct svm_conn *conn, uint64_t key, uint32_t n, uint32_t max)
{
	const int rc = svm_tally_add_n(&conn->env->mem_of, key, n, max);

	return rc == -EUSERS ? -ENOSPC : rc;
}

/* A count of the connection's, and of its user's with it, becomes `now`, or less than that. */
static void
count_follow(struct svm_conn *conn, uint64_t key, uint32_t *count, uint32_t now)
{
	if (now <= *count)
		svm_tally_del_n(&conn->env->mem_of, key, *count - now);
	else if (svm_tally_add_n(&conn->env->mem_of, key, now - *count, 0) != 0)
		return;
	*count = now;
}

/* Ask what is mapped, and count that. */
static void
mapped_follow(struct svm_conn *conn)
{
	const struct svm_conn_env *env = conn->env;
	uint64_t bytes = 0;
	uint32_t ranges = 0;

	if (conn->bond != 0 && env->ops->mem_used != NULL)
		env->ops->mem_used(env->arg, conn->bond, &bytes, &ranges);
	count_follow(conn, KEY_MAPPED(conn->uid), &conn->mem->mapped_pages, PAGES(bytes));
	count_follow(conn, KEY_RANGES(conn->uid), &conn->mem->ranges, ranges);
}

/* Whether one more range of so many pages is within the limits: 0, -ENOSPC, -ENOMEM. */
static int
mapped_check(struct svm_conn *conn, uint32_t pages)
{
	const struct svm_server_conf *conf = conn->env->conf;
	const uint32_t max = pages_allowed(conf->max_mem);
	int rc;

	mapped_follow(conn);
	if (conn->mem->mapped_pages > max || pages > max - conn->mem->mapped_pages ||
			(conf->max_ranges != 0 && conn->mem->ranges >= conf->max_ranges))
		return -ENOSPC;
	/* To be taken away again at once: what is mapped then, is counted then. */
	rc = user_add(conn, KEY_MAPPED(conn->uid), pages, pages_allowed(conf->max_mem_uid));
	if (rc != 0)
		return rc;
	svm_tally_del_n(&conn->env->mem_of, KEY_MAPPED(conn->uid), pages);
	rc = user_add(conn, KEY_RANGES(conn->uid), 1, conf->max_ranges_uid);
	if (rc != 0)
		return rc;
	svm_tally_del(&conn->env->mem_of, KEY_RANGES(conn->uid));
	return 0;
}

/* ---- memory of the owner's making ---- */

static int
given_check(const struct svm_conn *conn, const struct svm_msg_mem_create *in)
{
	const uint32_t max = pages_allowed(conn->env->conf->max_mem);

	if (in->page > SVM_MSG_PAGE_HUGE || in->len == 0)
		return -EINVAL;
	if (in->len > BYTES_MAX || PAGES(in->len) > max - conn->mem->given_pages)
		return -ENOSPC;
	return 0;
}

/* Make memory in a free slot: its number, or -errno. */
static int
given_make(struct svm_conn *conn, const struct svm_msg_mem_create *in, int *fd)
{
	const struct svm_server_conf *conf = conn->env->conf;
	const uint32_t max = pages_allowed(conf->max_mem);
	struct svm_conn_mem *m = conn->mem;
	enum svm_msg_page page = (enum svm_msg_page)in->page;
	uint32_t pages;
	int rc, i = 0;

	while (i != SVM_PROTO_MEMS && m->given[i].map != NULL)
		i++;
	if (i == SVM_PROTO_MEMS)
		return -ENOSPC;
	rc = svm_mem_create(in->len, page, in->node == -1 ? conf->mem_node : in->node,
			&m->given[i], fd);
	if (rc != 0)
		return rc;
	pages = PAGES(m->given[i].len);
	if (svm_fd_reserved(*fd))
		rc = -EMFILE;
	else if (pages > max - m->given_pages)
		rc = -ENOSPC;
	else
		rc = user_add(conn, KEY_GIVEN(conn->uid), pages, pages_allowed(conf->max_mem_uid));
	if (rc == 0) {
		m->given_pages += pages;
		return i;
	}
	close(*fd);
	svm_mem_destroy(&m->given[i]);
	return rc;
}

static void
given_end(struct svm_conn *conn, struct svm_mem *mem, void (*end)(struct svm_mem *mem))
{
	const uint32_t pages = PAGES(mem->len);

	end(mem);
	conn->mem->given_pages -= pages;
	svm_tally_del_n(&conn->env->mem_of, KEY_GIVEN(conn->uid), pages);
}

static int
handle_create(struct svm_conn *conn, const struct svm_msg_mem_create *in, int ready)
{
	union svm_msg out;
	int fd = -1, rc = ready, i;

	/* One descriptor on its way at a time: they count for the owner. */
	if (svm_sock_unread(conn->fd))
		return -EPROTO;
	svm_msg_init(&out, SVM_MSG_MEM_CREATE_REPLY, conn->version, in->hdr.seq);
	if (rc == 0)
		rc = given_check(conn, in);
	if (rc == 0)
		rc = given_make(conn, in, &fd);
	if (rc < 0) {
		out.mem_create_reply.status = rc;
		return svm_conn_reply(conn, &out, -1);
	}
	i = rc;
	out.mem_create_reply.mem = i;
	out.mem_create_reply.len = conn->mem->given[i].len;
	out.mem_create_reply.page_size = conn->mem->given[i].page_size;
	out.mem_create_reply.page = conn->mem->given[i].page;
	/* From here on it is given back when the connection ends. */
	rc = svm_conn_reply(conn, &out, fd);
	close(fd);
	return rc;
}

/* ---- the messages ---- */

static int
reply(struct svm_conn *conn, const struct svm_msg_hdr *to, int status)
{
	union svm_msg out;

	svm_msg_init(&out, to->type | SVM_MSG_REPLY, conn->version, to->seq);
	out.status.status = status;
	return svm_conn_reply(conn, &out, -1);
}

/* Before any of them: 0, or the status of its reply. */
static int
mem_ready(struct svm_conn *conn)
{
	if ((conn->features & SVM_PROTO_F_MEM) == 0)
		return -EOPNOTSUPP;
	if (conn->bond == 0)
		return -ENOENT;
	if (conn->mem == NULL)
		conn->mem = calloc(1, sizeof(*conn->mem));
	return conn->mem != NULL ? 0 : -ENOMEM;
}

static int
handle_destroy(struct svm_conn *conn, const struct svm_msg_mem_destroy *in, int ready)
{
	int rc = ready;

	if (in->reserved != 0)
		return -EINVAL;
	if (rc == 0 && (in->mem >= SVM_PROTO_MEMS || conn->mem->given[in->mem].map == NULL))
		rc = -ENOENT;
	if (rc == 0)
		given_end(conn, &conn->mem->given[in->mem], svm_mem_destroy);
	return reply(conn, &in->hdr, rc);
}

static int
handle_map(struct svm_conn *conn, const struct svm_msg_mem_map *in, int fd, int ready)
{
	const struct svm_conn_env *env = conn->env;
	int rc = ready;

	if (in->reserved != 0)
		return -EINVAL;
	if (fd < 0)
		return -EPROTO;
	if (rc == 0 && svm_fd_reserved(fd))
		rc = -EMFILE;
	else if (rc == 0 && env->ops->mem_map == NULL)
		rc = -EOPNOTSUPP;
	else if (rc == 0 && (in->rights == 0 || (in->rights & ~RIGHTS_ALL) != 0 || in->len == 0 ||
			in->len > UINT64_MAX - in->addr || in->len > UINT64_MAX - in->off))
		rc = -EINVAL;
	else if (rc == 0 && in->len > BYTES_MAX)
		rc = -ENOSPC;
	if (rc == 0)
		rc = mapped_check(conn, PAGES(in->len));
	if (rc == 0)
		rc = env->ops->mem_map(env->arg, conn->bond, in->addr, in->len, fd, in->off,
				in->rights);
	if (rc == 0)
		mapped_follow(conn);
	return reply(conn, &in->hdr, rc);
}

static int
handle_unmap(struct svm_conn *conn, const struct svm_msg_mem_unmap *in, int ready)
{
	const struct svm_conn_env *env = conn->env;
	int rc = ready;

	if (rc == 0 && env->ops->mem_unmap == NULL)
		rc = -EOPNOTSUPP;
	if (rc == 0) {
		rc = env->ops->mem_unmap(env->arg, conn->bond, in->addr, in->len);
		mapped_follow(conn);
	}
	return reply(conn, &in->hdr, rc);
}

static int
handle_watch(struct svm_conn *conn, const struct svm_msg_plain *in, int *fd, int ready)
{
	const struct svm_conn_env *env = conn->env;
	int rc = ready;

	if (*fd < 0)
		return -EPROTO;
	if (rc == 0 && svm_fd_reserved(*fd))
		rc = -EMFILE;
	if (rc == 0 && env->ops->mem_watch == NULL)
		rc = -EOPNOTSUPP;
	if (rc == 0) {
		rc = env->ops->mem_watch(env->arg, conn->bond, *fd);
		*fd = -1;
	}
	return reply(conn, &in->hdr, rc);
}

int
svm_conn_handle_mem(struct svm_conn *conn, const union svm_msg *msg, int *fd)
{
	const int ready = mem_ready(conn);

	switch (msg->hdr.type) {
	case SVM_MSG_MEM_CREATE:
		return handle_create(conn, &msg->mem_create, ready);
	case SVM_MSG_MEM_DESTROY:
		return handle_destroy(conn, &msg->mem_destroy, ready);
	case SVM_MSG_MEM_MAP:
		return handle_map(conn, &msg->mem_map, *fd, ready);
	case SVM_MSG_MEM_WATCH:
		return handle_watch(conn, &msg->plain, fd, ready);
	default:
		return handle_unmap(conn, &msg->mem_unmap, ready);
	}
}

/* ---- ends ---- */

void
svm_conn_mem_unbound(struct svm_conn *conn)
{
	uint32_t i;

	if (conn->mem == NULL)
		return;
	/* Not destroyed: the worker may still live, in this memory, when it is the owner
	 * who goes, or when the two have lost each other. */
	for (i = 0; i != SVM_PROTO_MEMS && conn->mem->given_pages != 0; i++)
		if (conn->mem->given[i].map != NULL)
			given_end(conn, &conn->mem->given[i], svm_mem_release);
	mapped_follow(conn);
}

bool
svm_conn_mem_give_back(struct svm_conn *conn)
{
	const int fd = conn->fd_left;

	svm_conn_mem_unbound(conn);
	conn->fd_left = -1;
	return fd < 0 || svm_conn_fd_drop(conn, fd);
}
