/* SPDX-License-Identifier: Apache-2.0 */
/* What comes over the socket between parent and proxy, before anybody looks at what it says. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/proxy/messages.h"

static int ends[2];

static int setup(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int teardown(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* The lowest descriptor that is free: it stays so when none is left open. */
static int lowest_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

static void send_with(const void *msg, size_t len, size_t n_fds)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = len };
	union {
		char buf[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	const int fds[2] = { ends[0], ends[1] };

	assert_true(n_fds <= 2);
	if (n_fds) {
		struct cmsghdr *c;

		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(ends[0], &mh, 0), len);
}

static const struct ex_ipc_done done = { .head.type = EX_IPC_DIALLED };

static void test_one_descriptor_comes_where_one_may(void **state)
{
	union ex_ipc_message msg;
	int fd = -1, free_fd = lowest_fd();

	(void)state;
	send_with(&done, sizeof(done), 1);
	assert_int_equal(ex_ipc_receive(ends[1], &msg, &fd), sizeof(done));
	assert_int_equal(fd, free_fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	send_with(&done, sizeof(done), 0);
	assert_int_equal(ex_ipc_receive(ends[1], &msg, &fd), sizeof(done));
	assert_int_equal(fd, -1);
}

static void test_deny_descriptors_that_are_not_in_the_protocol(void **state)
{
	union ex_ipc_message msg;
	int fd = -1, free_fd = lowest_fd();

	(void)state;
	send_with(&done, sizeof(done), 2);
	assert_int_equal(ex_ipc_receive(ends[1], &msg, &fd), -EBADMSG);
	assert_int_equal(lowest_fd(), free_fd); /* none is kept */
	send_with(&done, sizeof(done), 1);
	assert_int_equal(ex_ipc_receive(ends[1], &msg, NULL), -EBADMSG);
	assert_int_equal(lowest_fd(), free_fd);
	send_with(&done, sizeof(done) - 1, 1);
	assert_int_equal(ex_ipc_receive(ends[1], &msg, &fd), -EBADMSG);
	assert_int_equal(lowest_fd(), free_fd);
	assert_int_equal(fd, -1); /* else whoever takes it closes it once more */
}

static void test_deny_message_of_another_length_than_its_type(void **state)
{
	static union {
		union ex_ipc_message msg;
		uint8_t bytes[sizeof(union ex_ipc_message) + 1];
	} sent;
	union ex_ipc_message msg;

	(void)state;
	for (uint32_t type = 0; type < EX_IPC_SERVERS + 2; type++) {
		size_t size;

		memset(&sent, 0, sizeof(sent)); /* what is counted: none */
		sent.msg.head.type = type;
		size = ex_ipc_size(&sent.msg.head);
		for (int off = -1; off <= 1; off++) {
			if (!size && off < 1)
				continue; /* no message of this type at all */
			send_with(sent.bytes, size + (size_t)off, 0);
			assert_int_equal(ex_ipc_receive(ends[1], &msg, NULL),
					 off ? -EBADMSG : (ssize_t)size);
		}
	}
}

/* ---- names ---- */

static bool is_name(const char *text, size_t len)
{
	struct ex_ipc_name n = { .len = (uint16_t)len };

	memcpy(n.text, text, len < sizeof(n.text) ? len : sizeof(n.text));
	return ex_ipc_name_get(&n).len > 0;
}

static void test_deny_what_is_no_name_by_form(void **state)
{
	static const char *const bad[] = { ".",   ".a",  "a.",    "a..b", "A",
					   "a b", "a/b", "a\xff", "*.a" };
	char label[256];

	(void)state;
	memset(label, 'a', sizeof(label));
	assert_true(is_name("_a-1.example", 12));
	for (size_t i = 0; i < EX_ARRAY_SIZE(bad); i++)
		assert_false(is_name(bad[i], strlen(bad[i])));
	assert_false(is_name("a\0b", 3));
	assert_false(is_name("", 0));
	assert_true(is_name(label, 63));
	assert_false(is_name(label, 64));
	for (size_t i = 63; i < sizeof(label); i += 64)
		label[i] = '.';
	assert_true(is_name(label, EX_IPC_NAME_MAX));
	assert_false(is_name(label, EX_IPC_NAME_MAX + 1));
	label[63] = 'a'; /* the first of them is too long now */
	assert_false(is_name(label, EX_IPC_NAME_MAX));
}

#define ipc_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ipc_test(test_one_descriptor_comes_where_one_may),
		ipc_test(test_deny_descriptors_that_are_not_in_the_protocol),
		ipc_test(test_deny_message_of_another_length_than_its_type),
		ipc_test(test_deny_what_is_no_name_by_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
