/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/proxy/messages.h"
#include "exeat/text.h"

static size_t size_of_learn(const struct ex_ipc_learn *msg)
{
	return msg->n_addrs <= EX_IPC_ADDRS_MAX
		       ? offsetof(struct ex_ipc_learn, addrs) + msg->n_addrs * sizeof(msg->addrs[0])
		       : 0;
}

static size_t size_of_extend(const struct ex_ipc_extend *msg)
{
	return msg->n <= EX_IPC_EXTEND_MAX
		       ? offsetof(struct ex_ipc_extend, v) + msg->n * sizeof(msg->v[0])
		       : 0;
}

/* With what is counted, in LEARN and EXTEND. */
#define COUNTED offsetof(struct ex_ipc_learn, name)
_Static_assert(offsetof(struct ex_ipc_extend, v) <= COUNTED, "EXTEND has its count there");

size_t ex_ipc_size(const struct ex_ipc_head *head)
{
	switch ((enum ex_ipc_type)head->type) {
	case EX_IPC_READY:
		return sizeof(struct ex_ipc_ready);
	case EX_IPC_DIAL:
		return sizeof(struct ex_ipc_dial);
	case EX_IPC_LEARN:
	case EX_IPC_KNOWN:
		return size_of_learn((const struct ex_ipc_learn *)head);
	case EX_IPC_EXTEND:
		return size_of_extend((const struct ex_ipc_extend *)head);
	case EX_IPC_EXTENDED:
		return sizeof(struct ex_ipc_extended);
	case EX_IPC_FORGOTTEN:
		return head->id <= EX_IPC_FORGOTTEN_MAX
			       ? offsetof(struct ex_ipc_forgotten, v[head->id])
			       : 0;
	case EX_IPC_SERVERS:
		return sizeof(struct ex_ipc_servers);
	case EX_IPC_MINT:
		return sizeof(struct ex_ipc_mint);
	case EX_IPC_MINTED:
		return sizeof(struct ex_ipc_minted);
	case EX_IPC_SIGN:
		return sizeof(struct ex_ipc_sign);
	case EX_IPC_SIGNED:
		return sizeof(struct ex_ipc_signed);
	case EX_IPC_UDP:
		return sizeof(struct ex_ipc_udp);
	case EX_IPC_DIALLED:
	case EX_IPC_LEARNED:
	case EX_IPC_UDP_READY:
	case EX_IPC_RULESET:
	case EX_IPC_SWAPPED:
		return sizeof(struct ex_ipc_done);
	case EX_IPC_RECORDS:
		return sizeof(struct ex_ipc_head);
	case EX_IPC_INVALID:
		break;
	}
	return 0;
}

ssize_t ex_ipc_receive(int fd, union ex_ipc_message *ret, int *ret_fd)
{
	ssize_t n;

	memset(ret, 0, COUNTED); /* a message may be shorter than where its count is */
	n = ex_ipc_take(fd, ret, sizeof(*ret), ret_fd);
	if (n <= 0)
		return n;
	if ((size_t)n >= sizeof(ret->head) && ex_ipc_size(&ret->head) == (size_t)n)
		return n;
	if (ret_fd && *ret_fd >= 0)
		close(EX_TAKE_FD(*ret_fd));
	return -EBADMSG;
}

int ex_ipc_passed(const union ex_ipc_message *answer, uint32_t type, int *fd)
{
	int err = answer->head.type == type ? answer->done.err : -EPROTO;

	if (err == 0 && *fd >= 0)
		return EX_TAKE_FD(*fd);
	return err < 0 ? err : -EPROTO;
}

bool ex_ipc_name_set(struct ex_ipc_name *n, struct ex_span name)
{
	if (name.len == 0 || name.len > EX_IPC_NAME_MAX)
		return false;
	memset(n, 0, sizeof(*n));
	memcpy(n->text, name.ptr, name.len);
	n->len = (uint16_t)name.len;
	return true;
}

static bool name_char(char c)
{
	return (ex_is_alnum(c) && c == ex_lower(c)) || c == '-' || c == '_';
}

struct ex_span ex_ipc_name_get(const struct ex_ipc_name *n)
{
	size_t label = 0;

	if (n->len == 0 || n->len > EX_IPC_NAME_MAX)
		return (struct ex_span){ 0 };
	for (size_t i = 0; i <= n->len; i++) {
		if (i < n->len && name_char(n->text[i])) {
			label++;
			continue;
		}
		if ((i < n->len && n->text[i] != '.') || label == 0 || label > 63)
			return (struct ex_span){ 0 };
		label = 0;
	}
	return (struct ex_span){ n->text, n->len };
}
