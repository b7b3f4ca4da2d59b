/* SPDX-License-Identifier: Apache-2.0 */
/* exeat audit: checks chained logs, makes keys. */
#include "agent/audit/command.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "agent/audit/verify.h"
#include "agent/core/log.h"

#define ROTATED_MAX 999

enum { INTACT = 0, BROKEN = 1, CANNOT = 2 };

static const char usage[] =
	"Usage: exeat audit verify [--key FILE] [--head FILE | --no-head] LOG...\n"
	"       exeat audit key FILE\n"
	"\n"
	"verify  finds records of a chained log that were changed, removed, put in, moved or cut\n"
	"        off, and says where. One LOG stands for its rotated files too (LOG.1, ...), and\n"
	"        LOG.head is its head; several are read in the order given, oldest first.\n"
	"        Exit status: 0 whole, 1 not whole, 2 could not be checked.\n"
	"key     appends a new random key to FILE (made with mode 0600). The last key of the file\n"
	"        signs; keep the older ones for as long as there are logs signed with them.\n"
	"\n"
	"  --key FILE   the keys the log was signed with (default: an unkeyed log)\n"
	"  --head FILE  where the head is; best a copy that was taken away from the machine\n"
	"  --no-head    there is none: records cut off the end cannot be missed\n";

struct logs {
	char *names[ROTATED_MAX + 1]; /* oldest first */
	size_t n;
};

static void logs_done(struct logs *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->names[i]);
}

static bool logs_add(struct logs *l, const char *name)
{
	if (l->n < EX_ARRAY_SIZE(l->names) && (l->names[l->n] = strdup(name))) {
		l->n++;
		return true;
	}
	ex_error("%s: there are too many logs, or there is no memory", name);
	return false;
}

/*
 * LOG.n ... LOG.1, whichever are there, and LOG: one that is missing between others is missed by
 * its records.
 */
static bool logs_find(struct logs *l, const char *log)
{
	char path[PATH_MAX];

	for (unsigned n = ROTATED_MAX; n > 0; n--) {
		snprintf(path, sizeof(path), "%s.%u", log, n);
		if (access(path, F_OK) == 0 && !logs_add(l, path))
			return false;
	}
	return logs_add(l, log);
}

struct options {
	const char *key, *head;
	bool no_head;
};

static int verify(const struct options *o, const struct logs *l, const char *newest)
{
	static struct ex_audit_keys keys;
	char head[PATH_MAX];
	struct ex_audit_verify v = { .files = (const char *const *)l->names,
				     .n_files = l->n,
				     .head = o->head,
				     .keys = &keys,
				     .out = stdout };
	struct ex_audit_verified result;
	int r;

	if (!o->head && !o->no_head) {
		snprintf(head, sizeof(head), "%s.head", newest);
		v.head = head;
		if (access(newest, F_OK) < 0 && access(head, F_OK) < 0) {
			ex_error("%s: neither log nor head is there", newest);
			return CANNOT;
		}
	}
	if (o->key && ex_audit_keys_load(o->key, &keys) < 0)
		return CANNOT;
	r = ex_audit_verify(&v, &result);
	ex_audit_keys_wipe(&keys);
	if (r < 0)
		return CANNOT;
	printf("%s: %" PRIu64 " records, %" PRIu64 " to %" PRIu64 ", %u problem%s%s\n",
	       result.problems ? "NOT WHOLE" : "whole", result.records, result.first, result.last,
	       result.problems, result.problems == 1 ? "" : "s",
	       o->key ? "" : " (no key: accidents only)");
	return result.problems ? BROKEN : INTACT;
}

static int cmd_verify(int argc, char **argv)
{
	static const struct option longs[] = { { "key", required_argument, NULL, 'k' },
					       { "head", required_argument, NULL, 'd' },
					       { "no-head", no_argument, NULL, 'n' },
					       { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	struct options o = { 0 };
	struct logs logs = { 0 };
	bool ok = true;
	int c, r = CANNOT;

	optind = 1;
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (c == 'k')
			o.key = optarg;
		else if (c == 'd')
			o.head = optarg;
		else if (c == 'n')
			o.no_head = true;
		else
			return fputs(usage, c == 'h' ? stdout : stderr), c == 'h' ? 0 : CANNOT;
	}
	if (optind == argc)
		return fputs(usage, stderr), CANNOT;
	if (argc - optind == 1)
		ok = logs_find(&logs, argv[optind]);
	for (int i = optind; i < argc && argc - optind > 1 && ok; i++)
		ok = logs_add(&logs, argv[i]);
	if (ok)
		r = verify(&o, &logs, argv[argc - 1]);
	logs_done(&logs);
	return r;
}

int ex_cmd_audit(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "verify") == 0)
		return cmd_verify(argc - 1, argv + 1);
	if (argc == 3 && strcmp(argv[1], "key") == 0 && argv[2][0] != '-')
		return ex_audit_keys_append(argv[2]) < 0 ? CANNOT : 0;
	if (argc >= 2 &&
	    (strcmp(argv[argc - 1], "--help") == 0 || strcmp(argv[argc - 1], "-h") == 0))
		return fputs(usage, stdout), 0;
	return fputs(usage, stderr), CANNOT;
}
