/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CNI plugin meets: a network namespace that is the host, one that is a pod, a veth between
 * them, and an agent that says yes and remembers what it was asked.
 */
#ifndef TESTS_UNIT_CNI_STUB_H
#define TESTS_UNIT_CNI_STUB_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/cni/cni.h"
#include "agent/cni/link.h"
#include "agent/control/control.h"
#include "agent/core/rtnl.h"

static char stub_dir[] = "/tmp/exeat-cni-XXXXXX";
static char stub_socket[64], stub_seen[64], stub_pod[64];
static pid_t stub_pod_pid, stub_agent_pid;

/* ---- the agent: "no" to a pod named so ---- */

static void stub_note(struct ex_call *call)
{
	char *text = ex_jv_print(ex_call_request(call));
	FILE *f = fopen(stub_seen, "a");

	if (f && text)
		fprintf(f, "%s\n", text);
	if (f)
		fclose(f);
	free(text);
}

static void stub_op(void *arg, struct ex_call *call)
{
	const char *name = ex_jv_string(ex_call_request(call), "name");
	const char *container = ex_jv_string(ex_call_request(call), "container_id");

	(void)arg;
	stub_note(call);
	if ((name && strcmp(name, "no") == 0) || (container && strcmp(container, "nobody") == 0))
		ex_call_error(call, name ? "failed" : "not-found", "%s",
			      name ? "the gate cannot be loaded" : "no such endpoint");
	else
		ex_call_ok(call);
}

static void stub_show(void *arg, struct ex_call *call)
{
	(void)arg;
	if (strcmp(ex_jv_string(ex_call_request(call), "container_id"), "nobody") == 0) {
		ex_call_error(call, "not-found", "no such endpoint");
		return;
	}
	ex_json_open(ex_call_result(call), "addresses", '[');
	ex_json_text(ex_call_result(call), NULL, "10.1.0.2");
	ex_json_text(ex_call_result(call), NULL, "fd00:1::2");
	ex_json_close(ex_call_result(call), ']');
	ex_call_ok(call);
}

static void stub_list(void *arg, struct ex_call *call)
{
	static const char *const ids[] = { "kept", "lost", "standing" };
	struct ex_json *j = ex_call_result(call);

	(void)arg;
	ex_json_open(j, "endpoints", '[');
	for (size_t i = 0; i < EX_ARRAY_SIZE(ids); i++) {
		ex_json_open(j, NULL, '{');
		ex_json_text(j, "container_id", ids[i]);
		ex_json_text(j, "interface", "eth0");
		ex_json_text(j, "netns", i == 2 ? stub_pod : "/nowhere/netns");
		ex_json_close(j, '}');
	}
	ex_json_close(j, ']');
	ex_call_ok(call);
}

static void stub_agent_start(void)
{
	struct ex_control_config cfg = { .path = stub_socket };
	struct ex_control *c;
	struct ex_loop *loop;
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	stub_agent_pid = fork();
	if (stub_agent_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ex_loop_new(&loop) < 0 || ex_control_new(loop, &cfg, &c) < 0 ||
		    ex_control_add(c, "endpoint.add", stub_op, NULL) < 0 ||
		    ex_control_add(c, "endpoint.remove", stub_op, NULL) < 0 ||
		    ex_control_add(c, "endpoint.show", stub_show, NULL) < 0 ||
		    ex_control_add(c, "endpoint.list", stub_list, NULL) < 0 ||
		    ex_control_add(c, "status", stub_op, NULL) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		_exit(ex_loop_run(loop));
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void stub_stop(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		waitpid(*pid, NULL, 0);
	}
	*pid = 0;
}

/* What it was asked since the last time; static memory. */
static const char *stub_asked(void)
{
	static char text[8192];
	FILE *f = fopen(stub_seen, "r");

	text[0] = '\0';
	if (f) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		fclose(f);
	}
	unlink(stub_seen);
	return text;
}

/* ---- the pod ---- */

static void stub_link(void)
{
	struct ex_veth veth = { .name = "host0",
				.peer = "eth0",
				.mac = { 2, 0, 0, 0, 0, 1 },
				.peer_mac = { 2, 0, 0, 0, 0, 2 } };
	int ns = open(stub_pod, O_RDONLY | O_CLOEXEC), rtnl = ex_rtnl_open();

	assert_true(ns >= 0 && rtnl >= 0);
	veth.peer_ns = ns;
	assert_int_equal(ex_rtnl_veth_add(rtnl, &veth), 0);
	assert_int_equal(ex_rtnl_link_up(rtnl, if_nametoindex("host0")), 0);
	close(ns);
	close(rtnl);
}

static void stub_pod_start(void)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	stub_pod_pid = fork();
	if (stub_pod_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(stub_pod, sizeof(stub_pod), "/proc/%d/ns/net", (int)stub_pod_pid);
	stub_link();
}

static int stub_up(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root (network namespaces)\n");
		exit(77);
	}
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_non_null(mkdtemp(stub_dir));
	snprintf(stub_socket, sizeof(stub_socket), "%s/sock", stub_dir);
	snprintf(stub_seen, sizeof(stub_seen), "%s/seen", stub_dir);
	stub_pod_start();
	stub_agent_start();
	return 0;
}

static int stub_down(void **state)
{
	(void)state;
	stub_stop(&stub_agent_pid);
	stub_stop(&stub_pod_pid);
	unlink(stub_seen);
	unlink(stub_socket);
	snprintf(stub_seen, sizeof(stub_seen), "%s/pending", stub_dir);
	rmdir(stub_seen);
	rmdir(stub_dir);
	return 0;
}

/* ---- a call ---- */

static char cni_out[16384];

/* conf: a whole configuration. What came out is in cni_out. */
static int cni_call(const struct ex_cni_env *env, const char *conf)
{
	FILE *in = fmemopen((void *)(uintptr_t)conf, strlen(conf), "r");
	FILE *out = fmemopen(cni_out, sizeof(cni_out), "w");
	int r;

	assert_true(in && out);
	cni_out[0] = '\0';
	r = ex_cni_call(env, in, out);
	fclose(in);
	fclose(out);
	return r;
}

#endif
