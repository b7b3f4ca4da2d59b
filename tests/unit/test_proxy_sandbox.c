/* SPDX-License-Identifier: Apache-2.0 */
/* What a proxy that was taken over may still call: each call in a process of its own. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/proxy/sandbox.h"

#define LAST 9            /* descriptors up to here stay what they are */
#define WIDE (1ull << 32) /* the kernel takes a descriptor from the lower half of an argument */

static const unsigned long rwx = PROT_READ | PROT_WRITE | PROT_EXEC;

static _Noreturn void in_sandbox(const unsigned long long call[7])
{
	for (int fd = 3; fd <= LAST + 2; fd++)
		if (dup2(0, fd) < 0)
			_exit(2);
	if (ex_sandbox_enter(0x7e000001, LAST) < 0)
		_exit(2);
	syscall((long)call[0], call[1], call[2], call[3], call[4], call[5], call[6]);
	_exit(0);
}

/* Of the signal that ended it, or 0. */
static int ended_by(const unsigned long long call[7])
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		in_sandbox(call);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#define passes(...) assert_int_equal(ended_by((unsigned long long[7]){ __VA_ARGS__ }), 0)
#define kills(...)  assert_int_equal(ended_by((unsigned long long[7]){ __VA_ARGS__ }), SIGSYS)

static void test_deny_another_descriptor_in_the_place_of_one_that_may_be_sent_to(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	passes(SYS_close, LAST + 1);
	kills(SYS_close, LAST);
	kills(SYS_close, WIDE | LAST);
	kills(SYS_close, WIDE | (LAST + 1));
	passes(SYS_dup3, LAST + 1, LAST + 2, 0);
	kills(SYS_dup3, LAST + 1, LAST, 0);
	kills(SYS_dup3, LAST + 1, WIDE | LAST, 0);
	kills(SYS_dup2, LAST + 1, LAST);
	passes(SYS_sendmsg, LAST, 0, 0);
	kills(SYS_sendmsg, LAST + 1, 0, 0);
	kills(SYS_sendmsg, WIDE | LAST, 0, 0);
}

static void test_deny_memory_that_is_code(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	passes(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1ull, 0);
	kills(SYS_mmap, 0, 4096, rwx, MAP_PRIVATE | MAP_ANONYMOUS, -1ull, 0);
	kills(SYS_mprotect, 0, 4096, rwx);
}

static void test_deny_an_address_where_none_is_needed(void **state)
{
	char to[16] = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	passes(SYS_sendto, LAST + 1, 0, 0, 0, 0, 0);
	kills(SYS_sendto, LAST + 1, 0, 0, 0, (uintptr_t)to, sizeof(to));
	kills(SYS_sendto, LAST + 1, 0, 0, 0x20000000 /* MSG_FASTOPEN */, 0, 0);
	kills(SYS_sendmsg, LAST, 0, 0x20000000);
	kills(SYS_socket, 2, 1, 0);
	kills(SYS_connect, LAST + 1, (uintptr_t)to, sizeof(to));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_deny_another_descriptor_in_the_place_of_one_that_may_be_sent_to),
		cmocka_unit_test(test_deny_memory_that_is_code),
		cmocka_unit_test(test_deny_an_address_where_none_is_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
