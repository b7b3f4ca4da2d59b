/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/settings.h"

#include <errno.h>

#include "agent/dns/names.h"

#define MAGIC 0x45585332u

static enum ex_log_level log_level(void)
{
	enum ex_log_level level = EX_LOG_DEBUG;

	while (level > EX_LOG_ERROR && !ex_log_enabled(level))
		level--;
	return level;
}

struct names {
	struct ex_pack *p;
	uint64_t since;
};

static int pack_names(void *arg, const struct ex_ip *ip, const struct ex_names_known *known,
		      size_t n)
{
	const struct names *ns = arg;

	for (size_t i = 0; i < n; i++) {
		uint64_t ttl = known[i].expires - ns->since;

		ex_pack_bytes(ns->p, ip, sizeof(*ip));
		ex_pack_u32(ns->p, ttl < UINT32_MAX ? (uint32_t)ttl : UINT32_MAX);
		ex_pack_span(ns->p, known[i].name);
	}
	return 0;
}

int ex_proxy_settings_pack(const struct ex_proxy_spec *spec)
{
	struct ex_pack p = { 0 };

	ex_pack_u32(&p, MAGIC);
	ex_pack_u32(&p, (uint32_t)getpid());
	ex_pack_u32(&p, spec->uid);
	ex_pack_bytes(&p, spec->secret, EX_PROXY_SECRET_LEN);
	ex_pack_u32(&p, log_level());
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		ex_pack_u32(&p, spec->sockets[i] >= 0);
	ex_pack_u32(&p, (uint32_t)spec->n_servers);
	ex_pack_bytes(&p, spec->servers, spec->n_servers * sizeof(*spec->servers));
	ex_pack_u32(&p, spec->unread.ptr != NULL);
	ex_pack_span(&p, spec->unread);
	ex_pack_u32(&p, spec->workers);
	if (spec->names) {
		ex_pack_bytes(&p, ex_names_key(spec->names), sizeof(struct ex_dns_key));
		(void)ex_names_each(spec->names, spec->names_since, pack_names,
				    &(struct names){ &p, spec->names_since });
	}
	return ex_pack_seal(&p, "exeat-proxy");
}

static int unpack(struct ex_unpack *u, struct ex_proxy_settings *s)
{
	struct ex_resolver_server *servers;
	bool learning;

	u->bad = ex_unpack_u32(u) != MAGIC;
	s->parent = (pid_t)ex_unpack_u32(u);
	s->uid = ex_unpack_u32(u);
	ex_unpack_bytes(u, s->secret, sizeof(s->secret));
	s->log_level = ex_unpack_u32(u);
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		s->sockets[i] = ex_unpack_u32(u);
	s->n_servers = ex_unpack_count(u, sizeof(*servers));
	servers = calloc(s->n_servers + 1, sizeof(*servers));
	if (!servers)
		return -ENOMEM;
	ex_unpack_bytes(u, servers, s->n_servers * sizeof(*servers));
	s->servers = servers;
	learning = ex_unpack_u32(u) == 1;
	s->unread = ex_unpack_span(u);
	if (!learning)
		s->unread = (struct ex_span){ 0 };
	s->workers = ex_unpack_u32(u);
	if (u->at < u->end)
		ex_unpack_bytes(u, &s->names_key, sizeof(s->names_key));
	s->names = *u; /* what follows */
	return u->bad || !s->workers ? -EBADMSG : 0;
}

int ex_proxy_settings_read(int fd, struct ex_proxy_settings *ret)
{
	struct ex_proxy_settings s = { 0 };
	struct ex_unpack u = { 0 };
	int r = ex_pack_read(fd, &s.bytes, &s.len);

	if (r < 0)
		return r;
	u = (struct ex_unpack){ .at = s.bytes, .end = s.bytes + s.len };
	r = unpack(&u, &s);
	if (r < 0) {
		ex_proxy_settings_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

int ex_proxy_settings_learn(const struct ex_proxy_settings *s, struct ex_names *names,
			    uint64_t now_ms)
{
	struct ex_unpack u = s->names;
	struct ex_ip ip;

	ex_names_set_key(names, &s->names_key);
	while (!u.bad && u.at < u.end) {
		uint32_t ttl;

		ex_unpack_bytes(&u, &ip, sizeof(ip));
		ttl = ex_unpack_u32(&u);
		(void)!ex_names_add(names, &ip, ex_unpack_span(&u), now_ms, ttl);
	}
	return ex_unpack_done(&u);
}

void ex_proxy_settings_done(struct ex_proxy_settings *s)
{
	free((void *)(uintptr_t)s->servers);
	ex_pack_free(s->bytes, s->len);
	*s = (struct ex_proxy_settings){ 0 };
}
