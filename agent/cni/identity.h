/* SPDX-License-Identifier: Apache-2.0 */
/* Who the pod is: name, namespace and labels, out of everything a runtime tells a plugin. */
#ifndef EXEAT_AGENT_CNI_IDENTITY_H
#define EXEAT_AGENT_CNI_IDENTITY_H

#include "agent/cni/request.h"
#include "policy/arena.h"
#include "policy/compile.h"

#define EX_CNI_LABELS_MAX 128

struct ex_cni_identity {
	const char *name, *ns;
	struct ex_label labels[EX_CNI_LABELS_MAX];
	size_t n_labels;
	struct ex_arena arena;
};

/*
 * Labels, the first source that has a key decides it: the network's own ("labels" of the
 * configuration), the capabilities "labels" and "io.kubernetes.cri.pod-annotations" (annotation
 * exeat.dev/labels: "app=web,tier=front"), args.cni.labels, and what the runtime itself has
 * ("labelsFrom"). 0 or -EINVAL; ex_cni_identity_done() both times.
 */
EX_MUST_CHECK int ex_cni_identify(struct ex_cni_identity *id, const struct ex_cni_request *rq,
				  struct ex_cni_error *err);
void ex_cni_identity_done(struct ex_cni_identity *id);

/* Copies both, unless the key is there already. */
EX_MUST_CHECK int ex_cni_label_add(struct ex_cni_identity *id, struct ex_span key,
				   struct ex_span value, struct ex_cni_error *err);

/* The labels podman has for the container or its pod (podman.c). */
EX_MUST_CHECK int ex_cni_labels_of_podman(struct ex_cni_identity *id,
					  const struct ex_cni_request *rq,
					  struct ex_cni_error *err);

#endif
