/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failcall.h"

#define SITES		1024u
#define PLAN		4096u
#define PATCHES		1024u
#define LIBS		4u

/* failcall_ARCH.S */
extern const char fc_stubs[] __attribute__((visibility("hidden")));

/** Where a stub goes on; called by the stubs, with the call's arguments on its stack. */
void *
fc_enter(uint64_t stub, uintptr_t site, const long *args);

static struct {
	const struct fc_row *row;
	void *target;
} stub[FC_STUBS];
static uint32_t nb_stubs;

/* Entries replaced, and what stood there. */
static struct {
	uintptr_t *at, was;
} patch[PATCHES];
static uint32_t nb_patches;

static struct lib {
	const char *file;
	uintptr_t base, end;
} lib[LIBS];
static size_t nb_libs;

struct site {
	uintptr_t at;		/* where the call returns to */
	const struct fc_row *row;
	uint32_t calls;
};

enum mode { RESTING, LEARNING, FAILING };

static struct {
	uint32_t mode;		/* enum mode; atomic, read first and without the lock */
	pthread_mutex_t lock;	/* all that follows */
	struct site site[SITES];
	uint32_t nb_sites;
	struct {
		uint32_t site, nth;
		int err;
	} plan[PLAN];
	uint32_t nb_plan;
	uint32_t wanted;	/* of plan */
	bool done;
} fc = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- in the libraries' calls ---- */

static __thread long failed_value;

static long
failed(void)
{
	return failed_value;
}

static void
fail_with(const struct fc_row *row, int err)
{
	switch (row->how) {
	case FC_NULL:
		failed_value = 0;
		break;
	case FC_POSITIVE:
		failed_value = err;
		return;
	case FC_NEGATIVE:
		failed_value = -err;
		return;
	default:
		failed_value = -1;	/* MAP_FAILED, too */
		break;
	}
	errno = err;
}

static struct site *
site_find_locked(uintptr_t at, const struct fc_row *row)
{
	uint32_t i;

	for (i = 0; i < fc.nb_sites; i++)
		if (fc.site[i].at == at && fc.site[i].row == row)
			return &fc.site[i];
	if (fc.nb_sites == SITES)
		return NULL;
	fc.site[i] = (struct site){ .at = at, .row = row };
	fc.nb_sites++;
	return &fc.site[i];
}

/* @return The errno to fail with, 0: it may go on. */
static int
look_locked(uintptr_t at, const struct fc_row *row)
{
	struct site *s = site_find_locked(at, row);

	if (s == NULL)
		return 0;
	s->calls++;
	if (fc.mode != FAILING || fc.done || fc.plan[fc.wanted].site != s - fc.site ||
			fc.plan[fc.wanted].nth != s->calls)
		return 0;
	fc.done = true;
	return fc.plan[fc.wanted].err;
}

int
fc_look(uintptr_t at, const struct fc_row *row, const long *args)
{
	int err;

	if (__atomic_load_n(&fc.mode, __ATOMIC_RELAXED) == RESTING || row->how == FC_NEVER ||
			(row->can != NULL && !row->can(args)))
		return 0;
	pthread_mutex_lock(&fc.lock);
	err = look_locked(at, row);
	pthread_mutex_unlock(&fc.lock);
	return err;
}

void *
fc_enter(uint64_t i, uintptr_t at, const long *args)
{
	const struct fc_row *row = stub[i].row;
	const int keep = errno;
	const int err = fc_raw_is_on() ? 0 : fc_look(at, row, args);

	errno = keep;
	if (err == 0)
		return stub[i].target;
	fail_with(row, err);
	return (void *)(uintptr_t)failed;
}

/* ---- plan ---- */

static void
mode_set(enum mode mode)
{
	uint32_t i;

	pthread_mutex_lock(&fc.lock);
	for (i = 0; i < fc.nb_sites; i++)
		fc.site[i].calls = 0;
	fc.done = false;
	__atomic_store_n(&fc.mode, mode, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&fc.lock);
}

void
fc_learn(void)
{
	pthread_mutex_lock(&fc.lock);
	fc.nb_sites = fc.nb_plan = 0;
	pthread_mutex_unlock(&fc.lock);
	mode_set(LEARNING);
}

static void
plan_add_locked(uint32_t site, uint32_t nth, int err)
{
	if (err == 0 || fc.nb_plan == PLAN)
		return;
	fc.plan[fc.nb_plan].site = site;
	fc.plan[fc.nb_plan].nth = nth;
	fc.plan[fc.nb_plan].err = err;
	fc.nb_plan++;
}

/* Each errno at a site's first call, the likeliest one at those after it. */
uint32_t
fc_plan(void)
{
	uint32_t i, k, n;

	pthread_mutex_lock(&fc.lock);
	__atomic_store_n(&fc.mode, RESTING, __ATOMIC_RELAXED);
	fc.nb_plan = 0;
	for (i = 0; i < fc.nb_sites; i++) {
		const struct site *s = &fc.site[i];

		for (k = 0; k < FC_ERRNOS; k++)
			plan_add_locked(i, 1, s->row->err[k]);
		for (n = 2; n <= s->calls && n <= FC_OCCURRENCES; n++)
			plan_add_locked(i, n, s->row->err[0]);
	}
	n = fc.nb_plan;
	pthread_mutex_unlock(&fc.lock);
	return n;
}

void
fc_fail(uint32_t i)
{
	fc.wanted = i;
	mode_set(FAILING);
}

bool
fc_rest(void)
{
	bool done;

	pthread_mutex_lock(&fc.lock);
	__atomic_store_n(&fc.mode, RESTING, __ATOMIC_RELAXED);
	done = fc.done;
	pthread_mutex_unlock(&fc.lock);
	return done;
}

int
fc_errno(uint32_t i)
{
	return fc.plan[i].err;
}

void
fc_name(uint32_t i, char name[FC_NAME_LEN])
{
	const struct site *s = &fc.site[fc.plan[i].site];
	const char *file = "?";
	uintptr_t base = 0;
	size_t k;

	for (k = 0; k < nb_libs; k++)
		if (s->at > lib[k].base && s->at < lib[k].end) {
			file = lib[k].file;
			base = lib[k].base;
		}
	snprintf(name, FC_NAME_LEN, "%s at %s+%#lx, call %u, %s", s->row->name, file,
		(unsigned long)(s->at - base), fc.plan[i].nth, strerror(fc.plan[i].err));
}

void
fc_lib_range(size_t i, uintptr_t *base, uintptr_t *end)
{
	*base = lib[i].base;
	*end = lib[i].end;
}

/* ---- the hook ---- */

static void
patch_set(uintptr_t *at, uintptr_t value)
{
	const uintptr_t page = sysconf(_SC_PAGESIZE);

	/* Entries that the loader has made read-only are no secret here. */
	mprotect((void *)((uintptr_t)at & ~(page - 1)), page, PROT_READ | PROT_WRITE);
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* The stub of a function; -1: none is left. */
static int
stub_get(const struct fc_row *row)
{
	uint32_t i;

	for (i = 0; i < nb_stubs; i++)
		if (stub[i].row == row)
			return (int)i;
	if (nb_stubs == FC_STUBS)
		return -1;
	stub[i].row = row;
	stub[i].target = row->instead != NULL ? row->instead : dlsym(RTLD_DEFAULT, row->name);
	nb_stubs++;
	return (int)i;
}

/* Names of the compiler's and of our own other library. */
static bool
name_is_ours(const char *name)
{
	static const char *const prefix[] = {
		"_ITM_", "__cxa_", "__gmon_start__", "__tls_get_addr", "__asan_", "__ubsan_",
		"__tsan_", "__sanitizer_", "__gcov", "__stack_chk_", "svm_", "rte_svm_",
	};
	size_t i;

	for (i = 0; i < sizeof(prefix) / sizeof(prefix[0]); i++)
		if (strncmp(name, prefix[i], strlen(prefix[i])) == 0)
			return true;
	return false;
}

struct hooking {
	const char *file;
	struct lib *lib;
	char *unknown;
	size_t size;
	int ret;	/* 1: not met yet */
};

static void
unknown_add(struct hooking *h, const char *name)
{
	const size_t len = strlen(h->unknown);

	if (strstr(h->unknown, name) == NULL)
		snprintf(h->unknown + len, h->size - len, " %s", name);
}

static void
hook_relocs(struct hooking *h, uintptr_t base, const ElfW(Rela) *r, size_t bytes,
		const ElfW(Sym) *syms, const char *strings)
{
	const ElfW(Rela) *end = r + bytes / sizeof(*r);

	for (; r != end; r++) {
		const ElfW(Sym) *sym = &syms[ELF64_R_SYM(r->r_info)];
		const char *name = strings + sym->st_name;
		const struct fc_row *row;
		int i;

		/* Calls, direct or by a pointer; data is neither. */
		if (ELF64_R_SYM(r->r_info) == 0 || sym->st_shndx != SHN_UNDEF ||
				ELF64_ST_TYPE(sym->st_info) == STT_OBJECT ||
				ELF64_ST_TYPE(sym->st_info) == STT_TLS || name_is_ours(name))
			continue;
		row = fc_row_find(name);
		if (row == NULL) {
			unknown_add(h, name);
			continue;
		}
		i = stub_get(row);
		if (i < 0 || nb_patches == PATCHES) {
			h->ret = -ENOSPC;
			return;
		}
		patch[nb_patches].at = (uintptr_t *)(base + r->r_offset);
		patch[nb_patches].was = *patch[nb_patches].at;
		patch_set(patch[nb_patches].at, (uintptr_t)fc_stubs + (size_t)i * FC_STUB_SIZE);
		nb_patches++;
	}
}

static int
hook_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct hooking *h = arg;
	const char *file = strrchr(info->dlpi_name, '/');
	const ElfW(Rela) *rela = NULL, *jmprel = NULL;
	const ElfW(Dyn) *dyn = NULL;
	const ElfW(Sym) *syms = NULL;
	const char *strings = NULL;
	size_t rela_len = 0, jmprel_len = 0;
	int i;

	(void)size;
	/* Its version may follow. */
	file = file != NULL ? file + 1 : info->dlpi_name;
	if (strncmp(file, h->file, strlen(h->file)) != 0)
		return 0;
	h->ret = 0;
	h->lib->base = info->dlpi_addr;
	for (i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_DYNAMIC)
			dyn = (const void *)(info->dlpi_addr + ph->p_vaddr);
		if (ph->p_type == PT_LOAD)
			h->lib->end = info->dlpi_addr + ph->p_vaddr + ph->p_memsz;
	}
	for (; dyn != NULL && dyn->d_tag != DT_NULL; dyn++) {
		const void *p = (const void *)dyn->d_un.d_ptr;

		if (dyn->d_tag == DT_SYMTAB)
			syms = p;
		else if (dyn->d_tag == DT_STRTAB)
			strings = p;
		else if (dyn->d_tag == DT_RELA)
			rela = p;
		else if (dyn->d_tag == DT_RELASZ)
			rela_len = dyn->d_un.d_val;
		else if (dyn->d_tag == DT_JMPREL)
			jmprel = p;
		else if (dyn->d_tag == DT_PLTRELSZ)
			jmprel_len = dyn->d_un.d_val;
	}
	hook_relocs(h, info->dlpi_addr, rela, rela_len, syms, strings);
	if (h->ret == 0)
		hook_relocs(h, info->dlpi_addr, jmprel, jmprel_len, syms, strings);
	return 1;
}

int
fc_hook(const char *const *libs, size_t nb, char *unknown, size_t unknown_size)
{
	size_t i;

	unknown[0] = '\0';
	fc_held_reset();
	for (i = 0; i < nb && i < LIBS; i++) {
		struct hooking h = { .file = libs[i], .lib = &lib[i], .unknown = unknown,
			.size = unknown_size, .ret = 1 };

		lib[i].file = libs[i];
		nb_libs = i + 1;
		dl_iterate_phdr(hook_object, &h);
		if (h.ret != 0) {
			fc_unhook();
			return h.ret < 0 ? h.ret : -ENOENT;
		}
	}
	return 0;
}

void
fc_unhook(void)
{
	while (nb_patches != 0) {
		nb_patches--;
		patch_set(patch[nb_patches].at, patch[nb_patches].was);
	}
	nb_libs = 0;
}
