/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit: whatever a record holds, its line is one line of printable ASCII, in JSON with every quote
 * paired; redaction is stable; a sealed line reads back as what was sealed; and reading a hostile
 * log does not crash.
 */
#include "agent/audit/chain.h"
#include "agent/audit/line.h"
#include "tests/fuzz/fuzz.h"

static void check_line(const char *line, ssize_t n)
{
	CHECK(n > 0 && line[n - 1] == '\n');
	for (ssize_t i = 0; i < n - 1; i++)
		CHECK(line[i] >= 0x20 && line[i] < 0x7f);
}

/* Brackets and quotes balance when strings are skipped: enough to see a broken-out string. */
static void check_json(const char *line, ssize_t n)
{
	bool in_string = false;
	int depth = 0;

	for (ssize_t i = 0; i < n - 1; i++) {
		if (in_string && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			in_string = !in_string;
		else if (!in_string)
			depth += (line[i] == '{') - (line[i] == '}');
		CHECK(in_string || depth > 0 || i == n - 2);
	}
	CHECK(!in_string && depth == 0);
}

static void check_path(struct ex_span path)
{
	char once[1024], twice[1024];

	ex_audit_set_path(once, sizeof(once), path);
	ex_audit_set_path(twice, sizeof(twice), ex_span_str(once));
	CHECK(strcmp(once, twice) == 0);
}

static void check_chain(char *line, ssize_t n, const struct ex_audit_keys *keys)
{
	struct ex_chain before = { .n = 41 }, after;
	struct ex_chain_link link;

	memset(before.mac, 7, sizeof(before.mac));
	n = ex_chain_seal(&before, &keys->list[0], line, (size_t)n, &after);
	check_line(line, n);
	check_json(line, n);
	CHECK(ex_chain_parse((struct ex_span){ line, (size_t)n - 1 }, &link));
	CHECK(link.n == 42 && ex_mac_eq(link.prev, before.mac) && ex_mac_eq(link.mac, after.mac));
	CHECK(ex_chain_authentic(&link, keys));
	line[n / 2] ^= 1;
	CHECK(!ex_chain_parse((struct ex_span){ line, (size_t)n - 1 }, &link) ||
	      !ex_chain_authentic(&link, keys));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ex_audit_keys keys = {
		.list = { { .id = "k", .bytes = { 1 }, .len = 32 } }, .n = 1
	};
	static char line[EX_AUDIT_LINE_MAX + EX_CHAIN_TAIL_MAX];
	struct ex_audit_stamp stamp = { .time = "2026-11-22T17:00:00.123Z", .run = "r", .seq = 1 };
	struct ex_audit_record rec = { 0 };
	struct ex_chain_link link;
	ssize_t n;

	if (ex_chain_parse((struct ex_span){ (const char *)data, size }, &link))
		CHECK(!ex_chain_authentic(&link, &keys));
	check_path((struct ex_span){ (const char *)data, size });
	for (size_t i = 0; i < sizeof(rec) && size; i += size)
		memcpy((char *)&rec + i, data, size < sizeof(rec) - i ? size : sizeof(rec) - i);
	n = ex_audit_line_text(&rec, &stamp, line, EX_AUDIT_LINE_MAX);
	check_line(line, n);
	n = ex_audit_line_json(&rec, &stamp, line, EX_AUDIT_LINE_MAX);
	check_line(line, n);
	check_json(line, n);
	check_chain(line, n, &keys);
	return 0;
}
