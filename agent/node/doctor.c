/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "agent/control/client.h"
#include "agent/core/rtnl.h"
#include "agent/node/config.h"
#include "agent/node/doctor.h"

#define STATUS_MS 2000

struct check {
	const char *name;
	bool required;
	int (*fn)(const struct ex_node_config *c); /* 0 or negative errno */
	const char *without, *remedy;
};

static int check_bpffs(const struct ex_node_config *c)
{
	struct statfs fs;

	if (statfs(c->bpffs, &fs) < 0)
		return -errno;
	return fs.f_type == BPF_FS_MAGIC ? 0 : -ENODEV;
}

/* There, or its parent is one in which it can be made. */
static int check_state_dir(const struct ex_node_config *c)
{
	char parent[PATH_MAX], *slash;

	if (access(c->state_dir, W_OK) == 0)
		return 0;
	snprintf(parent, sizeof(parent), "%s", c->state_dir);
	slash = strrchr(parent, '/');
	if (errno != ENOENT || !slash || slash == parent)
		return -errno;
	*slash = '\0';
	return access(parent, W_OK) < 0 ? -errno : 0;
}

static int check_policy_dirs(const struct ex_node_config *c)
{
	for (size_t i = 0; i < c->n_policy_dirs; i++)
		if (access(c->policy_dirs[i], R_OK | X_OK) < 0)
			return -errno;
	return 0;
}

static int check_secrets(const struct ex_node_config *c)
{
	return !c->secrets_dir || access(c->secrets_dir, R_OK | X_OK) == 0 ? 0 : -errno;
}

static int check_group(const struct ex_node_config *c)
{
	return !c->socket_group || getgrnam(c->socket_group) ? 0 : -ENOENT;
}

static int is_on(const char *path)
{
	EX_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	char on = '0';

	if (fd < 0 || read(fd, &on, 1) != 1)
		return -errno;
	return on == '0' ? -ENODATA : 0;
}

static int check_forward4(const struct ex_node_config *c)
{
	(void)c;
	return is_on("/proc/sys/net/ipv4/ip_forward");
}

static int check_forward6(const struct ex_node_config *c)
{
	(void)c;
	return is_on("/proc/sys/net/ipv6/conf/all/forwarding");
}

static int check_plugin(const struct ex_node_config *c)
{
	static const char *const places[] = { "/opt/cni/bin/exeat-cni", "/usr/lib/cni/exeat-cni",
					      "/usr/local/lib/cni/exeat-cni",
					      "/usr/libexec/cni/exeat-cni" };

	(void)c;
	for (size_t i = 0; i < EX_ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return 0;
	return -ENOENT;
}

static int check_agent(const struct ex_node_config *c)
{
	struct ex_control_error err;

	return ex_control_call(c->socket, EX_SPAN("{\"op\":\"status\"}"), STATUS_MS, NULL, &err);
}

/* Of one endpoint, as its gateway was made for it, and as it is now. */
static int check_mtu_of(int rtnl, const struct ex_jv *link)
{
	int64_t ifindex, mtu;
	struct ex_iface now;

	if (!ex_jv_integer(link, "ifindex", 1, INT32_MAX, &ifindex) ||
	    !ex_jv_integer(link, "mtu", 0, INT32_MAX, &mtu))
		return -EBADMSG;
	if (ex_rtnl_link_get(rtnl, (uint32_t)ifindex, NULL, &now) < 0)
		return 0; /* gone since */
	return now.mtu < (uint32_t)mtu ? -EMSGSIZE : 0;
}

/* An agent that is not there is another check's. */
static int check_mtu(const struct ex_node_config *c)
{
	EX_AUTO_CLOSE int rtnl = ex_rtnl_open();
	struct ex_control_error err = { 0 };
	struct ex_jv *answer = NULL;
	const struct ex_jv *list;
	int r = rtnl < 0 ? rtnl : 0;

	if (r < 0 || ex_control_call(c->socket, EX_SPAN("{\"op\":\"endpoint.list\"}"), STATUS_MS,
				     &answer, &err) < 0)
		return r;
	list = ex_jv_get(ex_jv_get(answer, "result"), "endpoints");
	for (size_t i = 0; i < ex_jv_count(list) && r == 0; i++)
		r = check_mtu_of(rtnl, ex_jv_get(ex_jv_at(list, i), "link"));
	ex_jv_free(answer);
	return r;
}

static const struct check checks[] = {
	{ "a bpf file system for the agent", true, check_bpffs,
	  "what is in force would not outlive the agent: it does not start",
	  "mount -t bpf bpf /sys/fs/bpf, or --bpffs DIR of another mount" },
	{ "a place for the agent's state", true, check_state_dir,
	  "endpoints could not be taken up again: the agent does not start",
	  "run as root; see stateDir in exeat-agent(8)" },
	{ "the policy directories", false, check_policy_dirs,
	  "nobody is let in until they are there; an empty one will do",
	  "mkdir -p /etc/exeat/policies, or --policy-dir DIR" },
	{ "the folder of secrets", false, check_secrets,
	  "no policy is put in force until it is there", "mkdir it, or --secrets-dir DIR" },
	{ "the group of the control socket", false, check_group, "only root may speak to the agent",
	  "groupadd --system exeat, or systemd-sysusers with examples/systemd/exeat-sysusers.conf" },
	{ "IPv4 forwarding", false, check_forward4,
	  "pods reach nothing beyond their bridge over IPv4", "sysctl -w net.ipv4.ip_forward=1" },
	{ "IPv6 forwarding", false, check_forward6,
	  "pods reach nothing beyond their bridge over IPv6",
	  "sysctl -w net.ipv6.conf.all.forwarding=1" },
	{ "the CNI plugin", false, check_plugin, "pods are gated by `exeat endpoint add` only",
	  "make install, or exeat-cni install; see exeat-cni(8)" },
	{ "the agent answers", false, check_agent,
	  "what needs the proxy is refused, and no pod can be added",
	  "systemctl start exeat-agent, or exeat agent" },
	{ "the MTU of the pods' links", false, check_mtu,
	  "large packets of a proxy are lost on the link of a pod whose MTU was lowered",
	  "exeat endpoint remove and add, or start the pod again: a gateway takes the MTU it finds" },
};

static bool check_print(const struct check *check, const struct ex_node_config *c)
{
	int r = check->fn(c);

	if (r == 0) {
		printf("  ok       %s\n", check->name);
		return true;
	}
	printf("  %-8s %s: %s\n           missing then: %s\n           remedy: %s\n",
	       check->required ? "MISSING" : "absent", check->name,
	       r == -ENODATA ? "off" : strerror(-r), check->without, check->remedy);
	return !check->required;
}

int ex_node_doctor(int argc, char **argv)
{
	struct ex_node_config c;
	bool well = true;
	int r = ex_node_config_load(&c, argc, argv);

	if (r)
		return r < 0 ? 2 : 0;
	for (size_t i = 0; i < EX_ARRAY_SIZE(checks); i++)
		well &= check_print(&checks[i], &c);
	puts(well ? "The node agent can run here." : "The node agent cannot run here yet.");
	ex_node_config_done(&c);
	return well ? 0 : 1;
}
