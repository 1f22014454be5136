/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A DPDK application that knows nothing of DMA: it is linked with librte_eal alone. EAL ends any
 * application that it cannot load a plugin of its folder into, so ours must load into this one, too.
 */
#include <stdlib.h>

#include <rte_eal.h>

int
main(int argc, char **argv)
{
	if (rte_eal_init(argc, argv) < 0)
		return EXIT_FAILURE;
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
