/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A policy on its way to the proxy: the texts and addresses it was compiled from, in a
 * sealed memory file. Both sides compile the same bytes, so that their rule ids agree. Endpoints of
 * equal selection share one: nothing in it is of one of them alone.
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

/* Two of the same policy are the same bytes. What cannot be read is not the same. */
bool ex_bundle_is_same(int a, int b);

/* Of all its bytes: which policy it is. 0 or negative errno. */
#define EX_BUNDLE_DIGEST_LEN 32
EX_MUST_CHECK int ex_bundle_digest(int fd, uint8_t ret[static EX_BUNDLE_DIGEST_LEN]);

#endif
