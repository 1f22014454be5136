/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the suite "ident" that is about processes which cannot be opened. */
#ifndef TEST_IDENT_H
#define TEST_IDENT_H

void
test_ident_open_timed_gives_up_on_who_holds_it_up(void);

#endif /* TEST_IDENT_H */
