/* SPDX-License-Identifier: BSD-3-Clause */
/* What DPDK's telemetry socket tells of a device, asked as any client asks. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include <rte_bus_vdev.h>
#include <rte_common.h>
#include <rte_eal.h>

#include "fixture.h"
#include "suites.h"
#include "test_child.h"

#define ANSWER	(64u << 10)

/* A connection whose greeting has been read, or -1. */
static int
telemetry_connect(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char greeting[1024];

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/dpdk_telemetry.v2",
		rte_eal_get_runtime_dir());
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
			recv(fd, greeting, sizeof(greeting), 0) <= 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The answer as text; NULL when there is none. */
static char *
answer_text(int fd, const char *command)
{
	char *text = malloc(ANSWER);
	ssize_t n = -1;

	if (text != NULL && send(fd, command, strlen(command), MSG_NOSIGNAL) > 0)
		n = recv(fd, text, ANSWER - 1, 0);
	if (n <= 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* The value that a command's answer carries. It ends with json_decref(). */
static json_t *
ask(const char *fmt, ...)
{
	const int fd = telemetry_connect();
	json_t *root, *value;
	json_error_t error;
	char command[128];
	char *text;
	va_list ap;

	if (fd < 0)
		test_fail("no telemetry in %s", rte_eal_get_runtime_dir());
	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	text = answer_text(fd, command);
	close(fd);
	if (text == NULL)
		test_fail("%s: no answer", command);
	root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		test_fail("%s: %s in '%s'", command, error.text, text);
	free(text);
	*strchrnul(command, ',') = '\0';
	value = json_incref(json_object_get(root, command));
	json_decref(root);
	if (value == NULL)
		test_fail("%s is not in its answer", command);
	return value;
}

static int64_t
number_of(const json_t *dict, const char *key)
{
	const json_t *value = json_object_get(dict, key);

	if (!json_is_integer(value))
		test_fail("%s is missing", key);
	return json_integer_value(value);
}

static const char *
text_of(const json_t *dict, const char *key)
{
	const char *text = json_string_value(json_object_get(dict, key));

	if (text == NULL)
		test_fail("%s is missing", key);
	return text;
}

/* The record of a bond on the first page. */
static const json_t *
bond_of(const struct fx *f, const json_t *page, uint64_t bond)
{
	struct rte_svm_bond_info info;
	const json_t *record;
	char key[16];

	TEST_EQUAL(rte_svm_bond_info_get(f->dev, bond, &info), 0);
	snprintf(key, sizeof(key), "%u", info.pasid);
	record = json_object_get(json_object_get(page, "bonds"), key);
	if (record == NULL)
		test_fail("the bond of PASID %s is not on the page", key);
	TEST_EQUAL(number_of(record, "bond"), bond);
	return record;
}

static bool
listed(uint16_t dev)
{
	json_t *list = ask("/svm/list"), *id;
	bool found = false;
	size_t i;

	json_array_foreach(list, i, id)
		found = found || json_integer_value(id) == dev;
	json_decref(list);
	return found;
}

static void
test_telemetry_list_has_devices_that_exist(void)
{
	struct fx *f = fx_begin("");

	CU_ASSERT(listed(f->dev));
	TEST_EQUAL(rte_vdev_uninit(f->name), 0);
	fx_removed(f);
	CU_ASSERT(!listed(f->dev));
}

static void
test_telemetry_info_is_that_of_the_api(void)
{
	struct fx *f = fx_begin("max_bonds=5,timeout_us=70000,idle_us=30,depth=64");
	struct rte_svm_info info;
	json_t *d;

	fx_bound(f);
	TEST_EQUAL(rte_svm_info_get(f->dev, &info), 0);
	d = ask("/svm/info,%u", f->dev);
	CU_ASSERT_STRING_EQUAL(text_of(d, "name"), f->name);
	CU_ASSERT_STRING_EQUAL(text_of(d, "socket"), f->socket);
	CU_ASSERT_STRING_EQUAL(text_of(d, "engine"), "thread");
	CU_ASSERT_STRING_EQUAL(text_of(d, "cma"), "lane");
	TEST_EQUAL(number_of(d, "dma_dev_id"), info.dma_dev_id);
	TEST_EQUAL(number_of(d, "numa_node"), info.numa_node);
	TEST_EQUAL(number_of(d, "started"), 1);
	TEST_EQUAL(number_of(d, "bonds"), 1);
	TEST_EQUAL(number_of(d, "max_bonds"), 5);
	TEST_EQUAL(number_of(d, "depth"), 64);
	TEST_EQUAL(number_of(d, "timeout_us"), 70000);
	TEST_EQUAL(number_of(d, "idle_us"), 30);
	json_decref(d);
}

static void
test_telemetry_stats_are_those_of_the_api(void)
{
	struct fx *f = fx_begin("");
	struct rte_svm_stats s;
	json_t *d;

	fx_check_moves(f, fx_bound(f));
	s = fx_stats(f);
	d = ask("/svm/stats,%u", f->dev);
	TEST_EQUAL(number_of(d, "ops"), s.ops);
	TEST_EQUAL(number_of(d, "errors"), s.errors);
	TEST_EQUAL(number_of(d, "bytes"), s.bytes);
	TEST_EQUAL(number_of(d, "moves"), s.moves);
	TEST_EQUAL(number_of(d, "faults"), s.faults);
	TEST_EQUAL(number_of(d, "faults_lost"), s.faults_lost);
	TEST_EQUAL(number_of(d, "timeouts"), s.timeouts);
	TEST_EQUAL(number_of(d, "cma_batches"), s.cma_batches);
	TEST_EQUAL(number_of(d, "cma_calls"), s.cma_calls);
	TEST_EQUAL(number_of(d, "cma_pieces"), s.cma_pieces);
	TEST_EQUAL(number_of(d, "binds_refused"), s.binds_refused);
	TEST_EQUAL(json_object_size(d), 17);
	json_decref(d);
}

static void
test_telemetry_bonds_tell_who_moved_what(void)
{
	struct fx *f = fx_begin("");
	struct fx_worker *w = fx_bound(f), *joined = fx_joined(f);
	char *own = fx_mem(f, 4096);
	const json_t *record;
	json_t *page;

	fx_check_moves(f, w);
	TEST_STATUS(fx_copy(f, RTE_SVM_OWNER, (uintptr_t)own, w->bond, 8, 8).status,
		RTE_SVM_ST_PAGE_FAULT);
	page = ask("/svm/bonds,%u", f->dev);
	CU_ASSERT_STRING_EQUAL(text_of(page, "device"), f->name);
	TEST_EQUAL(number_of(page, "total"), 2);
	TEST_EQUAL(number_of(page, "next"), 0);
	record = bond_of(f, page, w->bond);
	TEST_EQUAL(number_of(record, "pid"), w->pid);
	/* The kernel keeps 15 characters of the name. */
	CU_ASSERT_STRING_EQUAL(text_of(record, "command"), "svm-test-worker");
	CU_ASSERT_STRING_EQUAL(text_of(record, "state"), "active");
	CU_ASSERT_STRING_EQUAL(text_of(record, "tier"), "cma");
	TEST_EQUAL(number_of(record, "by_socket"), 0);
	TEST_EQUAL(number_of(record, "ops"), 3);
	TEST_EQUAL(number_of(record, "bytes_in"), 10000);
	TEST_EQUAL(number_of(record, "bytes_out"), 10000);
	TEST_EQUAL(number_of(record, "faults"), 1);
	TEST_EQUAL(number_of(record, "queues"), 0);
	record = bond_of(f, page, joined->bond);
	TEST_EQUAL(number_of(record, "pid"), joined->pid);
	TEST_EQUAL(number_of(record, "by_socket"), 1);
	json_decref(page);
}

static void
test_telemetry_dead_bond_has_no_command(void)
{
	struct fx *f = fx_begin("");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	struct fx_worker *w = fx_bound(f);
	const json_t *record;
	json_t *page = NULL;
	bool dead;

	fx_kill(w, SIGKILL);
	do {
		json_decref(page);
		page = ask("/svm/bonds,%u", f->dev);
		record = bond_of(f, page, w->bond);
		dead = strcmp(text_of(record, "state"), "dead") == 0;
	} while (!dead && fx_now_ms() < end);
	CU_ASSERT(dead);
	CU_ASSERT_STRING_EQUAL(text_of(record, "command"), "");
	json_decref(page);
}

static void
badly_named_body(int in, int out, void *arg)
{
	(void)arg;
	prctl(PR_SET_NAME, "a\"b\\\n\x01\xc3\x7f_{}");
	child_tell(out, 0);
	child_listen(in);
}

static void
test_telemetry_command_name_cannot_break_the_answer(void)
{
	struct fx *f = fx_begin("");
	struct child c;
	uint64_t bond;
	json_t *page;

	child_start(&c, badly_named_body, NULL);
	child_hear(&c);
	TEST_EQUAL(rte_svm_bind(f->dev, c.pid, &bond), 0);
	page = ask("/svm/bonds,%u", f->dev);
	CU_ASSERT_STRING_EQUAL(text_of(bond_of(f, page, bond), "command"), "a?b?" "?" "?" "?" "?" "_{}");
	json_decref(page);
	child_end(&c);
}

/* What telemetry says of the only queue of the only bond. */
static int64_t
fill_level(const struct fx *f, const struct fx_worker *w)
{
	json_t *page = ask("/svm/bonds,%u", f->dev);
	const json_t *record = bond_of(f, page, w->bond);
	const json_t *fill = json_object_get(record, "queue_fill");
	int64_t level;

	TEST_EQUAL(number_of(record, "queues"), 1);
	TEST_EQUAL(json_array_size(fill), 1);
	level = json_integer_value(json_array_get(fill, 0));
	json_decref(page);
	return level;
}

static void
test_telemetry_queue_fill_follows_the_queue(void)
{
	struct fx *f = fx_begin("");
	const uint64_t end = fx_now_ms() + FX_BOUND_MS;
	const struct wk_req op = { .cmd = WK_OP, .a = { 0, RTE_SVM_OP_NOP } };
	struct fx_worker *w = fx_joined(f);
	struct wk_rep rep;

	fx_do(w, WK_QUEUE, 64, 0);
	TEST_EQUAL(fill_level(f, w), 0);
	TEST_EQUAL(rte_svm_stop(f->dev), 0);
	f->started = false;
	fx_send(w, &op);
	while (fill_level(f, w) != 1 && fx_now_ms() < end)
		;
	TEST_EQUAL(fill_level(f, w), 1);
	TEST_EQUAL(rte_svm_start(f->dev), 0);
	f->started = true;
	TEST_EQUAL(fx_answer(w, &rep), 0);
	TEST_EQUAL(fill_level(f, w), 0);
}

/* The worker writes what it likes into header and memory, and makes holes. */
static void
test_telemetry_queue_fill_is_at_most_the_depth(void)
{
	static const uint64_t kinds[] = { WK_SCRIBBLE_HDR, WK_SCRIBBLE_HDR | WK_SCRIBBLE_HOLES };
	struct fx *f = fx_begin("");
	bool full = false;
	size_t k;
	int i;

	for (k = 0; k != RTE_DIM(kinds); k++) {
		struct fx_worker *w = fx_joined(f);

		fx_do(w, WK_QUEUE, 64, 0);
		fx_do(w, WK_SCRIBBLE, kinds[k]);
		for (i = 0; i != 200; i++) {
			const int64_t level = fill_level(f, w);

			CU_ASSERT(level >= 0 && level <= 64);
			full = full || level == 64;
		}
		fx_do(w, WK_SCRIBBLE_END, 0);
		fx_kill(w, SIGKILL);
	}
	/* Random numbers are mostly far apart. */
	CU_ASSERT(full);
}

#define MANY	45

static void
idle_body(int in, int out, void *arg)
{
	(void)arg;
	child_tell(out, 0);
	child_listen(in);
}

static void
test_telemetry_many_bonds_come_in_pages(void)
{
	struct fx *f = fx_begin("");
	bool seen[MANY + 1] = { false };
	unsigned int i, pages = 0, found = 0;
	struct child c[MANY];
	uint64_t bond, next = 0;

	for (i = 0; i != MANY; i++) {
		child_start(&c[i], idle_body, NULL);
		child_hear(&c[i]);
		TEST_EQUAL(rte_svm_bind(f->dev, c[i].pid, &bond), 0);
	}
	do {
		json_t *page = ask("/svm/bonds,%u,%u", f->dev, (unsigned int)next), *record;
		const uint64_t from = next;
		const char *pasid;

		TEST_EQUAL(number_of(page, "total"), MANY);
		next = number_of(page, "next");
		json_object_foreach(json_object_get(page, "bonds"), pasid, record) {
			const unsigned int p = atoi(pasid);

			CU_ASSERT(p >= from && p <= MANY && (next == 0 || p < next));
			found += p <= MANY && !seen[p];
			seen[p <= MANY ? p : 0] = true;
		}
		json_decref(page);
	} while (next != 0 && ++pages != MANY);
	TEST_EQUAL(found, MANY);
	CU_ASSERT(pages >= 1);
	for (i = 0; i != MANY; i++)
		child_end(&c[i]);
}

static void
test_telemetry_wrong_parameters_are_answered_with_an_error(void)
{
	static const char *const commands[] = { "/svm/info", "/svm/stats", "/svm/bonds" };
	static const char *const params[] = { "", ",", ",x", ",-1", ",0x0", ",0 ", ",65536",
		",99999999999999999999999", ",63", ",,0" };
	struct fx *f = fx_begin("");
	json_t *d;
	size_t i, k;

	for (i = 0; i != RTE_DIM(commands); i++)
		for (k = 0; k != RTE_DIM(params); k++) {
			d = ask("%s%s", commands[i], params[k]);
			if (json_object_size(d) != 1)
				test_fail("%s%s is answered", commands[i], params[k]);
			CU_ASSERT_PTR_NOT_NULL(strstr(text_of(d, "error"), "/svm/list"));
			json_decref(d);
		}
	d = ask("/svm/bonds,%u,zz", f->dev);
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(d, "error"), "PASID"));
	json_decref(d);
	d = ask("/svm/stats,%u,1", f->dev);
	CU_ASSERT_PTR_NOT_NULL(strstr(text_of(d, "error"), "/svm/list"));
	json_decref(d);
}

/* ---- while the device comes and goes ---- */

struct client {
	char commands[3][64];
	pthread_t thread;
	uint32_t stop;		/* atomic */
	uint64_t rounds, wrong;
};

static void *
client_main(void *arg)
{
	struct client *c = arg;
	const int fd = telemetry_connect();

	while (__atomic_load_n(&c->stop, __ATOMIC_RELAXED) == 0) {
		char *text = answer_text(fd, c->commands[c->rounds % 3]);
		json_t *root = text != NULL ? json_loads(text, 0, NULL) : NULL;

		c->wrong += root == NULL;
		json_decref(root);
		free(text);
		__atomic_fetch_add(&c->rounds, 1, __ATOMIC_RELAXED);
	}
	close(fd);
	return NULL;
}

static void
test_telemetry_removed_while_asked_is_answered(void)
{
	struct fx *f = fx_begin("");
	struct client c = { 0 };
	int i;

	snprintf(c.commands[0], 64, "/svm/bonds,%u", f->dev);
	snprintf(c.commands[1], 64, "/svm/stats,%u", f->dev);
	snprintf(c.commands[2], 64, "/svm/info,%u", f->dev);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&c.thread, NULL, client_main, &c), 0);
	for (i = 0; i != 20; i++) {
		struct fx_worker *w = fx_joined(f);
		uint64_t since;

		fx_do(w, WK_QUEUE, 64, 0);
		since = __atomic_load_n(&c.rounds, __ATOMIC_RELAXED);
		while (__atomic_load_n(&c.rounds, __ATOMIC_RELAXED) < since + 4)
			usleep(100);
		TEST_EQUAL(rte_vdev_uninit(f->name), 0);
		fx_removed(f);
		fx_kill(w, SIGKILL);
		fx_probe_again(f, false);
	}
	__atomic_store_n(&c.stop, 1, __ATOMIC_RELAXED);
	pthread_join(c.thread, NULL);
	TEST_EQUAL(c.wrong, 0);
}

int
test_telemetry_suite(void)
{
#define T(name) { #name, name, FX_ONE }
	static const struct fx_test tests[] = {
		T(test_telemetry_list_has_devices_that_exist),
		T(test_telemetry_info_is_that_of_the_api),
		T(test_telemetry_stats_are_those_of_the_api),
		T(test_telemetry_bonds_tell_who_moved_what),
		T(test_telemetry_dead_bond_has_no_command),
		T(test_telemetry_command_name_cannot_break_the_answer),
		T(test_telemetry_queue_fill_follows_the_queue),
		T(test_telemetry_queue_fill_is_at_most_the_depth),
		T(test_telemetry_many_bonds_come_in_pages),
		T(test_telemetry_wrong_parameters_are_answered_with_an_error),
		T(test_telemetry_removed_while_asked_is_answered),
	};
#undef T

	return fx_add_tests("telemetry", tests, RTE_DIM(tests));
}
