/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define MAC_HEX (2 * EX_MAC_LEN)

void ex_hex_encode(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ex_hex_decode(struct ex_span hex, uint8_t *out, size_t len)
{
	if (hex.len != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int hi = nibble(hex.ptr[2 * i]), lo = nibble(hex.ptr[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

static int mac_of(struct ex_span body, const struct ex_audit_key *key, uint8_t *ret)
{
	struct ex_span k = { key ? (const char *)key->bytes : NULL, key ? key->len : 0 };

	return ex_mac(k, &body, 1, ret);
}

ssize_t ex_chain_seal(const struct ex_chain *chain, const struct ex_audit_key *key, char *line,
		      size_t len, struct ex_chain *next)
{
	char prev[MAC_HEX + 1], mac[MAC_HEX + 1];
	size_t at = len - 2;
	int r;

	if (len < 3 || memcmp(line + at, "}\n", 2) != 0)
		return -EINVAL;
	next->n = chain->n + 1;
	ex_hex_encode(chain->mac, EX_MAC_LEN, prev);
	at += (size_t)snprintf(line + at, EX_CHAIN_TAIL_MAX,
			       ",\"n\":%" PRIu64 ",\"kid\":\"%s\",\"prev\":\"%s\"", next->n,
			       key ? key->id : "", prev);
	r = mac_of((struct ex_span){ line, at }, key, next->mac);
	if (r < 0)
		return r;
	ex_hex_encode(next->mac, EX_MAC_LEN, mac);
	return (ssize_t)at + snprintf(line + at, MAC_HEX + 16, ",\"mac\":\"%s\"}\n", mac);
}

/*
 * Takes `KEY"value"` off the end of s. Nothing within a JSON string can look like it, because
 * quotes are escaped there.
 */
static bool take_tail(struct ex_span *s, const char *key, struct ex_span *ret)
{
	size_t key_len = strlen(key), end = s->len, at;

	if (end == 0 || s->ptr[--end] != '"')
		return false;
	at = end;
	while (at > 0 && s->ptr[at - 1] != '"')
		at--;
	if (at < key_len || memcmp(s->ptr + at - key_len, key, key_len) != 0)
		return false;
	*ret = (struct ex_span){ s->ptr + at, end - at };
	s->len = at - key_len;
	return true;
}

static bool take_number(struct ex_span *s, const char *key, uint64_t *ret)
{
	size_t key_len = strlen(key), at = s->len;
	uint64_t n = 0;

	while (at > 0 && s->ptr[at - 1] >= '0' && s->ptr[at - 1] <= '9')
		at--;
	if (at == s->len || s->len - at > 19 || at < key_len ||
	    memcmp(s->ptr + at - key_len, key, key_len) != 0)
		return false;
	for (size_t i = at; i < s->len; i++)
		n = n * 10 + (uint64_t)(s->ptr[i] - '0');
	s->len = at - key_len;
	*ret = n;
	return true;
}

/* Every record begins {"time":"…","type":"…" */
static bool find_type(struct ex_span line, struct ex_span *ret)
{
	static const char time[] = "{\"time\":\"", type[] = "\",\"type\":\"";
	const char *at, *end;

	if (line.len < sizeof(time) || memcmp(line.ptr, time, sizeof(time) - 1) != 0)
		return false;
	at = memmem(line.ptr, line.len, type, sizeof(type) - 1);
	if (!at || (size_t)(at - line.ptr) > 64)
		return false;
	at += sizeof(type) - 1;
	end = memchr(at, '"', line.len - (size_t)(at - line.ptr));
	if (!end)
		return false;
	*ret = (struct ex_span){ at, (size_t)(end - at) };
	return true;
}

bool ex_chain_parse(struct ex_span line, struct ex_chain_link *ret)
{
	struct ex_span s = line, mac, prev;

	if (s.len < 2 || s.ptr[s.len - 1] != '}')
		return false;
	s.len--;
	if (!take_tail(&s, ",\"mac\":\"", &mac))
		return false;
	ret->body = s;
	return take_tail(&s, ",\"prev\":\"", &prev) && take_tail(&s, ",\"kid\":\"", &ret->kid) &&
	       take_number(&s, ",\"n\":", &ret->n) && ex_hex_decode(mac, ret->mac, EX_MAC_LEN) &&
	       ex_hex_decode(prev, ret->prev, EX_MAC_LEN) && find_type(line, &ret->type);
}

bool ex_chain_authentic(const struct ex_chain_link *link, const struct ex_audit_keys *keys)
{
	const struct ex_audit_key *key = NULL;
	uint8_t mac[EX_MAC_LEN];

	if (link->kid.len) {
		key = ex_audit_keys_find(keys, link->kid);
		if (!key)
			return false;
	} else if (keys->n) {
		return false; /* a keyed log has no unkeyed records: anyone could have made it */
	}
	return mac_of(link->body, key, mac) == 0 && ex_mac_eq(mac, link->mac);
}
