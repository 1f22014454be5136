/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_bus.h>
#include <rte_log.h>

#include "runner.h"
#include "test_bus.h"
#include "test_own.h"

static struct {
	char root[64];
	char sys[80], dev[80];
	struct vfio_svm_roots roots;
} tree;

static struct {
	FILE *log;
	char *text;
	size_t len;
} said;

static const char *
below(const char *path)
{
	static char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", tree.root, path);
	return full;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
tree_remove(const char *path)
{
	if (nftw(below(path), remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		test_fail("cannot remove %s: %s", below(path), strerror(errno));
}

void
tree_begin(void)
{
	snprintf(tree.root, sizeof(tree.root), "/tmp/svm_bus.XXXXXX");
	if (mkdtemp(tree.root) == NULL)
		test_fail("mkdtemp: %s", strerror(errno));
	/* Another user looks into it, too: see the tests of what cannot be read. */
	chmod(tree.root, 0755);
	snprintf(tree.sys, sizeof(tree.sys), "%s/sys", tree.root);
	snprintf(tree.dev, sizeof(tree.dev), "%s/dev", tree.root);
	tree.roots = (struct vfio_svm_roots){ tree.sys, tree.dev };
	tree_dir("sys");
	tree_dir("dev");
}

void
tree_end(void)
{
	if (tree.root[0] != '\0')
		nftw(tree.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	tree.root[0] = '\0';
}

const struct vfio_svm_roots *
tree_roots(void)
{
	return &tree.roots;
}

/* All folders of a path, and the last part too when it is one. */
static void
make_dirs(const char *path, bool whole)
{
	char full[PATH_MAX];
	char *at;

	snprintf(full, sizeof(full), "%s", below(path));
	for (at = full + strlen(tree.root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		mkdir(full, 0755);
		*at = '/';
	}
	if (whole && mkdir(full, 0755) != 0 && errno != EEXIST)
		test_fail("mkdir %s: %s", full, strerror(errno));
}

void
tree_dir(const char *path)
{
	make_dirs(path, true);
}

void
tree_file(const char *path, const char *text)
{
	FILE *file;

	make_dirs(path, false);
	file = fopen(below(path), "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		test_fail("%s: %s", below(path), strerror(errno));
}

void
tree_link(const char *to, const char *path)
{
	make_dirs(path, false);
	if (symlink(to, below(path)) != 0)
		test_fail("symlink %s: %s", below(path), strerror(errno));
}

void
tree_device(const char *name, int group)
{
	char path[256], to[256];

	snprintf(path, sizeof(path), TREE_DEVICES "/%s/driver", name);
	tree_link("../../../bus/platform/drivers/vfio_svm_sw", path);
	snprintf(path, sizeof(path), TREE_DEVICES "/%s/iommu_group", name);
	snprintf(to, sizeof(to), "../../../kernel/iommu_groups/%d", group);
	tree_link(to, path);
	snprintf(path, sizeof(path), TREE_DRIVER "/%s", name);
	snprintf(to, sizeof(to), "../../../../devices/platform/%s", name);
	tree_link(to, path);
	snprintf(path, sizeof(path), "dev/vfio/%d", group);
	tree_file(path, "");
	tree_file("dev/vfio/vfio", "");
}

void
said_begin(void)
{
	said_end();
	said.log = open_memstream(&said.text, &said.len);
	if (said.log == NULL)
		test_fail("open_memstream");
	rte_openlog_stream(said.log);
}

unsigned int
said_lines(const char *word, const char *other)
{
	fflush(said.log);
	return test_lines_with(said.text, word, other);
}

void
said_end(void)
{
	if (said.log == NULL)
		return;
	rte_openlog_stream(NULL);
	fclose(said.log);
	free(said.text);
	memset(&said, 0, sizeof(said));
}

struct rte_bus *
bus_get(void)
{
	struct rte_bus *bus = rte_bus_find_by_name(VFIO_SVM_BUS);

	if (bus == NULL)
		test_fail("EAL does not know the bus");
	return bus;
}
