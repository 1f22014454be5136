/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A worker of the pipeline: plain C, private malloc'ed memory, no DPDK.
 *
 *   svm_pipeline_worker SOCKET NB_SLOTS
 *
 * It connects, has its address space bound, and from then on only looks at its
 * own memory: packets and descriptors arrive there, verdicts are fetched from
 * there (pipe_wire.h). After the bind it exchanges no message with the owner.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "svm_worker.h"

#include "pipeline_judge.h"

#define SPINS		64	/* looks before it gives the CPU away */
#define YIELDS		256	/* then: looks before it sleeps between them */
#define SLEEP_MIN_NS	20000	/* sleeps double up to SLEEP_MAX_NS */
#define SLEEP_MAX_NS	640000

struct pipe_worker {
	struct pipe_control *control;
	void **slots;		/* the owner reads them as addresses */
	struct pipe_desc *descs;
	struct pipe_verdict *verdicts;
	struct flow_table flows;
	uint32_t nb_slots;
	uint64_t next;		/* sequence number that comes next */
};

static void
worker_free(struct pipe_worker *w)
{
	uint32_t i;

	for (i = 0; w->slots != NULL && i < w->nb_slots; i++)
		free(w->slots[i]);
	free(w->slots);
	free(w->descs);
	free(w->verdicts);
	free(w->control);
	flow_table_destroy(&w->flows);
}

static int
worker_alloc(struct pipe_worker *w, uint32_t nb_slots)
{
	uint32_t i;

	w->nb_slots = nb_slots;
	w->next = 1;
	w->control = calloc(1, sizeof(*w->control));
	w->slots = calloc(nb_slots, sizeof(*w->slots));
	w->descs = calloc(nb_slots, sizeof(*w->descs));
	w->verdicts = calloc(nb_slots, sizeof(*w->verdicts));
	if (w->control == NULL || w->slots == NULL || w->descs == NULL || w->verdicts == NULL ||
			flow_table_create(&w->flows) != 0)
		return -ENOMEM;
	for (i = 0; i < nb_slots; i++) {
		w->slots[i] = malloc(PIPE_SLOT_LEN);
		if (w->slots[i] == NULL)
			return -ENOMEM;
	}
	*w->control = (struct pipe_control) {
		.magic = PIPE_MAGIC, .nb_slots = nb_slots, .slot_len = PIPE_SLOT_LEN,
		.slots = (uintptr_t)w->slots, .descs = (uintptr_t)w->descs,
		.verdicts = (uintptr_t)w->verdicts,
	};
	return 0;
}

/*
 * Copy the descriptor that comes next out of the ring, if all of it is there.
 * Partner of the acquire: the fence before the descriptors in the owner's
 * burst, which orders the packet before them.
 */
static bool
desc_take(const struct pipe_worker *w, struct pipe_desc *desc)
{
	const uint64_t *from = (const uint64_t *)&w->descs[(w->next - 1) & (w->nb_slots - 1)];
	uint64_t words[PIPE_DESC_WORDS];
	unsigned int i;

	for (i = 0; i < PIPE_DESC_WORDS; i++)
		words[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	memcpy(desc, words, sizeof(*desc));
	return pipe_record_valid(words, PIPE_DESC_WORDS, w->next) && desc->len <= PIPE_SLOT_LEN;
}

/*
 * Partner of the release: the owner's read of the totals, after it has read
 * this verdict. The check makes the verdict whole, so its words need no order.
 */
static void
verdict_publish(struct pipe_worker *w, const struct pipe_verdict *verdict)
{
	uint64_t *to = (uint64_t *)&w->verdicts[(verdict->seq - 1) & (w->nb_slots - 1)];
	uint64_t words[PIPE_VERDICT_WORDS];
	unsigned int i;

	memcpy(words, verdict, sizeof(words));
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (i = 0; i < PIPE_VERDICT_WORDS; i++)
		__atomic_store_n(&to[i], words[i], __ATOMIC_RELAXED);
}

static int
packet_judge(struct pipe_worker *w, const struct pipe_desc *desc)
{
	const uint8_t *frame = w->slots[(desc->seq - 1) & (w->nb_slots - 1)];
	struct pipe_totals *totals = &w->control->totals;
	struct pipe_verdict verdict = {
		.seq = desc->seq, .id = desc->id, .len = desc->len,
		.sum = pipe_sum(frame, desc->len),
	};
	struct flow_key key;
	int is_new;

	verdict.judgement = judge_frame(frame, desc->len, &key);
	is_new = flow_table_count(&w->flows, &key, desc->len);
	if (is_new < 0)
		return is_new;
	verdict.new_flow = is_new;
	verdict.check = pipe_record_check(&verdict, PIPE_VERDICT_WORDS);
	totals->packets++;
	totals->bytes += desc->len;
	totals->flows = w->flows.nb;
	verdict_publish(w, &verdict);
	w->next++;
	return 0;
}

/* EAL ties its process to its cores, and a child inherits that: take all CPUs again. */
static int
cpus_free(void)
{
	cpu_set_t cpus;

	memset(&cpus, 0xff, sizeof(cpus));
	return sched_setaffinity(0, sizeof(cpus), &cpus) == 0 ? 0 : -errno;
}

/* Until the owner writes `stop`. Looks at memory only; sleeps when it rests long. */
static int
worker_run(struct pipe_worker *w)
{
	struct timespec pause = { .tv_nsec = SLEEP_MIN_NS };
	struct pipe_desc desc;
	unsigned int idle = 0;
	int ret;

	/* Relaxed: it stands alone, nothing is read because of it. */
	while (__atomic_load_n(&w->control->stop, __ATOMIC_RELAXED) == 0) {
		if (desc_take(w, &desc)) {
			ret = packet_judge(w, &desc);
			if (ret != 0)
				return ret;
			idle = 0;
			pause.tv_nsec = SLEEP_MIN_NS;
		} else if (++idle > SPINS + YIELDS) {
			nanosleep(&pause, NULL);
			if (pause.tv_nsec < SLEEP_MAX_NS)
				pause.tv_nsec *= 2;
		} else if (idle > SPINS) {
			sched_yield();
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	struct pipe_worker w = { 0 };
	struct svm_worker *conn = NULL;
	const char *what = "memory";
	unsigned long nb_slots;
	int ret;

	nb_slots = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	if (nb_slots < PIPE_SLOTS_MIN || nb_slots > PIPE_SLOTS_MAX ||
			(nb_slots & (nb_slots - 1)) != 0) {
		fprintf(stderr, "usage: svm_pipeline_worker SOCKET NB_SLOTS (svm_pipeline starts it)\n");
		return EXIT_FAILURE;
	}
	/* Not to outlive the owner; one that died before this call cannot be connected to. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
		perror("svm_pipeline_worker: prctl");
		return EXIT_FAILURE;
	}
	ret = worker_alloc(&w, nb_slots);
	if (ret == 0) {
		what = "CPUs";
		ret = cpus_free();
	}
	if (ret == 0) {
		what = argv[1];
		ret = svm_worker_connect(argv[1], &conn);
	}
	if (ret == 0) {
		what = "bind";
		ret = svm_worker_bind(conn, (uintptr_t)w.control, NULL);
	}
	if (ret == 0) {
		what = "flow table";
		ret = worker_run(&w);
	}
	if (ret != 0)
		fprintf(stderr, "svm_pipeline_worker %d: %s: %s\n", getpid(), what, strerror(-ret));
	svm_worker_disconnect(conn);
	worker_free(&w);
	return ret == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
