/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP/2 relay between two hostile peers. The input is a script: a byte of side (top bit) and
 * length, then that many bytes for that side; length 0 is an event of the connection. Prefaces are
 * given. Nothing may crash, leak, or grow beyond its bounds, and what was not allowed must not
 * reach the origin.
 */
#include "agent/http/http2_relay_priv.h"
#include "tests/fuzz/fuzz.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
static unsigned allowed;
static size_t heads;

static bool judge(void *arg, const struct ex_h1_head *head, struct ex_h1_denial *d,
		  struct ex_header_edits *edits)
{
	static const struct ex_header_edits edited = {
		.v = { { EX_HEADER_REPLACE, EX_SPAN("authorization"), EX_SPAN("token"), 1 },
		       { EX_HEADER_ADD, EX_SPAN("x-add"), EX_SPAN("more"), 1 } },
		.n = 2,
	};

	(void)arg;
	(void)d;
	if (head->n_headers % 2 && head->n_headers + edited.n <= EX_H1_HEADERS_MAX)
		*edits = edited;
	CHECK(head->path.len > 0 && head->path.ptr[0] == '/');
	CHECK(ex_span_eq(head->host, EX_SPAN("api.test")));
	CHECK(head->n_headers <= EX_H1_HEADERS_MAX);
	if (head->path.len < 3 || memcmp(head->path.ptr, "/ok", 3) != 0)
		return false;
	allowed++;
	return true;
}

static uint32_t identity(void *arg, const struct ex_header_edits *edits)
{
	(void)arg;
	(void)edits;
	return 0;
}

static void refused(void *arg, const struct ex_h1_denial *d)
{
	(void)arg;
	CHECK(d->status >= 400 && d->status < 600);
}

/* HEADERS frames towards the origin: one for each allowed request, no more. */
static size_t count_heads(const uint8_t *b, size_t len)
{
	size_t n = 0, off = 24; /* behind the preface */

	while (off + 9 <= len) {
		n += b[off + 3] == 1;
		off += 9 + ((size_t)b[off] << 16 | (size_t)b[off + 1] << 8 | b[off + 2]);
	}
	return n;
}

static void pull(struct ex_h2_relay *r)
{
	static uint8_t to_origin[1 << 20], other[4096];
	static size_t have;
	ssize_t n;

	if (!r) {
		CHECK(count_heads(to_origin, have) <= allowed);
		have = 0;
		return;
	}
	while ((n = ex_h2_relay_pull(r, EX_H2_WORKLOAD, other, sizeof(other))) > 0)
		;
	while (have < sizeof(to_origin) && (n = ex_h2_relay_pull(r, EX_H2_ORIGIN, to_origin + have,
								 sizeof(to_origin) - have)) > 0)
		have += (size_t)n;
}

static void event(struct ex_h2_relay *r, enum ex_h2_side side, uint8_t which)
{
	if (which == 0)
		ex_h2_relay_eof(r, side);
	else if (which == 1)
		ex_h2_relay_close(r, side == EX_H2_ORIGIN);
	else
		pull(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ex_h2_relay_config config = {
		.heads = &heads,
		.tls = true,
		.sni = EX_SPAN("api.test"),
		.port = 443,
		.judge = judge,
		.identity = identity,
		.refused = refused,
	};
	struct ex_h2_relay *r;
	uint64_t now = 0;

	allowed = 0;
	if (ex_h2_relay_new(&config, &r) < 0 || ex_h2_relay_origin(r, EX_H2_ORIGIN_H2) < 0)
		return 0;
	ex_h2_relay_feed(r, EX_H2_WORKLOAD, preface, sizeof(preface) - 1, 0);
	ex_h2_relay_feed(r, EX_H2_ORIGIN, preface + 24, 9, 0);
	while (size > 1) {
		enum ex_h2_side side = *data >> 7 ? EX_H2_ORIGIN : EX_H2_WORKLOAD;
		size_t len = *data & 127;

		data++;
		size--;
		if (len == 0) {
			event(r, side, *data % 3);
			continue;
		}
		len = len < size ? len : size;
		ex_h2_relay_feed(r, side, data, len, now += 3);
		CHECK(r->n_exchanges <= 2 * EX_H2_STREAMS_MAX);
		if (side == EX_H2_WORKLOAD)
			pull(r);
		data += len;
		size -= len;
	}
	pull(r);
	ex_h2_relay_free(r);
	CHECK(heads == 0);
	pull(NULL);
	return 0;
}
