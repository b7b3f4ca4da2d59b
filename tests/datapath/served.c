/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <netinet/in.h>

#include "tests/datapath/served.h"

#define ALLOW(rule)                                                                                \
	{                                                                                          \
		EX_V_ALLOW, EX_KIND_NONE, EX_R_ALLOWED, (rule)                                     \
	}

/* One class, "everything", for every address of both families. */
static struct ex_dest_entry everywhere[] = { { .prefix = 0, .klass = 1 } };
static struct ex_rule_entry everything[] = { { .klass = 1, .value = ALLOW(0) } };

const struct ex_tables tables_all = { everywhere, 1, everything, 1, 1 };

/* At most 30 prefixes cover a range of 16 bits. */
#define PREFIXES_MAX 30

static size_t range_split(const struct served_ports *s, struct ex_rule_entry *out)
{
	uint32_t at = s->first, end = s->last + 1u, size;
	size_t n = 0;

	for (; at < end; at += size) {
		uint8_t bits = 16;

		for (size = 1; !(at & size) && at + 2 * size <= end; size *= 2)
			bits--;
		out[n++] = (struct ex_rule_entry){ .klass = 1,
						   .prefix = (uint8_t)(16 + bits),
						   .proto = s->proto,
						   .port = (uint16_t)at,
						   .value = ALLOW(0) };
	}
	return n;
}

int served_tables(const struct served_ports *served, size_t n, struct ex_tables *ret)
{
	struct ex_tables t = { .n_classes = 1 };
	size_t i;

	for (i = 0; i < n; i++)
		if (served[i].first > served[i].last ||
		    (served[i].proto != IPPROTO_TCP && served[i].proto != IPPROTO_UDP &&
		     served[i].proto != IPPROTO_SCTP))
			return -EINVAL;
	t.dests = calloc(1, sizeof(*t.dests));
	t.rules = calloc(n * PREFIXES_MAX + 1, sizeof(*t.rules));
	if (!t.dests || !t.rules) {
		ex_tables_done(&t);
		return -ENOMEM;
	}
	t.dests[t.n_dests++] = everywhere[0];
	for (i = 0; i < n; i++)
		t.n_rules += range_split(&served[i], t.rules + t.n_rules);
	*ret = t;
	return 0;
}
