/* SPDX-License-Identifier: Apache-2.0 */
/* Frames written by hand, fed to the relay as the workload's. */
#ifndef EXEAT_TESTS_H2_FRAMES_H
#define EXEAT_TESTS_H2_FRAMES_H

#include "tests/unit/h2_peers.h"

struct wire {
	uint8_t b[1 << 20];
	size_t len;
};

static struct wire out;

static void put(const void *p, size_t n)
{
	assert_true(out.len + n <= sizeof(out.b));
	memcpy(out.b + out.len, p, n);
	out.len += n;
}

static void put_frame(uint8_t type, uint8_t flags, uint32_t id, const void *payload, size_t n)
{
	const uint8_t head[9] = {
		(uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
		(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id
	};

	put(head, sizeof(head));
	put(payload, n);
}

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONT };
#define END_STREAM  1
#define ACK         1
#define END_HEADERS 4

/* One field, literal without indexing (RFC 7541 6.2.2); names and values below 127 bytes. */
static size_t literal(uint8_t *p, struct ex_span name, struct ex_span value)
{
	p[0] = 0;
	p[1] = (uint8_t)name.len;
	memcpy(p + 2, name.ptr, name.len);
	p[2 + name.len] = (uint8_t)value.len;
	memcpy(p + 3 + name.len, value.ptr, value.len);
	return 3 + name.len + value.len;
}

/* Without any pull in between; returns what feed said last. */
static ssize_t feed(void)
{
	size_t off = 0;
	ssize_t r = 0;

	while (off < out.len) {
		r = ex_h2_relay_feed(w.relay, EX_H2_WORKLOAD, out.b + off, out.len - off, w.now);
		if (r <= 0)
			break;
		off += (size_t)r;
	}
	out.len = 0;
	return r;
}

#endif
