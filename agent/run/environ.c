/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/run/environ.h"
#include "agent/run/mounts.h"

/*
 * Most of these replace a program's store, so they name the system's roots and ours together. Two
 * add to it and name ours only (Node appends; Deno too): a whole bundle there would be read twice.
 */
static const char *const replacing[] = {
	"SSL_CERT_FILE",                    /* OpenSSL, Go, Ruby, rustls-native-certs */
	"CURL_CA_BUNDLE",                   /* curl with any TLS library */
	"REQUESTS_CA_BUNDLE",               /* Python requests */
	"PIP_CERT",                         /* pip */
	"GIT_SSL_CAINFO",                   /* git, also with GnuTLS, which ignores SSL_CERT_FILE */
	"CARGO_HTTP_CAINFO",                /* cargo */
	"AWS_CA_BUNDLE",                    /* AWS SDKs and CLI */
	"NPM_CONFIG_CAFILE",                /* npm */
	"npm_config_cafile",                /* npm, when it starts itself */
	"BUNDLE_SSL_CA_CERT",               /* Bundler */
	"CODEX_CA_CERTIFICATE",             /* Codex */
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", /* gRPC core */
};

static const char *const adding[] = { "NODE_EXTRA_CA_CERTS", "DENO_CERT" };

static int set(const char *name, const char *value)
{
	return setenv(name, value, 1) < 0 ? -errno : 0;
}

int ex_environ_prepare(const struct ex_identity *id)
{
	int r = set("EXEAT", "1");

	for (size_t i = 0; i < EX_ARRAY_SIZE(replacing) && r == 0; i++)
		r = set(replacing[i], EX_BUNDLE_PATH);
	for (size_t i = 0; i < EX_ARRAY_SIZE(adding) && r == 0; i++)
		r = set(adding[i], EX_CA_PATH);
	if (r == 0 && id->home)
		r = set("HOME", id->home);
	if (r == 0 && id->name)
		r = set("USER", id->name);
	if (r == 0 && id->name)
		r = set("LOGNAME", id->name);
	return r;
}
