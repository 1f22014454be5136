// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"

#define DEBUGFS	"/sys/kernel/debug/"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void put_u(const char *path, unsigned long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", value);
	put(path, text);
}

void fail_spare_none(void)
{
	put(DEBUGFS "failslab/ignore-gfp-wait", "N");
	put(DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N");
	put(DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N");
	put(DEBUGFS "fail_page_alloc/min-order", "0");
	put(DEBUGFS "failslab/verbose", "0");
	put(DEBUGFS "fail_page_alloc/verbose", "0");
	put(DEBUGFS "fail_usercopy/verbose", "0");
}

const char *fail_lacks(void)
{
	if (access(DEBUGFS "failslab/times", W_OK) || access(DEBUGFS "fail_usercopy/times", W_OK) ||
	    access("/proc/self/fail-nth", W_OK))
		return "this kernel makes no call fail on demand";
	return NULL;
}

int nth_open(pid_t tid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", tid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

void nth_arm(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	CHECK_EQ(pwrite(fd, text, len, 0), len);
}

/* Reading and writing here meet the failure themselves when the call did not. */
bool nth_disarm(int fd)
{
	char text[16] = "";
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	if (pwrite(fd, "0", 1, 0) < 0)
		CHECK_EQ(pwrite(fd, "0", 1, 0), 1);
	return len > 0 && !atoi(text);
}

pid_t thread_named(const char *name)
{
	char path[300], comm[32];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	pid_t pid = 0;
	ssize_t len;
	int fd;

	CHECK(proc != NULL);
	while ((entry = readdir(proc))) {
		if (atoi(entry->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, comm, sizeof(comm) - 1);
		close(fd);
		if (len <= 0)
			continue;
		comm[len] = 0;
		comm[strcspn(comm, "\n")] = 0;
		if (!strcmp(comm, name))
			pid = atoi(entry->d_name);
	}
	closedir(proc);
	CHECK(pid > 0);
	return pid;
}

void fail_kworkers(const char *yes)
{
	char path[300], comm[32];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	ssize_t len;
	int fd;

	CHECK(proc != NULL);
	while ((entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		len = read(fd, comm, sizeof(comm));
		close(fd);
		if (len < 9 || strncmp(comm, "kworker/u", 9))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/make-it-fail", entry->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		/* Such a thread may leave at any time. */
		if (fd < 0)
			continue;
		len = write(fd, yes, 1);
		close(fd);
	}
	closedir(proc);
}

void fail_first_of_module(void)
{
	unsigned long text, size;
	FILE *file;

	file = fopen("/sys/module/vfio_svm_sw/sections/.text", "re");
	CHECK(file != NULL);
	CHECK_EQ(fscanf(file, "%lx", &text), 1);
	fclose(file);
	file = fopen("/sys/module/vfio_svm_sw/coresize", "re");
	CHECK(file != NULL);
	CHECK_EQ(fscanf(file, "%lu", &size), 1);
	fclose(file);
	put_u(DEBUGFS "failslab/require-start", text);
	put_u(DEBUGFS "failslab/require-end", text + size);
	put(DEBUGFS "failslab/task-filter", "Y");
	put(DEBUGFS "failslab/times", "1");
	put(DEBUGFS "failslab/probability", "100");
}

bool fail_no_more(void)
{
	char text[16] = "";
	int fd;

	put(DEBUGFS "failslab/probability", "0");
	put(DEBUGFS "failslab/task-filter", "N");
	put(DEBUGFS "failslab/require-start", "0");
	put_u(DEBUGFS "failslab/require-end", ~0ul);
	fd = open(DEBUGFS "failslab/times", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return !atoi(text);
}
