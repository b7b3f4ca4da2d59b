/* SPDX-License-Identifier: Apache-2.0 */
/* What a proxy that was taken over asks for, one request at a time: each beside one it may have. */
#include "policy_helper.h"
#include "own_network.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "agent/core/rtnl.h"
#include "agent/keeper/keeper_priv.h"

static const char policy[] =
	HEAD "  egress:\n"
	     "  - toFQDNs: [{matchName: api.example}]\n"
	     "    toPorts:\n"
	     "    - ports: [{port: '443', protocol: TCP}]\n"
	     "      rules: {http: [{method: GET}]}\n"
	     "  - toCIDR: [203.0.113.0/24, '2001:db8::/32']\n"
	     "    toPorts:\n"
	     "    - ports: [{port: '53', protocol: UDP}, {port: '80', protocol: TCP}]\n"
	     "  - toEndpoints: [{matchLabels: {app: gw}}]\n"
	     "    toPorts:\n"
	     "    - ports: [{port: '53', protocol: UDP}]\n"
	     "      rules: {dns: [{matchPattern: '*'}]}\n";

static struct ex_resolvers servers = {
	.v = { { .ip = { .b = { [10] = 0xff, [11] = 0xff, 127, 0, 0, 1 } }, .port = 5353 } },
	.n = 1,
};

static struct ex_keeper keeper;
static struct ex_worker *const worker = &keeper.workers[0];
static int requests, resolvers; /* the proxy's ends */
static unsigned dialled;

/* Whatever it is asked for is there: a pipe stands for the socket. */
static int on_dial(const struct ex_gateway *gw, const struct ex_ip *dst, uint16_t port,
		   uint8_t proto, bool speaks)
{
	int pair[2];

	(void)gw;
	(void)dst;
	(void)port;
	(void)proto;
	(void)speaks;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	close(pair[1]);
	dialled++;
	return pair[0];
}

static int pair_open(int *theirs)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	*theirs = pair[1];
	return pair[0];
}

static void spki_set(struct ex_worker *w)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	unsigned char *p = w->spki;
	int len = i2d_PUBKEY(key, NULL);

	assert_in_range(len, 1, sizeof(w->spki));
	w->spki_len = (size_t)i2d_PUBKEY(key, &p);
	EVP_PKEY_free(key);
}

static int setup(void **state)
{
	static char published; /* a gate that nobody asks */
	int ns;

	(void)state;
	assert_true(own_network());
	ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	keeper.cfg.gw = (struct ex_gateway){ .outer = ns,
					     .netns = ns,
					     .v6 = true,
					     .ip4 = test_ip("192.0.0.2"),
					     .ip6 = test_ip("fd00::2"),
					     .more = { test_ip("192.0.0.6") } };
	keeper.cfg.dial = on_dial;
	keeper.cfg.resolvers = &servers;
	keeper.gate = (struct ex_gate *)(void *)&published;
	keeper.rs = test_compile(policy);
	assert_int_equal(ex_loop_new(&keeper.cfg.loop), 0);
	assert_int_equal(ex_ca_new(1, &keeper.cfg.ca), 0);
	assert_int_equal(ex_names_new(16, &keeper.names), 0);
	worker->keeper = &keeper;
	worker->ipc = pair_open(&requests);
	worker->resolvers = pair_open(&resolvers);
	worker->ready = true;
	spki_set(worker);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(requests);
	close(resolvers);
	close(worker->ipc);
	close(worker->resolvers);
	close(keeper.cfg.gw.outer);
	ex_names_free(keeper.names);
	ex_ca_free(keeper.cfg.ca);
	ex_loop_free(keeper.cfg.loop);
	ex_ruleset_unref(keeper.rs);
	return 0;
}

/* What the answer says; 0: it was given what it asked for. */
static int answer(int from, uint32_t type)
{
	union ex_ipc_message msg;
	int fd = -1, err;

	assert_true(ex_ipc_receive(from, &msg, &fd) > 0);
	assert_int_equal(msg.head.type, type);
	assert_int_equal(msg.head.id, 7);
	err = type == EX_IPC_MINTED ? msg.minted.err : msg.done.err;
	if (type != EX_IPC_MINTED)
		assert_int_equal(fd >= 0, err == 0);
	if (fd >= 0)
		close(fd);
	return err;
}

static int ask(union ex_ipc_message *msg, uint32_t type, uint32_t answer_type)
{
	msg->head.type = type;
	msg->head.id = 7;
	assert_int_equal(ex_worker_take(worker, msg), 0);
	return answer(requests, answer_type);
}

/* ---- DIAL ---- */

static int dial(struct ex_ipc_dial d)
{
	union ex_ipc_message msg = { .dial = d };
	unsigned before = dialled;
	int r = ask(&msg, EX_IPC_DIAL, EX_IPC_DIALLED);

	assert_int_equal(dialled - before, r == 0); /* what is refused is not tried */
	return r;
}

static void test_dial_where_the_policy_lets_it_go_only(void **state)
{
	const struct ex_ipc_dial good = { .dst = test_ip("203.0.113.9"),
					  .port = 80,
					  .proto = IPPROTO_TCP };
	struct ex_ipc_dial d = good;

	(void)state;
	assert_int_equal(dial(d), 0);
	d.port = 81;
	assert_int_equal(dial(d), -ESTALE);
	d.port = 0;
	assert_int_equal(dial(d), -EACCES);
	d = good;
	d.proto = IPPROTO_UDP;
	assert_int_equal(dial(d), -ESTALE);
	d.proto = IPPROTO_SCTP;
	assert_int_equal(dial(d), -EACCES);
	d = good;
	d.scope = 1; /* only resolvers are on a link of their own */
	assert_int_equal(dial(d), -EACCES);
	d = good;
	d.dst = test_ip("203.0.114.9");
	assert_int_equal(dial(d), -ESTALE);
	d.dst = test_ip("169.254.169.254");
	assert_int_equal(dial(d), -ELOOP);
}

static void test_dial_what_is_read_by_tcp_only(void **state)
{
	struct ex_ipc_dial resolver = { .dst = test_ip("10.9.0.1"),
					.port = 53,
					.proto = IPPROTO_UDP };
	struct ex_ipc_dial d = { .dst = test_ip("198.51.100.7"),
				 .port = 443,
				 .proto = IPPROTO_TCP };

	(void)state;
	assert_int_equal(dial(d), -ESTALE); /* nobody has learned the name */
	assert_int_equal(ex_names_add(keeper.names, &d.dst, EX_SPAN("api.example"),
				      ex_loop_now(keeper.cfg.loop), 60000),
			 0);
	assert_int_equal(dial(d), 0);
	d.proto = IPPROTO_UDP;
	assert_int_equal(dial(d), -ESTALE);
	assert_int_equal(test_l4(keeper.rs, "10.9.0.1", IPPROTO_UDP, 53).verdict, EX_V_STEER);
	assert_int_equal(dial(resolver), -ELOOP); /* the gate answers in its place */
}

/* Addresses the host got after the policy was compiled. */
static void test_deny_dial_to_what_the_host_owns(void **state)
{
	struct ex_ipc_dial d = { .dst = test_ip("198.51.100.9"),
				 .port = 443,
				 .proto = IPPROTO_TCP };
	struct ex_ipc_dial other = d, hidden = d, other_hidden = d; /* by NAT64 */
	const struct ex_ipc_dial *const all[] = { &d, &other, &hidden, &other_hidden };
	int rtnl = ex_rtnl_open();

	(void)state;
	other.dst = test_ip("198.51.100.8");
	hidden.dst = test_ip("64:ff9b::198.51.100.9");
	other_hidden.dst = test_ip("64:ff9b::198.51.100.8");
	for (size_t i = 0; i < EX_ARRAY_SIZE(all); i++) {
		assert_int_equal(ex_names_add(keeper.names, &all[i]->dst, EX_SPAN("api.example"),
					      ex_loop_now(keeper.cfg.loop), 60000),
				 0);
		assert_int_equal(dial(*all[i]), 0);
	}
	assert_int_equal(ex_rtnl_addr_add(rtnl, if_nametoindex("lo"), &d.dst), 0);
	assert_int_equal(dial(other), 0);
	assert_int_equal(dial(other_hidden), 0);
	assert_int_equal(dial(d), -ELOOP);
	assert_int_equal(dial(hidden), -ELOOP);
	close(rtnl);
}

/* ---- the resolvers ---- */

static int dial_resolver(struct ex_ipc_dial d)
{
	union ex_ipc_message msg = { .dial = d };

	msg.head.type = EX_IPC_DIAL;
	msg.head.id = 7;
	assert_int_equal(ex_worker_take_resolver(worker, &msg), 0);
	return answer(resolvers, EX_IPC_DIALLED);
}

static void test_dial_the_resolvers_only(void **state)
{
	union ex_ipc_message other = { .head.type = EX_IPC_MINT };
	struct ex_ipc_dial d = { .dst = servers.v[0].ip, .port = 5353, .proto = IPPROTO_UDP };

	(void)state;
	assert_int_equal(dial_resolver(d), 0);
	d.port = 5354;
	assert_int_equal(dial_resolver(d), -EACCES);
	d.port = 5353;
	d.dst.b[15]++;
	assert_int_equal(dial_resolver(d), -EACCES);
	assert_int_equal(ex_worker_take_resolver(worker, &other), -EBADMSG);
}

/* The file says another: what is asked before the proxy has heard of it is not lost. */
static void test_dial_other_resolvers_when_there_are_others(void **state)
{
	struct ex_ipc_dial d = { .dst = servers.v[0].ip, .port = 5353, .proto = IPPROTO_UDP };
	const struct ex_resolvers was = servers;
	union ex_ipc_message msg;

	(void)state;
	keeper.n_workers = 1;
	servers.file = "/etc/resolv.conf";
	servers.before[0] = servers.v[0];
	servers.n_before = 1;
	servers.before_until = ex_loop_now(keeper.cfg.loop) + 5000;
	servers.v[0].ip.b[15]++;
	ex_keeper_tell_resolvers(&keeper);
	assert_true(ex_ipc_receive(requests, &msg, NULL) > 0);
	assert_int_equal(msg.head.type, EX_IPC_SERVERS);
	assert_int_equal(msg.servers.n, 1);
	assert_true(ex_ip_eq(&msg.servers.v[0].ip, &servers.v[0].ip));
	assert_int_equal(msg.servers.v[0].port, 5353);
	assert_int_equal(dial_resolver(d), 0);
	d.dst.b[15]++;
	assert_int_equal(dial_resolver(d), 0);
	servers.before_until = ex_loop_now(keeper.cfg.loop); /* it has by now */
	assert_int_equal(dial_resolver(d), 0);
	d.dst.b[15]--;
	assert_int_equal(dial_resolver(d), -EACCES);
	servers = was;
	ex_keeper_tell_resolvers(&keeper); /* those that were named are not told again */
	assert_int_equal(ex_ipc_receive(requests, &msg, NULL), -EAGAIN);
	keeper.n_workers = 0;
}

/* ---- MINT ---- */

static int mint(const char *name)
{
	union ex_ipc_message msg = { 0 };

	if (*name)
		assert_true(ex_ipc_name_set(&msg.mint.name, ex_span_str(name)));
	return ask(&msg, EX_IPC_MINT, EX_IPC_MINTED);
}

static void test_certificates_of_names_that_are_read_only(void **state)
{
	struct ex_ca *ca = keeper.cfg.ca;

	(void)state;
	assert_int_equal(mint("api.example"), 0);
	assert_int_equal(mint("bpi.example"), -EACCES);
	assert_int_equal(mint("a.api.example"), -EACCES);
	assert_int_equal(mint(""), -EACCES);
	keeper.cfg.ca = NULL;
	assert_int_equal(mint("api.example"), -EACCES);
	keeper.cfg.ca = ca;
}

/* ---- UDP: a socket that speaks as somebody else ---- */

static int udp(struct ex_ipc_udp u)
{
	union ex_ipc_message msg = { .udp = u };

	return ask(&msg, EX_IPC_UDP, EX_IPC_UDP_READY);
}

/* There is no way to it here. */
static void assert_is_let(struct ex_ipc_udp u)
{
	int r = udp(u);

	assert_int_not_equal(r, -EACCES);
	assert_int_not_equal(r, -ESTALE);
}

static void test_speak_to_the_workload_as_whom_it_may_speak_with_only(void **state)
{
	const struct ex_ipc_udp good = { .src = test_ip("192.0.0.2"),
					 .dst = test_ip("203.0.113.9"),
					 .sport = 4000,
					 .dport = 53 };
	struct ex_ipc_udp u = good;

	(void)state;
	assert_is_let(u);
	u.src = test_ip("192.0.0.6"); /* another one of its own */
	assert_is_let(u);
	u.src = test_ip("192.0.0.7");
	assert_int_equal(udp(u), -EACCES);
	u.src = test_ip("192.0.0.3");
	assert_int_equal(udp(u), -EACCES);
	u = good;
	u.src = test_ip("fd00::2"); /* its own, but of the other family */
	assert_int_equal(udp(u), -EACCES);
	u = good;
	u.sport = 0;
	assert_int_equal(udp(u), -EACCES);
	u = good;
	u.dport = 54;
	assert_int_equal(udp(u), -ESTALE);
	u = good;
	u.dst = test_ip("203.0.114.9");
	assert_int_equal(udp(u), -ESTALE);
}

/* ---- when ---- */

static void test_nothing_is_asked_before_it_is_ready_and_published(void **state)
{
	union ex_ipc_message msg = { .dial = { .head.type = EX_IPC_DIAL,
					       .dst = test_ip("203.0.113.9"),
					       .port = 80,
					       .proto = IPPROTO_TCP } };
	struct ex_gate *gate = keeper.gate;

	(void)state;
	worker->ready = false;
	assert_int_equal(ex_worker_take(worker, &msg), -EBADMSG);
	worker->ready = true;
	keeper.gate = NULL;
	assert_int_equal(ex_worker_take(worker, &msg), -EBADMSG);
	keeper.gate = gate;
	assert_int_equal(dial(msg.dial), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dial_where_the_policy_lets_it_go_only),
		cmocka_unit_test(test_dial_what_is_read_by_tcp_only),
		cmocka_unit_test(test_deny_dial_to_what_the_host_owns),
		cmocka_unit_test(test_dial_the_resolvers_only),
		cmocka_unit_test(test_dial_other_resolvers_when_there_are_others),
		cmocka_unit_test(test_certificates_of_names_that_are_read_only),
		cmocka_unit_test(test_speak_to_the_workload_as_whom_it_may_speak_with_only),
		cmocka_unit_test(test_nothing_is_asked_before_it_is_ready_and_published),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
