/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/remedy.h"

#include <stdio.h>
#include <sys/types.h>

#include "policy/suggest.h"

#define RULE_MAX 600

static bool is_name(struct ex_span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._:", c))))
			return false;
	}
	return s.len > 0 && s.len <= 253;
}

/* The list a new rule goes into: "….rules.http[2]" -> "….rules.http". */
static int list_len(const char *where)
{
	const char *at = strstr(where, ".rules.http");

	return at ? (int)(at - where + (ssize_t)strlen(".rules.http")) : 0;
}

static void write_http(const struct ex_remedy *d, char *out)
{
	struct ex_http_request req = { .method = d->method,
				       .path = d->path,
				       .destination = d->destination,
				       .headers = d->headers,
				       .n_headers = d->n_headers };
	char rule[RULE_MAX];
	int list = list_len(d->where);

	if (!ex_suggest_http(&req, rule, sizeof(rule)))
		return;
	if (strstr(d->where, ".preset[")) /* whose text is not the user's */
		snprintf(out, EX_REMEDY_MAX,
			 "beside the preset add a rule for the same destination, with "
			 "rules.http: - %s",
			 rule);
	else
		snprintf(out, EX_REMEDY_MAX, "under %.*s add: - %s", list ? list : 10,
			 list ? d->where : "rules.http", rule);
}

static void write_name(const struct ex_remedy *d, char *out)
{
	if (!is_name(d->name))
		return;
	snprintf(out, EX_REMEDY_MAX, "under egress add: - toFQDNs: [{matchName: \"%.*s\"}]",
		 (int)d->name.len, d->name.ptr);
	if (d->port && d->proto[0]) {
		size_t n = strlen(out);

		snprintf(out + n, EX_REMEDY_MAX - n,
			 " with toPorts: [{ports: [{port: \"%u\", protocol: %s}]}]",
			 (unsigned)d->port, d->proto);
	}
}

static void write_address(const struct ex_remedy *d, char *out)
{
	const char *bits = strchr(d->address, ':') ? "128" : "32";

	if (is_name(d->name)) {
		write_name(d, out);
		return;
	}
	if (!d->address[0] || !d->port || !d->proto[0])
		return;
	snprintf(out, EX_REMEDY_MAX,
		 "under egress add: - toCIDR: [\"%s/%s\"] with toPorts: [{ports: [{port: \"%u\", "
		 "protocol: %s}]}]",
		 d->address, bits, (unsigned)d->port, d->proto);
}

void ex_remedy_write(const struct ex_remedy *d, char out[static EX_REMEDY_MAX])
{
	out[0] = '\0';
	if (d->reason == EX_R_HTTP_DENIED && !d->explained)
		write_http(d, out);
	else if (d->reason == EX_R_HOST_DENIED || d->reason == EX_R_SNI_DENIED ||
		 d->reason == EX_R_DNS_NAME_DENIED)
		write_name(d, out);
	else if (d->reason == EX_R_DEFAULT_DENY)
		write_address(d, out);
	else if (d->reason == EX_R_POLICY_DENY && d->where[0])
		snprintf(out, EX_REMEDY_MAX, "narrow or remove %s", d->where);
	else if (d->reason == EX_R_TLS_HANDSHAKE)
		snprintf(out, EX_REMEDY_MAX,
			 "have the program trust exeat's authority (in a run: "
			 "$NODE_EXTRA_CA_CERTS), or pass its TLS unread: a rule without http");
	else if (d->reason == EX_R_ECH) /* browsers send one, or what looks like it, in any case */
		snprintf(out, EX_REMEDY_MAX,
			 "switch it off in the program, or have its TLS read (rules.http)");
	else if (d->reason == EX_R_SNI_MISSING || d->reason == EX_R_ADDRESS_NOT_OF_NAME)
		snprintf(out, EX_REMEDY_MAX, "connect by name, resolved inside the workload");
	else if (d->reason == EX_R_HOST_MISMATCH)
		snprintf(out, EX_REMEDY_MAX,
			 "send Host and TLS server name of the same allowed name");
}
