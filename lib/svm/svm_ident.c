/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a process. Everything is opened relative to one /proc/PID directory,
 * and the pidfd is asked last: when it says alive, the pid, and so all that
 * was read below it, has been that process's the whole time.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "svm_abi.h"
#include "svm_lane_private.h"

static int
gid_compare(const void *a, const void *b)
{
	gid_t ga = *(const gid_t *)a, gb = *(const gid_t *)b;

	return ga < gb ? -1 : ga > gb;
}

/** The numbers of a "Groups:" line, sorted. */
static int
groups_parse(struct svm_cred *cred, const char *s)
{
	unsigned long gid;
	char *end;

	for (;;) {
		gid = strtoul(s, &end, 10);
		if (end == s)
			break;
		if (cred->nb_groups == SVM_CRED_GROUPS_MAX)
			return -E2BIG;
		cred->groups[cred->nb_groups++] = (gid_t)gid;
		s = end;
	}
	qsort(cred->groups, cred->nb_groups, sizeof(cred->groups[0]), gid_compare);
	return 0;
}

/** Lines of /proc/PID/status that say what a process may do. */
static int
status_parse(FILE *file, struct svm_cred *cred)
{
	bool uids = false, gids = false, groups = false, caps = false;
	char *line = NULL;
	size_t size = 0;
	int ret = 0;

	while (ret == 0 && getline(&line, &size, file) > 0) {
		if (strncmp(line, "Uid:", 4) == 0) {
			uids = sscanf(line + 4, "%u %u %u", &cred->uid,
					&cred->euid, &cred->suid) == 3;
		} else if (strncmp(line, "Gid:", 4) == 0) {
			gids = sscanf(line + 4, "%u %u %u", &cred->gid,
					&cred->egid, &cred->sgid) == 3;
		} else if (strncmp(line, "Groups:", 7) == 0) {
			ret = groups_parse(cred, line + 7);
			groups = true;
		} else if (strncmp(line, "CapPrm:", 7) == 0) {
			caps = sscanf(line + 7, "%" SCNx64, &cred->cap_permitted) == 1;
		}
	}
	/* Nobody is to be taken for gone for want of memory. */
	if (ret == 0 && !feof(file))
		ret = -errno;
	free(line);
	if (ret == 0 && !(uids && gids && groups && caps))
		ret = -ESRCH;	/* the file ends early when the task is gone */
	return ret;
}

/**
 * Capabilities count in their own user namespace only: those of a process that
 * lives in another one, or in one that we may not see, must not be taken for ours.
 */
static int
caps_check(int dirfd, struct svm_cred *cred)
{
	struct stat theirs, ours;

	if (fstatat(dirfd, "ns/user", &theirs, 0) < 0 ||
			stat("/proc/self/ns/user", &ours) < 0) {
		if (errno == ENOMEM)
			return -ENOMEM;
		cred->cap_permitted = 0;
		return 0;
	}
	if (theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino)
		cred->cap_permitted = 0;
	return 0;
}

static int
cred_read(int dirfd, struct svm_cred *cred)
{
	FILE *file;
	int fd, ret;

	memset(cred, 0, sizeof(*cred));
	fd = openat(dirfd, "status", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "r");
	if (file == NULL) {
		ret = -errno;
		close(fd);
		return ret;
	}
	ret = status_parse(file, cred);
	fclose(file);
	return ret == 0 ? caps_check(dirfd, cred) : ret;
}

/** pidfd, memfd and rights, without the final look at the whole. */
static int
ident_read(struct svm_ident *id, int dirfd)
{
	/* mem before status: the rights are then not older than the mm. */
	id->memfd = openat(dirfd, "mem", O_RDONLY | O_CLOEXEC);
	if (id->memfd < 0)
		return -errno;
	return cred_read(dirfd, &id->cred);
}

int
svm_ident_open_peer(struct svm_ident *id, pid_t pid, int pidfd)
{
	char path[32];
	int dirfd, ret;

	memset(id, 0, sizeof(*id));
	id->pidfd = pidfd;
	id->memfd = -1;
	if (pid <= 0) {
		ret = -EINVAL;
		goto close_ident;
	}
	id->pid = pid;

	if (id->pidfd < 0)
		id->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (id->pidfd < 0) {
		/* EINVAL, since 6.9 ENOENT: a thread's id, not a process's. */
		ret = errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
		goto close_ident;
	}
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dirfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		ret = errno == ENOENT ? -ESRCH : -errno;
		goto close_ident;
	}
	ret = ident_read(id, dirfd);
	close(dirfd);
	if (ret == -ENOENT)
		ret = -ESRCH;

	if (ret < 0) {
		/* The kernel denies access to a zombie; gone says more. */
		if (svm_xfer_check(id->pidfd, -1) != SVM_ST_OK)
			ret = -ESRCH;
		goto close_ident;
	}

	/* A kernel thread and a zombie have no mm and end here, too. */
	switch (svm_xfer_check(id->pidfd, id->memfd)) {
	case SVM_ST_OK:
		return 0;
	case SVM_ST_NO_MEMORY:
		ret = -ENOMEM;
		break;
	default:
		ret = -ESRCH;
		break;
	}

close_ident:
	svm_ident_close(id);
	return ret;
}

int
svm_ident_open(struct svm_ident *id, pid_t pid)
{
	return svm_ident_open_peer(id, pid, -1);
}

void
svm_ident_close(struct svm_ident *id)
{
	if (id->memfd >= 0)
		close(id->memfd);
	if (id->pidfd >= 0)
		close(id->pidfd);
	id->memfd = -1;
	id->pidfd = -1;
}

bool
svm_ident_alive(const struct svm_ident *id)
{
	if (id->pidfd < 0 || id->memfd < 0)
		return false;
	return svm_xfer_check(id->pidfd, id->memfd) != SVM_ST_BOND_DEAD;
}

int
svm_cred_self(struct svm_cred *cred)
{
	struct __user_cap_header_struct hdr = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	int nb;

	memset(cred, 0, sizeof(*cred));
	if (getresuid(&cred->uid, &cred->euid, &cred->suid) < 0 ||
			getresgid(&cred->gid, &cred->egid, &cred->sgid) < 0)
		return -errno;
	nb = getgroups(SVM_CRED_GROUPS_MAX, cred->groups);
	if (nb < 0)
		return errno == EINVAL ? -E2BIG : -errno;
	cred->nb_groups = (uint32_t)nb;
	qsort(cred->groups, cred->nb_groups, sizeof(cred->groups[0]), gid_compare);
	if (syscall(SYS_capget, &hdr, caps) < 0)
		return -errno;
	cred->cap_permitted = caps[0].permitted | (uint64_t)caps[1].permitted << 32;
	return 0;
}

bool
svm_cred_equal(const struct svm_cred *a, const struct svm_cred *b)
{
	return a->uid == b->uid && a->euid == b->euid && a->suid == b->suid &&
		a->gid == b->gid && a->egid == b->egid && a->sgid == b->sgid &&
		a->cap_permitted == b->cap_permitted &&
		a->nb_groups == b->nb_groups &&
		memcmp(a->groups, b->groups,
			a->nb_groups * sizeof(a->groups[0])) == 0;
}
