/* SPDX-License-Identifier: Apache-2.0 */
/* The system's trust store, read once by the privileged parent. */
#include "agent/tls/ca.h"

#include <errno.h>
#include <fcntl.h>

#include "agent/core/state_file.h"

#define BUNDLE_MAX (16 * 1024 * 1024)

static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Alpine, Arch */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
	"/etc/pki/tls/certs/ca-bundle.crt",                  /* older RHEL */
	"/etc/ssl/ca-bundle.pem",                            /* openSUSE */
	"/etc/ssl/cert.pem",
};

static int file_read(const char *path, char **ret, size_t *ret_len)
{
	EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	EX_AUTO_FREE char *pem = NULL;
	int r = fd < 0 ? -errno : ex_file_read(fd, BUNDLE_MAX, &pem, ret_len);

	if (r == 0 && *ret_len == 0)
		r = -EINVAL;
	if (r == 0)
		*ret = EX_TAKE_PTR(pem);
	return r;
}

int ex_trust_read_system(char **ret_pem, size_t *ret_len)
{
	const char *chosen = secure_getenv("SSL_CERT_FILE");

	/* Who names a store means that one: no falling back to another. */
	if (chosen && *chosen)
		return file_read(chosen, ret_pem, ret_len);
	for (size_t i = 0; i < EX_ARRAY_SIZE(bundles); i++) {
		int r = file_read(bundles[i], ret_pem, ret_len);

		if (r != -ENOENT && r != -ENOTDIR)
			return r;
	}
	return -ENOENT;
}
