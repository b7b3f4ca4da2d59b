/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "agent/ca/store.h"
#include "agent/core/log.h"
#include "agent/node/authority.h"
#include "agent/node/state_file.h"

#define DAYS 1825
#define KEY  "ca.key"
#define CERT "ca.pem"

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

static int make(int dir, struct ex_ca **ret)
{
	int r = ex_ca_store_make(dir, &(struct ex_ca_wish){ .days = DAYS });

	return r < 0 ? r : load(dir, ret);
}

int ex_authority_open(const char *path, struct ex_ca **ret)
{
	EX_AUTO_CLOSE int dir = ex_ca_store_open(path, true);
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
