/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy on its way to the proxy: the texts, labels and addresses it was compiled from, in a
 * sealed memory file. Both sides compile the same bytes, so that their rule ids agree.
 */
#ifndef EXEAT_AGENT_PROXY_BUNDLE_H
#define EXEAT_AGENT_PROXY_BUNDLE_H

#include "policy/compile.h"

/*
 * in: what rs was compiled from, all of it texts (-EINVAL when it names files). The secrets are
 * those that rs uses, but for private keys. Endpoints come as texts or as in->reached. fd or
 * negative errno.
 */
EX_MUST_CHECK int ex_bundle_new(const struct ex_compile_input *in, const struct ex_ruleset *rs);

/* 0 or negative errno: of ex_pack_read(), of ex_compile(), or -EBADMSG. */
EX_MUST_CHECK int ex_bundle_compile(int fd, struct ex_ruleset **ret, struct ex_diags *diags);

/* Two of the same policy? Their random bytes differ. What cannot be read is not the same. */
bool ex_bundle_is_same(int a, int b);

/*
 * What the workers of one endpoint have in common, and nobody else: random bytes of the bundle,
 * which endpoints may share, with the uid, which they do not. 0 or negative errno.
 */
#define EX_BUNDLE_SECRET_LEN 32
EX_MUST_CHECK int ex_bundle_secret(int fd, uid_t uid, uint8_t ret[static EX_BUNDLE_SECRET_LEN]);

#endif
