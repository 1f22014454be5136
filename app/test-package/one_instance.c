/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An owner outside the tree that is linked with librte_svm and gets the plugin from EAL: both have to
 * mean the same library. Counts its copies, and looks for the plugin's device with its own rte_svm_*.
 */
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>

#include <rte_svm.h>

static int
count_copies(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *name = strrchr(info->dlpi_name, '/');
	int *copies = arg;

	(void)size;
	if (name != NULL && strncmp(name, "/librte_svm.so", 14) == 0) {
		printf("%s\n", info->dlpi_name);
		(*copies)++;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	int copies = 0, ret = EXIT_FAILURE;

	if (rte_eal_init(argc, argv) < 0)
		return EXIT_FAILURE;
	dl_iterate_phdr(count_copies, &copies);
	if (copies != 1)
		fprintf(stderr, "one_instance: %d copies of librte_svm, not 1\n", copies);
	else if (rte_svm_get_dev_id("svm0") < 0)
		fprintf(stderr, "one_instance: the plugin's svm0 is not in this librte_svm\n");
	else
		ret = EXIT_SUCCESS;
	rte_eal_cleanup();
	return ret;
}
