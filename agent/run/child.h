/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command's side of a run. A small init is the first process of the command's PID namespace: it
 * sets up the mounts, waits for the word that both gates stand, starts the command, reaps, passes
 * signals on, and reports how the command ended. It dies with exeat, and everything in the
 * namespace dies with it.
 *
 * It is forked before exeat holds anything secret (the policy's secrets, the CA key, descriptors of
 * maps), so a command that reads its memory finds nothing.
 */
#ifndef EXEAT_AGENT_RUN_CHILD_H
#define EXEAT_AGENT_RUN_CHILD_H

#include "agent/run/confine.h"

struct ex_child_spec {
	char **command;
	const struct ex_identity *id;
	const char *sockets;       /* see ex_mounts_find_sockets() */
	const char *const *hidden; /* see ex_mounts_apply() */
};

struct ex_child {
	pid_t pid;
	int control;      /* stream socket to the init */
	bool own_session; /* not on a terminal: the command leads a session, out of ours */
};

EX_MUST_CHECK int ex_child_start(const struct ex_child_spec *spec, struct ex_child *ret);

/* Hands over the files the command shall see. */
EX_MUST_CHECK int ex_child_equip(const struct ex_child *c, struct ex_span ca, struct ex_span bundle,
				 struct ex_span resolv);

/*
 * Waits until the mounts and the namespaces are made, and maps the ids. 0 or negative errno (the
 * init logged the cause).
 */
EX_MUST_CHECK int ex_child_wait_ready(const struct ex_child *c);

/* Both gates stand: start the command. */
EX_MUST_CHECK int ex_child_go(const struct ex_child *c);

/*
 * After the init ended: the exit status to end with, from the command's wait status; 125 when it
 * never came that far.
 */
int ex_child_exit_status(const struct ex_child *c);

#endif
