/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>

#include "agent/ca/authority.h"
#include "agent/ca/store.h"
#include "agent/core/log.h"

#define DAYS 1825
#define KEY  "ca.key"
#define CERT "ca.pem"

static int make(int dir, struct ex_ca **ret)
{
	int r = ex_ca_store_init(dir, &(struct ex_ca_wish){ .days = DAYS });

	return r < 0 && r != -EEXIST ? r : ex_ca_store_load(dir, ret); /* ours, or just made */
}

int ex_authority_open(const char *path, struct ex_ca **ret)
{
	EX_AUTO_CLOSE int dir = ex_ca_store_open(path, true);
	int r = dir < 0 ? dir : ex_ca_store_load(dir, ret);

	if (r == -ENOENT && dir >= 0 && faccessat(dir, CERT, F_OK, 0) < 0)
		r = make(dir, ret);
	if (r == -EINVAL)
		ex_error("%s: " KEY " and " CERT " are not a certificate authority, or it expired",
			 path);
	else if (r < 0)
		ex_error("%s: cannot open the certificate authority: %s", path, strerror(-r));
	return r;
}
