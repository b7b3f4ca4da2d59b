/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes of exeat, over a SOCK_SEQPACKET socketpair. */
#ifndef EXEAT_AGENT_CORE_IPC_H
#define EXEAT_AGENT_CORE_IPC_H

#include <sys/types.h>

#include "exeat/util.h"

/*
 * Sends one message; pass >= 0 travels with it. wait: for room, as the proxy does, whose parent
 * always reads; the parent never waits for the proxy: -EAGAIN. 0 or negative errno.
 */
EX_MUST_CHECK int ex_ipc_send(int fd, const void *msg, size_t len, int pass, bool wait);

/*
 * Receives one of up to size bytes, without waiting: its length; 0 = the other side is gone;
 * -EAGAIN = none now; -EBADMSG = it is longer. A descriptor that came along is put in *ret_fd (else
 * -1, also when this process may have no more); when ret_fd is NULL there must be none: -EBADMSG.
 */
ssize_t ex_ipc_take(int fd, void *buf, size_t size, int *ret_fd);

#endif
