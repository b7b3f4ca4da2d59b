/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "agent/core/caps.h"

static bool is_kept(const cap_value_t *keep, int n, cap_value_t cap)
{
	for (int i = 0; i < n; i++)
		if (keep[i] == cap)
			return true;
	return false;
}

int ex_caps_bound(const cap_value_t *keep, int n)
{
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++)
		if (!is_kept(keep, n, cap) && cap_get_bound(cap) > 0 && cap_drop_bound(cap) < 0)
			return -errno;
	return 0;
}

int ex_caps_keep(const cap_value_t *keep, int n)
{
	cap_t caps = cap_init();
	int r = 0;

	if (!caps)
		return -ENOMEM;
	if (n && (cap_set_flag(caps, CAP_PERMITTED, n, keep, CAP_SET) < 0 ||
		  cap_set_flag(caps, CAP_EFFECTIVE, n, keep, CAP_SET) < 0))
		r = -errno;
	if (r == 0 && cap_set_proc(caps) < 0)
		r = -errno;
	cap_free(caps);
	if (r == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		r = -errno;
	return r;
}

bool ex_caps_share_terminal(void)
{
	return isatty(STDIN_FILENO) || isatty(STDOUT_FILENO) || isatty(STDERR_FILENO);
}

#define PARENT_UID_BASE (EX_OWN_IDS + 0x2000000) /* one each, by its pid */

int ex_caps_be_nobodys(void)
{
	uid_t own = PARENT_UID_BASE + (uid_t)getpid();

	return setresuid(own, 0, own) < 0 ? -errno : 0;
}

int ex_caps_allow_memory(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				 SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

	return r < 0 ? r
		     : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
					SCMP_A2_32(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}
