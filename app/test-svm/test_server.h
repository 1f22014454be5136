/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of the suite "server". */
#ifndef TEST_SERVER_H
#define TEST_SERVER_H

#include <stddef.h>

#include <CUnit/CUnit.h>

#include "fake_owner.h"

struct test_server_row {
	const char *name;
	void (*run)(void);
};

/** Add tests to the suite. @return 0, -1. */
int
test_server_add(CU_pSuite suite, const struct test_server_row *rows, size_t nb);

/** Add what is about the socket, ends and limits. @return 0, -1. */
int
test_server_lives_add(CU_pSuite suite);

/** Add what is about the worker's library. @return 0, -1. */
int
test_server_worker_add(CU_pSuite suite);

/** Add what is about owners that cannot be trusted. @return 0, -1. */
int
test_server_stranger_add(CU_pSuite suite);

/** Add what is about challenge and proof. @return 0, -1. */
int
test_challenge_add(CU_pSuite suite);

/** Add what is about rules and limits. @return 0, -1. */
int
test_policy_add(CU_pSuite suite);

/** Add what is about watches. @return 0, -1. */
int
test_server_watch_add(CU_pSuite suite);

/** Of every test: a server with a device that only counts. */
static inline struct fake_owner *
server_begin(void)
{
	struct fake_owner *fo = fake_owner_serving(0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	return fo;
}

/** ... whose server is not there yet. */
static inline struct fake_owner *
server_begin_unserved(void)
{
	struct fake_owner *fo = fake_owner_create();

	CU_ASSERT_PTR_NOT_NULL_FATAL(fo);
	return fo;
}

/** A connection that has said HELLO. */
static inline int
server_ready(const struct fake_owner *fo)
{
	const int sock = raw_ready(fo->path);

	CU_ASSERT_FATAL(sock >= 0);
	return sock;
}

#endif /* TEST_SERVER_H */
