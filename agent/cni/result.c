/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/cni/result.h"
#include "agent/core/ether.h"

#define OUTPUT_MAX    8192 /* an error whose every byte is escaped */
#define ADDRESSES_MAX 16

/* The pod's end of the interface in prevResult; its place goes to *ret_at. */
static const struct ex_jv *find_interface(const struct ex_cni_request *rq, int64_t *ret_at)
{
	const struct ex_jv *list = ex_jv_get(rq->prev, "interfaces");

	for (size_t i = 0; i < ex_jv_count(list); i++) {
		const struct ex_jv *one = ex_jv_at(list, i);
		const char *name = ex_jv_string(one, "name");
		const char *sandbox = ex_jv_string(one, "sandbox");

		if (name && sandbox && *sandbox && strcmp(name, rq->ifname) == 0) {
			*ret_at = (int64_t)i;
			return one;
		}
	}
	*ret_at = -1;
	return NULL;
}

/* "10.1.2.3/24" */
static bool parse_address(const char *text, struct ex_ip *ret)
{
	char ip[EX_IP_TEXT];
	size_t n = text ? strcspn(text, "/") : 0;

	if (!n || n >= sizeof(ip))
		return false;
	memcpy(ip, text, n);
	ip[n] = '\0';
	return ex_ip_parse(ip, ret);
}

size_t ex_cni_prev_addresses(const struct ex_cni_request *rq, struct ex_ip *ret, size_t max)
{
	const struct ex_jv *list = ex_jv_get(rq->prev, "ips");
	size_t n = 0;
	int64_t at;

	find_interface(rq, &at);
	for (size_t i = 0; i < ex_jv_count(list) && n < max; i++) {
		const struct ex_jv *one = ex_jv_at(list, i);
		int64_t of = at;

		/* An address that names an interface has to name this one. */
		if (ex_jv_get(one, "interface") &&
		    (!ex_jv_integer(one, "interface", 0, INT32_MAX, &of) || of != at))
			continue;
		if (parse_address(ex_jv_string(one, "address"), &ret[n]))
			n++;
	}
	return n;
}

int ex_cni_prev_check(const struct ex_cni_request *rq, struct ex_cni_error *err)
{
	struct ex_ip ips[ADDRESSES_MAX];

	if (!rq->prev)
		return ex_cni_fail(err, EX_CNI_BAD_CONFIG,
				   "exeat-cni has to follow the plugin that makes the interface",
				   "prevResult is missing");
	if (!ex_cni_prev_addresses(rq, ips, EX_ARRAY_SIZE(ips)))
		return ex_cni_fail(err, EX_CNI_BAD_CONFIG, NULL,
				   "prevResult has no address of interface %s", rq->ifname);
	return 0;
}

/* What the runtime writes into the pod's resolv.conf: capability "dns", as containerd spells it. */
static const struct ex_jv *find_own_servers(const struct ex_cni_request *rq)
{
	const struct ex_jv *dns = ex_jv_get(ex_jv_get(rq->conf, "runtimeConfig"), "dns");
	const struct ex_jv *servers = ex_jv_get(dns, "servers");

	return servers ? servers : ex_jv_get(dns, "Servers");
}

/* Whom the pod asks for names. Who has no address as we know it (a zone) is left out: not asked. */
static void write_dns(const struct ex_cni_request *rq, struct ex_json *j)
{
	const struct ex_jv *servers = find_own_servers(rq);
	char text[EX_IP_TEXT];
	struct ex_ip ip;

	if (!ex_jv_count(servers))
		servers = ex_jv_get(ex_jv_get(rq->prev, "dns"), "nameservers");
	if (!ex_jv_count(servers))
		return;
	ex_json_open(j, "dns", '[');
	for (size_t i = 0; i < ex_jv_count(servers); i++) {
		const char *server = ex_jv_text(ex_jv_at(servers, i));

		if (server && ex_ip_parse(server, &ip))
			ex_json_text(j, NULL, ex_ip_text(&ip, text));
	}
	ex_json_close(j, ']');
}

void ex_cni_prev_write(const struct ex_cni_request *rq, const struct ex_cni_link *link,
		       struct ex_json *j)
{
	static const struct ex_ip none;
	struct ex_ip ips[ADDRESSES_MAX];
	size_t n = ex_cni_prev_addresses(rq, ips, EX_ARRAY_SIZE(ips));
	char text[EX_IP_TEXT], own[EX_ETHER_TEXT];
	const char *mac;
	int64_t at;

	ex_json_open(j, "ips", '[');
	for (size_t i = 0; i < n; i++)
		ex_json_text(j, NULL, ex_ip_text(&ips[i], text));
	if (!ex_ip_eq(&link->ll6, &none))
		ex_json_text(j, NULL, ex_ip_text(&link->ll6, text));
	ex_json_close(j, ']');
	mac = ex_jv_string(find_interface(rq, &at), "mac");
	ex_json_text(j, "mac", mac ? mac : ex_ether_text(link->mac, own));
	write_dns(rq, j);
}

int ex_cni_print_result(const struct ex_cni_request *rq, FILE *out)
{
	EX_AUTO_FREE char *text = ex_jv_print(rq->prev);

	if (!text || text[0] != '{')
		return -EINVAL;
	/* Runtimes put the version in, hand-made callers do not. */
	if (ex_jv_get(rq->prev, "cniVersion"))
		fprintf(out, "%s\n", text);
	else
		fprintf(out, "{\"cniVersion\": \"%s\"%s%s\n", rq->version,
			text[1] == '}' ? "" : ", ", text + 1);
	return fflush(out) == 0 ? 0 : -EIO;
}

static void print_json(struct ex_json *j, FILE *out)
{
	if (ex_json_done(j) > 0)
		fprintf(out, "%.*s\n", (int)j->len, j->out);
	fflush(out);
}

void ex_cni_print_versions(const char *version, FILE *out)
{
	char text[OUTPUT_MAX];
	struct ex_json j;

	ex_json_init(&j, text, sizeof(text));
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "cniVersion", version ? version : "1.0.0");
	ex_json_open(&j, "supportedVersions", '[');
	for (size_t i = 0; ex_cni_version(i); i++)
		ex_json_text(&j, NULL, ex_cni_version(i));
	ex_json_close(&j, ']');
	ex_json_close(&j, '}');
	print_json(&j, out);
}

void ex_cni_print_error(const char *version, const struct ex_cni_error *err, FILE *out)
{
	char text[OUTPUT_MAX];
	struct ex_json j;

	ex_json_init(&j, text, sizeof(text));
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "cniVersion", version ? version : "1.0.0");
	ex_json_number(&j, "code", err->code);
	ex_json_text(&j, "msg", err->msg);
	if (*err->details)
		ex_json_text(&j, "details", err->details);
	ex_json_close(&j, '}');
	print_json(&j, out);
}
