/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that no policy can open. The first group never is a destination on a wire, and a proxy
 * that dialled it would reach its own host. The second is where clouds hand out credentials; the
 * embedded forms of the IPv4 ones need no lines of their own, they are judged as IPv4.
 */
#include "policy/model.h"

const struct ex_reserved ex_reserved_prefixes[] = {
	{ "0.0.0.0/8", false, "this host" },
	{ "127.0.0.0/8", false, "loopback" },
	{ "224.0.0.0/4", false, "multicast" },
	{ "240.0.0.0/4", false, "reserved, broadcast" },
	{ "::/128", false, "unspecified" },
	{ "::1/128", false, "loopback" },
	{ "64:ff9b:1::/48", false, "local-use NAT64: may hide any IPv4 address" },
	{ "2001::/32", false, "Teredo: hides an IPv4 address" },
	{ "ff00::/8", false, "multicast" },

	{ "169.254.0.0/16", true, "link-local: metadata of nearly every cloud" },
	{ "fe80::/10", true, "link-local" },
	{ "fd00:ec2::/32", true, "AWS: metadata, credentials, resolver, time" },
	{ "fd20:ce::254/128", true, "Google Cloud metadata" },
	{ "168.63.129.16/32", true, "Azure WireServer" },
	{ "192.0.0.192/32", true, "Oracle Cloud Classic metadata" },
	{ "fd00:c1::a9fe:a9fe/128", true, "Oracle Cloud metadata" },
	{ "100.100.100.200/32", true, "Alibaba Cloud metadata" },
	{ "100.100.2.136/32", true, "Alibaba Cloud resolver" },
	{ "100.100.2.138/32", true, "Alibaba Cloud resolver" },
	{ "fd00:42::42/128", true, "Scaleway metadata" },
	{ "fd00:a9fe:a9fe::1/128", true, "Akamai (Linode) metadata" },
	{ "fdaa::/16", true, "Fly.io machines API and private network" },
};
const size_t ex_n_reserved_prefixes = EX_ARRAY_SIZE(ex_reserved_prefixes);

bool ex_name_is_metadata(struct ex_span name)
{
	static const struct ex_span names[] = {
		EX_SPAN("metadata.google.internal"),
		EX_SPAN("metadata.goog"),
		EX_SPAN("metadata"),
		EX_SPAN("instance-data"),
		EX_SPAN("instance-data.ec2.internal"),
		EX_SPAN("api.metadata.cloud.ibm.com"),
		EX_SPAN("metadata.tencentyun.com"),
		EX_SPAN("metadata.exoscale.com"),
		EX_SPAN("metadata.platformequinix.com"),
		EX_SPAN("metadata.packet.net"),
		EX_SPAN("rancher-metadata"),
		EX_SPAN("_api.internal"),
	};

	for (size_t i = 0; i < EX_ARRAY_SIZE(names); i++) {
		if (ex_span_eq(name, names[i]))
			return true;
	}
	return false;
}
