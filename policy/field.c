/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/field.h"

static char fold(char c)
{
	char lower = (char)(c | 0x20); /* one bit makes letters lower case, and leaves digits */

	return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ? lower : '-';
}

int ex_field_compare(struct ex_span a, struct ex_span b)
{
	int differ = (a.len > b.len) - (a.len < b.len);

	for (size_t i = 0; i < a.len && !differ; i++)
		differ = fold(a.ptr[i]) - fold(b.ptr[i]);
	return differ;
}

#define FRAMING   EX_FIELD_FRAMING
#define HOP       EX_FIELD_HOP
#define OVERRIDE  EX_FIELD_OVERRIDE
#define REWRITTEN EX_FIELD_REWRITTEN

struct known {
	const char *name;
	unsigned kinds;
};

#define FIELD(name, kinds)                                                                         \
	{                                                                                          \
		(name), (kinds)                                                                    \
	}
#define ROW(...)                                                                                   \
	(const struct known[])                                                                     \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			NULL, 0                                                                    \
		}                                                                                  \
	}

/*
 * By length, so that most names are compared with few or none. What overrides is what some server,
 * framework or proxy before it is known to take for the method, the path or the host: Symfony,
 * Rails and IIS (x-http-method..., x-original-url), gunicorn (script-name, path-info), Next.js
 * (x-invoke-path, x-matched-path, x-now-route-matches), Envoy (x-envoy-original-dst-host is where
 * it connects to, as l5d-dst-override is for Linkerd), Traefik, Azure and WebSphere ($wssn), which
 * write such fields for the servers behind them; Rack (x-sendfile-type, x-accel-mapping: the file
 * that is sent); and CGI, which takes proxy for the proxy of what it asks others.
 */
static const struct known *const by_length[] = {
	[2] = ROW(FIELD("te", REWRITTEN)),
	[4] = ROW(FIELD("host", FRAMING | REWRITTEN)),
	[5] = ROW(FIELD("proxy", OVERRIDE), FIELD("-wssn", OVERRIDE), FIELD("-wssp", OVERRIDE)),
	[6] = ROW(FIELD("expect", HOP), FIELD("x-host", OVERRIDE)),
	[7] = ROW(FIELD("upgrade", HOP), FIELD("trailer", REWRITTEN)),
	[9] = ROW(FIELD("forwarded", OVERRIDE), FIELD("path-info", OVERRIDE)),
	[10] = ROW(FIELD("connection", HOP), FIELD("keep-alive", HOP)),
	[11] = ROW(FIELD("script-name", OVERRIDE), FIELD("x-proxy-url", OVERRIDE)),
	[13] = ROW(FIELD("x-http-method", OVERRIDE), FIELD("x-rewrite-url", OVERRIDE),
		   FIELD("x-request-uri", OVERRIDE), FIELD("x-script-name", OVERRIDE),
		   FIELD("x-invoke-path", OVERRIDE)),
	[14] = ROW(FIELD("content-length", FRAMING | REWRITTEN), FIELD("http2-settings", HOP),
		   FIELD("x-original-url", OVERRIDE), FIELD("x-original-uri", OVERRIDE),
		   FIELD("x-override-url", OVERRIDE), FIELD("x-matched-path", OVERRIDE),
		   FIELD("x-invoke-query", OVERRIDE), FIELD("x-backend-host", OVERRIDE),
		   FIELD("disguised-host", OVERRIDE)),
	[15] = ROW(FIELD("x-sendfile-type", OVERRIDE), FIELD("x-accel-mapping", OVERRIDE),
		   FIELD("x-original-host", OVERRIDE), FIELD("x-forwarded-uri", OVERRIDE),
		   FIELD("x-original-path", OVERRIDE), FIELD("x-forwarded-url", OVERRIDE),
		   FIELD("x-replaced-path", OVERRIDE), FIELD("x-invoke-output", OVERRIDE)),
	[16] = ROW(FIELD("proxy-connection", HOP), FIELD("x-forwarded-path", OVERRIDE),
		   FIELD("x-forwarded-host", OVERRIDE), FIELD("l5d-dst-override", OVERRIDE)),
	[17] = ROW(FIELD("transfer-encoding", FRAMING | HOP), FIELD("x-method-override", OVERRIDE),
		   FIELD("x-original-method", OVERRIDE), FIELD("x-ms-original-url", OVERRIDE)),
	[18] = ROW(FIELD("proxy-authenticate", HOP), FIELD("x-forwarded-prefix", OVERRIDE),
		   FIELD("x-forwarded-server", OVERRIDE), FIELD("x-forwarded-method", OVERRIDE)),
	[19] = ROW(FIELD("proxy-authorization", HOP), FIELD("x-now-route-matches", OVERRIDE)),
	[20] = ROW(FIELD("x-http-host-override", OVERRIDE), FIELD("x-waws-unencoded-url", OVERRIDE),
		   FIELD("x-http-path-override", OVERRIDE)),
	[21] = ROW(FIELD("x-envoy-original-path", OVERRIDE),
		   FIELD("x-envoy-original-host", OVERRIDE),
		   FIELD("x-http-destinationurl", OVERRIDE)),
	[22] = ROW(FIELD("x-http-method-override", OVERRIDE)),
	[25] = ROW(FIELD("x-envoy-original-dst-host", OVERRIDE)),
};

static bool is_named(struct ex_span name, const char *folded)
{
	for (size_t i = 0; i < name.len; i++)
		if (fold(name.ptr[i]) != folded[i])
			return false;
	return true;
}

unsigned ex_field_kinds(struct ex_span name)
{
	const struct known *k = name.len < EX_ARRAY_SIZE(by_length) ? by_length[name.len] : NULL;

	for (; k && k->name; k++)
		if (is_named(name, k->name))
			return k->kinds;
	return 0;
}

/*
 * By the last letter: S3 and all that speak like it, GCS, Azure, Swift; uploads made of others
 * (tus); whom a store tells about an upload (OSS, OBS, KSS); which of many behind one host is meant
 * (AWS' gateways, Elastic's clusters, Neon's databases, Dapr's applications, Vault's namespaces);
 * where a gateway to language models sends it (Helicone, Portkey). What begins with "-" is the end
 * of a name, of whatever vendor.
 */
static const char *const *const objects['z' + 1] = {
	['d'] = (const char *const[]){ "x-apigw-api-id", "dapr-app-id", NULL },
	['e'] = (const char *const[]){ "-copy-source", "-move-source", "-rename-source",
				       "-fetch-source", "x-vault-namespace",
				       "helicone-openai-api-base", NULL },
	['g'] = (const char *const[]){ "neon-connection-string", NULL },
	['k'] = (const char *const[]){ "-callback", NULL },
	['l'] = (const char *const[]){ "x-ms-previous-snapshot-url", "x-kss-sourceurl",
				       "x-kss-callbackurl", "helicone-target-url", NULL },
	['m'] = (const char *const[]){ "x-copy-from", NULL },
	['n'] = (const char *const[]){ "x-versions-location", "x-history-location", NULL },
	['o'] = (const char *const[]){ "x-container-sync-to", NULL },
	['r'] = (const char *const[]){ "x-found-cluster", NULL },
	['t'] = (const char *const[]){ "upload-concat", "x-portkey-custom-host", "-symlink-target",
				       "x-symlink-target-account", "x-copy-from-account",
				       "x-object-manifest", "destination-account", NULL },
};

/* Compared from behind, where most differ at once. */
static bool ends_in(struct ex_span name, const char *end)
{
	size_t n, i = 1;

	if (end[0] != '-' && end[0] != fold(name.ptr[0])) /* most, without their length */
		return false;
	n = strlen(end);
	if (end[0] == '-' ? name.len <= n : name.len != n)
		return false;
	while (i <= n && fold(name.ptr[name.len - i]) == end[n - i])
		i++;
	return i > n;
}

bool ex_field_names_object(struct ex_span name)
{
	char first = name.len ? fold(name.ptr[0]) : 0;
	const char *const *end;

	if (first != 'x' && first != 'd' && first != 'u' && first != 'h' && first != 'n')
		return false;
	end = objects[(size_t)fold(name.ptr[name.len - 1])];
	for (; end && *end; end++)
		if (ends_in(name, *end))
			return true;
	return false;
}
