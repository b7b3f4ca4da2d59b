/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of nftables that stamp.c says the use of, written without its tools. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter_arp.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/gate/gate_internal.h"

#define BATCH_MAX 8192
#define TRIES     3

/* ---- a batch of messages: all of it is done, or nothing ---- */

struct batch {
	size_t len;
	_Alignas(NLMSG_ALIGNTO) char b[BATCH_MAX];
};

/* A message or an attribute that others are put into; what it began at. */
typedef size_t part;

/* All is built from constants, and fits by far. */
static void *append(struct batch *b, size_t len)
{
	void *at = b->b + b->len;

	b->len += NLMSG_ALIGN(len);
	if (b->len > sizeof(b->b))
		abort();
	return at;
}

static void message_end(struct batch *b, part at)
{
	((struct nlmsghdr *)(void *)(b->b + at))->nlmsg_len = (uint32_t)(b->len - at);
}

static part message(struct batch *b, uint16_t type, uint16_t flags, uint8_t family, uint16_t id)
{
	part at = b->len;

	*(struct nlmsghdr *)append(b, sizeof(struct nlmsghdr)) =
		(struct nlmsghdr){ .nlmsg_type = type,
				   .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags) };
	*(struct nfgenmsg *)append(b, sizeof(struct nfgenmsg)) = (struct nfgenmsg){
		.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(id)
	};
	message_end(b, at);
	return at;
}

static part request(struct batch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	return message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, family, 0);
}

static part put(struct batch *b, uint16_t type, const void *data, size_t len)
{
	part at = b->len;
	struct nlattr *a = append(b, sizeof(*a) + len);

	*a = (struct nlattr){ .nla_type = type, .nla_len = (uint16_t)(sizeof(*a) + len) };
	if (len)
		memcpy(a + 1, data, len);
	return at;
}

static void put_text(struct batch *b, uint16_t type, const char *text)
{
	(void)put(b, type, text, strlen(text) + 1);
}

static void put_number(struct batch *b, uint16_t type, uint32_t number)
{
	number = htonl(number);
	(void)put(b, type, &number, sizeof(number));
}

static part nest(struct batch *b, uint16_t type)
{
	return put(b, NLA_F_NESTED | type, NULL, 0);
}

static void nest_end(struct batch *b, part at)
{
	((struct nlattr *)(void *)(b->b + at))->nla_len = (uint16_t)(b->len - at);
}

/* ---- expressions, over one register ---- */

static part expression(struct batch *b, const char *name, part *ret_data)
{
	part at = nest(b, NFTA_LIST_ELEM);

	put_text(b, NFTA_EXPR_NAME, name);
	*ret_data = nest(b, NFTA_EXPR_DATA);
	return at;
}

static void expression_end(struct batch *b, part at, part data)
{
	nest_end(b, data);
	nest_end(b, at);
}

static void put_data(struct batch *b, uint16_t type, uint32_t v)
{
	part at = nest(b, type);

	(void)put(b, NFTA_DATA_VALUE, &v, sizeof(v));
	nest_end(b, at);
}

static void load(struct batch *b, uint32_t key)
{
	part data, at = expression(b, "meta", &data);

	put_number(b, NFTA_META_DREG, NFT_REG_1);
	put_number(b, NFTA_META_KEY, key);
	expression_end(b, at, data);
}

static void if_equal(struct batch *b, uint32_t v)
{
	part data, at = expression(b, "cmp", &data);

	put_number(b, NFTA_CMP_SREG, NFT_REG_1);
	put_number(b, NFTA_CMP_OP, NFT_CMP_EQ);
	put_data(b, NFTA_CMP_DATA, v);
	expression_end(b, at, data);
}

static void clear_priority(struct batch *b)
{
	part data, at = expression(b, "immediate", &data);

	put_number(b, NFTA_IMMEDIATE_DREG, NFT_REG_1);
	put_data(b, NFTA_IMMEDIATE_DATA, 0);
	expression_end(b, at, data);
	at = expression(b, "meta", &data);
	put_number(b, NFTA_META_SREG, NFT_REG_1);
	put_number(b, NFTA_META_KEY, NFT_META_PRIORITY);
	expression_end(b, at, data);
}

static void count(struct batch *b)
{
	part data, at = expression(b, "counter", &data);

	expression_end(b, at, data);
}

static void end_with(struct batch *b, uint32_t code)
{
	part data, value, verdict, at = expression(b, "immediate", &data);

	put_number(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	value = nest(b, NFTA_IMMEDIATE_DATA);
	verdict = nest(b, NFTA_DATA_VERDICT);
	put_number(b, NFTA_VERDICT_CODE, code);
	nest_end(b, verdict);
	nest_end(b, value);
	expression_end(b, at, data);
}

/* ---- the tables ---- */

static void table(struct batch *b, uint16_t type, uint8_t family)
{
	part at = request(b, type, type == NFT_MSG_NEWTABLE ? NLM_F_CREATE : 0, family);

	put_text(b, NFTA_TABLE_NAME, GATE_TABLE);
	message_end(b, at);
}

/* Before anybody else: a fragment, too, is looked at before it is put together. */
static void chain(struct batch *b, uint8_t family, const char *name, uint32_t hook)
{
	part at = request(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE, family), place;

	put_text(b, NFTA_CHAIN_TABLE, GATE_TABLE);
	put_text(b, NFTA_CHAIN_NAME, name);
	place = nest(b, NFTA_CHAIN_HOOK);
	put_number(b, NFTA_HOOK_HOOKNUM, hook);
	put_number(b, NFTA_HOOK_PRIORITY, (uint32_t)INT_MIN);
	nest_end(b, place);
	put_text(b, NFTA_CHAIN_TYPE, "filter");
	message_end(b, at);
}

static part rule(struct batch *b, uint8_t family, const char *name, part *ret_expressions)
{
	part at = request(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, family);

	put_text(b, NFTA_RULE_TABLE, GATE_TABLE);
	put_text(b, NFTA_RULE_CHAIN, name);
	*ret_expressions = nest(b, NFTA_RULE_EXPRESSIONS);
	return at;
}

static void rule_end(struct batch *b, part at, part expressions)
{
	nest_end(b, expressions);
	message_end(b, at);
}

static void look_for_stamp(struct batch *b, uint8_t family, uint32_t hook)
{
	part expressions, at;

	chain(b, family, "unasked", hook);
	at = rule(b, family, "unasked", &expressions);
	load(b, NFT_META_PRIORITY);
	if_equal(b, GATE_STAMP);
	clear_priority(b);
	end_with(b, NF_ACCEPT);
	rule_end(b, at, expressions);
	at = rule(b, family, "unasked", &expressions);
	load(b, NFT_META_IIFGROUP);
	if_equal(b, GATE_STAMP_GROUP);
	count(b);
	end_with(b, NF_DROP);
	rule_end(b, at, expressions);
}

/* ---- to the kernel, and from it ---- */

struct heard {
	int err;
	bool acknowledged;
	bool gone; /* the last that was heard of the tables is that something of them was taken */
	bool lost; /* some was not heard, and may be later than all that was */
};

static bool is_of_tables(const struct nlmsghdr *h)
{
	const struct nlattr *a =
		(const void *)((const char *)NLMSG_DATA(h) + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
	size_t len = sizeof(*a) + sizeof(GATE_TABLE);

	/* of a table, a chain and a rule the first attribute is the table's name */
	return h->nlmsg_len >= NLMSG_SPACE(sizeof(struct nfgenmsg)) + len && a->nla_len == len &&
	       a->nla_type == NFTA_TABLE_NAME && memcmp(a + 1, GATE_TABLE, sizeof(GATE_TABLE)) == 0;
}

static void take(struct heard *to, const struct nlmsghdr *h)
{
	if (h->nlmsg_type == NLMSG_ERROR) {
		int err = ((const struct nlmsgerr *)NLMSG_DATA(h))->error;

		to->acknowledged = true;
		to->err = to->err ? to->err : err;
		return;
	}
	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || !is_of_tables(h))
		return;
	switch (h->nlmsg_type & 0xff) {
	case NFT_MSG_DELTABLE:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_DELRULE:
		to->gone = true;
		break;
	case NFT_MSG_NEWRULE:
		to->gone = false;
		break;
	}
}

/* All that the kernel has said so far. */
static void hear(int fd, struct heard *to)
{
	static _Alignas(NLMSG_ALIGNTO) char b[32768];
	ssize_t n;

	while ((n = recv(fd, b, sizeof(b), MSG_DONTWAIT)) >= 0 || errno == ENOBUFS ||
	       errno == EINTR) {
		size_t len = n < 0 ? 0 : (size_t)n;

		to->lost |= n < 0 && errno == ENOBUFS;
		for (const struct nlmsghdr *h = (void *)b; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len))
			take(to, h);
	}
}

static int transact(int fd, struct batch *b, struct heard *to)
{
	(void)message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	if (send(fd, b->b, b->len, 0) < 0)
		return -errno;
	hear(fd, to); /* it was done when it was sent */
	return to->err ? to->err : to->acknowledged ? 0 : -ETIME;
}

static void begin(struct batch *b)
{
	*b = (struct batch){ 0 };
	(void)message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
}

static const uint8_t families[] = { NFPROTO_INET, NFPROTO_BRIDGE, NFPROTO_ARP };

/* In one step, in place of those that may be there. */
static int tables_put(int fd, struct heard *to)
{
	struct batch b;

	begin(&b);
	for (size_t i = 0; i < EX_ARRAY_SIZE(families); i++) {
		table(&b, NFT_MSG_NEWTABLE, families[i]);
		table(&b, NFT_MSG_DELTABLE, families[i]);
		table(&b, NFT_MSG_NEWTABLE, families[i]);
	}
	look_for_stamp(&b, NFPROTO_INET, NF_INET_PRE_ROUTING);
	look_for_stamp(&b, NFPROTO_BRIDGE, NF_BR_PRE_ROUTING);
	look_for_stamp(&b, NFPROTO_ARP, NF_ARP_IN);
	return transact(fd, &b, to);
}

/* Also listens. fd or negative errno. */
int gate_tables_open(void)
{
	const int group = NFNLGRP_NFTABLES;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd >= 0 &&
	    setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd < 0 ? -errno : fd;
}

int gate_tables_put(int fd)
{
	struct heard to;
	int r = 0, tries = 0;

	do {
		to = (struct heard){ 0 };
		r = tables_put(fd, &to);
	} while (r == 0 && (to.gone || to.lost) && ++tries < TRIES);
	return r == 0 && tries == TRIES ? -EAGAIN : r;
}

bool gate_tables_gone(int fd)
{
	struct heard to = { 0 };

	hear(fd, &to);
	return to.gone || to.lost;
}

int gate_tables_remove(void)
{
	EX_AUTO_CLOSE int fd = gate_tables_open();

	for (size_t i = 0; i < EX_ARRAY_SIZE(families) && fd >= 0; i++) {
		struct heard to = { 0 };
		struct batch b;
		int r;

		begin(&b);
		table(&b, NFT_MSG_DELTABLE, families[i]);
		r = transact(fd, &b, &to);
		if (r == -EPERM || r == -ENOMEM)
			return r;
	}
	return 0;
}
