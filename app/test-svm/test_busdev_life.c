/* SPDX-License-Identifier: BSD-3-Clause */
/* Owners of real devices that come and go, and devices that do. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_bus.h"
#include "test_busdev.h"

#define ROLE	"SVM_TEST_BUSDEV"

/* ---- an owner in another process ---- */

static pid_t owner;

bool
test_busdev_is_owner(void)
{
	return getenv(ROLE) != NULL;
}

/* In the other process: copies without end, until it is killed. */
static void
owner_at_work(void)
{
	struct rte_vfio_svm_device *dev;
	struct rte_vfio_svm_bond bond;
	struct svm_desc copy;
	struct bd_queue q;
	struct svm_cpl cpl;
	char *mem;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	test_timeout(120);
	dev = bd_begin();
	mem = calloc(2, BD_LEN);
	if (mem == NULL || rte_vfio_svm_bind(dev, VFIO_SVM_BIND_SELF, 0, BD_RIGHTS, 0,
			&bond) != 0)
		test_fail("the owner cannot bind itself");
	q = bd_queue(dev, 0);
	copy = bd_copy(bond.pasid, mem, bond.pasid, mem + BD_LEN, BD_LEN);
	while (bd_send(&q, &copy))
		;
	printf("at work\n");
	fflush(stdout);
	for (;;) {
		while (svm_producer_poll(&q.prod, &cpl))
			;
		bd_send(&q, &copy);
	}
}

/* Start it, and wait until it has all slots of a ring in flight. */
static void
owner_start(void)
{
	static char exe[512];
	char prefix[32], line[256];
	char *const args[] = { exe, (char *)(uintptr_t)"--no-huge", (char *)(uintptr_t)"-m",
		(char *)(uintptr_t)"64", (char *)(uintptr_t)"--no-pci",
		(char *)(uintptr_t)"--file-prefix", prefix, (char *)(uintptr_t)"--",
		(char *)(uintptr_t)"unit", (char *)(uintptr_t)"bus_device", NULL };
	const ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	bool at_work = false;
	FILE *said;
	int out[2];

	snprintf(prefix, sizeof(prefix), "svmowner%d", (int)getpid());
	if (n <= 0 || pipe(out) != 0)
		test_fail("no pipe, or no program");
	exe[n] = '\0';
	owner = fork();
	if (owner == 0) {
		setenv(ROLE, "1", 1);
		dup2(out[1], STDOUT_FILENO);
		execv(exe, args);
		_exit(127);
	}
	close(out[1]);
	said = fdopen(out[0], "r");
	while (!at_work && fgets(line, sizeof(line), said) != NULL)
		at_work = strcmp(line, "at work\n") == 0;
	fclose(said);
	if (!at_work)
		test_fail("the other owner does not come to work");
}

static void
owner_kill(void)
{
	if (owner <= 0)
		return;
	kill(owner, SIGKILL);
	waitpid(owner, NULL, 0);
	owner = 0;
}

static void
test_busdev_of_another_owner_is_busy(void)
{
	owner_start();
	bd_register();
	said_begin();
	TEST_EQUAL(rte_dev_probe(BD_ARGS_0), -EBUSY);
	TEST_EQUAL(said_lines("vfio_svm_sw.0: ", "another process has it"), 1);
	TEST_EQUAL(bd.probes, 0);
	/* The other device is free. */
	bd_check_works(bd_probe(1));
}

static void
test_busdev_of_killed_owner_is_clean_for_the_next(void)
{
	struct rte_vfio_svm_device *dev;
	struct vfio_svm_event event;
	struct vfio_svm_stats stats;

	owner_start();
	owner_kill();
	dev = bd_begin();
	TEST_EQUAL(rte_vfio_svm_event_poll(dev, &event, 1), 0);
	TEST_EQUAL(rte_vfio_svm_stats_get(dev, &stats), 0);
	TEST_EQUAL(stats.descs, 0);
	bd_check_works(dev);
}

/* ---- plug and unplug by the application ---- */

static void
test_busdev_removed_and_probed_again_works(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();
	unsigned int i;

	for (i = 1; i != 4; i++) {
		TEST_EQUAL(rte_dev_remove(&dev->device), 0);
		TEST_EQUAL(bd.removes, i);
		dev = bd_probe(0);
	}
	bd_check_works(dev);
}

static void
test_busdev_that_its_driver_keeps_goes_on(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();

	bd.remove_answer = -EBUSY;
	CU_ASSERT(rte_dev_remove(&dev->device) != 0);
	CU_ASSERT(rte_dev_is_probed(&dev->device));
	bd_check_works(dev);
	bd.remove_answer = 0;
	TEST_EQUAL(rte_dev_remove(&dev->device), 0);
}

static void
test_busdev_that_its_driver_refuses_is_free(void)
{
	bd_register();
	bd.probe_answer = -EIO;
	TEST_EQUAL(rte_dev_probe(BD_ARGS_0), -EIO);
	bd.probe_answer = 1;
	TEST_EQUAL(rte_dev_probe(BD_ARGS_0), -ENOTSUP);
	bd.probe_answer = 0;
	bd_check_works(bd_probe(0));
}

static void
test_busdev_queue_left_behind_is_ended_by_the_bus(void)
{
	struct rte_vfio_svm_device *dev = bd_begin();

	bd_queue(dev, 0);
	bd_queue(dev, 2);
	said_begin();
	TEST_EQUAL(rte_dev_remove(&dev->device), 0);
	TEST_EQUAL(said_lines("was left to the bus", NULL), 2);
	bd_check_works(bd_probe(0));
}

/* ---- devices that are taken away ---- */

static void
on_dev_event(const char *name, enum rte_dev_event_type event, void *arg)
{
	(void)arg;
	if (event != RTE_DEV_EVENT_REMOVE || strcmp(name, "vfio_svm_sw.1") != 0)
		return;
	if (bd.remove_when_told && rte_dev_remove(&bd.dev[1]->device) != 0)
		return;
	__atomic_add_fetch(&bd.told, 1, __ATOMIC_RELEASE);	/* with told_once() */
}

/* Device 1, in the hands of the tests' driver; the application listens. */
static struct rte_vfio_svm_device *
begin_removable(void)
{
	bd_register();
	rte_dev_event_callback_register(NULL, on_dev_event, NULL);
	return bd_probe(1);
}

static void
told_once(void)
{
	const uint64_t since = bd_now();

	while (__atomic_load_n(&bd.told, __ATOMIC_ACQUIRE) == 0)
		bd_pause(since, "the event of the removal");
}

/* The kernel has the device back, and gives it to its driver once more. */
static void
given_back(struct bd_child *admin)
{
	TEST_EQUAL(bd_kernel_end(admin), 0);
	bd_kernel_begin(admin, true, 1);
	TEST_EQUAL(bd_kernel_end(admin), 0);
}

static void
test_busdev_taken_away_is_told_and_answers_with_errors(void)
{
	struct rte_vfio_svm_device *dev = begin_removable();
	struct bd_child *admin = bd_child(-1), *c = bd_child(-1);
	const struct rte_vfio_svm_bond bond = bd_bind(dev, c);
	const struct svm_desc fill = bd_pattern(bond.pasid, c->mem, 8, 0);
	struct bd_queue q = bd_queue(dev, 0);
	struct rte_vfio_svm_queue *none = NULL;
	struct rte_vfio_svm_bond other;
	struct vfio_svm_stats stats;
	struct svm_cpl cpl;

	TEST_EQUAL(bd_run(&q, &fill).status, SVM_ST_OK);
	bd_kernel_begin(admin, false, 1);
	told_once();
	TEST_EQUAL(__atomic_load_n(&bd.gone, __ATOMIC_ACQUIRE), 1);
	CU_ASSERT(rte_vfio_svm_gone(dev));
	CU_ASSERT(rte_vfio_svm_queue_stopped(q.queue));
	TEST_EQUAL(rte_vfio_svm_bind(dev, VFIO_SVM_BIND_SELF, 0, BD_RIGHTS, 0, &other), -ENODEV);
	TEST_EQUAL(rte_vfio_svm_unbind(dev, bond.id), -ENODEV);
	TEST_EQUAL(rte_vfio_svm_consent(dev, BD_RIGHTS, 0), -ENODEV);
	TEST_EQUAL(rte_vfio_svm_page_respond(dev, 1, VFIO_SVM_RESP_SUCCESS), -ENODEV);
	TEST_EQUAL(rte_vfio_svm_stats_get(dev, &stats), -ENODEV);
	TEST_EQUAL(rte_vfio_svm_queue_create(dev, &(struct rte_vfio_svm_queue_conf){
		.number = 1, .depth = 64 }, &none), -ENODEV);
	/* A submit that comes too late hurts nobody, and is never answered. */
	CU_ASSERT(bd_send(&q, &fill));
	TEST_EQUAL(rte_vfio_svm_queue_wake(q.queue), 0);
	CU_ASSERT(!svm_producer_poll(&q.prod, &cpl));
	given_back(admin);
	rte_vfio_svm_queue_destroy(q.queue);
	TEST_EQUAL(rte_dev_remove(&dev->device), 0);
	bd_check_works(bd_probe(1));
}

static void
test_busdev_taken_away_from_owner_that_ignores_it(void)
{
	struct rte_vfio_svm_device *dev;
	struct bd_child *admin;
	const uint64_t since = bd_now();

	bd_register();
	bd.driver.gone = NULL;
	dev = bd_probe(1);
	admin = bd_child(-1);
	bd_queue(dev, 0);
	bd_kernel_begin(admin, false, 1);
	given_back(admin);
	while (!rte_vfio_svm_gone(dev))
		bd_pause(since, "the device's end");
	/* The kernel's new device has to wait for the name, until the old one is removed. */
	TEST_EQUAL(dev->device.bus->plug(&dev->device), -EEXIST);
	TEST_EQUAL(bd.probes, 1);
	TEST_EQUAL(rte_dev_remove(&dev->device), 0);
	bd_check_works(bd_probe(1));
}

static void
test_busdev_taken_away_is_removed_in_the_callback(void)
{
	struct bd_child *admin;

	begin_removable();
	admin = bd_child(-1);
	bd.remove_when_told = true;
	bd_kernel_begin(admin, false, 1);
	told_once();
	TEST_EQUAL(bd.removes, 1);
	CU_ASSERT_PTR_NULL(bd.dev[1]);
	given_back(admin);
	bd.remove_when_told = false;
	bd_check_works(bd_probe(1));
}

/* A lcore in the middle of its bursts; it looks at nothing but the rings. */
struct hot {
	struct rte_vfio_svm_device *dev;
	struct bd_queue q;
	struct svm_desc copy;
	unsigned int stop;		/* atomic */
	uint64_t sent, ok, aborted, strange;
};

static void *
hot_loop(void *arg)
{
	struct hot *hot = arg;
	struct vfio_svm_event events[8];
	struct svm_cpl cpl;

	while (__atomic_load_n(&hot->stop, __ATOMIC_ACQUIRE) == 0) {
		while (bd_send(&hot->q, &hot->copy))
			hot->sent++;
		while (svm_producer_poll(&hot->q.prod, &cpl)) {
			hot->ok += cpl.status == SVM_ST_OK;
			hot->aborted += cpl.status == SVM_ST_ABORTED;
			hot->strange += cpl.status != SVM_ST_OK && cpl.status != SVM_ST_ABORTED;
		}
		rte_vfio_svm_event_poll(hot->dev, events, RTE_DIM(events));
	}
	return NULL;
}

static void
test_busdev_taken_away_under_a_running_lcore(void)
{
	struct hot hot = { .dev = begin_removable() };
	struct bd_child *admin = bd_child(-1);
	struct rte_vfio_svm_bond bond;
	char *mem = calloc(2, BD_LEN);
	pthread_t thread;

	if (mem == NULL || rte_vfio_svm_bind(hot.dev, VFIO_SVM_BIND_SELF, 0, BD_RIGHTS, 0,
			&bond) != 0)
		test_fail("the owner cannot bind itself");
	hot.q = bd_queue(hot.dev, 0);
	hot.copy = bd_copy(bond.pasid, mem, bond.pasid, mem + BD_LEN, BD_LEN);
	CU_ASSERT_FATAL(pthread_create(&thread, NULL, hot_loop, &hot) == 0);
	bd_kernel_begin(admin, false, 1);
	told_once();
	given_back(admin);
	__atomic_store_n(&hot.stop, 1, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TEST_EQUAL(hot.strange, 0);
	CU_ASSERT(hot.ok + hot.aborted <= hot.sent);
	CU_ASSERT(hot.sent >= BD_DEPTH);
	TEST_EQUAL(rte_dev_remove(&hot.dev->device), 0);
	free(mem);
	bd_check_works(bd_probe(1));
}

static void
end(void)
{
	rte_dev_event_callback_unregister(NULL, on_dev_event, (void *)-1);
	owner_kill();
	bd_end();
}

int
test_busdev_life_add(void)
{
	CU_pSuite s = CU_add_suite_with_setup_and_teardown("bus_device_life", NULL, NULL, NULL,
		end);

	if (test_busdev_is_owner())
		return s == NULL || !CU_ADD_TEST(s, owner_at_work) ? -1 : 0;
	if (s == NULL ||
	    !CU_ADD_TEST(s, test_busdev_of_another_owner_is_busy) ||
	    !CU_ADD_TEST(s, test_busdev_of_killed_owner_is_clean_for_the_next) ||
	    !CU_ADD_TEST(s, test_busdev_removed_and_probed_again_works) ||
	    !CU_ADD_TEST(s, test_busdev_that_its_driver_keeps_goes_on) ||
	    !CU_ADD_TEST(s, test_busdev_that_its_driver_refuses_is_free) ||
	    !CU_ADD_TEST(s, test_busdev_queue_left_behind_is_ended_by_the_bus) ||
	    !CU_ADD_TEST(s, test_busdev_taken_away_is_told_and_answers_with_errors) ||
	    !CU_ADD_TEST(s, test_busdev_taken_away_from_owner_that_ignores_it) ||
	    !CU_ADD_TEST(s, test_busdev_taken_away_is_removed_in_the_callback) ||
	    !CU_ADD_TEST(s, test_busdev_taken_away_under_a_running_lcore))
		return -1;
	return 0;
}
