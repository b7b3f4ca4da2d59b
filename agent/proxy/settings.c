/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/proxy/settings.h"

#include <errno.h>

#include "agent/core/pack.h"

#define MAGIC 0x45585331u

static enum ex_log_level log_level(void)
{
	enum ex_log_level level = EX_LOG_DEBUG;

	while (level > EX_LOG_ERROR && !ex_log_enabled(level))
		level--;
	return level;
}

int ex_proxy_settings_pack(const struct ex_proxy_spec *spec)
{
	struct ex_pack p = { 0 };

	ex_pack_u32(&p, MAGIC);
	ex_pack_u32(&p, (uint32_t)getpid());
	ex_pack_u32(&p, spec->uid);
	ex_pack_u32(&p, log_level());
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		ex_pack_u32(&p, spec->sockets[i] >= 0);
	ex_pack_u32(&p, (uint32_t)spec->n_servers);
	ex_pack_bytes(&p, spec->servers, spec->n_servers * sizeof(*spec->servers));
	ex_pack_span(&p, spec->roots);
	return ex_pack_seal(&p, "exeat-proxy");
}

static int unpack(struct ex_unpack *u, struct ex_proxy_settings *s)
{
	struct ex_resolver_server *servers;

	u->bad = ex_unpack_u32(u) != MAGIC;
	s->parent = (pid_t)ex_unpack_u32(u);
	s->uid = ex_unpack_u32(u);
	s->log_level = ex_unpack_u32(u);
	for (size_t i = 0; i < EX_SOCK_MAX; i++)
		s->sockets[i] = ex_unpack_u32(u);
	s->n_servers = ex_unpack_count(u, sizeof(*servers));
	servers = calloc(s->n_servers + 1, sizeof(*servers));
	if (!servers)
		return -ENOMEM;
	ex_unpack_bytes(u, servers, s->n_servers * sizeof(*servers));
	s->servers = servers;
	s->roots = ex_unpack_span(u);
	return ex_unpack_done(u);
}

int ex_proxy_settings_read(int fd, struct ex_proxy_settings *ret)
{
	struct ex_proxy_settings s = { 0 };
	struct ex_unpack u = { 0 };
	size_t len;
	int r = ex_pack_read(fd, &s.bytes, &len);

	if (r < 0)
		return r;
	u = (struct ex_unpack){ .at = s.bytes, .end = s.bytes + len };
	r = unpack(&u, &s);
	if (r < 0) {
		ex_proxy_settings_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void ex_proxy_settings_done(struct ex_proxy_settings *s)
{
	free((void *)(uintptr_t)s->servers);
	free(s->bytes);
	*s = (struct ex_proxy_settings){ 0 };
}
