/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "agent/core/caps.h"
#include "agent/core/log.h"
#include "agent/run/confine.h"

/* ---- identity ---- */

static bool parse_id(const char *text, uint64_t *ret)
{
	return text && ex_number_parse(text, 0, (uid_t)-1 - 1, ret);
}

static int identity_from_passwd(const struct passwd *pw, struct ex_identity *ret)
{
	*ret = (struct ex_identity){ .uid = pw->pw_uid,
				     .gid = pw->pw_gid,
				     .n_groups = EX_GROUPS_MAX };
	if (getgrouplist(pw->pw_name, pw->pw_gid, ret->groups, &ret->n_groups) < 0)
		ret->n_groups = EX_GROUPS_MAX; /* the first so many */
	ret->name = strdup(pw->pw_name);
	ret->home = strdup(pw->pw_dir);
	if (ret->name && ret->home)
		return 0;
	ex_identity_done(ret);
	return -ENOMEM;
}

static int identity_of_caller(struct ex_identity *ret)
{
	*ret = (struct ex_identity){ .uid = getuid(), .gid = getgid() };
	ret->n_groups = getgroups(EX_GROUPS_MAX, ret->groups);
	return ret->n_groups < 0 ? -errno : 0;
}

/* A number without an entry in the user database: that number and no other group. */
static int identity_from_number(uint64_t uid, const char *gid_text, struct ex_identity *ret)
{
	struct passwd *pw = getpwuid((uid_t)uid);
	uint64_t gid = uid;

	if (pw)
		return identity_from_passwd(pw, ret);
	(void)parse_id(gid_text, &gid);
	*ret = (struct ex_identity){ .uid = (uid_t)uid, .gid = (gid_t)gid };
	return 0;
}

int ex_identity_find(const char *user, struct ex_identity *ret)
{
	struct passwd *pw;
	uint64_t uid;

	if (user) {
		pw = getpwnam(user);
		if (pw)
			return identity_from_passwd(pw, ret);
		if (parse_id(user, &uid))
			return identity_from_number(uid, NULL, ret);
		ex_error("--user %s: no such user", user);
		return -ENOENT;
	}
	if (getuid() != 0 || !getenv("SUDO_UID"))
		return identity_of_caller(ret);
	if (!parse_id(getenv("SUDO_UID"), &uid)) {
		ex_error("SUDO_UID is not a number; name the user with --user");
		return -EINVAL;
	}
	if (uid == 0)
		return identity_of_caller(ret);
	return identity_from_number(uid, getenv("SUDO_GID"), ret);
}

void ex_identity_done(struct ex_identity *id)
{
	free(id->name);
	free(id->home);
	id->name = id->home = NULL;
}

/* ---- capabilities ---- */

/*
 * What root in a confined command keeps. The network ones act on its own namespace only; setns(2)
 * and mount(2) need CAP_SYS_ADMIN, which is not here, and neither is anything that reaches other
 * processes, the kernel or devices.
 */
static const cap_value_t root_keeps[] = {
	CAP_NET_BIND_SERVICE, CAP_NET_RAW, CAP_NET_ADMIN, CAP_CHOWN,  CAP_DAC_OVERRIDE,
	CAP_FOWNER,           CAP_FSETID,  CAP_KILL,      CAP_SETGID, CAP_SETUID,
};

/*
 * A program whose file has a capability that is not in the bounding set cannot be executed (ping,
 * a node that may bind port 80). It gets none, as there are no new privileges.
 */
#define NETWORK_CAPS 3 /* of root_keeps, the first */

/* ---- system calls ---- */

#ifndef IPPROTO_SMC
#define IPPROTO_SMC 256 /* AF_SMC by another name, since 6.11 */
#endif

static bool family_allowed(unsigned family)
{
	switch (family) {
	case AF_UNIX:
	case AF_INET:
	case AF_INET6:
	case AF_NETLINK:
	case AF_PACKET:
		return true;
	}
	return false;
}

/*
 * Families that network namespaces do not contain (vsock, Bluetooth, RDMA, ...) are not to be had.
 * io_uring opens sockets without a system call a filter could see.
 */
static int filter_sockets(scmp_filter_ctx ctx)
{
	static const unsigned internet[] = { AF_INET, AF_INET6 };
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);

	for (unsigned family = 0; family < AF_MAX && r == 0; family++)
		if (!family_allowed(family))
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
					     SCMP_A0_32(SCMP_CMP_EQ, family));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				     SCMP_A0_32(SCMP_CMP_GE, AF_MAX));
	for (size_t i = 0; i < EX_ARRAY_SIZE(internet) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 2,
				     SCMP_A0_32(SCMP_CMP_EQ, internet[i]),
				     SCMP_A2_32(SCMP_CMP_EQ, IPPROTO_SMC));
	return r;
}

/*
 * Keys are the kernel's, not a namespace's, and to ask for one that is not there starts a program
 * outside of the run: dns_resolver's asks the host's resolver for any name.
 */
static int filter_keys(scmp_filter_ctx ctx)
{
	static const int calls[] = { SCMP_SYS(request_key), SCMP_SYS(add_key), SCMP_SYS(keyctl) };
	int r = 0;

	for (size_t i = 0; i < EX_ARRAY_SIZE(calls) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), calls[i], 0);
	return r;
}

/*
 * Of the terminal it shares with the caller: typing what the caller's shell reads, and signals by
 * its descriptor. Those go to whatever group is in front there, from root to exeat itself.
 */
static int filter_terminal(scmp_filter_ctx ctx)
{
	static const unsigned refused[] = { TIOCSTI, TIOCLINUX, FIOASYNC };
	int r = 0;

	/* of 64 bits, of which the kernel takes 32 */
	for (size_t i = 0; i < EX_ARRAY_SIZE(refused) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
				     SCMP_A1_64(SCMP_CMP_MASKED_EQ, UINT32_MAX, refused[i]));
	return r < 0 ? r
		     : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 2,
					SCMP_A1_64(SCMP_CMP_MASKED_EQ, UINT32_MAX, F_SETFL),
					SCMP_A2_64(SCMP_CMP_MASKED_EQ, O_ASYNC, O_ASYNC));
}

static int filter_calls(scmp_filter_ctx ctx)
{
	static const int refused[] = { SCMP_SYS(bpf), SCMP_SYS(setns), SCMP_SYS(kexec_load) };
	int r = 0;

	for (size_t i = 0; i < EX_ARRAY_SIZE(refused) && r == 0; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
	return r;
}

static int load_filter(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r;

	if (!ctx)
		return -ENOMEM;
	/* Another ABI's calls have other numbers: unfiltered, so not to be had. */
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
	if (r == 0)
		r = filter_sockets(ctx);
	if (r == 0)
		r = filter_keys(ctx);
	if (r == 0)
		r = filter_terminal(ctx);
	if (r == 0)
		r = filter_calls(ctx);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

int ex_confine_self(const struct ex_identity *id)
{
	int n = id->uid == 0 ? (int)EX_ARRAY_SIZE(root_keeps) : 0, r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = ex_caps_bound(root_keeps, n ? n : NETWORK_CAPS);
	if (r < 0)
		return r;
	if (setgroups((size_t)id->n_groups, id->groups) < 0 ||
	    setresgid(id->gid, id->gid, id->gid) < 0 || setresuid(id->uid, id->uid, id->uid) < 0)
		return -errno;
	r = ex_caps_keep(root_keeps, n);
	return r < 0 ? r : load_filter();
}
