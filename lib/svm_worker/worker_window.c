/* SPDX-License-Identifier: BSD-3-Clause */
/* The windows that the owner has granted to this process. */
#include <errno.h>

#include "worker_conn.h"

#define RIGHTS_ALL	(SVM_WORKER_WINDOW_READ | SVM_WORKER_WINDOW_WRITE)

_Static_assert(SVM_WORKER_WINDOW_READ == 1 && SVM_WORKER_WINDOW_WRITE == 2,
	"rights are the same on the wire");

/* The reply's own fields. A list that does not go on would never end. */
static int
page_check(const struct svm_msg_window_list_reply *r, uint64_t after)
{
	uint32_t i;

	if (r->nb > SVM_PROTO_WINDOWS || (r->nb != 0 && r->after <= after))
		return -EPROTO;
	for (i = 0; i != r->nb; i++)
		if (r->window[i].id == 0 || r->window[i].len == 0 ||
				(r->window[i].rights & ~RIGHTS_ALL) != 0)
			return -EPROTO;
	return 0;
}

static int
page_ask(struct svm_worker *w, uint64_t after, union svm_msg *msg)
{
	int rc;

	svm_msg_init(msg, SVM_MSG_WINDOW_LIST, w->version, 0);
	msg->window_list.after = after;
	rc = svm_wconn_request(w, msg, NULL);
	if (rc == 0)
		rc = svm_wconn_status(msg->window_list_reply.status);
	if (rc != 0)
		return rc;
	rc = page_check(&msg->window_list_reply, after);
	if (rc != 0)
		svm_wconn_break(w);
	return rc;
}

int
svm_worker_window_list(struct svm_worker *worker, struct svm_worker_window *windows, uint32_t n)
{
	const struct svm_msg_window_list_reply *r;
	uint32_t found = 0, i;
	uint64_t after = 0;
	union svm_msg msg;

	if (worker == NULL || (windows == NULL && n != 0))
		return -EINVAL;
	if (worker->bond == 0)
		return -ENOENT;
	r = &msg.window_list_reply;
	/* An owner has no more than this; another that goes on for ever is none. */
	while (found <= SVM_WORKER_WINDOWS_MAX) {
		const int rc = page_ask(worker, after, &msg);

		if (rc != 0)
			return rc;
		for (i = 0; i != r->nb; i++, found++)
			if (found < n)
				windows[found] = (struct svm_worker_window){
					.id = r->window[i].id,
					.rights = r->window[i].rights,
					.len = r->window[i].len,
					.user = r->window[i].user,
				};
		if (r->nb != SVM_PROTO_WINDOWS)
			return found;
		after = r->after;
	}
	svm_wconn_break(worker);
	return -EPROTO;
}
