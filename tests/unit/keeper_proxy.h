/* SPDX-License-Identifier: Apache-2.0 */
/* A proxy that was taken over, or does its work: what it does is what its unread names say. */
#ifndef EXEAT_TESTS_KEEPER_PROXY_H
#define EXEAT_TESTS_KEEPER_PROXY_H

#include "policy_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/audit/pack.h"
#include "agent/core/ring.h"
#include "agent/dns/names.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/messages.h"
#include "agent/proxy/settings.h"

static const struct ex_ip nowhere = { .b = { [10] = 0xff, [11] = 0xff, 203, 0, 113, 9 } };

static void send_message(union ex_ipc_message *msg, uint32_t type)
{
	msg->head.type = type;
	(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, msg, ex_ipc_size(&msg->head), -1, true);
}

static void say_ready(void)
{
	union ex_ipc_message msg = { .ready = { .spki_len = 1, .spki = { 1 } } };

	send_message(&msg, EX_IPC_READY);
}

/* Waits for a message; false: the keeper has closed the socket. */
static bool listen_for(union ex_ipc_message *msg, int *fd)
{
	ssize_t n;

	do {
		n = ex_ipc_receive(EX_PROXY_FD_REQUESTS, msg, fd);
		if (n == -EAGAIN)
			usleep(1000);
	} while (n == -EAGAIN);
	return n > 0;
}

static void answer_swap(const union ex_ipc_message *msg, int err)
{
	union ex_ipc_message done = { .done = { .head.id = msg->head.id, .err = err } };

	send_message(&done, EX_IPC_SWAPPED);
}

static void follow(const char *how)
{
	union ex_ipc_message msg;
	int fd = -1;

	while (listen_for(&msg, &fd)) {
		if (msg.head.type == EX_IPC_RULESET) {
			struct ex_ruleset *rs = NULL;
			struct ex_diags diags = { 0 };
			int r = ex_bundle_compile(fd, &rs, &diags);

			if (strcmp(how, "follow-slow") == 0)
				usleep(500000);
			if (strcmp(how, "follow-another") == 0)
				msg.head.id++;
			if (strcmp(how, "follow-error") == 0)
				r = -ENOMEM;
			answer_swap(&msg, strcmp(how, "follow-more") == 0 ? 1 : r);
		}
		if (fd >= 0)
			close(fd);
	}
}

/* It was given something: that shows as the other way to be lost. */
static void given(void)
{
	union ex_ipc_message msg = { 0 };

	send_message(&msg, EX_IPC_KNOWN);
	pause();
}

static struct ex_dns_key names_key;

static void ask_for_everything(void)
{
	union ex_ipc_message msg = { .learn = { .ttl = 60, .n_addrs = 1 } };
	union ex_ipc_message dial = { .dial = { .dst = nowhere, .port = 443, .proto = 6 } };
	union ex_ipc_message mint = { 0 };
	int fd = -1;

	/* A name that is not allowed, an address nobody may be given, a way without a name. */
	ex_ipc_name_set(&msg.learn.name, EX_SPAN("evil.example"));
	msg.learn.addrs[0] = nowhere;
	send_message(&msg, EX_IPC_LEARN);
	if (!listen_for(&msg, &fd) || msg.done.err == 0)
		given();
	memset(&msg, 0, sizeof(msg));
	msg.learn = (struct ex_ipc_learn){ .ttl = 60, .n_addrs = 1 };
	ex_ipc_name_set(&msg.learn.name, EX_SPAN("api.example"));
	msg.learn.addrs[0] =
		(struct ex_ip){ .b = { [10] = 0xff, [11] = 0xff, 169, 254, 169, 254 } };
	send_message(&msg, EX_IPC_LEARN);
	if (!listen_for(&msg, &fd) || msg.done.err == 0)
		given();
	memset(&msg, 0, sizeof(msg));
	msg.extend.n = 1;
	msg.extend.v[0].ip = nowhere;
	msg.extend.v[0].hash = ex_dns_hash(&names_key, EX_SPAN("api.example"));
	msg.extend.v[0].ttl = 60;
	send_message(&msg, EX_IPC_EXTEND);
	if (!listen_for(&msg, &fd) || msg.extended.which)
		given();
	send_message(&dial, EX_IPC_DIAL);
	if (!listen_for(&msg, &fd) || msg.done.err == 0 || fd >= 0)
		given();
	ex_ipc_name_set(&mint.mint.name, EX_SPAN("evil.example"));
	send_message(&mint, EX_IPC_MINT);
	if (!listen_for(&msg, &fd) || msg.minted.err == 0)
		given();
	_exit(0);
}

static void break_protocol(const char *how)
{
	union ex_ipc_message msg = { 0 };

	if (strcmp(how, "short") == 0) {
		msg.head.type = EX_IPC_DIAL;
		(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, &msg, sizeof(msg.head), -1, true);
	} else if (strcmp(how, "unknown") == 0) {
		msg.head.type = 77;
		(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, &msg, sizeof(msg.head), -1, true);
	} else if (strcmp(how, "fd") == 0) {
		msg.head.type = EX_IPC_DIAL;
		(void)!ex_ipc_send(EX_PROXY_FD_REQUESTS, &msg, sizeof(msg.dial), 0, true);
	} else if (strcmp(how, "answer") == 0) {
		send_message(&msg, EX_IPC_LEARNED);
	} else if (strcmp(how, "ruleset") == 0) {
		send_message(&msg, EX_IPC_RULESET);
	} else if (strcmp(how, "known") == 0) {
		send_message(&msg, EX_IPC_KNOWN);
	} else if (strcmp(how, "swapped") == 0) {
		send_message(&msg, EX_IPC_SWAPPED);
	} else if (strcmp(how, "ready-twice") == 0) {
		say_ready();
	}
	pause();
}

/* ---- its records ---- */

#define MANY 1000 /* records: more than fit into half of the ring */

static struct ex_ring ring;

/* Number n of the policy with this number; odd is what is wrong with it. */
static void put_record(uint32_t policy, uint32_t n, const char *odd)
{
	struct ex_audit_record rec = { .app = EX_AUDIT_HTTP,
				       .gate = EX_AUDIT_PROXY,
				       .verdict = EX_V_ALLOW,
				       .reason = EX_R_ALLOWED,
				       .src = { .b = { [10] = 0xff, [11] = 0xff, 192, 0, 0, 2 } },
				       .ttl = n };
	uint8_t packed[EX_AUDIT_PACKED_MAX + 1] = { 0 };
	size_t len;

	memset(rec.path, 'x', 200);
	rec.rule = strcmp(odd, "records-rule") == 0 ? 1000 : 0;
	rec.gate = strcmp(odd, "records-gate") == 0 ? EX_AUDIT_KERNEL : EX_AUDIT_PROXY;
	rec.src.b[15] = strcmp(odd, "records-source") == 0 ? 3 : 2;
	rec.verdict = strcmp(odd, "records-verdict") == 0 ? EX_V_STEER : EX_V_ALLOW;
	len = ex_audit_pack(&rec, packed);
	len += strcmp(odd, "records-long") == 0;
	len -= strcmp(odd, "records-short") == 0;
	policy += strcmp(odd, "records-policy") == 0;
	while (!ex_ring_put(&ring, policy, packed, len))
		usleep(1000);
	if (ex_ring_must_wake(&ring))
		send_message(&(union ex_ipc_message){ 0 }, EX_IPC_RECORDS);
}

static void put_many(uint32_t policy, uint32_t from)
{
	for (uint32_t i = 0; i < MANY; i++)
		put_record(policy, from + i, "");
}

/* Some 800 in a second. */
static void put_steadily(void)
{
	for (uint32_t i = 0; i < MANY; i++) {
		put_record(0, i, "");
		if (i % 4 == 3)
			usleep(5000);
	}
}

/* What stands in the memory is the proxy's to choose. */
static void spoil_ring(const char *how)
{
	_Atomic uint32_t *head = (_Atomic uint32_t *)(void *)ring.memory;

	if (strcmp(how, "records-head") == 0)
		atomic_store(head, 0x40000000);
	if (strcmp(how, "records-zero") == 0)
		atomic_store(head, 64);
	if (strcmp(how, "records-head") != 0 && strcmp(how, "records-zero") != 0)
		put_record(0, 0, how);
	send_message(&(union ex_ipc_message){ 0 }, EX_IPC_RECORDS);
	pause();
}

/* Nothing lies in the ring when it follows, and nobody looks by then. */
static void follow_and_record(void)
{
	union ex_ipc_message msg;
	int fd = -1;

	usleep(100000);
	while (listen_for(&msg, &fd)) {
		if (msg.head.type != EX_IPC_RULESET)
			continue;
		answer_swap(&msg, 0);
		close(fd);
		usleep(100000);
		put_record(msg.head.id, 0, "");
	}
}

static void record_and_follow(void)
{
	union ex_ipc_message msg;
	int fd = -1;

	put_many(0, 0);
	while (listen_for(&msg, &fd)) {
		if (msg.head.type != EX_IPC_RULESET)
			continue;
		put_many(msg.head.id, MANY);
		answer_swap(&msg, 0);
		put_many(msg.head.id, 2 * MANY);
		close(fd);
	}
}

/* Another policy is nothing to it. */
static _Noreturn void put_without_end(void)
{
	for (uint32_t i = 0;; i++) {
		put_record(0, i, "");
		usleep(100);
	}
}

static void record(const char *how)
{
	if (ex_ring_map(&ring, EX_PROXY_FD_RING) < 0)
		_exit(1);
	if (strcmp(how, "recording") == 0) {
		put_many(0, 0);
	} else if (strcmp(how, "recording-steady") == 0) {
		put_steadily();
	} else if (strcmp(how, "recording-on") == 0) {
		put_without_end();
	} else if (strcmp(how, "recording-death") == 0) {
		put_many(0, 0);
		/* and a piece of one more: the entries begin behind two lines */
		memset((char *)ring.memory + 128 + ring.at % EX_RING_SIZE, 0xff, 64);
		kill(getpid(), SIGKILL);
	} else if (strcmp(how, "recording-swap") == 0) {
		record_and_follow();
	} else if (strcmp(how, "recording-later") == 0) {
		follow_and_record();
	} else {
		spoil_ring(how);
	}
	pause();
}

/* ---- more than it may ask for ---- */

/* "flood-mint-900": asks for that so many times what it will not be given, and ends. */
static void ask_for_much(const char *how)
{
	union ex_ipc_message ask = { 0 }, msg;
	unsigned sent = 0, answered = 0, count = (unsigned)strtoul(strrchr(how, '-') + 1, NULL, 10);
	uint32_t type = EX_IPC_UDP;
	int fd;

	if (strncmp(how, "flood-mint", 10) == 0) {
		type = EX_IPC_MINT;
		ex_ipc_name_set(&ask.mint.name, EX_SPAN("evil.example"));
	} else if (strncmp(how, "flood-learn", 11) == 0) {
		type = EX_IPC_LEARN;
		ask.learn.n_addrs = EX_IPC_ADDRS_MAX;
		ex_ipc_name_set(&ask.learn.name, EX_SPAN("evil.example"));
	} else if (strncmp(how, "flood-dial", 10) == 0) {
		type = EX_IPC_DIAL;
	}
	while (answered < count) {
		for (; sent < count && sent - answered < EX_IPC_WAITING_MAX; sent++)
			send_message(&ask, type);
		if (!listen_for(&msg, &fd))
			_exit(0);
		answered++;
	}
	_exit(0);
}

/* NAT64 of `nowhere`. */
static const struct ex_ip translated = { .b = { 0, 0x64, 0xff, 0x9b, [12] = 203, 0, 113, 9 } };

static void learn_translated(void)
{
	union ex_ipc_message msg = { .learn = {
					     .ttl = 60, .n_addrs = 1, .addrs = { translated } } };

	ex_ipc_name_set(&msg.learn.name, EX_SPAN("api.example"));
	send_message(&msg, EX_IPC_LEARN);
	pause();
}

static void learn_and_listen(void)
{
	union ex_ipc_message msg = { .learn = { .ttl = 60, .n_addrs = 1, .addrs = { nowhere } } };
	int fd = -1;

	ex_ipc_name_set(&msg.learn.name, EX_SPAN("api.example"));
	send_message(&msg, EX_IPC_LEARN);
	while (listen_for(&msg, &fd)) {
		/* Each is told of what the other has learned. */
		if (msg.head.type == EX_IPC_KNOWN &&
		    ex_span_eq(ex_ipc_name_get(&msg.learn.name), EX_SPAN("api.example")) &&
		    msg.learn.n_addrs == 1 && ex_ip_eq(&msg.learn.addrs[0], &nowhere))
			_exit(0);
	}
}

/* "tell-FILE": what it was given for itself goes there. */
static void tell(const char *how, const uint8_t secret[static EX_PROXY_SECRET_LEN])
{
	int fd = open(how + 5, O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0 || write(fd, secret, EX_PROXY_SECRET_LEN) != EX_PROXY_SECRET_LEN)
		_exit(1);
	close(fd);
	say_ready();
	pause();
}

static int proxy_main(void)
{
	struct ex_proxy_settings s;
	char how[32] = "";

	if (ex_proxy_settings_read(EX_PROXY_FD_SETTINGS, &s) < 0 || s.unread.len >= sizeof(how))
		return 1;
	memcpy(how, s.unread.ptr, s.unread.len);
	names_key = s.names_key;
	if (strncmp(how, "tell-", 5) == 0)
		tell(how, s.secret);
	ex_proxy_settings_done(&s);
	if (strcmp(how, "early") == 0) {
		union ex_ipc_message msg = { 0 };

		send_message(&msg, EX_IPC_DIAL);
		pause();
	}
	if (strcmp(how, "die") == 0)
		return 1;
	say_ready();
	usleep(20000); /* until it is published */
	if (strcmp(how, "ask") == 0)
		ask_for_everything();
	if (strcmp(how, "learn") == 0)
		learn_and_listen();
	if (strcmp(how, "learn-translated") == 0)
		learn_translated();
	if (strncmp(how, "follow", 6) == 0)
		follow(how);
	if (strncmp(how, "record", 6) == 0)
		record(how);
	if (strncmp(how, "flood", 5) == 0)
		ask_for_much(how);
	if (strcmp(how, "silent") == 0)
		pause();
	break_protocol(how);
	return 0;
}

#endif
