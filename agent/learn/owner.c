/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/learn/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "agent/core/json.h"
#include "agent/core/loop.h"
#include "agent/core/netns.h"

#define LOOK_MS  20   /* at most, for one flow */
#define SHARE    20   /* one part in so many of the time is for looking: others are on this loop */
#define AHEAD_MS 1000 /* of which so much may be used before */
#define LINK_MAX 64
#define LIES_MAX 64 /* messages that are passed over for one answer */

struct ex_owners {
	int diag;          /* in the namespace */
	uint32_t seq;      /* of the last question */
	char ns[LINK_MAX]; /* "net:[4026532211]" */
	pid_t last;        /* who it was the last time */
	uint64_t paid;     /* ms; until then the time for looking is used up */
};

struct owner {
	pid_t pid;
	char program[EX_OWNER_NAME];
};

/* ---- the socket ---- */

struct question {
	struct nlmsghdr hdr;
	struct inet_diag_req_v2 req;
};

union answer {
	struct nlmsghdr hdr;
	char bytes[8192];
};

static void put_address(__be32 to[4], const struct ex_ip *ip, bool v6)
{
	if (v6)
		memcpy(to, ip->b, 16);
	else
		memcpy(to, ip->b + 12, 4);
}

static void write_question(struct question *q, uint32_t seq, const struct ex_event *ev, bool turned)
{
	const bool v6 = !ex_ip_is4(&ev->src);

	*q = (struct question){ .hdr = { .nlmsg_len = sizeof(*q),
					 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
					 .nlmsg_flags = NLM_F_REQUEST,
					 .nlmsg_seq = seq },
				.req = { .sdiag_family = v6 ? AF_INET6 : AF_INET,
					 .sdiag_protocol = ev->proto,
					 .idiag_states = UINT32_MAX } };
	q->req.id.idiag_sport = turned ? ev->dport : ev->sport;
	q->req.id.idiag_dport = turned ? ev->sport : ev->dport;
	put_address(q->req.id.idiag_src, turned ? &ev->dst : &ev->src, v6);
	put_address(q->req.id.idiag_dst, turned ? &ev->src : &ev->dst, v6);
	q->req.id.idiag_cookie[0] = q->req.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

/* It is there before send() is back; but whoever rules in the namespace can send here, too. */
static ssize_t receive(const struct ex_owners *o, union answer *ret)
{
	for (int i = 0; i < LIES_MAX; i++) {
		struct sockaddr_nl from = { 0 };
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(o->diag, ret, sizeof(*ret), MSG_DONTWAIT,
				     (struct sockaddr *)&from, &len);

		if (n < 0 || (from.nl_pid == 0 && ret->hdr.nlmsg_seq == o->seq))
			return n;
	}
	return -1;
}

/* 0: there is none. */
static uint32_t ask(struct ex_owners *o, const struct ex_event *ev, bool turned)
{
	struct question q;
	union answer a;
	ssize_t n;

	write_question(&q, ++o->seq, ev, turned);
	if (send(o->diag, &q, sizeof(q), MSG_DONTWAIT) < 0)
		return 0;
	n = receive(o, &a);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct inet_diag_msg)) ||
	    a.hdr.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	return ((const struct inet_diag_msg *)NLMSG_DATA(&a.hdr))->idiag_inode;
}

/* Of UDP sockets some kernels take the two ends the other way round. */
static uint32_t find_socket(struct ex_owners *o, const struct ex_event *ev)
{
	uint32_t inode = ask(o, ev, false);

	return inode || ev->proto != IPPROTO_UDP ? inode : ask(o, ev, true);
}

/* ---- its owner ---- */

static bool reads_as(int dir, const char *name, const char *wanted)
{
	char text[LINK_MAX];
	ssize_t n = readlinkat(dir, name, text, sizeof(text));

	return n > 0 && (size_t)n < sizeof(text) && (size_t)n == strlen(wanted) &&
	       memcmp(text, wanted, (size_t)n) == 0;
}

/* A process may have a million descriptors. */
static bool has_socket(int process, const char *socket, uint64_t until)
{
	int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *de;
	bool found = false;

	if (!dir) {
		ex_closep(&fd);
		return false;
	}
	while (!found && (de = readdir(dir)) && ex_clock_ms() < until)
		found = reads_as(fd, de->d_name, socket);
	closedir(dir);
	return found;
}

static bool is_owner(const struct ex_owners *o, const char *pid, const char *socket, uint64_t until)
{
	char path[32];
	EX_AUTO_CLOSE int process = -1;

	snprintf(path, sizeof(path), "/proc/%.16s", pid);
	process = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return process >= 0 && reads_as(process, "ns/net", o->ns) &&
	       has_socket(process, socket, until);
}

static bool scan(const struct ex_owners *o, const char *socket, uint64_t until, pid_t *ret)
{
	DIR *proc = opendir("/proc");
	const struct dirent *de;
	bool found = false;

	while (proc && !found && (de = readdir(proc)) && ex_clock_ms() < until) {
		if (de->d_name[0] < '1' || de->d_name[0] > '9')
			continue;
		found = is_owner(o, de->d_name, socket, until);
		if (found)
			*ret = (pid_t)strtol(de->d_name, NULL, 10);
	}
	if (proc)
		closedir(proc);
	return found;
}

/* Most flows are of whoever opened the one before. */
static bool find_owner(struct ex_owners *o, uint32_t inode, uint64_t until, pid_t *ret)
{
	char socket[LINK_MAX], last[16];

	snprintf(socket, sizeof(socket), "socket:[%u]", inode);
	snprintf(last, sizeof(last), "%d", (int)o->last);
	if (o->last && is_owner(o, last, socket, until))
		*ret = o->last;
	else if (!scan(o, socket, until, ret))
		*ret = 0;
	o->last = *ret;
	return *ret;
}

/* A workload chooses how much there is to look at. */
static bool may_look(const struct ex_owners *o, uint64_t now)
{
	return o->paid < now + AHEAD_MS;
}

static void pay(struct ex_owners *o, uint64_t begun)
{
	uint64_t now = ex_clock_ms();

	o->paid = (o->paid > now ? o->paid : now) + (now - begun) * SHARE;
}

/* The name of the file that it runs. */
static bool name_program(pid_t pid, char out[static EX_OWNER_NAME])
{
	char path[32], file[PATH_MAX];
	const char *base;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	n = readlink(path, file, sizeof(file) - 1);
	if (n <= 0)
		return false;
	file[n] = '\0';
	base = strrchr(file, '/');
	snprintf(out, EX_OWNER_NAME, "%.63s", base ? base + 1 : file);
	return out[0] != '\0';
}

/* ---- from outside ---- */

int ex_owners_new(int netns, struct ex_owners **ret)
{
	EX_AUTO_CLOSE int own = ex_netns_own();
	struct ex_owners *o = calloc(1, sizeof(*o));
	struct ex_netns_id id;
	int r = own < 0 ? own : o ? ex_netns_identify(netns, &id) : -ENOMEM;

	if (r == 0)
		r = ex_netns_go(netns);
	if (r < 0) {
		free(o);
		return r;
	}
	o->diag = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	r = o->diag < 0 ? -errno : 0;
	ex_netns_back(own);
	if (r < 0) {
		free(o);
		return r;
	}
	snprintf(o->ns, sizeof(o->ns), "net:[%llu]", (unsigned long long)id.ino);
	*ret = o;
	return 0;
}

void ex_owners_free(struct ex_owners *o)
{
	if (!o)
		return;
	close(o->diag);
	free(o);
}

static size_t write_line(const struct ex_event *ev, const struct owner *who,
			 char out[static EX_OWNER_LINE_MAX])
{
	char ip[EX_IP_TEXT];
	struct ex_json j;

	ex_json_init(&j, out, EX_OWNER_LINE_MAX - 1);
	ex_json_open(&j, NULL, '{');
	ex_json_text(&j, "type", "program");
	ex_json_text(&j, "proto", ev->proto == IPPROTO_TCP ? "tcp" : "udp");
	ex_json_text(&j, "src", ex_ip_text(&ev->src, ip));
	ex_json_number(&j, "sport", ntohs(ev->sport));
	ex_json_text(&j, "program", who->program);
	ex_json_number(&j, "pid", (uint64_t)who->pid);
	ex_json_close(&j, '}');
	return ex_json_done(&j) < 0 ? 0 : j.len;
}

size_t ex_owners_line(struct ex_owners *o, const struct ex_event *ev,
		      char out[static EX_OWNER_LINE_MAX])
{
	uint64_t now = ex_clock_ms();
	struct owner who;
	uint32_t inode;
	bool found;

	if (ev->type != EX_EV_NEW || ev->direction != EX_DIR_EGRESS ||
	    (ev->proto != IPPROTO_TCP && ev->proto != IPPROTO_UDP) || !may_look(o, now))
		return 0;
	inode = find_socket(o, ev);
	found = inode && find_owner(o, inode, now + LOOK_MS, &who.pid);
	pay(o, now);
	return found && name_program(who.pid, who.program) ? write_line(ev, &who, out) : 0;
}
