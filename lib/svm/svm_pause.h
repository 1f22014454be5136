/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections that are not read for a while, because they sent too much: what
 * they say waits in their own socket. The server's thread only.
 */
#ifndef SVM_PAUSE_H
#define SVM_PAUSE_H

#include "svm_conn.h"
#include "svm_fdtab.h"

/** Stop reading a connection whose paused_until_ms is set. */
void
svm_pause_begin(struct svm_conn_list *paused, struct svm_fdtab *tab, struct svm_conn *conn);

/** Read those again whose time is over. */
void
svm_pause_end(struct svm_conn_list *paused, struct svm_fdtab *tab, uint64_t now_ms);

/** A connection leaves, paused or not. */
void
svm_pause_forget(struct svm_conn_list *paused, struct svm_conn *conn);

#endif /* SVM_PAUSE_H */
