/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a request is allowed or denied: what the gates would say, and for every rule the first of its
 * conditions that the request does not meet. Uses the very matcher the gates use.
 */
#ifndef EXEAT_POLICY_EXPLAIN_H
#define EXEAT_POLICY_EXPLAIN_H

#include <sys/types.h>

#include "policy/compile.h"
#include "policy/ruleset.h"

#define EX_PROBE_TEXT    2048
#define EX_PROBE_HEADERS 32

/* One request to ask about. Of ingress: dst is who comes, port the workload's own, no name. */
struct ex_probe {
	bool ingress;
	struct ex_ip dst;
	bool dst_assumed; /* the address was not given: some address of the world */
	uint8_t proto;
	uint16_t port;
	bool tls, http;
	uint16_t question; /* not 0: the DNS question for name, of this record type */
	/* HTTP, see ex_probe_read(): why no rule is asked, or why it is denied although rules allow
	 * it; EX_R_UNSPEC: neither. */
	enum ex_reason refused, denied;
	const char *detail;       /* what the reader said then */
	char name[EX_PROBE_TEXT]; /* canonical host name, "" when only an address was given */
	char sni[EX_PROBE_TEXT];
	char host[EX_PROBE_TEXT], authority[EX_PROBE_TEXT];
	char method[64], path[EX_PROBE_TEXT], destination[EX_PROBE_TEXT];
	struct ex_header headers[EX_PROBE_HEADERS]; /* point to what the caller keeps */
	size_t n_headers;
};

/* What the reader of the gates makes of a request head before any rule is asked. */
struct ex_probe_head {
	enum ex_reason refused, denied; /* as in struct ex_probe */
	const char *detail;
	uint16_t host_port; /* 0 = Host names none */
	char path[EX_PROBE_TEXT], host[EX_PROBE_TEXT], authority[EX_PROBE_TEXT];
	char destination[EX_PROBE_TEXT]; /* "": there is none */
};

/*
 * It is the proxy's, which policy/ does not know: without one, requests are taken as they are. text
 * is a whole head of HTTP/1.1 as a client would send it.
 */
void ex_probe_use_reader(void (*read)(struct ex_span text, struct ex_probe_head *ret));

/* Once all of the probe is known: what the gates would read. Of what is not HTTP nothing. */
void ex_probe_read(struct ex_probe *p);

/*
 * Reads "https://HOST[:PORT]/PATH", "http://...", "HOST:PORT[/udp|/tcp|/sctp]", "IP:PORT",
 * "[V6]:PORT", or "icmp:IP[/TYPE]". NULL, or what is wrong with it.
 */
const char *ex_probe_parse(const char *to, struct ex_probe *ret);

/* Of a name without an address: it has one that no rule of rs tells from others of the world. */
void ex_probe_assume(const struct ex_ruleset *rs, struct ex_probe *p);

/* TLS with another server name than that of the host; "" is TLS without one. As above. */
const char *ex_probe_set_sni(struct ex_probe *p, const char *text);

/*
 * Who comes, an address, and where to: "PORT[/tcp|/udp|/sctp]" or "icmp[/TYPE]" of the workload.
 * Such a probe is for a ruleset that has ingress. NULL, or what is wrong.
 */
const char *ex_probe_parse_ingress(const char *from, const char *to, struct ex_probe *ret);

/* "any" or "PORT[/tcp|/udp|/sctp]": what a workload serves. False: it is neither. */
bool ex_served_parse(const char *text, struct ex_served *ret);

/* What the first bytes are taken to be; to port 80 of a name that is HTTP. */
static inline enum ex_app ex_probe_app(const struct ex_probe *p)
{
	if (p->tls)
		return EX_APP_TLS;
	return p->http || (p->name[0] && p->port == 80) ? EX_APP_HTTP : EX_APP_OTHER;
}

enum ex_step {
	EX_STEP_DNS,
	EX_STEP_L4,
	EX_STEP_APP,
	EX_STEP_HTTP,
};

/* The verdict of all the gates together, and which of them spoke it. */
struct ex_decision ex_probe_judge(const struct ex_ruleset *rs, const struct ex_probe *p,
				  enum ex_step *ret_step);

/* The same, and what is done to the headers of a request that is allowed. */
struct ex_decision ex_probe_judge_edits(const struct ex_ruleset *rs, const struct ex_probe *p,
					enum ex_step *ret_step, struct ex_header_edits *ret);

/* The first condition of a rule that the request fails, in the order in which they are met. */
enum ex_failed {
	EX_FAILED_NONE = 0, /* the rule applies */
	EX_FAILED_SOURCE,   /* of ingress */
	EX_FAILED_DESTINATION,
	EX_FAILED_PROTOCOL,
	EX_FAILED_PORT,
	EX_FAILED_NOT_TLS_OR_HTTP,
	EX_FAILED_SERVER_NAME,
	EX_FAILED_HOST,
	EX_FAILED_UNRESOLVED,
	EX_FAILED_REFUSED,
	EX_FAILED_PATH,
	EX_FAILED_METHOD,
	EX_FAILED_HEADER,
	EX_FAILED_OBJECT,
	EX_FAILED_SECOND_PATH, /* of COPY and MOVE */
};

const char *ex_failed_text(enum ex_failed failed);

struct ex_rule_status {
	bool deny;
	enum ex_failed failed;
};

/*
 * The status of every rule, http rules included (those of the other direction have none): *ret
 * holds ex_ruleset_n_rules() of them, that of rule id at [id - 1], and is the caller's to free. 0
 * or -ENOMEM.
 */
EX_MUST_CHECK int ex_probe_rules(const struct ex_ruleset *rs, const struct ex_probe *p,
				 struct ex_rule_status **ret);

#endif
