/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Running a transfer job. Everything here may run inside a lane: this object
 * has no undefined symbols, and must keep none.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "svm_abi.h"
#include "svm_lane_private.h"

/*
 * An offset of /proc/PID/mem where nothing can be mapped, tagged and 57-bit
 * addresses included: a read answers EIO from a living mm without touching
 * anybody's memory, and 0 once the mm is gone.
 */
#define MEM_PROBE_OFFSET	0x7ffffffffffff000L

/* Bytes of one call: below the kernel's own limit, which would look like a fault. */
#define CALL_MAX		0x40000000u

/*
 * Times that one piece may stop short and go on at the same byte. A worker
 * that changes its mappings all the while gets a fault, not an endless job.
 */
#define SHORT_MAX		2u

/* Interruptions in a row: a signal, or a freezer that lets go. */
#define INTR_MAX		64u

SVM_LANE_CODE static uint8_t
process_check(int pidfd)
{
	struct timespec now;
	struct pollfd fd;
	uint32_t i;
	long ret;

	/* Field by field: an initialiser may become a call of memset(). */
	fd.fd = pidfd;
	fd.events = POLLIN;
	fd.revents = 0;
	now.tv_sec = 0;
	now.tv_nsec = 0;
	/* One that could not be asked is not dead: that would end its bond for good. */
	for (i = 0, ret = -EINTR; i != INTR_MAX && ret == -EINTR; i++)
		ret = svm_lane_syscall(SYS_ppoll, (long)&fd, 1, (long)&now, 0, 8, 0);
	if (ret < 0)
		return SVM_ST_NO_MEMORY;
	return ret == 0 ? SVM_ST_OK : SVM_ST_BOND_DEAD;
}

SVM_LANE_CODE uint8_t
svm_xfer_check(int pidfd, int memfd)
{
	char byte;
	long ret;

	if (memfd >= 0) {
		ret = svm_lane_syscall(SYS_pread64, memfd, (long)&byte, 1,
				MEM_PROBE_OFFSET, 0, 0);
		if (ret == -ENOMEM)
			return SVM_ST_NO_MEMORY;
		if (ret != -EIO)
			return SVM_ST_BOND_DEAD;
	}
	/*
	 * The pid may be another's while a CLONE_VM sibling keeps the mm. A pid
	 * whose pidfd says alive has belonged to that process all the time.
	 */
	return pidfd >= 0 ? process_check(pidfd) : SVM_ST_OK;
}

/** Append to an iovec list, or lengthen its last entry. Returns the new count. */
SVM_LANE_CODE static uint32_t
iov_append(struct iovec *iov, uint32_t nb, uint64_t addr, uint64_t len)
{
	uint64_t end;

	if (nb > 0) {
		end = (uint64_t)(uintptr_t)iov[nb - 1].iov_base + iov[nb - 1].iov_len;
		/* An end of 0 is the top of the address space, no neighbour of 0. */
		if (end == addr && end != 0) {
			iov[nb - 1].iov_len += len;
			return nb;
		}
	}
	iov[nb].iov_base = (void *)(uintptr_t)addr;
	iov[nb].iov_len = len;
	return nb + 1;
}

/**
 * Move what is left of pieces [first, ...) with one call, as much as one call
 * takes. `*want` is what it was asked to move.
 */
SVM_LANE_CODE static long
xfer_call(struct svm_job *job, uint32_t first, uint64_t *want)
{
	uint32_t nb_remote = 0, nb_local = 0, i, n;
	uint64_t total = 0, left;

	for (i = first, n = 0; i < job->nb && n < SVM_XFER_MAX && total < CALL_MAX; i++, n++) {
		const struct svm_xfer *x = &job->xfer[i];

		left = x->len - x->done;
		if (left > CALL_MAX - total)
			left = CALL_MAX - total;
		nb_remote = iov_append(job->remote_iov, nb_remote,
				x->remote + x->done, left);
		nb_local = iov_append(job->local_iov, nb_local,
				(uint64_t)(uintptr_t)x->local + x->done, left);
		total += left;
	}

	*want = total;
	if (job->nb_calls++ == 0)
		job->nb_iov = nb_remote;
	return svm_lane_syscall(job->write ? SYS_process_vm_writev : SYS_process_vm_readv,
			job->pid, (long)job->local_iov, nb_local,
			(long)job->remote_iov, nb_remote, 0);
}

/** Book `bytes` from piece i on. Returns the first piece that is not done. */
SVM_LANE_CODE static uint32_t
xfer_advance(struct svm_job *job, uint32_t i, uint64_t bytes)
{
	uint64_t left;

	for (; i < job->nb; i++) {
		struct svm_xfer *x = &job->xfer[i];

		left = x->len - x->done;
		if (bytes < left) {
			x->done += (uint32_t)bytes;
			break;
		}
		bytes -= left;
		x->done = x->len;
		x->status = SVM_ST_OK;
	}
	return i;
}

/** Piece i failed. Returns where to go on, job->nb when there is no point. */
SVM_LANE_CODE static uint32_t
xfer_fail(struct svm_job *job, uint32_t i, long err)
{
	uint32_t tag = job->xfer[i].tag;
	uint8_t status;

	switch (err) {
	case -EFAULT:
		status = SVM_ST_PAGE_FAULT;
		break;
	case -ESRCH:
		status = SVM_ST_BOND_DEAD;
		break;
	case -EPERM:
	case -EACCES:
	case -ENOSYS:	/* a seccomp filter's way to refuse */
		status = SVM_ST_DENIED;
		break;
	default:
		status = SVM_ST_NO_MEMORY;
		break;
	}

	/* Who is gone or says no, says so for all that is left. */
	if (status == SVM_ST_BOND_DEAD || status == SVM_ST_DENIED) {
		for (; i < job->nb; i++)
			job->xfer[i].status = status;
		return i;
	}

	job->xfer[i].status = status;
	for (i++; i < job->nb && job->xfer[i].tag == tag; i++)
		job->xfer[i].status = SVM_ST_ABORTED;
	return i;
}

SVM_LANE_CODE static void
xfer_all(struct svm_job *job)
{
	uint32_t i = 0, next, nb_short = 0;
	uint64_t want;
	long ret;

	/*
	 * Each call ends a piece, fills CALL_MAX, or uses up one of the
	 * SHORT_MAX tries of a piece: the number of calls has a bound that no
	 * worker can move.
	 */
	while (i < job->nb) {
		ret = xfer_call(job, i, &want);
		if (ret > 0) {
			next = xfer_advance(job, i, (uint64_t)ret);
			if (next != i)
				nb_short = 0;
			i = next;
			/* Ask again where it stopped: only an answer of EFAULT is a fault. */
			if ((uint64_t)ret == want || ++nb_short <= SHORT_MAX)
				continue;
			ret = -EFAULT;
		}
		i = xfer_fail(job, i, ret);
		nb_short = 0;
	}
}

SVM_LANE_CODE void
svm_xfer_reset(struct svm_job *job)
{
	uint32_t i;

	job->nb_calls = 0;
	job->nb_iov = 0;
	job->proof_done = 0;
	for (i = 0; i < job->nb; i++) {
		job->xfer[i].done = 0;
		job->xfer[i].status = SVM_ST_TIMEOUT;
	}
}

SVM_LANE_CODE void
svm_xfer_execute(struct svm_job *job)
{
	uint8_t status;
	uint32_t i;

	status = svm_xfer_check(job->pidfd, job->memfd);
	if (status == SVM_ST_OK) {
		xfer_all(job);
		if (job->proof != NULL)
			job->proof_done = (int32_t)svm_lane_syscall(SYS_pread64,
					job->memfd, (long)job->proof, job->proof_len,
					(long)job->proof_addr, 0, 0);
		status = svm_xfer_check(job->pidfd, job->memfd);
	}
	if (status == SVM_ST_OK)
		return;
	/* Nobody can say whose memory this was: nothing of it counts as done. */
	for (i = 0; i < job->nb; i++) {
		job->xfer[i].done = 0;
		job->xfer[i].status = status;
	}
}

SVM_LANE_CODE void
svm_xfer_run(struct svm_job *job)
{
	svm_xfer_reset(job);
	svm_xfer_execute(job);
}
