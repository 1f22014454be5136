/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In a build for ThreadSanitizer only: what orders threads and what it does
 * not see, told to it. The program's definitions stand before the libraries'.
 * They may speak for other people's code alone, never for ours.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <rte_service.h>
#include <rte_service_component.h>

#define NS_PER_S	1000000000L

void __tsan_acquire(void *addr);
void __tsan_release(void *addr);

/*
 * Runtimes of this time do not know this join: they miss what it orders, and
 * die when the thread's id comes again. So one that they do know.
 */
int
pthread_clockjoin_np(pthread_t thread, void **ret, clockid_t clock,
		const struct timespec *until)
{
	struct timespec now, end;

	clock_gettime(clock, &now);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += until->tv_sec - now.tv_sec;
	end.tv_nsec += until->tv_nsec - now.tv_nsec;
	if (end.tv_nsec < 0) {
		end.tv_nsec += NS_PER_S;
		end.tv_sec--;
	} else if (end.tv_nsec >= NS_PER_S) {
		end.tv_nsec -= NS_PER_S;
		end.tv_sec++;
	}
	return pthread_timedjoin_np(thread, ret, &end);
}

/*
 * EAL is not instrumented: that it sets a service's state with a release and
 * looks at it with an acquire before each call goes unseen.
 */
struct service {
	rte_service_func run;
	void *arg;
};

static char service_state;

static int32_t
service_run(void *arg)
{
	const struct service *s = arg;

	__tsan_acquire(&service_state);
	return s->run(s->arg);
}

int32_t
rte_service_component_register(const struct rte_service_spec *spec, uint32_t *id)
{
	int32_t (*real)(const struct rte_service_spec *, uint32_t *);
	struct rte_service_spec ours = *spec;
	struct service *s = malloc(sizeof(*s));

	if (s == NULL)
		abort();
	/* Never freed: EAL does not say when its last call is over. */
	*s = (struct service){ .run = spec->callback, .arg = spec->callback_userdata };
	ours.callback = service_run;
	ours.callback_userdata = s;
	*(void **)&real = dlsym(RTLD_NEXT, __func__);
	return real(&ours, id);
}

int32_t
rte_service_component_runstate_set(uint32_t id, uint32_t state)
{
	int32_t (*real)(uint32_t, uint32_t);

	*(void **)&real = dlsym(RTLD_NEXT, __func__);
	__tsan_release(&service_state);
	return real(id, state);
}
