/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy directories as they are at one moment: every *.yaml, *.yml and *.json in them, read
 * whole, in the order of their names. A directory may be a Kubernetes ConfigMap mount, whose files
 * are links through "..data", which is swapped: reading starts over when that happened meanwhile. A
 * file that is as it was keeps its identity from one reading to the next. One that somebody has
 * open for writing is not read: half a policy may be valid, without what it denies.
 */
#ifndef EXEAT_AGENT_NODE_POLICY_FILES_H
#define EXEAT_AGENT_NODE_POLICY_FILES_H

#include "policy/arena.h"
#include "policy/selects.h"

#define EX_POLICY_FILES_MAX 4096

struct ex_policy_file { /* refcounted, immutable once parsed */
	unsigned refs;
	struct ex_text text;        /* name and bytes are its own */
	struct ex_selects *selects; /* NULL until parsed */
};

struct ex_policy_files {
	EX_VEC(struct ex_policy_file *) files;
};

struct ex_policy_file *ex_policy_file_ref(struct ex_policy_file *f);
void ex_policy_file_unref(struct ex_policy_file *f);

/*
 * 0, or negative errno with the cause in err; -EBUSY: a file is being written. A directory that is
 * not there is an error, for it may be mounted yet; an empty one is a set without policies. before
 * may be NULL. *ret is written on success.
 */
#define EX_POLICY_FILES_ERR 256
EX_MUST_CHECK int ex_policy_files_read(const char *const *dirs, size_t n,
				       const struct ex_policy_files *before,
				       struct ex_policy_files **ret,
				       char err[static EX_POLICY_FILES_ERR]);
void ex_policy_files_free(struct ex_policy_files *f);

/* The same files, byte for byte? */
bool ex_policy_files_equal(const struct ex_policy_files *a, const struct ex_policy_files *b);

/*
 * A set from memory, unparsed, as ex_policy_files_pack() wrote it. 0, -EBADMSG, -ENOMEM. Names and
 * texts are copied.
 */
struct ex_pack;
struct ex_unpack;
void ex_policy_files_pack(const struct ex_policy_files *f, struct ex_pack *p);
EX_MUST_CHECK int ex_policy_files_unpack(struct ex_unpack *u, struct ex_policy_files **ret);

/* Decodes those that were not yet: 0, or -EINVAL with errors of all of them in diags; -ENOMEM. */
EX_MUST_CHECK int ex_policy_files_parse(struct ex_policy_files *f, struct ex_diags *diags);

#endif
