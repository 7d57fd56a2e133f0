/* SPDX-License-Identifier: GPL-2.0-only */
/* What every cmocka test needs before cmocka.h, and how it runs: TAP on stdout, messages of the code under test off. */
#ifndef HS_TESTS_UNIT_CM_H
#define HS_TESTS_UNIT_CM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RUN_TESTS(name, tests)                                                                                        \
	(cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests_name(name, tests, NULL, NULL))

#endif
