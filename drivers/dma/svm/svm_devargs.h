/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devargs of `--vdev svm0,...`: one table says which keys there are and
 * what each may be; SVM_DEVARGS shows the same to dpdk-pmdinfo.
 */
#ifndef SVM_DEVARGS_H
#define SVM_DEVARGS_H

#include "rte_svm_pmd.h"

#define SVM_DEVARGS \
	"engine=thread|inline|service " \
	"engines=<1-16> " \
	"core=<cpu>[+<cpu>...] " \
	"numa=<node> " \
	"queues=<1-65535> " \
	"depth=<32-32768> " \
	"tier=auto|cma " \
	"cma=lane|inline|privileged " \
	"timeout_us=<1000-60000000> " \
	"idle_us=<0-1000000> " \
	"socket=<path>|none " \
	"max_bonds=<1-65535> " \
	"uids=<uid>[:<uid>...] " \
	"gids=<gid>[:<gid>...] " \
	"max_per_uid=<1-65535> " \
	"max_per_pid=<1-65535> " \
	"max_queues=<1-64> " \
	"max_rate=<10-1000000> " \
	"max_mem=<0-16777215 MiB> " \
	"max_mem_per_uid=<1-16777215 MiB> " \
	"max_ranges=<1-128> " \
	"max_ranges_per_uid=<1-16384>"

/**
 * Fill a device's settings from its devargs, defaults where they are silent.
 * A wrong key or value is logged in one line that names it and what is
 * allowed.
 *
 * @param name
 *   Name of the vdev, shorter than RTE_SVM_NAME_LEN.
 * @param args
 *   The devargs; NULL and "" are none.
 * @return
 *   0; -EINVAL.
 */
int
svm_devargs_parse(const char *name, const char *args, struct svm_dev_conf *conf);

#endif /* SVM_DEVARGS_H */
