/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "agent/ca/trust.h"
#include "agent/tls/roots.h"
#include "agent/core/log.h"
#include "agent/tls/ca.h"

#define EXTRA_MAX (1024 * 1024)

int ex_trust_bundle(struct ex_span roots, struct ex_span ca, char **ret, size_t *ret_len)
{
	char *pem = malloc(roots.len + ca.len + 2);

	if (!pem)
		return -ENOMEM;
	if (roots.len)
		memcpy(pem, roots.ptr, roots.len);
	pem[roots.len] = '\n';
	if (ca.len)
		memcpy(pem + roots.len + 1, ca.ptr, ca.len);
	pem[roots.len + 1 + ca.len] = '\0';
	*ret = pem;
	*ret_len = roots.len + 1 + ca.len;
	return 0;
}

static int read_extra(const char *path, char **ret, size_t *ret_len)
{
	EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	EX_AUTO_FREE char *pem = malloc(EXTRA_MAX);
	ssize_t n = !pem ? -ENOMEM : fd < 0 ? -errno : ex_read_full(fd, pem, EXTRA_MAX - 1);

	if (n < 0) {
		ex_error("--upstream-ca %s: %s", path, strerror((int)-n));
		return (int)n;
	}
	pem[n] = '\0';
	if (n == EXTRA_MAX - 1 || !strstr(pem, "-----BEGIN CERTIFICATE-----")) {
		ex_error("--upstream-ca %s: not a PEM file of certificates", path);
		return -EINVAL;
	}
	if (strstr(pem, "PRIVATE KEY-----")) {
		ex_error("--upstream-ca %s: has a private key, which whoever trusts it would be "
			 "given: name a file of certificates alone",
			 path);
		return -EINVAL;
	}
	*ret = EX_TAKE_PTR(pem);
	*ret_len = (size_t)n;
	return 0;
}

static bool store_is_named(void)
{
	const char *file = secure_getenv("SSL_CERT_FILE");

	return file && *file;
}

static int no_store(int err)
{
	if (store_is_named())
		ex_error("the trust store that SSL_CERT_FILE names: %s", strerror(-err));
	else if (err == -ENOENT)
		ex_error("no system trust store found (install ca-certificates, or name one with "
			 "--upstream-ca)");
	else
		ex_error("the system's trust store: %s", strerror(-err));
	return err;
}

int ex_trust_roots(const char *extra_file, char **ret, size_t *ret_len)
{
	EX_AUTO_FREE char *system = NULL;
	EX_AUTO_FREE char *extra = NULL;
	size_t system_len = 0, extra_len = 0;
	int r = ex_trust_read_system(&system, &system_len);

	/* Where the machine has none, the file may be all there is. */
	if (r < 0 && (!extra_file || r != -ENOENT || store_is_named()))
		return no_store(r);
	if (!extra_file) {
		*ret = EX_TAKE_PTR(system);
		*ret_len = system_len;
		return 0;
	}
	r = read_extra(extra_file, &extra, &extra_len);
	if (r < 0)
		return r;
	return ex_trust_bundle((struct ex_span){ system ? system : "", system_len },
			       (struct ex_span){ extra, extra_len }, ret, ret_len);
}

int ex_trust_share(struct ex_span roots)
{
	int fd = ex_roots_new(roots);

	if (fd < 0)
		ex_error("the trust store cannot be used: %s",
			 fd == -EBADMSG ? "a certificate in it is broken, or there is none"
					: strerror(-fd));
	return fd;
}
