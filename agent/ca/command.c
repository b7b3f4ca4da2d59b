/* SPDX-License-Identifier: Apache-2.0 */
/* exeat ca: makes, shows and rotates a certificate authority that stays. */
#include "agent/ca/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "agent/ca/store.h"
#include "agent/core/log.h"

#define PERMITTED_MAX 64
#define DAYS          1825
#define SOON          (30 * 24 * 3600)

static const char usage[] =
	"Usage: exeat ca init [--dir DIR] [--days N] [--permit NAME]... [--rsa]\n"
	"       exeat ca show [--dir DIR]\n"
	"       exeat ca rotate [--dir DIR] [--days N] [--permit NAME]... [--rsa]\n"
	"       exeat ca rotate --switch [--dir DIR]\n"
	"\n"
	"A certificate authority for workloads that outlive a run: 'exeat run --ca DIR' and the\n"
	"agent (caDir) sign with it. Workloads are to trust DIR/trust.pem.\n"
	"\n"
	"init    makes one. Its key is readable by root only and never leaves the machine.\n"
	"show    who signs, who is trusted besides, from when and until when.\n"
	"rotate  takes two steps, so that no workload meets a certificate it does not trust yet:\n"
	"        the first makes the next one and adds it to trust.pem; when all workloads have\n"
	"        that, --switch lets it sign. The former one is trusted until it ends. Where that\n"
	"        is for some names only, --permit says for which the next one is.\n"
	"\n"
	"  --dir DIR      where it is (default: " EX_CA_DIR ")\n"
	"  --days N       how long it is good for (default: 1825, at most 3650)\n"
	"  --permit NAME  it may sign for NAME and names below it, and no others; may be repeated\n"
	"  --rsa          an RSA key, for clients that cannot verify ECDSA\n";

struct options {
	const char *dir;
	struct ex_ca_wish wish;
	struct ex_span permitted[PERMITTED_MAX];
	bool init, rotate; /* neither: show */
	bool change;
};

static int show_one(void *arg, enum ex_ca_role role, const struct ex_ca_info *info)
{
	static const char *const roles[] = { "signs", "next", "old" };
	char from[16], to[16];
	time_t start = (time_t)info->from, end = (time_t)info->to, now = time(NULL);
	struct tm tm;

	(void)arg;
	strftime(from, sizeof(from), "%Y-%m-%d", gmtime_r(&start, &tm));
	strftime(to, sizeof(to), "%Y-%m-%d", gmtime_r(&end, &tm));
	printf("%-6s %s  %s  %s to %s%s%s\n       SHA256 %s\n", roles[role], info->subject,
	       info->rsa ? "RSA" : "ECDSA", from, to,
	       end <= now         ? "  ENDED"
	       : end - now < SOON ? "  ends soon: rotate"
				  : "",
	       info->n_permitted ? "  for some names only" : "", info->fingerprint);
	return 0;
}

static int fail(const struct options *o, int r)
{
	if (r == -EPERM)
		ex_error("%s: has to belong to you, and nobody else may write there", o->dir);
	else if (r == -ELOOP)
		ex_error("%s: a symbolic link that is not followed: name what it leads to", o->dir);
	else if (r == -EEXIST)
		ex_error("%s: %s", o->dir,
			 o->change ? "not empty" : "there is one already; see 'exeat ca show'");
	else if (r == -EKEYREJECTED)
		ex_error("%s: the one that signs is for some names only: say by --permit for which "
			 "the next one is to be",
			 o->dir);
	else if (r == -ENOENT && !o->init)
		ex_error("%s: %s", o->dir,
			 o->change ? "nothing to switch to: 'exeat ca rotate' first"
				   : "there is none: 'exeat ca init' first");
	else if (r == -EINVAL)
		ex_error("--days is 1 to 3650, --permit a host name in lower case; or a "
			 "certificate in %s cannot be read",
			 o->dir);
	else
		ex_error("%s: %s", o->dir, strerror(-r));
	return 1;
}

static int find_limits(void *arg, enum ex_ca_role role, const struct ex_ca_info *info)
{
	if (role == EX_CA_SIGNS && info->n_permitted)
		*(bool *)arg = true;
	return 0;
}

/* One for some names only is not followed by one for all without a word. */
static int check_limits(const struct options *o, int dir)
{
	bool limited = false;
	int r = ex_ca_store_each(dir, find_limits, &limited);

	return r == 0 && limited && !o->wish.n_permitted ? -EKEYREJECTED : r;
}

static int run(const struct options *o)
{
	EX_AUTO_CLOSE int dir = ex_ca_store_open(o->dir, o->init);
	int r = dir;

	if (dir >= 0 && o->rotate && !o->change)
		r = check_limits(o, dir);
	if (r < 0)
		return fail(o, r);
	if (o->init)
		r = ex_ca_store_init(dir, &o->wish);
	else if (o->rotate)
		r = o->change ? ex_ca_store_switch(dir) : ex_ca_store_rotate(dir, &o->wish);
	if (r >= 0)
		r = ex_ca_store_each(dir, show_one, NULL);
	if (r < 0)
		return fail(o, r);
	printf("workloads are to trust %s/trust.pem\n", o->dir);
	return 0;
}

static bool add_name(struct options *o, const char *name)
{
	if (o->wish.n_permitted == PERMITTED_MAX)
		return false;
	o->permitted[o->wish.n_permitted++] = ex_span_str(name);
	return true;
}

/* 1: go on; 0: help was asked for. */
static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longopts[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "days", required_argument, NULL, 'n' },
		{ "permit", required_argument, NULL, 'p' },
		{ "rsa", no_argument, NULL, 'r' },
		{ "switch", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	bool ok = true, wishes = false;
	uint64_t days = DAYS;
	int c;

	optind = 1;
	while (ok && (c = getopt_long(argc, argv, "h", longopts, NULL)) != -1) {
		wishes |= c == 'n' || c == 'p' || c == 'r';
		if (c == 'd')
			o->dir = optarg;
		else if (c == 'n')
			ok = ex_number_parse(optarg, 1, 3650, &days);
		else if (c == 'p')
			ok = add_name(o, optarg);
		else if (c == 'r')
			o->wish.rsa = true;
		else if (c == 's')
			o->change = true;
		else
			return c == 'h' ? 0 : -EINVAL;
	}
	o->wish.days = (int)days;
	/* What would be taken and not done is a mistake. */
	if ((o->change && !o->rotate) || (wishes && (o->change || (!o->init && !o->rotate))))
		return -EINVAL;
	return ok && optind == argc ? 1 : -EINVAL;
}

int ex_cmd_ca(int argc, char **argv)
{
	struct options o = { .dir = EX_CA_DIR };
	const char *verb = argc > 1 ? argv[1] : "";
	bool known;
	int r;

	o.init = strcmp(verb, "init") == 0;
	o.rotate = strcmp(verb, "rotate") == 0;
	known = o.init || o.rotate || strcmp(verb, "show") == 0;
	r = known ? parse(argc - 1, argv + 1, &o) : -EINVAL;
	if (r == 0 || strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (r < 0) {
		fputs(usage, stderr);
		return 2;
	}
	o.wish.permitted = o.permitted;
	return run(&o);
}
