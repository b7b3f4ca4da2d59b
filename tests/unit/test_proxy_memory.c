/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy has no memory for is dropped, and on record. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "agent/audit/pack.h"
#include "agent/core/ring.h"
#include "agent/core/rtnl.h"
#include "agent/core/sockaddr.h"
#include "agent/proxy/ask.h"
#include "agent/proxy/conn.h"
#include "agent/proxy/dns_io.h"
#include "agent/proxy/udp.h"
#include "dns_server.h"
#include "own_network.h"
#include "policy_helper.h"

#if EX_ASAN

int main(void)
{
	print_message("1..0 # SKIP the sanitizer has an allocator of its own\n");
	return 77;
}

#else

#define HERE "203.0.113.1"

/* ---- memory that can be had, or not ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);

static bool none_left;

void *malloc(size_t size)
{
	return none_left ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return none_left ? NULL : __libc_calloc(n, size);
}

/* ---- a proxy, as far as it is needed ---- */

static struct ex_proxy px;
static struct ex_ring records;
static int parent;

static int listener(int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
	struct sockaddr_in at = { .sin_family = AF_INET };

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVORIGDSTADDR, &on, sizeof(on)), 0);
	assert_int_equal(inet_pton(AF_INET, HERE, &at.sin_addr), 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* To whom listens there. */
static int dial(int type, int to)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in at;
	socklen_t len = sizeof(at);

	assert_int_equal(getsockname(to, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}

static int setup(void **state)
{
	int pair[2], rtnl, ring;
	struct ex_dns_gate_ops ops = ex_dns_io_ops;
	struct ex_ip here = test_ip(HERE);

	(void)state;
	assert_true(own_network());
	rtnl = ex_rtnl_open();
	assert_int_equal(ex_rtnl_addr_add(rtnl, if_nametoindex("lo"), &here), 0);
	close(rtnl);
	px = (struct ex_proxy){ .workers = 1 };
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		px.sockets[i] = -1;
	px.sockets[EX_SOCK_DNS_UDP4] = listener(SOCK_DGRAM);
	px.sockets[EX_SOCK_DNS_TCP4] = listener(SOCK_STREAM);
	px.sockets[EX_SOCK_UDP4] = listener(SOCK_DGRAM);
	px.sockets[EX_SOCK_TCP4] = listener(SOCK_STREAM);
	px.rs = test_compile(HEAD "  egress:\n  - toCIDR: [" HERE "/32]\n");
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	parent = pair[1];
	ring = ex_ring_new();
	assert_int_equal(ex_ring_map(&records, ring), 0);
	assert_int_equal(ex_loop_new(&px.loop), 0);
	assert_int_equal(ex_ask_new(px.loop, pair[0], ring, &px.ask), 0);
	close(ring);
	assert_int_equal(ex_names_new(16, &px.names), 0);
	assert_int_equal(ex_resolver_new(px.loop, NULL, 0, dns_dial, NULL, &px.resolver), 0);
	ops.arg = &px;
	assert_int_equal(ex_dns_gate_new(px.loop, px.rs, px.resolver, px.names, &ops, &px.dns), 0);
	assert_int_equal(ex_dns_io_new(&px, px.sockets, &px.dns_io), 0);
	assert_int_equal(ex_udp_new(&px, px.sockets, &px.udp), 0);
	return 0;
}

/* What is there is dealt with, and there is no memory for it. */
static void run_without_memory(void)
{
	struct dns_stop stop = { .timer.fn = dns_stop_fired,
				 .defer.fn = dns_stop_now,
				 .loop = px.loop };

	assert_int_equal(ex_timer_start(px.loop, &stop.timer, 30), 0);
	none_left = true;
	(void)ex_loop_run(px.loop);
	none_left = false;
	ex_timer_stop(px.loop, &stop.timer);
}

/* The one record that there is. */
static void is_recorded(uint8_t proto, uint8_t app)
{
	uint8_t entry[EX_AUDIT_PACKED_MAX];
	struct ex_audit_record rec;
	struct ex_span left = { (const char *)entry, 0 };
	const struct ex_ip here = test_ip(HERE);
	uint32_t until, tag;
	int n;

	assert_int_equal(ex_ring_look(&records, &until), 0);
	n = ex_ring_take(&records, until, &tag, entry, sizeof(entry));
	assert_true(n > 0);
	left.len = (size_t)n;
	assert_true(ex_audit_unpack(&left, &rec));
	assert_int_equal(rec.verdict, EX_V_DENY);
	assert_int_equal(rec.reason, EX_R_LIMIT);
	assert_int_equal(rec.proto, proto);
	assert_int_equal(rec.app, app);
	assert_true(ex_ip_eq(&rec.dst, &here));
	assert_int_equal(ex_ring_take(&records, until, &tag, entry, sizeof(entry)), 0);
	ex_ring_release(&records);
}

static void test_a_question_by_udp(void **state)
{
	int fd = dial(SOCK_DGRAM, px.sockets[EX_SOCK_DNS_UDP4]);

	(void)state;
	assert_int_equal(send(fd, "anything", 8, 0), 8);
	run_without_memory();
	is_recorded(IPPROTO_UDP, EX_AUDIT_DNS);
	close(fd);
}

static void test_a_connection_to_the_resolver(void **state)
{
	int fd = dial(SOCK_STREAM, px.sockets[EX_SOCK_DNS_TCP4]);

	(void)state;
	run_without_memory();
	is_recorded(IPPROTO_TCP, EX_AUDIT_DNS);
	close(fd);
}

static void test_a_datagram(void **state)
{
	int fd = dial(SOCK_DGRAM, px.sockets[EX_SOCK_UDP4]);

	(void)state;
	assert_int_equal(send(fd, "anything", 8, 0), 8);
	run_without_memory();
	is_recorded(IPPROTO_UDP, EX_AUDIT_L4);
	close(fd);
}

static void test_a_connection(void **state)
{
	int listening = px.sockets[EX_SOCK_TCP4], fd = dial(SOCK_STREAM, listening), accepted;
	struct sockaddr_storage from;
	char c;

	(void)state;
	accepted = ex_listen_accept(listening, &from);
	assert_true(accepted >= 0);
	none_left = true;
	ex_conn_accept(&px, accepted, &from, false);
	none_left = false;
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	is_recorded(IPPROTO_TCP, EX_AUDIT_L4);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_question_by_udp),
		cmocka_unit_test(test_a_connection_to_the_resolver),
		cmocka_unit_test(test_a_datagram),
		cmocka_unit_test(test_a_connection),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP a network of one's own needs root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, NULL);
}

#endif
