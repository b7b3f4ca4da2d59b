/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate authority in a directory of root's:
 *
 *	ca.key, ca.pem             signs (authority.h opens it)
 *	ca-next.key, ca-next.pem   is trusted already and signs next: between the two steps of a
 *	                           rotation
 *	ca-old.pem                 signed before, and is trusted until it ends
 *	trust.pem                  all of these certificates: what workloads are to trust
 *	lock                       held while any of it changes, and by all who read while they do
 *
 * Keys have mode 0600, certificates 0644. Each file is replaced whole; trust.pem is written before
 * a new certificate signs, and can be made again from the others.
 */
#ifndef EXEAT_AGENT_CA_STORE_H
#define EXEAT_AGENT_CA_STORE_H

#include "agent/tls/ca.h"

#define EX_CA_DIR "/var/lib/exeat"

enum ex_ca_role {
	EX_CA_SIGNS,
	EX_CA_NEXT,
	EX_CA_OLD,
};

/*
 * The directory, made when asked for and missing; fd or negative errno. -EPERM: not only root's.
 * -ELOOP: a link of another user's leads there.
 */
EX_MUST_CHECK int ex_ca_store_open(const char *path, bool make);

/* The one that signs. -EINVAL: it cannot. -ENOENT: a file of it is missing. */
EX_MUST_CHECK int ex_ca_store_load(int dir, struct ex_ca **ret);

/* One that signs. -EEXIST: there is one. */
EX_MUST_CHECK int ex_ca_store_init(int dir, const struct ex_ca_wish *wish);

/* The first step: one more that is trusted. -EEXIST: it was taken already, and what it made is
 * good, or the second was begun. -ENOENT: no CA. */
EX_MUST_CHECK int ex_ca_store_rotate(int dir, const struct ex_ca_wish *wish);

/*
 * The second one: it signs, the former is old. -ENOENT: the first was not taken. -EINVAL: what it
 * left is no pair that can sign.
 */
EX_MUST_CHECK int ex_ca_store_switch(int dir);

/*
 * All certificates that are trusted, PEM; the caller frees. What has ended is left out. -ENOENT: no
 * CA; -EKEYEXPIRED: nothing is left; -EINVAL: a file has none that can be read.
 */
EX_MUST_CHECK int ex_ca_store_trust(int dir, char **ret, size_t *ret_len);

/* Tells each certificate; negative errno of fn or of reading. */
typedef int (*ex_ca_store_fn)(void *arg, enum ex_ca_role role, const struct ex_ca_info *info);
EX_MUST_CHECK int ex_ca_store_each(int dir, ex_ca_store_fn fn, void *arg);

#endif
