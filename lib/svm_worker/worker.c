/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "worker_conn.h"
#include "worker_heap.h"
#include "worker_queue.h"
#include "worker_share.h"

/*
 * Yama lets a process name one other that may ptrace it. Connections to the
 * same owner share the name; with several owners the last one connected has
 * it. Not inherited over fork, so the state says whose it is.
 */
static struct {
	pthread_mutex_t lock;
	pid_t process;
	pid_t owner;
	uint32_t nb_connections;
} tracer = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
tracer_get(pid_t owner)
{
	if (owner <= 0)
		return;
	pthread_mutex_lock(&tracer.lock);
	if (tracer.process != getpid() || tracer.owner != owner) {
		tracer.process = getpid();
		tracer.owner = owner;
		tracer.nb_connections = 0;
		/* EINVAL: a kernel without Yama, where nothing has to be named. */
		prctl(PR_SET_PTRACER, (unsigned long)owner, 0, 0, 0);
	}
	tracer.nb_connections++;
	pthread_mutex_unlock(&tracer.lock);
}

static void
tracer_put(pid_t owner)
{
	if (owner <= 0)
		return;
	pthread_mutex_lock(&tracer.lock);
	if (tracer.process == getpid() && tracer.owner == owner &&
			--tracer.nb_connections == 0) {
		prctl(PR_SET_PTRACER, 0, 0, 0, 0);
		tracer.owner = 0;
	}
	pthread_mutex_unlock(&tracer.lock);
}

int
svm_worker_connect(const char *path, struct svm_worker **worker)
{
	struct svm_worker *w;
	int rc;

	if (path == NULL || worker == NULL)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->pid = getpid();
	pthread_mutex_init(&w->lock, NULL);
	rc = svm_wconn_open(w, path);
	if (rc != 0) {
		pthread_mutex_destroy(&w->lock);
		free(w);
		return rc;
	}
	tracer_get(w->owner_pid);
	*worker = w;
	return 0;
}

/* CHALLENGE and PROOF, with no other request between them. */
static int
bind_locked(struct svm_worker *worker, uint64_t user)
{
	union svm_msg msg;
	int rc;

	svm_msg_init(&msg, SVM_MSG_BIND, worker->version, 0);
	msg.bind.user = user;
	msg.bind.word = (uintptr_t)&worker->nonce;
	rc = svm_wconn_request_locked(worker, &msg, NULL);
	if (rc == 0)
		rc = svm_wconn_status(msg.challenge.status);
	if (rc != 0)
		return rc;
	worker->nonce = msg.challenge.nonce;
	svm_msg_init(&msg, SVM_MSG_PROOF, worker->version, 0);
	msg.proof.nonce = worker->nonce;
	/* The owner reads it while we wait: it must be in memory by then. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	rc = svm_wconn_request_locked(worker, &msg, NULL);
	if (rc == 0)
		rc = svm_wconn_status(msg.proof_reply.status);
	if (rc != 0)
		return rc;
	if (worker->bond != 0 || msg.proof_reply.bond == 0 || msg.proof_reply.reserved != 0) {
		svm_wconn_break(worker);
		return -EPROTO;
	}
	worker->bond = msg.proof_reply.bond;
	return 0;
}

int
svm_worker_bind(struct svm_worker *worker, uint64_t user, uint64_t *bond)
{
	int rc;

	if (worker == NULL)
		return -EINVAL;
	if (getpid() != worker->pid)
		return -EPERM;
	svm_wconn_lock(worker);
	rc = bind_locked(worker, user);
	svm_wconn_unlock(worker);
	if (rc == 0 && bond != NULL)
		*bond = worker->bond;
	return rc;
}

int
svm_worker_unbind(struct svm_worker *worker)
{
	union svm_msg msg;
	int rc;

	if (worker == NULL)
		return -EINVAL;
	if (worker->bond == 0)
		return -ENOENT;
	if (worker->queues != NULL || worker->heaps != NULL || worker->shares != NULL)
		return -EBUSY;
	svm_msg_init(&msg, SVM_MSG_UNBIND, worker->version, 0);
	rc = svm_wconn_give_back(worker, &msg);
	if (rc == 0)
		worker->bond = 0;
	return rc;
}

int
svm_worker_info_get(const struct svm_worker *worker, struct svm_worker_info *info)
{
	if (worker == NULL || info == NULL)
		return -EINVAL;
	*info = (struct svm_worker_info) {
		.owner_pid = worker->owner_pid,
		.max_depth = worker->max_depth,
		.max_queues = worker->max_queues,
		.bond = worker->bond,
	};
	return 0;
}

/*
 * Ask the owner to end what it does for us, so that nothing touches our memory
 * any more when this returns. One that does not come to an end is left with the
 * hang-up.
 */
static void
leave_in_order(struct svm_worker *w)
{
	while (!w->broken && w->queues != NULL)
		if (svm_worker_queue_destroy(w->queues) != 0)
			return;
	svm_wheap_end_all(w, true);
	svm_wshare_end_all(w, true);
	if (!w->broken && w->bond != 0)
		svm_worker_unbind(w);
}

void
svm_worker_disconnect(struct svm_worker *worker)
{
	bool own;

	if (worker == NULL)
		return;
	own = getpid() == worker->pid;
	if (own)
		leave_in_order(worker);
	while (worker->queues != NULL)
		svm_wqueue_free(worker->queues, own);
	svm_wheap_end_all(worker, own);
	svm_wshare_end_all(worker, own);
	close(worker->fd);
	if (own)
		tracer_put(worker->owner_pid);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}

const char *
svm_worker_status_name(enum svm_worker_status status)
{
	static const char *const names[] = {
		[SVM_WORKER_ST_OK] = "OK",
		[SVM_WORKER_ST_PAGE_FAULT] = "PAGE_FAULT",
		[SVM_WORKER_ST_MISMATCH] = "MISMATCH",
		[SVM_WORKER_ST_BAD_OP] = "BAD_OP",
		[SVM_WORKER_ST_BAD_DESC] = "BAD_DESC",
		[SVM_WORKER_ST_BAD_LEN] = "BAD_LEN",
		[SVM_WORKER_ST_BAD_SPACE] = "BAD_SPACE",
		[SVM_WORKER_ST_BOND_DEAD] = "BOND_DEAD",
		[SVM_WORKER_ST_DENIED] = "DENIED",
		[SVM_WORKER_ST_TIMEOUT] = "TIMEOUT",
		[SVM_WORKER_ST_ABORTED] = "ABORTED",
		[SVM_WORKER_ST_NO_MEMORY] = "NO_MEMORY",
	};

	if ((unsigned int)status >= sizeof(names) / sizeof(names[0]))
		return "?";
	return names[status];
}
