/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads of this process, found by name. */
#ifndef TEST_TASK_H
#define TEST_TASK_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* The task with this name in our process, "" when there is none. */
static inline void
task_find(const char *name, char *path, size_t len)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;

	*path = '\0';
	while (dir != NULL && *path == '\0' && (d = readdir(dir)) != NULL) {
		char comm[300], text[32] = "";
		FILE *in;

		snprintf(comm, sizeof(comm), "/proc/self/task/%s/comm", d->d_name);
		in = fopen(comm, "re");
		if (in == NULL)
			continue;
		if (fgets(text, sizeof(text), in) != NULL &&
				strncmp(text, name, strlen(name)) == 0 &&
				text[strlen(name)] == '\n')
			snprintf(path, len, "/proc/self/task/%s", d->d_name);
		fclose(in);
	}
	if (dir != NULL)
		closedir(dir);
}

#endif /* TEST_TASK_H */
