/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled policy of one endpoint: immutable, reference-counted, pure (no socket, no file, no
 * clock). Both gates ask it: the kernel gate through the tables of emit.h, the proxy through
 * ex_judge_*(). The two agree by construction and by test.
 *
 * A name is "canonical" when it is lower case and has no trailing dot.
 */
#ifndef EXEAT_POLICY_RULESET_H
#define EXEAT_POLICY_RULESET_H

#include "exeat/util.h"

struct ex_ruleset;

/*
 * How the server of a request is spoken with, where a rule says so (originatingTLS). PEM texts, to
 * be kept like the secrets they are from.
 */
struct ex_origin {
	const struct ex_origin *next; /* of the ruleset */
	uint32_t index;               /* among them; the first has the highest, the last 0 */
	const char *ns, *name;        /* of the secret */
	struct ex_span chain; /* a certificate to show, and those between it and a root; or len 0 */
	struct ex_span key;   /* its key; len 0: whoever has compiled this was not given it */
	struct ex_span roots; /* what the server has to be verified against; len 0: the usual */
};

struct ex_ruleset *ex_ruleset_ref(struct ex_ruleset *rs);
struct ex_ruleset *ex_ruleset_unref(struct ex_ruleset *rs); /* accepts NULL, returns NULL */

/* Where a rule stands; strings live as long as the ruleset. Rule ids are 1..n; 0 is no rule. */
struct ex_rule_info {
	const char *policy; /* metadata.name */
	const char *ns;     /* metadata.namespace, "" when cluster-wide */
	const char *where;  /* "egress[1]", "egress[1].toPorts[0].rules.http[2]", "egressDeny[0]" */
	const char *file;
	int line, col;
	const char *log;                /* log.value of the policy, or NULL */
	bool audit;                     /* it denies nothing, it records */
	const struct ex_origin *origin; /* for requests that it allows; NULL: nothing special */
};

/* NULL when there is no such rule. */
const struct ex_rule_info *ex_ruleset_rule(const struct ex_ruleset *rs, uint32_t rule);
uint32_t ex_ruleset_n_rules(const struct ex_ruleset *rs);
/* Of ingress or ingressDeny. */
bool ex_ruleset_rule_is_ingress(const struct ex_ruleset *rs, uint32_t rule);

/*
 * An allow (or steer) whose reason is not EX_R_ALLOWED is one that only audit mode gives: reason
 * and rule are those that would have denied it, and have to be recorded.
 */
struct ex_decision {
	enum ex_verdict verdict; /* never EX_V_INVALID */
	enum ex_reason reason;   /* EX_R_ALLOWED unless denied, or allowed by audit mode */
	uint32_t rule;           /* the rule that decided; on default deny the nearest miss, or 0 */
};

/* One flow as its first packet shows it. */
struct ex_flow {
	struct ex_ip dst;
	uint16_t port; /* host order; ICMP: type << 8 | code */
	uint8_t proto; /* IPPROTO_* */
	/* Canonical names that the workload's own DNS answers gave for dst, still valid. */
	const struct ex_span *names;
	size_t n_names;
};

enum ex_app {
	EX_APP_OTHER = 0, /* neither of these, or the server speaks first */
	EX_APP_TLS = 1,
	EX_APP_HTTP = 2, /* plain text */
};

struct ex_header {
	struct ex_span name; /* as sent; compared without case */
	struct ex_span value;
};

struct ex_http_request {
	bool tls;           /* inside intercepted TLS; then sni is set */
	struct ex_span sni; /* canonical */
	struct ex_span method;
	struct ex_span path;        /* origin-form target in normal form, query included */
	struct ex_span destination; /* another path that it acts on, which has to be allowed too */
	struct ex_span host;        /* canonical host of the Host field, port removed */
	struct ex_span authority;   /* the Host field as sent, for rules.http[].host */
	const struct ex_header *headers;
	size_t n_headers;
};

/* What a rule does to a header that is not as it should be (headerMatches[].mismatch). */
enum ex_header_op {
	EX_HEADER_NONE = 0,
	EX_HEADER_LOG,     /* nothing, but it is recorded */
	EX_HEADER_ADD,     /* one more field */
	EX_HEADER_DELETE,  /* every field of the name goes */
	EX_HEADER_REPLACE, /* ... and one with the value comes */
};

struct ex_header_edit {
	enum ex_header_op op;
	struct ex_span name;  /* lower case */
	struct ex_span value; /* of ADD and REPLACE; never to be shown or logged */
	uint32_t rule;
};

#define EX_HEADER_EDITS_MAX 16

/* Spans live as long as the ruleset. */
struct ex_header_edits {
	struct ex_header_edit v[EX_HEADER_EDITS_MAX];
	size_t n;
	bool full; /* there were more: the request is denied */
	/* Not about headers, but as binding: how the server is to be spoken with, or NULL. */
	const struct ex_origin *origin;
};

/*
 * The stages of one flow. Each is a full judgement over every rule with what is known so far, never
 * a continuation of the one before, so that parts of two rules cannot combine.
 */

/* L3/L4, exactly as the kernel gate decides it: DENY, ALLOW, or STEER. */
struct ex_decision ex_judge_l4(const struct ex_ruleset *rs, const struct ex_flow *flow);

/*
 * A steered TCP flow whose first bytes were read. DENY; ALLOW: carry the bytes unread (an L4 rule,
 * a serverNames match, or a toFQDNs rule without L7 whose name is one of flow->names and, for TLS,
 * equals the SNI; on ports 80 and 443 such a rule takes nothing but HTTP and TLS); STEER: some http
 * rule may allow it, or Host has to be bound to the name: read the requests (intercept first when
 * the app is TLS). sni: canonical; ptr NULL = the hello has none.
 */
struct ex_decision ex_judge_app(const struct ex_ruleset *rs, const struct ex_flow *flow,
				enum ex_app app, struct ex_span sni);

/*
 * One HTTP request: ALLOW or DENY. Name resolved = address dialled = SNI = Host in one rule. Denies
 * what is allowed only with its headers changed. For tests: whoever sends requests changes headers.
 */
struct ex_decision ex_judge_http(const struct ex_ruleset *rs, const struct ex_flow *flow,
				 const struct ex_http_request *req);

/*
 * The same, for whoever can change headers: with ALLOW, *ret says what has to be done to its
 * headers first (policy/header.h does it). Rules that are met by the request as it was sent all
 * have their say, in the order of rules; how the server is spoken with is said by the one rule that
 * allows it, the first.
 */
struct ex_decision ex_judge_http_edits(const struct ex_ruleset *rs, const struct ex_flow *flow,
				       const struct ex_http_request *req,
				       struct ex_header_edits *ret);

/* A DNS question. name is canonical ("" is the root). */
struct ex_decision ex_judge_dns(const struct ex_ruleset *rs, struct ex_span name);

/*
 * The same for a record type that is not one of addresses (as in the message): only where the
 * name may be asked for, and a rule lists the type beside it.
 */
struct ex_decision ex_judge_dns_type(const struct ex_ruleset *rs, struct ex_span name,
				     uint16_t type);

/*
 * May this address be given to the workload as an answer for an allowed name? DENY for ranges that
 * are denied on every port, for the host's own addresses, loopback, link-local, multicast,
 * unspecified, and whatever embeds one of them.
 */
struct ex_decision ex_judge_answer(const struct ex_ruleset *rs, const struct ex_ip *ip);

/* Does any rule of this ruleset intercept TLS for this name? The parent signs no other leaf. */
bool ex_ruleset_intercepts(const struct ex_ruleset *rs, struct ex_span name);

/* Does any rule name a host (toFQDNs) or a DNS pattern (rules.dns)? */
bool ex_ruleset_uses_dns(const struct ex_ruleset *rs);

/*
 * Made with allow_unselected, and no policy says anything about this workload's egress; of
 * ex_ruleset_ingress(): about its ingress.
 */
bool ex_ruleset_is_unselected(const struct ex_ruleset *rs);

/*
 * What may reach the workload, made with in->inward: a ruleset for ex_emit() whose destinations are
 * who comes and whose ports are the workload's own. NULL otherwise. It lives as long as rs; its
 * rules have ids, and are described, in rs.
 */
const struct ex_ruleset *ex_ruleset_ingress(const struct ex_ruleset *rs);

/* What its rules make of the endpoints it was made with (in->repeers): it lives as long as rs. */
struct ex_reached_list;
struct ex_reached_list ex_ruleset_reached(const struct ex_ruleset *rs);

/* Which specs are in it. It lives as long as rs. */
struct ex_chosen;
struct ex_chosen ex_ruleset_chosen(const struct ex_ruleset *rs);

/* The first of those that rules of rs have; others follow by next. */
const struct ex_origin *ex_ruleset_origins(const struct ex_ruleset *rs);

/* A secret that some rule uses: never to be shown or logged. */
struct ex_secret {
	const char *ns, *name;
	struct ex_span value; /* of a private key len 0 where it is kept elsewhere */
	const char *item;     /* of several; NULL: it is one value, for a header */
	bool key;             /* a private key: it does not leave the privileged side */
};

/* The secrets of the specs that are in it, and of no others; NULL behind the last one. */
const struct ex_secret *ex_ruleset_secret(const struct ex_ruleset *rs, size_t i);

#endif
