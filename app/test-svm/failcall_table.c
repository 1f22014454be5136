/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every function of others that our libraries call, and how it fails. One that
 * is missing here fails the suite: whoever adds it says whether it can fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failcall.h"

/* ---- what is held ---- */

static struct {
	int64_t bytes, blocks, mapped;	/* atomic, relaxed: figures */
} held;

static void
held_add(int64_t *figure, int64_t n)
{
	__atomic_fetch_add(figure, n, __ATOMIC_RELAXED);
}

static void *
held_in(void *p)
{
	if (p != NULL) {
		held_add(&held.bytes, (int64_t)malloc_usable_size(p));
		held_add(&held.blocks, 1);
	}
	return p;
}

static void
held_out(void *p)
{
	if (p != NULL) {
		held_add(&held.bytes, -(int64_t)malloc_usable_size(p));
		held_add(&held.blocks, -1);
	}
}

static void *
count_malloc(size_t size)
{
	return held_in(malloc(size));
}

static void *
count_calloc(size_t nb, size_t size)
{
	return held_in(calloc(nb, size));
}

static void *
count_realloc(void *p, size_t size)
{
	void *grown;

	held_out(p);
	grown = realloc(p, size);
	if (grown == NULL)
		held_in(p);
	return held_in(grown);
}

static void *
count_aligned_alloc(size_t align, size_t size)
{
	return held_in(aligned_alloc(align, size));
}

static void *
count_strdup(const char *s)
{
	return held_in(strdup(s));
}

static ssize_t
count_getdelim(char **line, size_t *size, int delim, FILE *file)
{
	ssize_t n;

	held_out(*line);
	n = getdelim(line, size, delim, file);
	held_in(*line);
	return n;
}

static void
count_free(void *p)
{
	held_out(p);
	free(p);
}

static void *
count_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = mmap(addr, len, prot, flags, fd, off);

	/* With MAP_FIXED it takes the place of what is mapped there, and was counted. */
	if (p != MAP_FAILED && (flags & MAP_FIXED) == 0)
		held_add(&held.mapped, (int64_t)len);
	return p;
}

static int
count_munmap(void *addr, size_t len)
{
	held_add(&held.mapped, -(int64_t)len);
	return munmap(addr, len);
}

struct fc_held
fc_held(void)
{
	return (struct fc_held) {
		.bytes = __atomic_load_n(&held.bytes, __ATOMIC_RELAXED),
		.blocks = __atomic_load_n(&held.blocks, __ATOMIC_RELAXED),
		.mapped = __atomic_load_n(&held.mapped, __ATOMIC_RELAXED),
	};
}

void
fc_held_reset(void)
{
	held.bytes = held.blocks = held.mapped = 0;
}

/* ---- calls that fail in some forms only ---- */

static bool
epoll_adds(const long *args)
{
	return args[1] == EPOLL_CTL_ADD;
}

static bool
syscall_opens(const long *args)
{
	return args[0] == SYS_pidfd_open;
}

static bool
fcntl_changes(const long *args)
{
	return args[1] == F_ADD_SEALS || args[1] == F_DUPFD_CLOEXEC;
}

/* ---- the table ---- */

/* An interruption stands for all errors where the callers wait and try again. */
static const struct fc_row rows[] = {
	/* memory */
	{ "malloc", FC_NULL, { ENOMEM }, count_malloc, NULL },
	{ "calloc", FC_NULL, { ENOMEM }, count_calloc, NULL },
	{ "realloc", FC_NULL, { ENOMEM }, count_realloc, NULL },
	{ "aligned_alloc", FC_NULL, { ENOMEM }, count_aligned_alloc, NULL },
	{ "strdup", FC_NULL, { ENOMEM }, count_strdup, NULL },
	{ "__getdelim", FC_MINUS_ONE, { ENOMEM }, count_getdelim, NULL },
	{ "free", FC_NEVER, { 0 }, count_free, NULL },
	{ "mmap64", FC_MAP_FAILED, { ENOMEM }, count_mmap, NULL },
	{ "_ZN3rml14pool_create_v1ElPKNS_13MemPoolPolicyEPPNS_10MemoryPoolE", FC_POSITIVE,
		{ ENOMEM }, NULL, NULL },
	{ "_ZN3rml11pool_mallocEPNS_10MemoryPoolEm", FC_NULL, { ENOMEM }, NULL, NULL },
	{ "_ZN3rml12pool_reallocEPNS_10MemoryPoolEPvm", FC_NULL, { ENOMEM }, NULL, NULL },
	{ "_ZN3rml19pool_aligned_mallocEPNS_10MemoryPoolEmm", FC_NULL, { ENOMEM }, NULL, NULL },
	{ "_ZN3rml9pool_freeEPNS_10MemoryPoolEPv", FC_NEVER, { 0 }, NULL, NULL },
	{ "_ZN3rml12pool_destroyEPNS_10MemoryPoolE", FC_NEVER, { 0 }, NULL, NULL },
	{ "mremap", FC_MAP_FAILED, { ENOMEM }, NULL, NULL },
	{ "munmap", FC_NEVER, { 0 }, count_munmap, NULL },
	{ "mprotect", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "madvise", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	/* descriptors */
	{ "accept4", FC_MINUS_ONE, { EMFILE, ENFILE, ENOMEM }, NULL, NULL },
	{ "epoll_create1", FC_MINUS_ONE, { EMFILE, ENOMEM }, NULL, NULL },
	{ "epoll_ctl", FC_MINUS_ONE, { ENOMEM, ENOSPC }, NULL, epoll_adds },
	{ "epoll_wait", FC_MINUS_ONE, { EINTR }, NULL, NULL },
	{ "eventfd", FC_MINUS_ONE, { EMFILE, ENOMEM }, NULL, NULL },
	{ "fcntl64", FC_MINUS_ONE, { EBUSY }, NULL, fcntl_changes },
	{ "fdopen", FC_NULL, { ENOMEM }, NULL, NULL },
	{ "fopen64", FC_NULL, { EMFILE, ENOMEM }, NULL, NULL },
	{ "flock", FC_MINUS_ONE, { ENOLCK }, NULL, NULL },
	{ "ftruncate64", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "memfd_create", FC_MINUS_ONE, { EMFILE, ENOMEM }, NULL, NULL },
	{ "open64", FC_MINUS_ONE, { EMFILE, ENFILE, ENOMEM }, NULL, NULL },
	{ "openat64", FC_MINUS_ONE, { EMFILE, ENFILE, ENOMEM }, NULL, NULL },
	{ "poll", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "ppoll", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "preadv64v2", FC_MINUS_ONE, { EAGAIN, EOPNOTSUPP }, NULL, NULL },
	{ "read", FC_MINUS_ONE, { EINTR }, NULL, NULL },
	{ "readlink", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "readv", FC_MINUS_ONE, { EAGAIN }, NULL, NULL },
	{ "write", FC_MINUS_ONE, { EINTR }, NULL, NULL },
	{ "syscall", FC_MINUS_ONE, { EMFILE, ENFILE, ENOMEM }, NULL, syscall_opens },
	{ "close", FC_NEVER, { 0 }, NULL, NULL },
	{ "fclose", FC_NEVER, { 0 }, NULL, NULL },
	/* files */
	{ "chmod", FC_MINUS_ONE, { EPERM }, NULL, NULL },
	{ "fchmod", FC_MINUS_ONE, { EPERM }, NULL, NULL },
	{ "fstat64", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "fstatfs64", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "fstatat64", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "lstat64", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "stat64", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "unlink", FC_NEVER, { 0 }, NULL, NULL },
	{ "getcwd", FC_NULL, { ENOMEM }, NULL, NULL },
	/* sockets */
	{ "socket", FC_MINUS_ONE, { EMFILE, ENFILE, ENOMEM }, NULL, NULL },
	{ "bind", FC_MINUS_ONE, { EADDRINUSE, ENOMEM }, NULL, NULL },
	{ "connect", FC_MINUS_ONE, { ECONNREFUSED, EAGAIN, ENOMEM }, NULL, NULL },
	{ "listen", FC_MINUS_ONE, { EADDRINUSE }, NULL, NULL },
	{ "getsockopt", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "setsockopt", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "recv", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "recvmsg", FC_MINUS_ONE, { ENOMEM, EINTR }, NULL, NULL },
	{ "send", FC_MINUS_ONE, { ENOBUFS, ENOMEM, EAGAIN }, NULL, NULL },
	{ "sendmsg", FC_MINUS_ONE, { ENOBUFS, ENOMEM, EAGAIN }, NULL, NULL },
	{ "shutdown", FC_NEVER, { 0 }, NULL, NULL },
	{ "ioctl", FC_NEVER, { 0 }, NULL, NULL },	/* SIOCOUTQ */
	/* tasks */
	{ "getrandom", FC_MINUS_ONE, { EAGAIN }, NULL, NULL },
	{ "prctl", FC_MINUS_ONE, { EINVAL }, NULL, NULL },
	{ "process_vm_readv", FC_MINUS_ONE, { ENOMEM }, NULL, NULL },
	{ "pthread_create", FC_POSITIVE, { EAGAIN }, NULL, NULL },
	{ "pthread_attr_init", FC_POSITIVE, { ENOMEM }, NULL, NULL },
	{ "pthread_attr_setaffinity_np", FC_POSITIVE, { ENOMEM }, NULL, NULL },
	{ "pthread_mutex_init", FC_POSITIVE, { ENOMEM }, NULL, NULL },
	{ "pthread_setaffinity_np", FC_POSITIVE, { EINVAL }, NULL, NULL },
	{ "pthread_setname_np", FC_POSITIVE, { ENOMEM }, NULL, NULL },
	{ "sched_setaffinity", FC_MINUS_ONE, { EINVAL }, NULL, NULL },
	{ "sigaction", FC_NEVER, { 0 }, NULL, NULL },
	{ "waitid", FC_MINUS_ONE, { EINTR }, NULL, NULL },
	{ "clock_gettime", FC_NEVER, { 0 }, NULL, NULL },
	{ "getgroups", FC_NEVER, { 0 }, NULL, NULL },
	{ "getpid", FC_NEVER, { 0 }, NULL, NULL },
	{ "getrlimit64", FC_NEVER, { 0 }, NULL, NULL },
	{ "getresgid", FC_NEVER, { 0 }, NULL, NULL },
	{ "getresuid", FC_NEVER, { 0 }, NULL, NULL },
	{ "nanosleep", FC_NEVER, { 0 }, NULL, NULL },
	{ "numa_available", FC_NEVER, { 0 }, NULL, NULL },
	{ "numa_allocate_cpumask", FC_NEVER, { 0 }, NULL, NULL },
	{ "numa_bitmask_free", FC_NEVER, { 0 }, NULL, NULL },
	{ "numa_bitmask_isbitset", FC_NEVER, { 0 }, NULL, NULL },
	{ "numa_max_node", FC_NEVER, { 0 }, NULL, NULL },
	{ "numa_node_to_cpus", FC_MINUS_ONE, { ENOENT }, NULL, NULL },
	{ "mbind", FC_MINUS_ONE, { ENOSYS, ENOMEM }, NULL, NULL },
	{ "pthread_attr_destroy", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_attr_setstacksize", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_cancel", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_clockjoin_np", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_detach", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_getaffinity_np", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_join", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_mutex_destroy", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_mutex_lock", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_mutex_trylock", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_mutex_unlock", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_once", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_self", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_setcancelstate", FC_NEVER, { 0 }, NULL, NULL },
	{ "pthread_sigmask", FC_NEVER, { 0 }, NULL, NULL },
	{ "raise", FC_NEVER, { 0 }, NULL, NULL },
	{ "__sched_cpucount", FC_NEVER, { 0 }, NULL, NULL },
	{ "sched_getcpu", FC_NEVER, { 0 }, NULL, NULL },
	{ "sched_yield", FC_NEVER, { 0 }, NULL, NULL },
	{ "sysconf", FC_NEVER, { 0 }, NULL, NULL },
	/* DPDK */
	{ "__rte_trace_mem_per_thread_alloc", FC_NEVER, { 0 }, NULL, NULL },
	{ "__rte_trace_point_emit_field", FC_NEVER, { 0 }, NULL, NULL },
	{ "__rte_trace_point_register", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_ctrl_thread_create", FC_NEGATIVE, { EAGAIN }, NULL, NULL },
	{ "rte_log_register_type_and_pick_level", FC_NEGATIVE, { ENOMEM }, NULL, NULL },
	{ "rte_service_component_register", FC_NEGATIVE, { ENOMEM }, NULL, NULL },
	{ "rte_kvargs_parse", FC_NULL, { ENOMEM }, NULL, NULL },
	{ "dlopen", FC_NULL, { ENOMEM }, NULL, NULL },
	{ "dlclose", FC_NEVER, { 0 }, NULL, NULL },
	{ "dlsym", FC_NEVER, { 0 }, NULL, NULL },
	/* As the plugin is loaded, before anything can be made to fail. */
	{ "dladdr", FC_NEVER, { 0 }, NULL, NULL },
	{ "dl_iterate_phdr", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_eal_get_runtime_dir", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_eal_process_type", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_get_next_lcore", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_get_tsc_hz", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_kvargs_free", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_lcore_cpuset", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_log", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_service_component_runstate_set", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_service_component_unregister", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_service_lcore_list", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_service_lcore_start", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_service_map_lcore_set", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_service_may_be_active", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_service_runstate_set", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_socket_id", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_add_array_int", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_add_dict_container", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_add_dict_int", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_add_dict_string", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_add_dict_u64", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_alloc", FC_NULL, { ENOMEM }, NULL, NULL },
	{ "rte_tel_data_free", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_start_array", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_tel_data_start_dict", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_telemetry_register_cmd", FC_NEGATIVE, { ENOMEM }, NULL, NULL },
	{ "rte_version_month", FC_NEVER, { 0 }, NULL, NULL },
	{ "rte_version_year", FC_NEVER, { 0 }, NULL, NULL },
	/* what only computes */
	{ "__errno_location", FC_NEVER, { 0 }, NULL, NULL },
	{ "__isoc99_fscanf", FC_NEVER, { 0 }, NULL, NULL },
	{ "__isoc99_sscanf", FC_NEVER, { 0 }, NULL, NULL },
	{ "feof", FC_NEVER, { 0 }, NULL, NULL },
	{ "fprintf", FC_NEVER, { 0 }, NULL, NULL },
	{ "memcmp", FC_NEVER, { 0 }, NULL, NULL },
	{ "memcpy", FC_NEVER, { 0 }, NULL, NULL },
	{ "memmove", FC_NEVER, { 0 }, NULL, NULL },
	{ "memset", FC_NEVER, { 0 }, NULL, NULL },
	{ "qsort", FC_NEVER, { 0 }, NULL, NULL },
	{ "sigaddset", FC_NEVER, { 0 }, NULL, NULL },
	{ "sigdelset", FC_NEVER, { 0 }, NULL, NULL },
	{ "sigemptyset", FC_NEVER, { 0 }, NULL, NULL },
	{ "sigfillset", FC_NEVER, { 0 }, NULL, NULL },
	{ "snprintf", FC_NEVER, { 0 }, NULL, NULL },
	{ "strcmp", FC_NEVER, { 0 }, NULL, NULL },
	{ "strsep", FC_NEVER, { 0 }, NULL, NULL },
	{ "strerror", FC_NEVER, { 0 }, NULL, NULL },
	{ "strcspn", FC_NEVER, { 0 }, NULL, NULL },
	{ "strlen", FC_NEVER, { 0 }, NULL, NULL },
	{ "strncmp", FC_NEVER, { 0 }, NULL, NULL },
	{ "strstr", FC_NEVER, { 0 }, NULL, NULL },
	{ "strrchr", FC_NEVER, { 0 }, NULL, NULL },
	{ "strtoul", FC_NEVER, { 0 }, NULL, NULL },
	{ "vsnprintf", FC_NEVER, { 0 }, NULL, NULL },
};

const struct fc_row *
fc_row_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}
