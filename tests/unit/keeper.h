/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper, whose proxy was taken over. The program that includes this is its own proxy: the keeper
 * executes it again, and what its "unread" names say is what it does then.
 */
#ifndef EXEAT_TESTS_KEEPER_H
#define EXEAT_TESTS_KEEPER_H

#include "keeper_proxy.h"

#include "agent/gate/gate_internal.h"
#include "agent/keeper/keeper_priv.h"
#include "agent/tls/ca.h"

#define IFINDEX 1

static const char before[] =
	HEAD "  egress:\n"
	     "  - toFQDNs: [{matchName: api.example}, {matchName: old.example}]\n"
	     "    toPorts:\n"
	     "    - ports: [{port: '443', protocol: TCP}]\n"
	     "      rules: {http: [{method: GET}]}\n";
static const char after[] = HEAD "  egress:\n"
				 "  - toFQDNs: [{matchName: api.example}]\n"
				 "    toPorts:\n"
				 "    - ports: [{port: '443', protocol: TCP}]\n"
				 "      rules: {http: [{method: GET}]}\n";

/* ---- the keeper ---- */

static struct ex_loop *loop;
static struct ex_gate *gate;
static struct ex_ca *ca;
static struct ex_keeper *keeper;
static struct ex_timer deadline;
static int n_ready, n_lost, n_swapped, swap_err;
static char why_lost[64];
static uint64_t lost_at[4]; /* of the first of them, in milliseconds of the loop */

static struct ex_ruleset *by[2]; /* before, after: of records that are expected; NULL = any */
static uint32_t n_records, n_packets, n_looks;
static uint64_t n_left_out;

static void on_ready(void *arg)
{
	(void)arg;
	n_ready++;
	ex_loop_quit(loop);
}

static void on_lost(void *arg, const char *why)
{
	(void)arg;
	if (n_lost < (int)EX_ARRAY_SIZE(lost_at))
		lost_at[n_lost] = ex_loop_now(loop);
	n_lost++;
	snprintf(why_lost, sizeof(why_lost), "%s", why);
	ex_loop_quit(loop);
}

static void on_record(void *arg, const struct ex_ruleset *rs, const struct ex_audit_record *rec)
{
	(void)arg;
	if (rec->reason == EX_R_LIMIT) {
		n_left_out += rec->count;
		return;
	}
	if (rec->gate == EX_AUDIT_KERNEL) {
		n_packets++;
		return;
	}
	/* Each one, in order, none twice, and with the rules it was judged by. */
	assert_int_equal(rec->ttl, n_records);
	if (by[n_records >= MANY])
		assert_ptr_equal(rs, by[n_records >= MANY]);
	n_records++;
}

static void on_records(void *arg, bool begin)
{
	(void)arg;
	n_looks += begin;
}

static void on_swapped(void *arg, int err)
{
	(void)arg;
	n_swapped++;
	swap_err = err;
	ex_loop_quit(loop);
}

static void on_deadline(struct ex_timer *t)
{
	(void)t;
	ex_loop_quit(loop);
}

static const struct ex_keeper_ops ops = { .ready = on_ready,
					  .lost = on_lost,
					  .record = on_record,
					  .records = on_records,
					  .swapped = on_swapped };

static void run_for(uint64_t ms)
{
	assert_int_equal(ex_timer_start(loop, &deadline, ms), 0);
	assert_int_equal(ex_loop_run(loop), 0);
	ex_timer_stop(loop, &deadline);
}

/* A node with one endpoint besides ours, at this address; NULL: none. */
static struct ex_known *know(const char *ip)
{
	struct ex_diags diags = { 0 };
	struct ex_known *known;
	char text[128];
	struct ex_text one = { "peers", { text, 0 } };

	one.text.len =
		(size_t)snprintf(text, sizeof(text), "endpoints: [%s%s%s]\n",
				 ip ? "{name: e, namespace: ns, labels: {}, addresses: ['" : "",
				 ip ? ip : "", ip ? "']}" : "");
	assert_int_equal(ex_known_read(&one, 1, &known, &diags), 0);
	ex_diags_done(&diags);
	return known;
}

static int compile(const char *text, struct ex_ruleset **ret)
{
	const struct ex_text one = { "policy.yaml", { text, strlen(text) } };
	struct ex_ip dns = test_ip("192.0.0.1");
	const struct ex_compile_input in = {
		.texts = &one, .n_texts = 1, .dns_ips = &dns, .n_dns_ips = 1, .deny_metadata = true
	};
	struct ex_known *nobody = know(NULL);
	struct ex_compile_input alone = in;
	struct ex_diags diags = { 0 };
	int fd;

	alone.known = nobody;
	alone.repeers = true;
	assert_int_equal(ex_compile(&alone, ret, &diags), 0);
	ex_diags_done(&diags);
	fd = ex_bundle_new(&in, *ret);
	assert_true(fd >= 0);
	ex_known_unref(nobody);
	return fd;
}

static const struct ex_resolvers nobody_asked;

static struct ex_keeper_config configure(const char *how, unsigned workers, bool restart)
{
	int ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return (struct ex_keeper_config){
		.loop = loop,
		.gw = { .outer = ns, .netns = ns, .ip4 = test_ip("192.0.0.2") },
		.ca = ca,
		.dial = ex_dial_from_outer,
		.resolvers = &nobody_asked,
		.roots = ns, /* it does not look */
		.unread = ex_span_str(how),
		.uid = 65534,
		.workers = workers,
		.restart = restart,
		.ops = &ops,
	};
}

static void begin(const char *how, unsigned workers, bool restart)
{
	struct ex_endpoint ep = { .flags = EX_EP_CARRY, .ip4 = test_ip("192.0.0.2") };
	struct ex_keeper_config cfg = configure(how, workers, restart);
	struct ex_ruleset *rs = NULL;
	int bundle = compile(before, &rs);

	n_ready = n_lost = n_swapped = swap_err = 0;
	n_records = n_packets = n_looks = 0;
	n_left_out = 0;
	why_lost[0] = '\0';
	by[0] = rs;
	assert_int_equal(ex_keeper_new(&cfg, rs, bundle, &keeper), 0);
	assert_int_equal(ex_keeper_publish(keeper, gate, IFINDEX, &ep), 0);
	ex_ruleset_unref(rs);
	close(bundle);
	run_for(30000);
}

static int swap(void)
{
	struct ex_ruleset *rs = NULL;
	int bundle = compile(after, &rs), r = ex_keeper_swap(keeper, rs, bundle);

	by[1] = rs;
	assert_ptr_equal(ex_keeper_ruleset(keeper), rs);
	ex_ruleset_unref(rs);
	close(bundle);
	return r;
}

static int end(void **state)
{
	(void)state;
	ex_keeper_free(keeper);
	keeper = NULL;
	ex_gate_forget(gate, IFINDEX);
	return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : -1;
}

static int set_up(void **state)
{
	(void)state;
	deadline.fn = on_deadline;
	if (unshare(CLONE_NEWNET) < 0 || ex_loop_new(&loop) < 0 || ex_ca_new(1, &ca) < 0)
		return -1;
	return ex_gate_load(NULL, &gate);
}

static int tear_down(void **state)
{
	(void)state;
	ex_gate_free(gate);
	ex_ca_free(ca);
	ex_loop_free(loop);
	return 0;
}

static int keeper_main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "proxy") == 0)
		return proxy_main();
	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root (network namespaces, BPF)");
		return 77;
	}
	return -1;
}

#endif
