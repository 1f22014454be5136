/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls that fail once. The calls of chosen libraries go through a stub: their
 * entries in the global offset table are replaced while the hook is in place,
 * so nobody else's calls are touched, and no library is built differently.
 *
 *   fc_hook({ "librte_svm.so" }, 1, unknown)
 *   fc_learn()          count the calls of a clean run, by call site
 *   ... run ...
 *   n = fc_plan()       the calls that can fail: one for each site, occurrence
 *   fc_fail(i)          the next run fails call i, once
 *   ... run ...
 *   fc_rest()
 *   fc_unhook()
 *
 * What the libraries hold (bytes of malloc, bytes mapped) is counted for as long
 * as the hook is in place. Calls may come from any thread. What a library does
 * by system call instructions of its own is not seen here, but with
 * fc_raw_begin(): then these, and nothing else, are learned and fail.
 */
#ifndef FAILCALL_H
#define FAILCALL_H

/* Stubs in failcall_ARCH.S, and the bytes of one. */
#define FC_STUBS	256
#define FC_STUB_SIZE	16

#ifndef __ASSEMBLER__

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Occurrences of one call site that are failed, each in a run of its own. */
#define FC_OCCURRENCES	6u
#define FC_NAME_LEN	128

/** What the hooked libraries hold. */
struct fc_held {
	int64_t bytes;		/* of malloc and its relatives */
	int64_t blocks;
	int64_t mapped;		/* of mmap */
};

/**
 * Put the hook into the calls of libraries that are loaded.
 *
 * @param libs     File names, "librte_svm.so"; a version may follow.
 * @param unknown  Out: names that they call and failcall_table.c does not know,
 *   with a blank before each; "" when there is none.
 * @return 0; -ENOENT: a library is not loaded; -ENOSPC: more names than stubs.
 */
int
fc_hook(const char *const *libs, size_t nb, char *unknown, size_t unknown_size);

/** Take it out. No call of the libraries may be under way but in a thread that sleeps. */
void
fc_unhook(void);

/** Count calls from here on. */
void
fc_learn(void);

/** End counting. @return How many calls can be failed, 0 to n - 1 for fc_fail(). */
uint32_t
fc_plan(void);

/** From here on, let the planned call fail when it comes. */
void
fc_fail(uint32_t i);

/** Nothing fails any more. @return Whether the planned call came, and failed. */
bool
fc_rest(void);

/** The errno of a planned call. */
int
fc_errno(uint32_t i);

/** Name a planned call: "calloc at librte_svm.so+0x4321, 2nd, Cannot allocate memory". */
void
fc_name(uint32_t i, char name[FC_NAME_LEN]);

struct fc_held
fc_held(void);

/**
 * From here on, and for as long as this process lives, calls are the system call
 * instructions of the first hooked library. Call it with one thread.
 *
 * @return 0; -errno: the kernel does not let a process answer its own calls.
 */
int
fc_raw_begin(void);

/** A system call that failcall_raw.c does not know was made: its number, or -1. */
int
fc_raw_unknown(void);

/* ---- for failcall_*.c and .S ---- */

/** How a function says that it failed. */
enum fc_how {
	FC_NEVER,	/* it does not, or not for want of anything */
	FC_MINUS_ONE,	/* -1, errno */
	FC_NULL,	/* NULL, errno */
	FC_MAP_FAILED,	/* MAP_FAILED, errno */
	FC_POSITIVE,	/* the errno */
	FC_NEGATIVE,	/* -errno */
};

#define FC_ERRNOS	3

struct fc_row {
	const char *name;
	enum fc_how how;
	int err[FC_ERRNOS];	/* what it gives; 0: no more */
	/* Called instead, to count what is held; NULL: the function itself. */
	void *instead;
	/* Whether the call is one that can fail so; NULL: each is. */
	bool (*can)(const long *args);
};

/** Count a call. @return the errno it is to fail with, 0: it may go on. */
int
fc_look(uintptr_t at, const struct fc_row *row, const long *args);

/** Whether fc_raw_begin() was called. */
bool
fc_raw_is_on(void);

/** Where a hooked library lies. */
void
fc_lib_range(size_t i, uintptr_t *base, uintptr_t *end);

/** The row of a function, or NULL. */
const struct fc_row *
fc_row_find(const char *name);

/** Of failcall_table.c: start counting at 0. */
void
fc_held_reset(void);

#endif /* __ASSEMBLER__ */

#endif /* FAILCALL_H */
