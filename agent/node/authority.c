/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/core/log.h"
#include "agent/node/authority.h"
#include "agent/node/state_file.h"

#define DAYS 1825
#define KEY  "ca.key"
#define CERT "ca.pem"

static int open_dir(const char *path)
{
	EX_AUTO_CLOSE int fd = -1;
	struct stat st;

	if (mkdir(path, 0755) == 0 && chmod(path, 0755) < 0)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != 0 || (st.st_mode & 022))
		return -EPERM;
	return EX_TAKE_FD(fd);
}

static int load(int dir, struct ex_ca **ret)
{
	EX_AUTO_FREE char *cert = NULL;
	char *key = NULL;
	size_t key_len = 0, cert_len = 0;
	int r = ex_state_file_read(dir, KEY, &key, &key_len);

	if (r == 0)
		r = ex_state_file_read(dir, CERT, &cert, &cert_len);
	if (r == 0)
		r = ex_ca_load((struct ex_span){ key, key_len }, (struct ex_span){ cert, cert_len },
			       ret);
	if (key)
		explicit_bzero(key, key_len);
	free(key);
	return r;
}

/* The certificate is for everybody to read, and is there last: with it, the pair is whole. */
static int make(int dir, struct ex_ca **ret)
{
	char key[EX_CA_KEY_MAX];
	struct ex_ca *ca;
	int n, r = ex_ca_new(DAYS, &ca);

	if (r < 0)
		return r;
	n = ex_ca_key_pem(ca, key);
	r = n < 0 ? n : ex_state_file_write(dir, KEY, (struct ex_span){ key, (size_t)n });
	explicit_bzero(key, sizeof(key));
	if (r == 0)
		r = ex_state_file_write(dir, CERT, ex_ca_pem(ca));
	if (r == 0 && fchmodat(dir, CERT, 0644, 0) < 0)
		r = -errno;
	if (r < 0) {
		ex_ca_free(ca);
		return r;
	}
	*ret = ca;
	return 0;
}

int ex_authority_open(const char *path, struct ex_ca **ret)
{
	EX_AUTO_CLOSE int dir = open_dir(path);
	int r = dir < 0 ? dir : load(dir, ret);

	if (r == -ENOENT && dir >= 0 && faccessat(dir, CERT, F_OK, 0) < 0)
		r = make(dir, ret);
	if (r == -EINVAL)
		ex_error("%s: " KEY " and " CERT " are not a certificate authority, or it expired",
			 path);
	else if (r < 0)
		ex_error("%s: cannot open the certificate authority: %s", path, strerror(-r));
	return r;
}
