/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/recognise.h"

#include "agent/http/chars.h"

#define LINE_MAX_READ 4096 /* a first line, and the white space before it, end within this */

/* Content types of TLS records (RFC 8446 5.1). */
#define TLS_FIRST     20
#define TLS_HANDSHAKE 22
#define TLS_LAST      24

/* In the widest sense any server has (Python strips these, Unicode's included). */
static bool is_space(char ch)
{
	return (ch >= '\t' && ch <= '\r') || (ch >= 0x1c && ch <= ' ') || ch == '\x85' ||
	       ch == '\xa0';
}

/* Methods that servers know also without a version behind (HTTP/0.9), in any case. */
static bool is_known_method(struct ex_span word)
{
	static const char *const known[] = { "GET",     "HEAD",    "POST",  "PUT",   "DELETE",
					     "OPTIONS", "CONNECT", "TRACE", "PATCH", "PRI" };

	for (size_t i = 0; i < EX_ARRAY_SIZE(known); i++)
		if (word.len == strlen(known[i]) && strncasecmp(word.ptr, known[i], word.len) == 0)
			return true;
	return false;
}

static bool has_version(struct ex_span line)
{
	for (size_t i = 0; i + 5 <= line.len; i++)
		if (strncasecmp(line.ptr + i, "HTTP/", 5) == 0)
			return true;
	return false;
}

/*
 * The version in the first line tells HTTP, not the method: servers differ in the methods they
 * take. Other text protocols (SMTP, FTP, IRC, SSH) begin with a word as well, but name no HTTP
 * version.
 */
static enum ex_recognised recognise_text(const char *p, size_t len)
{
	struct ex_span line = { p, len }, word = { p, ex_chars_run(p, len, EX_CHAR_TOKEN) };
	const char *end;

	if (word.len == 0)
		return EX_IS_OTHER; /* no server begins a request with this */
	if (word.len < len && is_space(p[word.len]) && is_known_method(word))
		return EX_IS_HTTP;
	end = memchr(p, '\n', len);
	if (end)
		line.len = (size_t)(end - p);
	if (has_version(line))
		return EX_IS_HTTP;
	/* Without white space behind its first word it will not become a request line. */
	if (end || (word.len < len && !is_space(p[word.len])))
		return EX_IS_OTHER;
	return EX_IS_UNDECIDED;
}

enum ex_recognised ex_recognise(const void *bytes, size_t len)
{
	const char *p = bytes;
	unsigned char first;
	size_t lead = 0;
	enum ex_recognised what;

	if (len == 0)
		return EX_IS_UNDECIDED;
	first = (unsigned char)p[0];
	if (first >= TLS_FIRST && first <= TLS_LAST)
		return first == TLS_HANDSHAKE ? EX_IS_TLS : EX_IS_BAD_TLS;
	if (first & 0x80 && len < 3)
		return EX_IS_UNDECIDED;
	if (first & 0x80 && p[2] == 1) /* an SSLv2 record with a ClientHello (RFC 5246 E.2) */
		return EX_IS_BAD_TLS;
	while (lead < len && is_space(p[lead]))
		lead++;
	what = lead < len ? recognise_text(p + lead, len - lead) : EX_IS_UNDECIDED;
	return what == EX_IS_UNDECIDED && len >= LINE_MAX_READ ? EX_IS_NOTHING : what;
}
