/* SPDX-License-Identifier: BSD-3-Clause */
/* This program once more, with other EAL arguments: for what EAL reads only once. */
#ifndef TEST_OWN_H
#define TEST_OWN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

/* What a command wrote. */
struct test_output {
	char text[256u << 10];
	int status;		/* exit status, -1: it was ended by a signal */
};

/** Run a shell command, and keep what it writes; what has no room is dropped. */
static inline void
test_command(const char *command, struct test_output *out)
{
	FILE *from = popen(command, "re");
	size_t len = 0, n;
	int status;

	if (from == NULL)
		test_fail("popen: %s", command);
	while ((n = fread(out->text + len, 1, sizeof(out->text) - 1 - len, from)) > 0)
		len += n;
	out->text[len] = '\0';
	status = pclose(from);
	out->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/**
 * Run one suite of this program in another process.
 *
 * @param env   "NAME=value" words for its environment, "" for none.
 * @param args  EAL arguments.
 */
static inline void
test_own_suite(const char *env, const char *args, const char *suite, struct test_output *out)
{
	char exe[512], command[2048];
	const ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n <= 0)
		test_fail("/proc/self/exe");
	exe[n] = '\0';
	snprintf(command, sizeof(command), "%s '%s' --no-huge -m 128 --no-pci --file-prefix svmown%d "
		"%s -- unit %s 2>&1", env, exe, (int)getpid(), args, suite);
	test_command(command, out);
}

/** Lines that have all the words; a NULL word is none. */
static inline unsigned int
test_lines_with(const char *text, const char *word, const char *other)
{
	unsigned int n = 0;

	while (*text != '\0') {
		const size_t len = strcspn(text, "\n");

		n += memmem(text, len, word, strlen(word)) != NULL &&
			(other == NULL || memmem(text, len, other, strlen(other)) != NULL);
		text += len + (text[len] == '\n');
	}
	return n;
}

#endif /* TEST_OWN_H */
