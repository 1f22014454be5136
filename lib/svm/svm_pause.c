/* SPDX-License-Identifier: BSD-3-Clause */
#include "svm_pause.h"

void
svm_pause_begin(struct svm_conn_list *paused, struct svm_fdtab *tab, struct svm_conn *conn)
{
	svm_fdtab_del(tab, conn->fd);
	conn->paused = true;
	TAILQ_INSERT_TAIL(paused, conn, pause_link);
}

void
svm_pause_end(struct svm_conn_list *paused, struct svm_fdtab *tab, uint64_t now_ms)
{
	struct svm_conn *conn, *next;

	for (conn = TAILQ_FIRST(paused); conn != NULL; conn = next) {
		const struct svm_fd_entry e = { .kind = SVM_FD_CONN, .conn = conn };

		next = TAILQ_NEXT(conn, pause_link);
		/* Without memory it is tried again at the next tick. */
		if (now_ms >= conn->paused_until_ms && svm_fdtab_add(tab, conn->fd, &e) == 0)
			svm_pause_forget(paused, conn);
	}
}

void
svm_pause_forget(struct svm_conn_list *paused, struct svm_conn *conn)
{
	if (conn->paused)
		TAILQ_REMOVE(paused, conn, pause_link);
	conn->paused = false;
	conn->paused_until_ms = 0;
}
