/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A root owner, and workers without rights that exec a setuid program while
 * operations on their bonds run: none of its memory is read or written.
 *
 * The program maps pages at the address of the worker's buffers, so an
 * operation that came too late would find memory there. It looks for itself
 * whether somebody writes; what is read out is looked at here.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "setuid_canary.h"
#include "test_hostile.h"

#define ADDRESS		UINT64_C(0x7ea000000000)	/* nothing of a fresh image, nor a sanitizer, lies there */
#define LEN		(64u << 10)
#define PIECE		4096u
#define OPS		(2 * LEN / PIECE)	/* each page in and out */
#define WATCH_MS	20
#define LIVES		25
#define NOBODY		65534

struct installed {
	char dir[64], path[96];
};

static int
copy_file(const char *from, const char *to)
{
	const int in = open(from, O_RDONLY | O_CLOEXEC);
	const int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	struct stat st;
	int ret = -EIO;

	if (in >= 0 && out >= 0 && fstat(in, &st) == 0 &&
			sendfile(out, in, NULL, st.st_size) == st.st_size &&
			fchown(out, 0, 0) == 0 && fchmod(out, 04755) == 0)
		ret = 0;
	close(in);
	close(out);
	return ret;
}

/* A copy of svm-test-setuid with the bit, in a folder of its own. False: skipped. */
static bool
install(struct installed *i)
{
	char from[4096];
	struct statvfs fs;
	ssize_t n = readlink("/proc/self/exe", from, sizeof(from) - 32);

	if (geteuid() != 0) {
		test_skip("only root can install a setuid root program");
		return false;
	}
	strcpy(i->dir, "/tmp/svm-test-XXXXXX");
	if (n <= 0 || mkdtemp(i->dir) == NULL || chmod(i->dir, 0711) != 0)
		test_fail("no folder for the program");
	from[n] = '\0';
	strcpy(strrchr(from, '/') + 1, "svm-test-setuid");
	snprintf(i->path, sizeof(i->path), "%s/program", i->dir);
	if (statvfs(i->dir, &fs) != 0 || (fs.f_flag & (ST_NOSUID | ST_NOEXEC)) != 0) {
		rmdir(i->dir);
		test_skip("no setuid programs below /tmp: nosuid");
		return false;
	}
	if (copy_file(from, i->path) != 0)
		test_fail("%s cannot be copied", from);
	return true;
}

static void
uninstall(const struct installed *i)
{
	unlink(i->path);
	rmdir(i->dir);
}

static struct fx_worker *
victim(struct fx *f)
{
	struct fx_worker *w = fx_worker(f);

	fx_do(w, WK_SETUID, NOBODY);
	if (rte_svm_bind(f->dev, w->pid, &w->bond) != 0)
		test_fail("a worker of another user cannot be bound");
	TEST_EQUAL(fx_do(w, WK_ALLOC, WK_MEM_PRIVATE, LEN, ADDRESS), ADDRESS);
	return w;
}

struct round {
	struct rte_svm_op ops[OPS];
	char *in, *out;
	uint64_t seed;		/* of the worker's bytes, which `in` holds too */
	uint32_t ok, dead;
};

static void
round_make(struct round *r, struct fx_worker *w)
{
	uint32_t i;

	r->seed = fx_do(w, WK_FILL, ADDRESS, LEN);
	wk_pattern_write(r->in, LEN, r->seed, 0);
	r->ok = r->dead = 0;
	for (i = 0; i < OPS; i++) {
		const uint32_t at = i / 2 * PIECE;
		struct rte_svm_op *op = &r->ops[i];

		*op = (struct rte_svm_op){ .op = RTE_SVM_OP_COPY, .len = PIECE, .cookie = i };
		if (i % 2 == 0) {
			op->src = (uintptr_t)r->in + at;
			op->dst = ADDRESS + at;
			op->dst_bond = w->bond;
		} else {
			op->src = ADDRESS + at;
			op->src_bond = w->bond;
			op->dst = (uintptr_t)r->out + at;
		}
	}
}

/* What came out is the worker's, or nothing: never the program's. */
static void
round_look(struct round *r, const struct rte_svm_result *res)
{
	uint32_t i;

	for (i = 0; i < OPS; i++) {
		const uint32_t at = i / 2 * PIECE;

		r->ok += res[i].status == RTE_SVM_ST_OK;
		r->dead += res[i].status == RTE_SVM_ST_BOND_DEAD;
		/* While it execs the old memory goes away under the call. */
		CU_ASSERT(res[i].status == RTE_SVM_ST_OK ||
			res[i].status == RTE_SVM_ST_BOND_DEAD ||
			res[i].status == RTE_SVM_ST_DENIED ||
			res[i].status == RTE_SVM_ST_PAGE_FAULT);
		if (i % 2 == 0)
			continue;
		CU_ASSERT(wk_pattern_check(r->out + at, PIECE, CANARY_SEED, at) < 8);
		TEST_EQUAL(wk_pattern_check(r->out + at, res[i].done, r->seed, at),
			res[i].done);
	}
}

/* Bursts on the bond from before the exec until the program has looked enough. */
static int64_t
life(struct fx_worker *w, const struct installed *program, struct round *r, uint32_t delay)
{
	struct wk_req req = { .cmd = WK_EXEC_OTHER, .a = { ADDRESS, LEN, WATCH_MS } };
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct rte_svm_result res[OPS];
	struct wk_rep rep = { .ret = -ETIMEDOUT };
	bool told = false;
	uint32_t i;

	round_make(r, w);
	for (i = 0; i < delay; i++) {
		fx_run(w->f, r->ops, OPS, res);
		round_look(r, res);
	}
	TEST_EQUAL(r->ok, delay * OPS);
	strcpy(req.text, program->path);
	fx_send(w, &req);
	while (!fx_has_answer(w) && fx_now_ms() < end) {
		fx_run(w->f, r->ops, OPS, res);
		round_look(r, res);
		/* Some came after its exec: it need not look for longer. */
		if (r->dead > 0 && !told) {
			fx_send(w, &req);
			told = true;
		}
	}
	fx_answer(w, &rep);
	/* Still the program's pid, if not its memory. */
	fx_run(w->f, r->ops, OPS, res);
	for (i = 0; i < OPS; i++)
		TEST_STATUS(res[i].status, RTE_SVM_ST_BOND_DEAD);
	TEST_EQUAL(rep.v[0], NOBODY);
	TEST_EQUAL(rep.v[1], 0);
	return rep.ret;
}

void
test_hostile_setuid_program_is_never_touched(void)
{
	struct installed program;
	struct fx_worker *good;
	struct round *r;
	struct fx *f;
	uint32_t i;

	if (!install(&program))
		return;
	f = fx_begin("timeout_us=200000");
	if (f == NULL)
		goto uninstall;
	good = neighbour(f);
	r = fx_mem(f, sizeof(*r));
	r->in = fx_mem(f, LEN);
	r->out = fx_mem(f, LEN);
	for (i = 0; i < LIVES; i++) {
		struct fx_worker *w = victim(f);
		const uint64_t bond = w->bond;

		if (!TEST_EQUAL(life(w, &program, r, i % 4), 0))
			break;
		CU_ASSERT(r->dead > 0);
		fx_kill(w, SIGKILL);
		TEST_EQUAL(fx_unbind(f, bond), 0);
		neighbour_goes_on(good, 1);
	}
	neighbour_ends(good);
uninstall:
	uninstall(&program);
}
