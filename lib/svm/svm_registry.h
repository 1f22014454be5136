/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The devices of this process by id and name, and the calls that are inside one.
 *
 *   reserve    the name and an id are taken; nobody finds the device yet
 *   publish    rte_svm_* finds it
 *   withdraw   nobody finds it any more, and whoever had has left
 *   release    name and id are free
 *
 * A public call holds the device from get to put, so a device does not go away
 * under it. Calls are bounded, so withdraw is.
 */
#ifndef SVM_REGISTRY_H
#define SVM_REGISTRY_H

#include <stdint.h>

#define SVM_DEVS_MAX	64u

struct svm_dev;

/**
 * Take an id for a name.
 *
 * @param name  Has to stay until release.
 * @return 0; -EEXIST: the name is taken; -ENOSPC: SVM_DEVS_MAX devices exist.
 */
int
svm_registry_reserve(struct svm_dev *dev, const char *name, uint16_t *id);

/** The device is whole: let it be found. */
void
svm_registry_publish(uint16_t id);

/**
 * Let nobody find it any more, and wait until the calls inside have left.
 *
 * @param us  Bound of the wait.
 * @return 0; -EBUSY: a call stays inside; the device is published again.
 */
int
svm_registry_withdraw(uint16_t id, uint64_t us);

/** Free name and id of a device that is not published. */
void
svm_registry_release(uint16_t id);

/**
 * Find a device and hold it. Any thread, no lock.
 *
 * @return 0; -ENODEV.
 */
int
svm_registry_get(uint16_t id, struct svm_dev **dev);

/** As svm_registry_get(), for one that is known: -ENODEV when it is not published. */
int
svm_registry_get_dev(uint16_t id, const struct svm_dev *dev);

/** Let go of it. */
void
svm_registry_put(uint16_t id);

/** Id of a published device by name: -ENODEV. */
int
svm_registry_find(const char *name);

/** Devices that are published. */
uint16_t
svm_registry_count(void);

#endif /* SVM_REGISTRY_H */
