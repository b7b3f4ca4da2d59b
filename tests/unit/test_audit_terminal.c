/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal is the command's: what is told there, and when. */
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/audit/audit.h"

/* What is written to a terminal comes out at its other end a moment later. */
static void read_until(int fd, const char *what, char *text, size_t cap)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	text[0] = '\0';
	while (!strstr(text, what)) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, 60000), 1);
		n = read(fd, text + len, cap - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
		text[len] = '\0';
	}
}

static void test_no_denial_is_written_over_a_program_that_draws_the_screen(void **state)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_DNS, .verdict = EX_V_DENY };
	struct ex_audit_options o = { .fd = -1 };
	struct termios lines, keys;
	struct ex_audit *a;
	char text[4096];
	int far, fd;

	(void)state;
	ex_audit_set(rec.name, sizeof(rec.name), EX_SPAN("evil.example"));
	assert_int_equal(openpty(&far, &fd, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(fd, &lines), 0);
	keys = lines;
	cfmakeraw(&keys);
	o.terminal = fd;
	assert_int_equal(ex_audit_new(&o, &a), 0);
	rec.reason = EX_R_DNS_NAME_DENIED;
	assert_int_equal(tcsetattr(fd, TCSANOW, &keys), 0);
	ex_audit_write(a, &rec);
	assert_int_equal(tcsetattr(fd, TCSANOW, &lines), 0);
	rec.reason = EX_R_DNS_TYPE_DENIED;
	ex_audit_write(a, &rec);
	read_until(far, "dns-type-denied", text, sizeof(text));
	assert_non_null(strstr(text, "exeat: 1 more denials not shown"));
	assert_null(strstr(text, "dns-name-denied"));
	ex_audit_summary(a);
	read_until(far, "1x dns-name-denied", text, sizeof(text));
	ex_audit_free(a);
	close(far);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_denial_is_written_over_a_program_that_draws_the_screen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
