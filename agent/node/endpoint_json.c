/* SPDX-License-Identifier: Apache-2.0 */
/* An endpoint as JSON, there and back: its state file, and answers about it. */
#include <errno.h>

#include "agent/core/ether.h"
#include "agent/node/endpoint.h"
#include "policy/yaml.h"

static void write_ip(struct ex_json *j, const char *key, const struct ex_ip *ip)
{
	char text[EX_IP_TEXT];

	if (!ex_ip_is_none(ip))
		ex_json_text(j, key, ex_ip_text(ip, text));
}

static void write_mac(struct ex_json *j, const char *key, const uint8_t mac[static 6])
{
	char text[EX_ETHER_TEXT];

	ex_json_text(j, key, ex_ether_text(mac, text));
}

static void write_labels(const struct ex_node_endpoint *e, struct ex_json *j)
{
	ex_json_open(j, "labels", '{');
	for (size_t i = 0; i < e->n_labels; i++)
		ex_json_text(j, e->labels[i].key, e->labels[i].value);
	ex_json_close(j, '}');
}

static void write_addresses(const struct ex_node_endpoint *e, struct ex_json *j)
{
	ex_json_open(j, "addresses", '[');
	write_ip(j, NULL, &e->link.ip4);
	write_ip(j, NULL, &e->link.ip6);
	for (size_t i = 0; i < EX_EP_MORE; i++)
		write_ip(j, NULL, &e->link.more[i]);
	ex_json_close(j, ']');
}

static void write_link(const struct ex_node_link *l, struct ex_json *j)
{
	ex_json_open(j, "link", '{');
	ex_json_number(j, "ifindex", l->ifindex);
	ex_json_number(j, "mtu", l->mtu);
	write_mac(j, "host_mac", l->host_mac);
	write_mac(j, "mac", l->mac);
	write_mac(j, "gw_mac", l->gw_mac);
	write_ip(j, "ip4", &l->ip4);
	write_ip(j, "ip6", &l->ip6);
	ex_json_open(j, "more", '[');
	for (size_t i = 0; i < EX_EP_MORE; i++)
		write_ip(j, NULL, &l->more[i]);
	ex_json_close(j, ']');
	write_ip(j, "ll6", &l->ll6);
	write_ip(j, "gw4", &l->gw4);
	write_ip(j, "gw6", &l->gw6);
	ex_json_bool(j, "bridged", l->bridged);
	ex_json_close(j, '}');
}

void ex_node_endpoint_write(const struct ex_node_endpoint *e, struct ex_json *j)
{
	char text[EX_SERVE_TEXT];

	ex_json_number(j, "id", e->id);
	ex_json_text(j, "name", e->name);
	ex_json_text(j, "namespace", e->ns);
	write_labels(e, j);
	write_addresses(e, j);
	ex_json_text(j, "container_id", e->container);
	ex_json_text(j, "netns", e->netns);
	ex_json_text(j, "interface", e->interface);
	write_link(&e->link, j);
	ex_json_open(j, "serve", '[');
	for (size_t i = 0; i < e->n_serve; i++)
		ex_json_text(j, NULL, ex_serve_text(&e->serve[i], text));
	ex_json_close(j, ']');
	ex_json_open(j, "dns", '[');
	for (size_t i = 0; i < e->n_dns; i++)
		write_ip(j, NULL, &e->dns[i]);
	ex_json_close(j, ']');
	ex_json_bool(j, "own_dns", e->own_dns);
	ex_json_bool(j, "confined", e->confined);
}

void ex_node_endpoint_write_peer(const struct ex_node_endpoint *e, struct ex_json *j)
{
	ex_json_open(j, NULL, '{');
	ex_json_text(j, "name", e->name);
	ex_json_text(j, "namespace", e->ns);
	write_labels(e, j);
	write_addresses(e, j);
	ex_json_close(j, '}');
}

bool ex_node_endpoint_has_room(const struct ex_node_endpoint *e)
{
	char text[EX_NODE_PEER_MAX - (EX_EP_MORE + 2) * (EX_IP_TEXT + 3)];
	struct ex_json j;

	_Static_assert((EX_NODE_PEER_MAX + 64) * EX_ENDPOINTS_MAX <= EX_YAML_SIZE_MAX,
		       "all of them are read as one file");
	ex_json_init(&j, text, sizeof(text));
	ex_node_endpoint_write_peer(e, &j);
	return ex_json_done(&j) > 0;
}

/* ---- back ---- */

static bool read_ip(const struct ex_jv *from, const char *key, struct ex_ip *ret)
{
	const char *text = ex_jv_string(from, key);

	return text ? ex_ip_parse(text, ret) : !ex_jv_get(from, key);
}

static bool read_mac(const struct ex_jv *from, const char *key, uint8_t ret[static 6])
{
	const char *text = ex_jv_string(from, key);

	return text && ex_ether_parse(text, ret);
}

static bool read_more(const struct ex_jv *list, struct ex_node_link *l)
{
	for (size_t i = 0; i < ex_jv_count(list); i++) {
		const char *text = ex_jv_text(ex_jv_at(list, i));

		if (i == EX_EP_MORE || !text || !ex_ip_parse(text, &l->more[i]))
			return false;
	}
	return true;
}

static bool read_link(const struct ex_jv *from, struct ex_node_link *l)
{
	int64_t ifindex, mtu;

	if (!ex_jv_integer(from, "ifindex", 1, INT32_MAX, &ifindex) ||
	    !ex_jv_integer(from, "mtu", 0, INT32_MAX, &mtu) ||
	    !read_more(ex_jv_get(from, "more"), l) || !read_ip(from, "ll6", &l->ll6))
		return false;
	l->ifindex = (uint32_t)ifindex;
	l->mtu = (uint32_t)mtu;
	l->bridged = ex_jv_bool(from, "bridged", false);
	return read_mac(from, "host_mac", l->host_mac) && read_mac(from, "mac", l->mac) &&
	       read_mac(from, "gw_mac", l->gw_mac) && read_ip(from, "ip4", &l->ip4) &&
	       read_ip(from, "ip6", &l->ip6) && read_ip(from, "gw4", &l->gw4) &&
	       read_ip(from, "gw6", &l->gw6);
}

int ex_node_endpoint_recover(struct ex_node_endpoint *e, const struct ex_jv *from,
			     char err[static EX_NODE_ERR])
{
	int64_t id;
	int r = ex_node_endpoint_read(e, from, err);

	if (r < 0)
		return r;
	if (!ex_jv_integer(from, "id", 1, INT32_MAX, &id) ||
	    !read_link(ex_jv_get(from, "link"), &e->link))
		return ex_node_fail(err, -EINVAL, "id or link are missing or not well-formed");
	e->id = (uint32_t)id;
	e->own_dns = ex_jv_bool(from, "own_dns", e->own_dns);
	e->confined = ex_jv_bool(from, "confined", true);
	r = ex_node_endpoint_keep(e, ex_jv_word(from, "netns"), &e->netns);
	return r < 0 ? r : ex_node_endpoint_keep(e, ex_jv_word(from, "interface"), &e->interface);
}
