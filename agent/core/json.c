/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/json.h"

#include <errno.h>
#include <stdio.h>

void ex_json_init(struct ex_json *j, char *out, size_t cap)
{
	*j = (struct ex_json){ .out = out, .cap = cap };
}

void ex_json_init_growing(struct ex_json *j, size_t max)
{
	*j = (struct ex_json){ .max = max };
}

void ex_json_wipe(struct ex_json *j)
{
	size_t max = j->max;

	if (max)
		free(j->out);
	*j = (struct ex_json){ .max = max };
}

static bool has_room(struct ex_json *j, size_t len)
{
	size_t cap = j->cap ? j->cap : 512;
	char *out;

	if (len <= j->cap - j->len)
		return true;
	if (len > j->max || j->len > j->max - len)
		return false;
	while (cap < j->len + len)
		cap *= 2;
	if (cap > j->max)
		cap = j->max;
	out = realloc(j->out, cap);
	if (!out)
		return false;
	j->out = out;
	j->cap = cap;
	return true;
}

static void put(struct ex_json *j, const char *s, size_t len)
{
	if (!len)
		return;
	if (j->full || !has_room(j, len)) {
		j->full = true;
		return;
	}
	memcpy(j->out + j->len, s, len);
	j->len += len;
}

size_t ex_utf8_decode(const char *bytes, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *b = (const unsigned char *)bytes;
	size_t len;
	uint32_t cp;

	if (b[0] < 0x80) {
		*ret = b[0];
		return 1;
	}
	if (b[0] < 0xc2 || b[0] > 0xf4)
		return 0;
	len = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
	if (n < len)
		return 0;
	cp = b[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		cp = cp << 6 | (b[i] & 0x3f);
	}
	if (cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret = cp;
	return len;
}

static void put_unit(struct ex_json *j, uint32_t unit)
{
	char text[8];

	snprintf(text, sizeof(text), "\\u%04x", (unsigned)unit & 0xffffu);
	put(j, text, 6);
}

/* Without < and >, so that a record pasted into a page is text there. */
static const bool plain[256] = {
	[0x20 ... '"' - 1] = true,     ['"' + 1 ... '<' - 1] = true, ['='] = true,
	['>' + 1 ... '\\' - 1] = true, ['\\' + 1 ... 0x7e] = true,
};

static size_t count_plain(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && plain[(unsigned char)s[n]])
		n++;
	return n;
}

/* Most are: then it is one copy. */
static bool put_plain(struct ex_json *j, struct ex_span value)
{
	char *out;

	if (j->full || count_plain(value.ptr, value.len) < value.len || !has_room(j, value.len + 2))
		return false;
	out = j->out + j->len;
	*out++ = '"';
	if (value.len)
		memcpy(out, value.ptr, value.len);
	out[value.len] = '"';
	j->len += value.len + 2;
	return true;
}

/* Keys, too, may be of somebody's choice: those of labels are. */
static void put_quoted(struct ex_json *j, struct ex_span value)
{
	if (put_plain(j, value))
		return;
	put(j, "\"", 1);
	for (size_t i = 0; i < value.len && !j->full;) {
		char c = value.ptr[i];
		uint32_t cp = 0xfffd;
		size_t len = count_plain(value.ptr + i, value.len - i);

		if (len) {
			put(j, value.ptr + i, len);
			i += len;
			continue;
		}
		if (c == '"' || c == '\\') {
			put(j, "\\", 1);
			put(j, &c, 1);
			i++;
			continue;
		}
		len = ex_utf8_decode(value.ptr + i, value.len - i, &cp);
		if (cp >= 0x10000) {
			put_unit(j, 0xd800 + ((cp - 0x10000) >> 10));
			put_unit(j, 0xdc00 + ((cp - 0x10000) & 0x3ff));
		} else {
			put_unit(j, cp);
		}
		i += len ? len : 1;
	}
	put(j, "\"", 1);
}

static void put_key(struct ex_json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	if (key) {
		put_quoted(j, ex_span_str(key));
		put(j, ":", 1);
	}
}

void ex_json_open(struct ex_json *j, const char *key, char bracket)
{
	put_key(j, key);
	put(j, &bracket, 1);
	j->comma = false;
}

void ex_json_close(struct ex_json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

void ex_json_string(struct ex_json *j, const char *key, struct ex_span value)
{
	put_key(j, key);
	put_quoted(j, value);
	j->comma = true;
}

void ex_json_number(struct ex_json *j, const char *key, uint64_t value)
{
	char text[20];
	size_t at = sizeof(text);

	do
		text[--at] = (char)('0' + value % 10);
	while (value /= 10);
	put_key(j, key);
	put(j, text + at, sizeof(text) - at);
	j->comma = true;
}

void ex_json_text(struct ex_json *j, const char *key, const char *value)
{
	ex_json_string(j, key, ex_span_str(value));
}

void ex_json_bool(struct ex_json *j, const char *key, bool value)
{
	ex_json_raw(j, key, value ? EX_SPAN("true") : EX_SPAN("false"));
}

void ex_json_raw(struct ex_json *j, const char *key, struct ex_span value)
{
	put_key(j, key);
	put(j, value.ptr, value.len);
	j->comma = true;
}

ssize_t ex_json_done(const struct ex_json *j)
{
	return j->full ? -ENOSPC : (ssize_t)j->len;
}

ssize_t ex_json_line(struct ex_json *j)
{
	if (j->full)
		return -ENOSPC;
	j->out[j->len++] = '\n';
	return (ssize_t)j->len;
}
