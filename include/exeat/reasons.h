/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one list of reasons. The kernel counter, the flow event, the audit record, the HTTP body and
 * the docs all use the same word. A number, once released, is never reused: it is ABI (counters are
 * indexed by it).
 *
 * X(number, SYMBOL, "word", "what a person reads")
 */
#ifndef EXEAT_REASONS_H
#define EXEAT_REASONS_H

#define EX_REASONS(X)                                                                              \
	/* zeroed memory: deny */                                                                  \
	X(0, UNSPEC, "unspecified", "no verdict was reached; this is a bug in exeat")              \
	X(1, ALLOWED, "allowed", "a rule allows it")                                               \
	/* policy, both gates */                                                                   \
	X(2, DEFAULT_DENY, "default-deny", "no rule allows this address, port and protocol")       \
	X(3, POLICY_DENY, "policy-deny", "a deny rule denies it")                                  \
	X(4, RESERVED_DENY, "reserved-deny", "metadata and own-host addresses are always denied")  \
	/* kernel gate: parsing */                                                                 \
	X(10, MALFORMED, "malformed-packet", "headers are short, lying or contradictory")          \
	X(11, ETHERTYPE, "unknown-ethertype", "neither IPv4, IPv6, ARP nor neighbour discovery")   \
	X(12, VLAN, "vlan-tag", "tagged frames are not accepted from a workload")                  \
	X(13, IP_OPTIONS, "ip-options", "IPv4 options are not accepted")                           \
	X(14, FRAGMENT, "fragment", "IP fragments are not accepted here")                          \
	X(15, EXT_HEADER, "extension-header", "this IPv6 extension header is not accepted")        \
	X(16, SOURCE_ADDRESS, "source-address", "the source is not the workload's own address")    \
	X(17, SOURCE_MAC, "source-mac", "the source MAC is not the workload's own")                \
	X(18, MARTIAN, "martian", "an address that must not appear on the wire")                   \
	X(19, NEIGHBOUR, "neighbour", "ARP or neighbour discovery beyond the next hop")            \
	X(20, TCP_FLAGS, "tcp-flags", "a TCP flag combination that opens or ends nothing")         \
	/* kernel gate: state */                                                                   \
	X(30, NO_ENDPOINT, "no-endpoint", "the interface has no policy")                           \
	X(31, NO_FLOW, "no-flow", "not part of a flow that was allowed")                           \
	X(32, NO_PROXY, "no-proxy", "the rule needs the proxy and the proxy is not there")         \
	X(33, TABLE_FULL, "table-full", "the flow table is full")                                  \
	X(34, UNSUPPORTED, "unsupported", "allowed, but this mode cannot carry the protocol")      \
	X(35, INTERNAL, "internal-error", "exeat could not finish its work; denied")               \
	X(36, POLICY_CHANGED, "policy-changed", "a new policy no longer allows this live flow")    \
	X(37, FLOW_COLLISION, "flow-collision", "another live flow has these addresses and ports") \
	X(38, GATEWAY, "gateway", "a gateway's packet that belongs to no flow of its workload")    \
	X(39, GROUP_REPORT, "group-report", "tells of multicast groups, which reach no workload")  \
	/* proxy: any stream */                                                                    \
	X(50, UNKNOWN_PROTOCOL, "unknown-protocol", "the rule needs HTTP or TLS; this is neither") \
	X(51, ADDRESS_NOT_OF_NAME, "address-not-of-name",                                          \
	  "the address was not learned from a DNS answer for that name")                           \
	X(52, LIMIT, "limit", "a per-workload limit was reached")                                  \
	X(53, TIMEOUT, "timeout", "the client did not finish in time")                             \
	X(54, UPSTREAM_UNREACHABLE, "upstream-unreachable", "the server could not be reached")     \
	X(55, UPSTREAM_TLS, "upstream-tls", "the server's certificate was not accepted")           \
	X(56, UPSTREAM_PROTOCOL, "upstream-protocol", "the server did not speak proper HTTP")      \
	/* proxy: TLS */                                                                           \
	X(60, TLS_MALFORMED, "tls-malformed", "the ClientHello is malformed or too large")         \
	X(61, SNI_MISSING, "sni-missing", "TLS without a server name; use the name, not the IP")   \
	X(62, SNI_INVALID, "sni-invalid", "the TLS server name is not a DNS host name")            \
	X(63, SNI_DENIED, "sni-denied", "no rule allows this TLS server name here")                \
	X(64, ECH, "encrypted-client-hello", "an encrypted ClientHello hides the server name")     \
	X(65, TLS_HANDSHAKE, "tls-handshake", "the client broke off the TLS handshake")            \
	/* proxy: HTTP */                                                                          \
	X(70, HTTP_MALFORMED, "http-malformed", "the request is malformed or ambiguous")           \
	X(71, HTTP_TOO_LARGE, "http-too-large", "the request head is larger than the limit")       \
	X(72, HTTP_DENIED, "http-denied", "no rule allows this method and path")                   \
	X(73, HOST_MISMATCH, "host-mismatch", "Host, server name and address do not agree")        \
	X(74, H2_UNSUPPORTED, "h2-unsupported", "HTTP/2 was not negotiated; use HTTP/1.1")         \
	X(75, UPGRADE_DENIED, "upgrade-denied", "protocol upgrades and CONNECT are not allowed")   \
	X(76, HOST_DENIED, "host-denied", "no rule allows this Host here")                         \
	/* proxy: DNS */                                                                           \
	X(90, DNS_MALFORMED, "dns-malformed", "not a DNS query exeat understands")                 \
	X(91, DNS_NAME_DENIED, "dns-name-denied", "no rule allows this name")                      \
	X(92, DNS_TYPE_DENIED, "dns-type-denied", "this record type is not answered")              \
	X(93, DNS_ANSWER_DENIED, "dns-answer-denied", "the answer points to a denied address")     \
	X(94, DNS_UPSTREAM, "dns-upstream", "the resolver failed or did not answer in time")

enum ex_reason {
#define X(num, sym, word, text) EX_R_##sym = num,
	EX_REASONS(X)
#undef X
		EX_R_MAX = 128, /* counters have this many slots */
};

#endif
