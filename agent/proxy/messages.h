/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between the privileged parent and the unprivileged proxy, over a SOCK_SEQPACKET
 * socketpair. The proxy asks, the parent validates every field and answers; the parent trusts no
 * byte of a message. A message is exactly as long as its structure, or as the counted part of it.
 * Audit records do not go this way, but through a ring (ring.h): RECORDS only says that there are
 * some.
 *
 * From the proxy: READY, DIAL, LEARN, EXTEND, MINT, SIGN, UDP, RECORDS; SWAPPED answers RULESET.
 *
 * From the parent: DIALLED and UDP_READY (they carry a descriptor), LEARNED, EXTENDED, MINTED,
 * SIGNED; unasked RULESET (carries one too), KNOWN, EXTEND, FORGOTTEN and SERVERS.
 */
#ifndef EXEAT_AGENT_PROXY_MESSAGES_H
#define EXEAT_AGENT_PROXY_MESSAGES_H

#include "agent/core/ipc.h"
#include "agent/dns/resolver.h"
#include "agent/tls/ca.h"
#include "agent/tls/sign.h"
#include "exeat/util.h"

#define EX_IPC_NAME_MAX  253
#define EX_IPC_ADDRS_MAX 64
/* Requests of one kind the proxy may have waiting, so that the answers always fit the socket. */
#define EX_IPC_WAITING_MAX 32

enum ex_ipc_type {
	EX_IPC_INVALID = 0,
	EX_IPC_READY, /* the proxy is confined and accepts */
	EX_IPC_DIAL,  /* a socket of the outer namespace, connecting to an allowed address */
	EX_IPC_DIALLED,
	EX_IPC_FORGOTTEN, /* names that had to make room: they are not known any more */
	EX_IPC_LEARN,     /* addresses a DNS answer gave for an allowed name */
	EX_IPC_LEARNED,   /* they are in the kernel gate */
	EX_IPC_MINT,      /* a leaf certificate for a name */
	EX_IPC_MINTED,
	EX_IPC_UDP, /* a socket of the gateway namespace that speaks as dst to src */
	EX_IPC_UDP_READY,
	EX_IPC_RECORDS, /* look into the ring; only the head */
	EX_IPC_RULESET, /* another policy, as a bundle (proxy/bundle.h) */
	EX_IPC_SWAPPED, /* it is in force, and open connections were judged by it */
	EX_IPC_KNOWN,   /* as LEARN: what is known already, by another worker or from before */
	EX_IPC_SIGN,    /* by the key of a client certificate, in a handshake with a server */
	EX_IPC_SIGNED,
	EX_IPC_EXTEND, /* names that are known already, for longer; unasked: by another worker */
	EX_IPC_EXTENDED,
	EX_IPC_SERVERS, /* other resolvers for the names that no suffix is for */
};

struct ex_ipc_head {
	uint32_t type; /* enum ex_ipc_type */
	uint32_t id;   /* of the request; the answer repeats it */
};

struct ex_ipc_name {
	uint16_t len;
	char text[EX_IPC_NAME_MAX + 1]; /* canonical */
};

struct ex_ipc_ready {
	struct ex_ipc_head head;
	uint32_t spki_len;
	uint8_t spki[EX_SPKI_MAX]; /* public half of the proxy's leaf key */
};

struct ex_ipc_dial {
	struct ex_ipc_head head;
	struct ex_ip dst;
	uint16_t port;  /* host order */
	uint8_t proto;  /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t speaks; /* 1: the proxy has something to say at once */
	uint32_t scope; /* interface of a link-local resolver, else 0 */
};

struct ex_ipc_learn { /* LEARN, KNOWN: only n_addrs of the addresses are sent */
	struct ex_ipc_head head;
	uint32_t ttl; /* seconds */
	uint32_t n_addrs;
	struct ex_ipc_name name;
	struct ex_ip addrs[EX_IPC_ADDRS_MAX];
};

#define EX_IPC_FORGOTTEN_MAX 128

struct ex_ipc_forgotten { /* head.id: how many there are; only these are sent */
	struct ex_ipc_head head;
	struct {
		struct ex_ip ip;
		uint64_t hash; /* by the key of the tables */
	} v[EX_IPC_FORGOTTEN_MAX];
};

#define EX_IPC_EXTEND_MAX 64

struct ex_ipc_extend { /* only n are sent */
	struct ex_ipc_head head;
	uint32_t n, pad;
	struct {
		struct ex_ip ip;
		uint64_t hash; /* by the key of the tables */
		uint32_t ttl;  /* seconds from now */
		uint32_t pad;
	} v[EX_IPC_EXTEND_MAX];
};

struct ex_ipc_extended {
	struct ex_ipc_head head;
	uint64_t which; /* bit i: v[i] was extended; else it is not known any more */
};

struct ex_ipc_servers {
	struct ex_ipc_head head;
	uint32_t n;
	struct {
		struct ex_ip ip;
		uint32_t scope;
		uint16_t port; /* host order */
	} v[EX_RESOLVER_SERVERS];
};

struct ex_ipc_mint {
	struct ex_ipc_head head;
	struct ex_ipc_name name;
	uint32_t spki_len; /* 0: over the key that READY told */
	uint8_t spki[EX_SPKI_MAX];
};

struct ex_ipc_minted {
	struct ex_ipc_head head;
	int32_t err; /* 0 or negative errno */
	uint32_t len;
	uint8_t der[EX_LEAF_MAX];
};

struct ex_ipc_sign {
	struct ex_ipc_head head;
	struct ex_sign_request req;
};

struct ex_ipc_signed {
	struct ex_ipc_head head;
	int32_t err; /* 0 or negative errno */
	uint32_t len;
	uint8_t sig[EX_SIGN_MAX];
};

struct ex_ipc_udp {
	struct ex_ipc_head head;
	struct ex_ip src, dst; /* the workload's address; the address it sent to */
	uint16_t sport, dport; /* host order, not 0 */
};

struct ex_ipc_done { /* DIALLED, LEARNED, UDP_READY, SWAPPED; RULESET without err */
	struct ex_ipc_head head;
	int32_t err; /* 0 or negative errno */
};

union ex_ipc_message {
	struct ex_ipc_head head;
	struct ex_ipc_ready ready;
	struct ex_ipc_dial dial;
	struct ex_ipc_learn learn;
	struct ex_ipc_forgotten forgotten;
	struct ex_ipc_extend extend;
	struct ex_ipc_extended extended;
	struct ex_ipc_servers servers;
	struct ex_ipc_mint mint;
	struct ex_ipc_minted minted;
	struct ex_ipc_sign sign;
	struct ex_ipc_signed signature;
	struct ex_ipc_udp udp;
	struct ex_ipc_done done;
};

/* The size this message must have; 0 = no such type. */
size_t ex_ipc_size(const struct ex_ipc_head *head);

/* As ex_ipc_take(). -EBADMSG = its length is not that of its type. */
ssize_t ex_ipc_receive(int fd, union ex_ipc_message *ret, int *ret_fd);

/*
 * Takes the descriptor that an answer of this type is to bring: *fd, or a negative errno that says
 * why there is none.
 */
EX_MUST_CHECK int ex_ipc_passed(const union ex_ipc_message *answer, uint32_t type, int *fd);

bool ex_ipc_name_set(struct ex_ipc_name *n, struct ex_span name);

/* The name, when it is a canonical host name by form; else len 0. */
struct ex_span ex_ipc_name_get(const struct ex_ipc_name *n);

#endif
