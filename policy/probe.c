/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the destination of a question, and asking the gates in their order. */
#include "exeat/text.h"
#include "policy/explain.h"
#include "policy/place.h"

#include <netinet/in.h>
#include <stdio.h>
#include <strings.h>

/* Some address of the world, until a ruleset says which: see ex_probe_assume(). */
static const uint8_t assumed[4] = { 198, 18, 0, 1 };

/* As the gates read names: in lower case, without a dot at the end. */
static const char *read_name(const char *text, size_t len, char *to)
{
	if (len == 0 || len > 253)
		return "has no host";
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (!ex_is_alnum(c) && c != '-' && c != '_' && c != '.')
			return "has a host that is no name and no address";
		to[i] = ex_lower(c);
	}
	if (to[len - 1] == '.')
		len--;
	to[len] = '\0';
	return len ? NULL : "has no host";
}

const char *ex_probe_set_sni(struct ex_probe *p, const char *text)
{
	p->tls = true;
	p->sni[0] = '\0';
	return text[0] ? read_name(text, strlen(text), p->sni) : NULL;
}

static const char *set_host(struct ex_probe *p, const char *text, size_t len)
{
	const char *wrong = read_name(text, len, p->name);

	if (wrong)
		return wrong;
	len = strlen(p->name);
	p->dst = ex_ip_from4(assumed);
	p->dst_assumed = true;
	memcpy(p->host, p->name, len + 1);
	memcpy(p->sni, p->name, len + 1);
	return NULL;
}

static const char *set_port(struct ex_probe *p, const char *text)
{
	size_t len = strspn(text, "0123456789");
	unsigned long port;

	if (len == 0 || len > 5)
		return "has no port";
	port = strtoul(text, NULL, 10);
	if (port > 65535)
		return "has a port larger than 65535";
	p->port = (uint16_t)port;
	text += len;
	if (*text == '\0')
		return NULL;
	if (strcasecmp(text, "/udp") == 0)
		p->proto = IPPROTO_UDP;
	else if (strcasecmp(text, "/sctp") == 0)
		p->proto = IPPROTO_SCTP;
	else if (strcasecmp(text, "/tcp") != 0)
		return "ends in something that is not /tcp, /udp or /sctp";
	return NULL;
}

/* HOST[:PORT], [V6][:PORT]; *ret_port is what follows the colon or NULL. */
static const char *set_authority(struct ex_probe *p, char *text, const char **ret_port)
{
	char *end, *colon;

	*ret_port = NULL;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return "has an unfinished [address]";
		*end = '\0';
		if (end[1])
			*ret_port = end + 2;
		(void)snprintf(p->host, sizeof(p->host), "[%s]", text + 1);
		return ex_ip_parse(text + 1, &p->dst) ? NULL : "has no address in [ ]";
	}
	colon = strrchr(text, ':');
	if (colon && ex_ip_parse(text, &p->dst)) /* a bare IPv6 address */
		return NULL;
	if (colon) {
		*colon = '\0';
		*ret_port = colon + 1;
	}
	if (ex_ip_parse(text, &p->dst)) {
		(void)snprintf(p->host, sizeof(p->host), "%s", text);
		return NULL;
	}
	return set_host(p, text, strlen(text));
}

void ex_probe_assume(const struct ex_ruleset *rs, struct ex_probe *p)
{
	if (p->dst_assumed)
		p->dst = ex_place_of_world(rs, rs, true);
}

static void (*head_reader)(struct ex_span text, struct ex_probe_head *ret);

void ex_probe_use_reader(void (*read)(struct ex_span text, struct ex_probe_head *ret))
{
	head_reader = read;
}

/* The request as a client would send it. NULL: no memory. */
static char *write_head(const struct ex_probe *p, size_t *ret_len)
{
	char *text = NULL;
	FILE *f = open_memstream(&text, ret_len);

	if (!f)
		return NULL;
	(void)fprintf(f, "%s %s HTTP/1.1\r\nHost: %s\r\n", p->method, p->path, p->authority);
	for (size_t i = 0; i < p->n_headers; i++)
		(void)fprintf(f, "%.*s: %.*s\r\n", (int)p->headers[i].name.len,
			      p->headers[i].name.ptr, (int)p->headers[i].value.len,
			      p->headers[i].value.ptr);
	(void)fputs("\r\n", f);
	return fclose(f) == 0 ? text : NULL;
}

void ex_probe_read(struct ex_probe *p)
{
	static struct ex_probe_head head; /* too large for a stack */
	EX_AUTO_FREE char *text = NULL;
	size_t len;

	if (!head_reader || !p->http)
		return;
	text = write_head(p, &len);
	head.refused = EX_R_INTERNAL;
	if (text)
		head_reader((struct ex_span){ text, len }, &head);
	p->refused = head.refused;
	p->denied = head.denied;
	p->detail = head.detail;
	if (p->refused != EX_R_UNSPEC)
		return;
	memcpy(p->path, head.path, sizeof(p->path));
	memcpy(p->destination, head.destination, sizeof(p->destination));
	memcpy(p->host, head.host, sizeof(p->host));
	memcpy(p->authority, head.authority, sizeof(p->authority));
	/* A port in Host that is not the one dialled speaks of another server. */
	if (head.host_port && head.host_port != p->port)
		p->refused = EX_R_HOST_MISMATCH;
}

static const char *parse_url(const char *rest, bool tls, struct ex_probe *p)
{
	size_t len = strcspn(rest, "/?#");
	char authority[EX_PROBE_TEXT];
	const char *wrong, *port;

	if (len >= sizeof(authority) || strlen(rest + len) >= sizeof(p->path))
		return "is too long";
	memcpy(authority, rest, len);
	authority[len] = '\0';
	if (strchr(authority, '@'))
		return "has user information in it";
	p->tls = tls;
	p->http = true;
	p->port = tls ? 443 : 80;
	(void)snprintf(p->authority, sizeof(p->authority), "%s", authority);
	(void)snprintf(p->method, sizeof(p->method), "GET");
	(void)snprintf(p->path, sizeof(p->path), "%s%s", rest[len] == '/' ? "" : "/", rest + len);
	p->path[strcspn(p->path, "#")] = '\0';
	wrong = set_authority(p, authority, &port);
	if (wrong || !port)
		return wrong;
	return set_port(p, port);
}

/* type: NULL = that of an echo request. */
static const char *set_icmp(struct ex_probe *p, const char *type)
{
	size_t len = type ? strspn(type, "0123456789") : 0;
	unsigned long value;

	p->proto = ex_ip_is4(&p->dst) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	value = type ? strtoul(type, NULL, 10) : p->proto == IPPROTO_ICMP ? 8 : 128;
	if (type && (len == 0 || type[len]))
		return "has an ICMP type that is no number";
	if (value > 255)
		return "has an ICMP type larger than 255";
	p->port = (uint16_t)(value << 8);
	return NULL;
}

static const char *parse_icmp(const char *rest, struct ex_probe *p)
{
	char addr[EX_IP_TEXT];
	const char *slash = strchr(rest, '/');
	size_t len = slash ? (size_t)(slash - rest) : strlen(rest);

	if (len >= 2 && rest[0] == '[' && rest[len - 1] == ']') {
		rest++;
		len -= 2;
	}
	if (len >= sizeof(addr))
		return "has no address";
	memcpy(addr, rest, len);
	addr[len] = '\0';
	if (!ex_ip_parse(addr, &p->dst))
		return "has no address";
	return set_icmp(p, slash ? slash + 1 : NULL);
}

const char *ex_probe_parse_ingress(const char *from, const char *to, struct ex_probe *ret)
{
	struct ex_probe p = { .ingress = true, .proto = IPPROTO_TCP };
	const char *wrong;

	if (!ex_ip_parse(from, &p.dst))
		return "from is no address";
	if (strncmp(to, "icmp", 4) == 0 && (to[4] == '\0' || to[4] == '/'))
		wrong = set_icmp(&p, to[4] ? to + 5 : NULL);
	else
		wrong = set_port(&p, to);
	if (!wrong)
		*ret = p;
	return wrong;
}

bool ex_served_parse(const char *text, struct ex_served *ret)
{
	struct ex_probe p = { .proto = IPPROTO_TCP };

	*ret = (struct ex_served){ 0 };
	if (strcmp(text, "any") == 0)
		return true;
	if (set_port(&p, text) || p.port == 0)
		return false;
	*ret = (struct ex_served){ p.proto, p.port, p.port };
	return true;
}

const char *ex_probe_parse(const char *to, struct ex_probe *ret)
{
	struct ex_probe p = { .proto = IPPROTO_TCP };
	const char *wrong, *port = NULL;
	char text[EX_PROBE_TEXT];

	if (strncasecmp(to, "https://", 8) == 0) {
		wrong = parse_url(to + 8, true, &p);
	} else if (strncasecmp(to, "http://", 7) == 0) {
		wrong = parse_url(to + 7, false, &p);
	} else if (strncmp(to, "icmp:", 5) == 0) {
		wrong = parse_icmp(to + 5, &p);
	} else if (strstr(to, "://")) {
		wrong = "has a scheme other than https and http";
	} else {
		if (strlen(to) >= sizeof(text))
			return "is too long";
		memcpy(text, to, strlen(to) + 1);
		wrong = set_authority(&p, text, &port);
		if (!wrong)
			wrong = port ? set_port(&p, port) : "has no port";
		p.tls = !wrong && p.port == 443 && p.name[0];
	}
	if (!wrong)
		*ret = p;
	return wrong;
}

static struct ex_span span_of(const char *text)
{
	return text[0] ? ex_span_str(text) : (struct ex_span){ 0 };
}

/* The name may be asked for, and the address told: DNS holds back one that is denied altogether. */
static struct ex_decision judge_name(const struct ex_ruleset *rs, const struct ex_probe *p,
				     struct ex_span name)
{
	struct ex_decision answer, d = ex_judge_dns(rs, name);

	if (d.verdict != EX_V_ALLOW || p->dst_assumed)
		return d;
	answer = ex_judge_answer(rs, &p->dst);
	return answer.verdict == EX_V_ALLOW ? d : answer;
}

struct ex_decision ex_probe_judge(const struct ex_ruleset *rs, const struct ex_probe *p,
				  enum ex_step *ret_step)
{
	struct ex_header_edits unread;

	return ex_probe_judge_edits(rs, p, ret_step, &unread);
}

struct ex_decision ex_probe_judge_edits(const struct ex_ruleset *rs, const struct ex_probe *p,
					enum ex_step *ret_step, struct ex_header_edits *ret)
{
	struct ex_span name = span_of(p->name);
	struct ex_flow flow = { .dst = p->dst,
				.port = p->port,
				.proto = p->proto,
				.names = &name,
				.n_names = name.len ? 1 : 0 };
	struct ex_http_request req = { .tls = p->tls,
				       .sni = span_of(p->sni),
				       .method = ex_span_str(p->method),
				       .path = ex_span_str(p->path),
				       .destination = ex_span_str(p->destination),
				       .host = span_of(p->host),
				       .authority = span_of(p->authority),
				       .headers = p->headers,
				       .n_headers = p->n_headers };
	enum ex_app app = ex_probe_app(p);
	struct ex_decision d;

	*ret = (struct ex_header_edits){ 0 };
	if (p->ingress) {
		*ret_step = EX_STEP_L4;
		return ex_judge_l4(ex_ruleset_ingress(rs), &flow);
	}
	*ret_step = EX_STEP_DNS;
	if (p->question)
		return p->question == 1 ? ex_judge_dns(rs, name)
					: ex_judge_dns_type(rs, name, p->question);
	if (name.len) {
		d = judge_name(rs, p, name);
		if (d.verdict != EX_V_ALLOW)
			return d;
	}
	*ret_step = EX_STEP_L4;
	d = ex_judge_l4(rs, &flow);
	if (d.verdict != EX_V_STEER || p->proto != IPPROTO_TCP)
		return d;
	*ret_step = EX_STEP_APP;
	d = ex_judge_app(rs, &flow, app, p->tls ? req.sni : (struct ex_span){ 0 });
	/* of plain HTTP the request is read before it is denied, to answer it */
	if (!p->http || d.verdict == EX_V_ALLOW || (p->tls && d.verdict != EX_V_STEER))
		return d;
	*ret_step = EX_STEP_HTTP;
	if (p->refused != EX_R_UNSPEC)
		return (struct ex_decision){ EX_V_DENY, p->refused, 0 };
	d = ex_judge_http_edits(rs, &flow, &req, ret);
	if (d.verdict != EX_V_DENY && p->denied != EX_R_UNSPEC)
		d = (struct ex_decision){ EX_V_DENY, p->denied, d.rule };
	return d;
}
