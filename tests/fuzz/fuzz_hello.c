/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClientHello: no crash; a name that is given out is canonical; need is honest; the same hello cut
 * into other records reads the same; a second hello passes only with the name of the first.
 */
#include "agent/tls/hello.h"
#include "tests/fuzz/fuzz.h"

/* Copies the message out of its records and wraps it again, three bytes a record. */
static size_t rewrap(const uint8_t *data, size_t size, uint8_t *out)
{
	static uint8_t message[EX_HELLO_MAX];
	size_t len = 0, want, n = 0;

	for (size_t off = 0; off + 5 <= size;) {
		size_t rec = (size_t)data[off + 3] << 8 | data[off + 4];

		if (data[off] != 22 || off + 5 + rec > size || len + rec > sizeof(message))
			break;
		memcpy(message + len, data + off + 5, rec);
		len += rec;
		off += 5 + rec;
		if (len >= 4 && len >= 4 + ((size_t)message[2] << 8 | message[3]))
			break;
	}
	want = 4 + ((size_t)message[2] << 8 | message[3]);
	for (size_t off = 0; off < want; off += 3) {
		size_t step = want - off < 3 ? want - off : 3;
		uint8_t head[5] = { 22, 3, data[2], 0, (uint8_t)step };

		memcpy(out + n, head, 5);
		memcpy(out + n + 5, message + off, step);
		n += 5 + step;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t other[4 * EX_HELLO_MAX];
	struct ex_hello h, h2;
	enum ex_hello_status status = ex_hello_parse(data, size, &h);
	struct ex_hello first = { .early_data = size & 1, .ech = size & 2 };
	size_t n;

	(void)ex_hello_answer(data, size);
	if (ex_hello_parse_again(data, size, &first, &h2) == EX_HELLO_DONE)
		CHECK(!h2.has_sni && h2.size <= size && (first.ech || !h2.ech));
	if (status == EX_HELLO_MORE)
		CHECK(h.need > size && h.need <= EX_HELLO_MAX);
	if (status == EX_HELLO_BAD)
		CHECK(h.reason == EX_R_TLS_MALFORMED || h.reason == EX_R_SNI_INVALID);
	if (status != EX_HELLO_DONE)
		return 0;
	CHECK(h.size <= size);
	if (h.has_sni)
		CHECK(ex_tls_name_is_canonical((struct ex_span){ h.sni, h.sni_len }));
	n = rewrap(data, size, other);
	if (n > EX_HELLO_MAX)
		return 0;
	CHECK(ex_hello_parse(other, n, &h2) == EX_HELLO_DONE && h2.size == n);
	CHECK(h2.has_sni == h.has_sni && strcmp(h2.sni, h.sni) == 0 && h2.ech == h.ech);
	CHECK(ex_hello_parse(other, n - 1, &h2) == EX_HELLO_MORE && h2.need == n);
	return 0;
}
