/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker is told of its windows: neither addresses nor whose they are. */
#include <errno.h>

#include "svm_conn.h"

_Static_assert(RTE_SVM_WINDOW_READ == 1 && RTE_SVM_WINDOW_WRITE == 2,
	"rights are the same on the wire");

void
svm_conn_window_list(const struct svm_conn *conn, const struct svm_msg_window_list *in,
		union svm_msg *out)
{
	struct svm_msg_window_list_reply *r = &out->window_list_reply;
	struct rte_svm_window_info infos[SVM_PROTO_WINDOWS];
	uint64_t after = in->after;
	int i, nb;

	svm_msg_init(out, SVM_MSG_WINDOW_LIST_REPLY, conn->version, in->hdr.seq);
	if (conn->bond == 0) {
		r->status = -ENOENT;
		return;
	}
	nb = conn->env->ops->window_list(conn->env->arg, conn->bond, &after, infos,
			SVM_PROTO_WINDOWS);
	r->nb = nb;
	r->after = after;
	for (i = 0; i != nb; i++)
		r->window[i] = (struct svm_msg_window){
			.id = infos[i].window,
			.rights = infos[i].conf.rights,
			.len = infos[i].conf.len,
			.user = infos[i].conf.user,
		};
}
