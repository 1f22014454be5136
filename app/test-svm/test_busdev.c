/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices of the kernel's, through the bus: bonds, queues, events. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "suites.h"
#include "test_bus.h"
#include "test_busdev.h"
#include "vfio_svm_dev.h"

static void
test_busdev_probe_opens_and_tells_what_it_can(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();

	TEST_EQUAL(bd.probes, 1);
	CU_ASSERT(rte_dev_is_probed(&dev->device));
	CU_ASSERT_STRING_EQUAL(rte_dev_name(&dev->device), "vfio_svm_sw.0");
	CU_ASSERT_STRING_EQUAL(rte_driver_name(rte_dev_driver(&dev->device)), "test_busdev");
	TEST_EQUAL(dev->caps.version, VFIO_SVM_VERSION);
	CU_ASSERT(dev->caps.nb_queues >= 4);
	CU_ASSERT(dev->caps.bind_types & 1u << VFIO_SVM_BIND_PIDFD);
	CU_ASSERT(!rte_vfio_svm_gone(dev));
}

static void
test_busdev_probed_again_stays_as_it_is(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();

	/* EAL takes the bus's -EEXIST for success. */
	TEST_EQUAL(dev->device.bus->plug(&dev->device), -EEXIST);
	TEST_EQUAL(rte_dev_probe(BD_ARGS_0), 0);
	TEST_EQUAL(bd.probes, 1);
	CU_ASSERT_PTR_EQUAL(bd.dev[0], dev);
}

static void
test_busdev_opens_own_node_where_the_kernel_has_both(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	const bool both = access("/dev/iommu", F_OK) == 0 &&
		access("/dev/vfio/devices", F_OK) == 0;

	TEST_EQUAL(vfio_svm_dev_of(dev)->fds.group < 0, both);
	bd_check_works(dev);
}

static void
test_busdev_opens_group_where_own_node_is_not_offered(void)
{
	struct rte_vfio_svm_device *dev;
	char path[64];

	tree_begin();
	snprintf(path, sizeof(path), "%s/vfio", tree_roots()->dev);
	CU_ASSERT_FATAL(symlink("/dev/vfio", path) == 0);
	vfio_svm_bus_roots_set(&(struct vfio_svm_roots){ "/sys", tree_roots()->dev });
	dev = bd_begin();
	CU_ASSERT(vfio_svm_dev_of(dev)->fds.group >= 0);
	bd_check_works(dev);
}

static void
test_busdev_bind_by_pid_pidfd_memfd_and_self(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	struct rte_vfio_svm_bond bond;
	char path[64];
	int fd;

	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PID, c->pid, BD_RIGHTS, 0, &bond), 0);
	CU_ASSERT(bond.pasid != 0 && bond.id != 0);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, bond.id), 0);

	fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PIDFD, fd, BD_RIGHTS, 0, &bond), 0);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, bond.id), 0);
	close(fd);

	snprintf(path, sizeof(path), "/proc/%d/mem", c->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_MEMFD, fd, BD_RIGHTS, 0, &bond), 0);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, bond.id), 0);
	close(fd);

	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_SELF, 0, BD_RIGHTS, 0, &bond), 0);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, bond.id), 0);
}

static void
test_busdev_bind_that_cannot_be_is_refused_without_trace(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	struct rte_vfio_svm_bond first = bd_bind(dev, c), bond = { 7, 7 };

	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PID, c->pid, BD_RIGHTS, 0, &bond), -EEXIST);
	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PID, 0x7ffffff0, BD_RIGHTS, 0, &bond),
		-ESRCH);
	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PID, getpid(), 0, 0, &bond), -EINVAL);
	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PIDFD, -1, BD_RIGHTS, 0, &bond), -EBADF);
	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_PGTABLE, 0, BD_RIGHTS, 0, &bond),
		-EOPNOTSUPP);
	CU_ASSERT(bond.id == 7 && bond.pasid == 7);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, first.id + 1000), -ENOENT);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, first.id), 0);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, first.id), -ENOENT);
}

static void
test_busdev_copy_between_two_bonds_arrives(void)
{
	bd_check_works(bd_begin());
}

static void
test_busdev_fill_of_bond_stays_within_its_length(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	const struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	struct bd_queue q = bd_queue(dev, 1);
	const struct svm_desc fill = bd_pattern(bond.pasid, c->mem + 8, 8, 0x0706050403020100);

	bd_fill(c, 100);
	TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_OK);
	CU_ASSERT(bd_holds(c, 0, 8, 100));
	CU_ASSERT(bd_holds(c, 8, 8, 0));
	CU_ASSERT(bd_holds(c, 16, 64, 116));
}

static void
test_busdev_copy_into_what_is_not_bound_is_refused(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	struct bd_queue q = bd_queue(dev, 0);
	struct svm_desc fill = bd_pattern(bond.pasid + 1, c->mem, 8, 0);
	uint8_t status;

	bd_fill(c, 1);
	TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_BAD_SPACE);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, bond.id), 0);
	fill = bd_pattern(bond.pasid, c->mem, 8, 0);
	status = bd_run(&q, &fill).status;
	/* The first while its PASID rests. */
	CU_ASSERT(status == SVM_ST_BOND_DEAD || status == SVM_ST_BAD_SPACE);
	CU_ASSERT(bd_holds(c, 0, 64, 1));
}

static void
test_busdev_ring_wraps_in_order(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	const struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	struct bd_queue q = bd_queue(dev, 0);
	uint32_t sent = 0, seen = 0;

	bd_fill(c, 0);
	while (seen != 5 * BD_DEPTH) {
		const struct svm_desc fill = bd_pattern(bond.pasid, c->mem, 8, sent);
		struct svm_cpl cpl;

		while (sent != 5 * BD_DEPTH && bd_send(&q, &fill))
			sent++;
		cpl = bd_wait(&q);
		CU_ASSERT_FATAL(cpl.status == SVM_ST_OK && cpl.id == (uint16_t)seen);
		seen++;
	}
}

static void
test_busdev_sleeping_device_is_woken_by_the_kick(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	const struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	struct bd_queue q = bd_queue(dev, 0);
	const struct svm_desc fill = bd_pattern(bond.pasid, c->mem, 8, 0);
	unsigned int i;

	for (i = 0; i != 3; i++) {
		const uint64_t since = bd_now();

		while (__atomic_load_n(&q.queue->ring.hdr->need_wakeup, __ATOMIC_ACQUIRE) == 0)
			bd_pause(since, "the device's sleep");
		TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_OK);
	}
}

static void
test_busdev_queue_of_a_bond_means_it_by_self(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	const struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	const struct rte_vfio_svm_queue_conf conf = { .number = 2, .depth = BD_DEPTH,
		.self_bond = bond.id };
	struct svm_desc fill = bd_pattern(0, c->mem, 8, 0);
	struct bd_queue q;

	fill.dst_space = SVM_SPACE(SVM_SPACE_SELF, 0);
	TEST_EQUAL(rte_vfio_svm_queue_create(dev, &conf, &q.queue), 0);
	svm_producer_init(&q.prod, &q.queue->ring, false, 0);
	bd_fill(c, 0);
	TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_OK);
	/* A queue that is nobody's refuses it. */
	q = bd_queue(dev, 3);
	TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_BAD_SPACE);
}

static void
test_busdev_queue_that_cannot_be_is_refused(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	static const struct {
		struct rte_vfio_svm_queue_conf conf;
		int answer;
	} rows[] = {
		{ { .number = 0, .depth = 0 }, -EINVAL },
		{ { .number = 0, .depth = 33 }, -EINVAL },
		{ { .number = 0, .depth = 2 * SVM_DEPTH_MAX }, -EINVAL },
		{ { .number = 0, .depth = 64, .flags = 0x80000000 }, -EINVAL },
		{ { .number = 4096, .depth = 64 }, -ENOENT },
		{ { .number = 0, .depth = 64, .self_bond = 12345678 }, -ENOENT },
	};
	struct rte_vfio_svm_queue *none = NULL;
	struct bd_queue q;
	size_t i;

	for (i = 0; i != RTE_DIM(rows); i++)
		TEST_EQUAL(rte_vfio_svm_queue_create(dev, &rows[i].conf, &none), rows[i].answer);
	q = bd_queue(dev, 0);
	TEST_EQUAL(rte_vfio_svm_queue_create(dev, &(struct rte_vfio_svm_queue_conf){
		.number = 0, .depth = 64 }, &none), -EBUSY);
	CU_ASSERT_PTR_NULL(none);
	/* The number is free again behind a destroy. */
	rte_vfio_svm_queue_destroy(q.queue);
	q = bd_queue(dev, 0);
}

static void
test_busdev_queues_of_each_depth_have_their_rings(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	const struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	const struct svm_desc fill = bd_pattern(bond.pasid, c->mem, 8, 0);
	static const uint32_t depths[] = { SVM_DEPTH_MIN, 64, 1024, SVM_DEPTH_MAX };
	size_t i;

	for (i = 0; i != RTE_DIM(depths); i++) {
		const struct rte_vfio_svm_queue_conf conf = { .depth = depths[i] };
		struct bd_queue q;

		TEST_EQUAL(rte_vfio_svm_queue_create(dev, &conf, &q.queue), 0);
		svm_producer_init(&q.prod, &q.queue->ring, false, 0);
		TEST_EQUAL(svm_producer_room(&q.prod), depths[i]);
		TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_OK);
		rte_vfio_svm_queue_destroy(q.queue);
	}
}

static void
test_busdev_exit_is_told_and_kills_the_bond(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct bd_child *c = bd_child(-1);
	const uint64_t cookie = (uint64_t)c->pid;
	const struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	const struct svm_desc fill = bd_pattern(bond.pasid, c->mem, 8, 0);
	struct bd_queue q = bd_queue(dev, 0);
	struct vfio_svm_event event;

	TEST_EQUAL(rte_vfio_svm_event_poll(dev, &event, 1), 0);
	bd_kill(c);
	event = bd_event(dev);
	TEST_EQUAL(event.type, VFIO_SVM_EVENT_EXIT);
	TEST_EQUAL(event.bond_id, bond.id);
	TEST_EQUAL(event.cookie, cookie);
	TEST_EQUAL(rte_vfio_svm_event_poll(dev, &event, 1), 0);
	TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_BOND_DEAD);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, bond.id), 0);
}

static void
test_busdev_consent_binds_whoever_uses_it(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	const int fd = rte_vfio_svm_consent(dev, BD_RIGHTS, 77);
	struct bd_child *c;
	struct bd_queue q = bd_queue(dev, 0);
	struct vfio_svm_event event;
	struct svm_desc fill;

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	c = bd_child(fd);
	close(fd);
	TEST_EQUAL(bd_consent(c), 0);
	event = bd_event(dev);
	TEST_EQUAL(event.type, VFIO_SVM_EVENT_BOUND);
	TEST_EQUAL(event.cookie, 77);
	bd_fill(c, 9);
	fill = bd_pattern(event.pasid, c->mem, 8, 0x0706050403020100);
	TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_OK);
	CU_ASSERT(bd_holds(c, 0, 8, 0));
	TEST_EQUAL(bd_consent(c), -EALREADY);
	TEST_EQUAL(rte_vfio_svm_consent(dev, 0, 0), -EINVAL);
}

static void
test_busdev_answer_to_no_request_is_refused(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();

	TEST_EQUAL(rte_vfio_svm_page_respond(dev, 12345, VFIO_SVM_RESP_SUCCESS), -ENOENT);
	TEST_EQUAL(rte_vfio_svm_page_respond(dev, 12345, 99), -EINVAL);
}

static void
test_busdev_statistics_count_what_was_done(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	struct vfio_svm_stats before, after;

	TEST_EQUAL(rte_vfio_svm_stats_get(dev, &before), 0);
	bd_check_works(dev);
	TEST_EQUAL(rte_vfio_svm_stats_get(dev, &after), 0);
	TEST_EQUAL(after.descs - before.descs, 1);
	TEST_EQUAL(after.bytes - before.bytes, BD_LEN);
}

static void
test_busdev_two_devices_are_apart(void)
{
	struct rte_vfio_svm_device *one = bd_begin(), *two = bd_probe(1);
	struct bd_child *c = bd_child(-1), *d = bd_child(-1);
	const struct rte_vfio_svm_bond a = bd_bind(one, c), b = bd_bind(two, d);
	struct bd_queue p = bd_queue(one, 0), q = bd_queue(two, 0);
	const struct svm_desc first = bd_pattern(a.pasid, c->mem, 8, 0x0807060504030201);
	const struct svm_desc second = bd_pattern(b.pasid, d->mem, 8, 0x1716151413121110);

	bd_fill(c, 200);
	bd_fill(d, 200);
	CU_ASSERT(bd_send(&p, &first) && bd_send(&q, &second));
	TEST_EQUAL(bd_wait(&q).status, SVM_ST_OK);
	TEST_EQUAL(bd_wait(&p).status, SVM_ST_OK);
	CU_ASSERT(bd_holds(c, 0, 8, 0x01));
	CU_ASSERT(bd_holds(d, 0, 8, 0x10));
	/* What is bound to the one is unknown to the other. */
	TEST_EQUAL(rte_vfio_svm_unbind(two, a.id), -ENOENT);
	TEST_EQUAL(rte_vfio_svm_unbind(one, b.id), -ENOENT);
	CU_ASSERT_PTR_NOT_EQUAL(one, two);
}

static void
end(void)
{
	bd_end();
	tree_end();
	vfio_svm_bus_roots_set(NULL);
}

int
test_busdev_suite(void)
{
	CU_pSuite s;

	if (test_busdev_is_owner())
		return test_busdev_life_add();
	s = CU_add_suite_with_setup_and_teardown("bus_device", NULL, NULL, NULL, end);
	if (s == NULL ||
	    !CU_ADD_TEST(s, test_busdev_probe_opens_and_tells_what_it_can) ||
	    !CU_ADD_TEST(s, test_busdev_probed_again_stays_as_it_is) ||
	    !CU_ADD_TEST(s, test_busdev_opens_own_node_where_the_kernel_has_both) ||
	    !CU_ADD_TEST(s, test_busdev_opens_group_where_own_node_is_not_offered) ||
	    !CU_ADD_TEST(s, test_busdev_bind_by_pid_pidfd_memfd_and_self) ||
	    !CU_ADD_TEST(s, test_busdev_bind_that_cannot_be_is_refused_without_trace) ||
	    !CU_ADD_TEST(s, test_busdev_copy_between_two_bonds_arrives) ||
	    !CU_ADD_TEST(s, test_busdev_fill_of_bond_stays_within_its_length) ||
	    !CU_ADD_TEST(s, test_busdev_copy_into_what_is_not_bound_is_refused) ||
	    !CU_ADD_TEST(s, test_busdev_ring_wraps_in_order) ||
	    !CU_ADD_TEST(s, test_busdev_sleeping_device_is_woken_by_the_kick) ||
	    !CU_ADD_TEST(s, test_busdev_queue_of_a_bond_means_it_by_self) ||
	    !CU_ADD_TEST(s, test_busdev_queue_that_cannot_be_is_refused) ||
	    !CU_ADD_TEST(s, test_busdev_queues_of_each_depth_have_their_rings) ||
	    !CU_ADD_TEST(s, test_busdev_exit_is_told_and_kills_the_bond) ||
	    !CU_ADD_TEST(s, test_busdev_consent_binds_whoever_uses_it) ||
	    !CU_ADD_TEST(s, test_busdev_answer_to_no_request_is_refused) ||
	    !CU_ADD_TEST(s, test_busdev_statistics_count_what_was_done) ||
	    !CU_ADD_TEST(s, test_busdev_two_devices_are_apart))
		return -1;
	return test_busdev_life_add();
}
