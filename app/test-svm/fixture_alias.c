/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's memory that the owner has mapped as well. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "fixture.h"
#include "svm_dev.h"

/* A descriptor of the worker's, as it would come over its socket. */
static int
fd_take(const struct fx_worker *w, int fd)
{
	const int pidfd = syscall(SYS_pidfd_open, w->pid, 0);
	const int ours = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	if (pidfd < 0 || ours < 0)
		test_fail("descriptor %d of the worker: %s", fd, strerror(errno));
	close(pidfd);
	return ours;
}

int
fx_alias_map(struct fx_worker *w, uint64_t addr, size_t len, int fd, uint64_t off)
{
	const int ours = fd_take(w, fd);
	const int ret = svm_dev_mem_map(fx_dev(w->f), w->bond, addr, len, ours, off,
			SVM_ATC_READ | SVM_ATC_WRITE);

	close(ours);
	return ret;
}

int64_t
fx_alias_alloc(struct fx_worker *w, size_t len, struct wk_rep *rep)
{
	const size_t page = sysconf(_SC_PAGESIZE), whole = (len + page - 1) & ~(page - 1);
	struct wk_req req = { .cmd = WK_ALLOC, .a = { WK_MEM_SEALED, whole } };
	int fd, ret;

	fx_send(w, &req);
	if (fx_answer(w, rep) != 0)
		return rep->ret;
	fd = fx_do(w, WK_EVENTS, rep->v[0], whole);
	if (!w->events) {
		ret = svm_dev_mem_watch(fx_dev(w->f), w->bond, fd_take(w, fd));
		if (ret != 0)
			test_fail("svm_dev_mem_watch: %d", ret);
		w->events = true;
	}
	ret = fx_alias_map(w, rep->v[0], whole, rep->v[1], 0);
	if (ret != 0)
		test_fail("svm_dev_mem_map: %d", ret);
	return 0;
}

/* Half of the time that a look is good for is left. */
static bool
bond_warm(struct svm_bond *b)
{
	const uint64_t ahead = SVM_ATC_SEEN_US / 2 * rte_get_tsc_hz() / 1000000;

	if (b->atc == NULL || svm_atc_seen(b->atc, rte_rdtsc() + ahead))
		return true;
	svm_atc_kick(b->atc);
	return false;
}

void
fx_alias_warm(struct fx *f)
{
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct svm_bond_table *t = fx_dev(f)->bonds;
	uint32_t i;

	for (i = 0; i < FX_WORKERS; i++) {
		struct svm_bond *b = f->worker[i].pid == 0 || f->worker[i].bond == 0 ? NULL :
			svm_bond_get_id(t, f->worker[i].bond);

		/* One that has called exec, or is about to end, is never seen. */
		while (b != NULL && !bond_warm(b) && svm_ident_alive(&b->ident)) {
			usleep(100);
			if (fx_now_ms() > end)
				test_fail("nobody looks at bond %u", i);
		}
		if (b != NULL)
			svm_bond_put(b);
	}
}
