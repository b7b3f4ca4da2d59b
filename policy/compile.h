/* SPDX-License-Identifier: Apache-2.0 */
/* From policy files to a ruleset, with errors a policy author can act on. */
#ifndef EXEAT_POLICY_COMPILE_H
#define EXEAT_POLICY_COMPILE_H

#include <stdio.h>

#include "exeat/util.h"

struct ex_ruleset;

struct ex_diag {
	const char *file; /* owned by the list */
	int line, col;    /* 1-based; 0 = the whole file */
	bool warning;
	char *message; /* what is wrong, naming the field; attacker bytes escaped */
	char *remedy;  /* what to write instead; may be NULL */
};

struct ex_diags {
	struct ex_diag *items;
	size_t n;
};

void ex_diags_done(struct ex_diags *diags);

/* "FILE:LINE:COL: error: MESSAGE" and, indented below, "  remedy: …". */
void ex_diags_print(const struct ex_diags *diags, FILE *out);

struct ex_label {
	const char *key, *value; /* key may carry a source prefix: "k8s:app" */
};

/* A file that is in memory already; name stands for it in messages and records. */
struct ex_text {
	const char *name;
	struct ex_span text;
};

/* What a workload serves where policies leave it to itself. proto 0: any port of any protocol. */
struct ex_served {
	uint8_t proto;
	uint16_t lo, hi;
};

struct ex_inward {
	const struct ex_served *v;
	size_t n;
};

/* An address of an endpoint, and a rule that selects it; EX_REACHED_NONE: it is an endpoint's. */
struct ex_reached {
	struct ex_ip ip;
	uint32_t rule; /* as the compiler counts them, which is not the id of it */
};

#define EX_REACHED_NONE UINT32_MAX

struct ex_reached_list {
	const struct ex_reached *v;
	size_t n;
};

/* Which specs of the policies are for a workload, in the order they are read in: 1, else 0. */
struct ex_chosen {
	const uint8_t *v;
	size_t n;
};

/* Endpoints that are read already: see ex_known_read(). */
struct ex_known;

/*
 * All that is copied is copied by ex_compile(); nothing has to outlive the call. The same texts in
 * the same order, with the same labels and addresses, give the same rule ids in every process.
 */
struct ex_compile_input {
	/* Policies: files first, then texts. */
	const char *const *files;
	size_t n_files;
	const struct ex_text *texts;
	size_t n_texts;

	/* Which addresses carry which labels: a file (NULL = none), and texts of the same form. */
	const char *endpoints_file;
	const struct ex_text *endpoints;
	size_t n_endpoints;

	/* Not NULL: instead of these, the same, read already. */
	const struct ex_known *known;

	/*
	 * Not NULL: instead of these, what the rules make of them: ex_ruleset_reached() of a
	 * ruleset of the same policies. It tells nothing of who the endpoints are.
	 */
	const struct ex_reached_list *reached;

	/*
	 * What headerMatches[].secret stands for: files DIR/NAMESPACE/NAME/ITEM (NULL = none; a DIR
	 * that is not there is an error), or values. A proxy gets the values of the ruleset that
	 * its parent made: ex_ruleset_secret().
	 */
	const char *secrets_dir;
	const struct ex_secret *secrets;
	size_t n_secrets;

	/*
	 * The workload's labels. n_labels == 0: every policy given is applied, selectors unread, as
	 * for a command that is run by hand. An endpoint of a node has labels, among them
	 * io.kubernetes.pod.namespace ("default" when its owner named none): a namespaced policy is
	 * for the endpoints of its namespace only, a cluster-wide one for all. What the cluster
	 * would add (io.cilium.k8s.policy.cluster, kubernetes.io/metadata.name of the namespace) is
	 * added here, unless it is given.
	 */
	const struct ex_label *labels;
	size_t n_labels;

	/*
	 * Not NULL: instead of labels, what came of them: ex_ruleset_chosen() of a ruleset of the
	 * same policies. It tells nothing else of the workload.
	 */
	const struct ex_chosen *chosen;

	/*
	 * What becomes of a workload about whose egress no policy says anything. false: -ENOENT.
	 * true: a ruleset that allows everything but what is always denied; see
	 * ex_ruleset_is_unselected().
	 */
	bool allow_unselected;

	/* Addresses of the node itself (the "host" entity; never "world"). */
	const struct ex_ip *host_ips;
	size_t n_host_ips;

	/* Where the DNS gate answers: port 53 of these is steered, everything else there denied. */
	const struct ex_ip *dns_ips;
	size_t n_dns_ips;

	/* Deny the cloud metadata addresses whatever the policy allows. */
	bool deny_metadata;

	/* Endpoints will come and go: what ex_repeer() needs is kept. */
	bool repeers;

	/*
	 * Not NULL: ingress is enforced, and compiled as well; see ex_ruleset_ingress(). Rule ids
	 * of egress do not depend on it.
	 */
	const struct ex_inward *inward;
};

/*
 * 0; -EINVAL with at least one error in diags (warnings may come with success); -ENOENT, also with
 * an error in diags, when the policies are sound and none says anything about the egress of a
 * workload with these labels; -ENOMEM. *ret is written on success only.
 */
EX_MUST_CHECK int ex_compile(const struct ex_compile_input *in, struct ex_ruleset **ret,
			     struct ex_diags *diags);

/* The same, and warnings for what is legal but surely not meant: for `exeat policy check`. */
EX_MUST_CHECK int ex_compile_lint(const struct ex_compile_input *in, struct ex_ruleset **ret,
				  struct ex_diags *diags);

/* Texts of the form of endpoints files. 0; -EINVAL with an error in diags; -ENOMEM. */
EX_MUST_CHECK int ex_known_read(const struct ex_text *texts, size_t n, struct ex_known **ret,
				struct ex_diags *diags);
struct ex_known *ex_known_ref(struct ex_known *known);
void ex_known_unref(struct ex_known *known); /* accepts NULL */

/*
 * The ruleset that the same input would give with other endpoints, at the price of these alone: it
 * shares the rules of rs, which was made with in->repeers or by this. Ids of rules and numbers of
 * classes stay what they are; classes that are new come behind. 0; -ESTALE when it has to be
 * compiled instead (there is no room for more classes, or rules have ports by name); -ENOMEM.
 */
EX_MUST_CHECK int ex_repeer(const struct ex_ruleset *rs, const struct ex_known *known,
			    struct ex_ruleset **ret);

#endif
