/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a proxy that was taken over may send to the privileged side: messages of any bytes and
 * length, audit records; and a bundle, which both sides read. No crash; nothing is taken that is
 * not whole; what was taken once is the same when written and read again.
 *
 * Input: one byte says which, then the bytes.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "agent/audit/pack.h"
#include "agent/core/pack.h"
#include "agent/proxy/bundle.h"
#include "agent/proxy/messages.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const char *text, size_t size)
{
	CHECK(memchr(text, '\0', size));
}

static void try_records(struct ex_span in)
{
	struct ex_audit_record rec, again;
	uint8_t packed[EX_AUDIT_PACKED_MAX];
	struct ex_span back;

	while (in.len && ex_audit_unpack(&in, &rec)) {
		check_text(rec.name, sizeof(rec.name));
		check_text(rec.sni, sizeof(rec.sni));
		check_text(rec.host, sizeof(rec.host));
		check_text(rec.method, sizeof(rec.method));
		check_text(rec.path, sizeof(rec.path));
		check_text(rec.detail, sizeof(rec.detail));
		back = (struct ex_span){ (char *)packed, ex_audit_pack(&rec, packed) };
		CHECK(back.len <= sizeof(packed));
		CHECK(ex_audit_unpack(&back, &again) && back.len == 0);
		/* what stands behind a text's end is not sent */
		CHECK(strcmp(rec.path, again.path) == 0 && strcmp(rec.name, again.name) == 0);
		CHECK(rec.reason == again.reason && rec.verdict == again.verdict &&
		      rec.rule == again.rule && rec.n_ips == again.n_ips);
	}
}

/* A name that is taken is a canonical one. */
static void check_name(const struct ex_ipc_name *name)
{
	struct ex_span n = ex_ipc_name_get(name);

	CHECK(n.len <= EX_IPC_NAME_MAX);
	for (size_t i = 0; i < n.len; i++)
		CHECK(n.ptr[i] > ' ' && n.ptr[i] < 127 && (n.ptr[i] < 'A' || n.ptr[i] > 'Z'));
}

static void try_message(struct ex_span in)
{
	static union ex_ipc_message msg;
	int pair[2], fd = -1;
	ssize_t n;

	if (in.len == 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
		return;
	CHECK(send(pair[0], in.ptr, in.len, 0) == (ssize_t)in.len);
	n = ex_ipc_receive(pair[1], &msg, &fd);
	CHECK(fd == -1);
	if (n > 0) {
		CHECK((size_t)n == in.len && ex_ipc_size(&msg.head) == in.len);
		if (msg.head.type == EX_IPC_LEARN)
			check_name(&msg.learn.name);
		if (msg.head.type == EX_IPC_MINT)
			check_name(&msg.mint.name);
	}
	close(pair[0]);
	close(pair[1]);
}

/* The bytes of a bundle after its seal: what is not as it should be compiles to an error. */
static void try_bundle(struct ex_span in)
{
	struct ex_diags diags = { 0 };
	struct ex_ruleset *rs = NULL;
	struct ex_pack p = { 0 };
	int fd;

	ex_pack_bytes(&p, in.ptr, in.len);
	fd = ex_pack_seal(&p, "bundle");
	if (fd < 0)
		return;
	if (ex_bundle_compile(fd, &rs, &diags) == 0)
		ex_ruleset_unref(rs);
	else
		CHECK(!rs);
	ex_diags_done(&diags);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ex_span in = { (const char *)data + 1, size - 1 };

	if (size < 2 || size > 16384)
		return 0;
	switch (data[0] % 3) {
	case 0:
		try_records(in);
		break;
	case 1:
		try_message(in);
		break;
	default:
		try_bundle(in);
		break;
	}
	return 0;
}
