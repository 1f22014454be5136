/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the suite "ident" that is about processes which cannot be opened. */
#ifndef TEST_IDENT_H
#define TEST_IDENT_H

void
test_ident_open_timed_gives_up_on_who_holds_it_up(void);

/* In test_errand.c. */
void
test_errand_comes_back_and_says_so(void);

void
test_errand_left_drops_and_does_not_write(void);

void
test_errand_of_one_user_leaves_room_for_another(void);

#endif /* TEST_IDENT_H */
