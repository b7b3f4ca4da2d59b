/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's file and command line. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>

#include "agent/core/log.h"
#include "agent/node/config_keys.h"
#include "policy/decode.h"

#define FLAGS_MAX 128
#define OPT_KEY   256 /* + index of the key */
#define FLAG_TEXT 32

struct load {
	struct ex_node_config *c;
	struct ex_pos at[NODE_KEYS_MAX]; /* in the file, or FLAG; file NULL = not given */
};

#define FLAG ((struct ex_pos){ .file = "" })

/* ---- the file ---- */

static void read_value(struct ex_decoder *d, const struct ex_node *n, const struct node_key *k,
		       struct ex_node_config *c)
{
	const char *why =
		n->kind == EX_NODE_SCALAR ? k->set(c, k, n->text) : "must be a single value";
	char remedy[200];

	if (!why)
		return;
	snprintf(remedy, sizeof(remedy), "write %s: %s", k->words ? k->words : k->arg, k->help);
	ex_decode_error(d, n, remedy, "%s", why);
}

static void read_key(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	const struct node_key *k = node_key_find(n->key);
	struct load *l = out;

	l->at[k - node_keys] = n->key_pos;
	if (!k->count) {
		read_value(d, n, k, l->c);
		return;
	}
	node_key_empty(l->c, k);
	if (!ex_decode_list(d, n, FLAGS_MAX, false))
		return;
	for (struct ex_item it = ex_item_first(d, n); it.c; ex_item_next(d, &it))
		read_value(d, it.c, k, l->c);
}

static int read_docs(struct ex_decoder *d, const struct ex_docs *docs, const char *file,
		     struct load *l)
{
	struct ex_field fields[NODE_KEYS_MAX];

	for (size_t i = 0; i < node_n_keys; i++)
		fields[i] = (struct ex_field){ node_keys[i].name, read_key, NULL, NULL };
	if (docs->n > 1)
		ex_diag_add(d->diags, (struct ex_pos){ file, 0, 0 }, false, "write one document",
			    "has more than one document");
	if (docs->n == 1)
		(void)ex_decode_map(d, docs->v[0], fields, node_n_keys, l);
	return docs->n > 1 || d->n_errors ? -EINVAL : 0;
}

static int read_file(struct load *l, const char *file)
{
	struct ex_arena tree = { 0 };
	struct ex_diags diags = { 0 };
	struct ex_docs docs = { 0 };
	struct ex_decoder d = { .arena = &tree, .diags = &diags };
	int r = ex_yaml_read(file, &tree, &diags, &docs);

	if (r == 0)
		r = read_docs(&d, &docs, file, l);
	ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	free(docs.v);
	ex_arena_done(&tree);
	return r;
}

/* ---- the flags ---- */

/* "upstreamCa" -> "upstream-ca"; the one that is a plural names one each time: "policy-dir". */
static void flag_name(const struct node_key *k, char buf[static FLAG_TEXT])
{
	size_t n = 0;

	for (const char *p = k->name; *p && n < FLAG_TEXT - 2; p++) {
		if (isupper((unsigned char)*p))
			buf[n++] = '-';
		buf[n++] = (char)tolower((unsigned char)*p);
	}
	if (strcmp(k->name, "policyDirs") == 0)
		n--;
	buf[n] = '\0';
}

static void print_usage(void)
{
	char flag[FLAG_TEXT], left[80];

	fputs("Usage: exeat agent [OPTION...]\n\n"
	      "Gates the endpoints of this node: pods (by exeat-cni) and what 'exeat endpoint add'\n"
	      "names. Needs root. Each option is also a key of the configuration file, in\n"
	      "camelCase: --policy-dir is policyDirs.\n\n"
	      "      --config FILE                configuration (" EX_NODE_CONFIG_FILE ")\n",
	      stdout);
	for (const struct node_key *k = node_keys; k < node_keys + node_n_keys; k++) {
		flag_name(k, flag);
		snprintf(left, sizeof(left), "--%s %s", flag, k->words ? k->words : k->arg);
		printf(strlen(left) > 28 ? "      %s\n%35s%s\n" : "      %-28s %s%s\n", left, "",
		       k->help);
	}
	fputs("      --uninstall                  let every endpoint go, remove what is pinned, end\n"
	      "  -h, --help                       this text\n\n"
	      "Signals: SIGTERM ends, the kernel gate stays; SIGHUP reads the policies again;\n"
	      "SIGUSR2 starts the program anew in place, no connection is lost.\n"
	      "Exit status: 0 when told to end, 125 when it could not start.\n",
	      stdout);
}

struct flags {
	const char *config;
	bool uninstall, help;
	struct {
		const struct node_key *key;
		const char *text;
	} v[FLAGS_MAX];
	size_t n;
};

static int take_flag(struct flags *f, int c)
{
	if (c == 'c') {
		f->config = optarg;
	} else if (c == 'u') {
		f->uninstall = true;
	} else if (c == 'h') {
		f->help = true;
	} else if (c >= OPT_KEY && f->n < FLAGS_MAX) {
		f->v[f->n].key = &node_keys[c - OPT_KEY];
		f->v[f->n++].text = optarg;
	} else {
		fputs("Try 'exeat agent --help'.\n", stderr);
		return -EINVAL;
	}
	return 0;
}

static int parse_flags(int argc, char **argv, struct flags *f)
{
	struct option options[NODE_KEYS_MAX + 4] = { 0 };
	char names[NODE_KEYS_MAX][FLAG_TEXT];
	size_t n = node_n_keys;
	int c, r = 0;

	for (size_t i = 0; i < n; i++) {
		flag_name(&node_keys[i], names[i]);
		options[i] = (struct option){ names[i], required_argument, NULL, OPT_KEY + (int)i };
	}
	options[n++] = (struct option){ "config", required_argument, NULL, 'c' };
	options[n++] = (struct option){ "uninstall", no_argument, NULL, 'u' };
	options[n] = (struct option){ "help", no_argument, NULL, 'h' };
	optind = 1;
	while (r == 0 && (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1)
		r = take_flag(f, c);
	if (r == 0 && optind < argc) {
		ex_error("what is %s? 'exeat agent' takes options only", argv[optind]);
		r = -EINVAL;
	}
	return r;
}

static int apply_flags(struct load *l, const struct flags *f)
{
	struct ex_node_config *c = l->c;
	int r = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct node_key *k = f->v[i].key;
		bool first = true;
		const char *why;

		for (size_t j = 0; j < i; j++)
			first &= f->v[j].key != k;
		if (first)
			node_key_empty(c, k);
		l->at[k - node_keys] = FLAG;
		why = k->set(c, k, f->v[i].text);
		if (why) {
			char flag[FLAG_TEXT];

			flag_name(k, flag);
			ex_error("--%s %s: %s", flag, f->v[i].text, why);
			r = -EINVAL;
		}
	}
	return r;
}

/* A key that would be taken and do nothing. */
static void report_useless(const struct node_key *k, struct ex_pos at)
{
	char flag[FLAG_TEXT], needs[FLAG_TEXT], remedy[80];
	struct ex_diags diags = { 0 };

	if (*at.file) {
		snprintf(remedy, sizeof(remedy), "give %s as well, or leave it out", k->needs);
		ex_diag_add(&diags, at, false, remedy, "%s: does nothing without %s", k->name,
			    k->needs);
		ex_diags_print(&diags, stderr);
		ex_diags_done(&diags);
		return;
	}
	flag_name(k, flag);
	flag_name(node_key_find(k->needs), needs);
	ex_error("--%s: does nothing without --%s", flag, needs);
}

static bool has_useless(const struct load *l)
{
	bool any = false;

	for (size_t i = 0; i < node_n_keys; i++) {
		const char *needs = node_keys[i].needs;

		if (!l->at[i].file || !needs || l->at[node_key_find(needs) - node_keys].file)
			continue;
		report_useless(&node_keys[i], l->at[i]);
		any = true;
	}
	return any;
}

static int finish(const struct load *l)
{
	struct ex_node_config *c = l->c;

	if (has_useless(l))
		return -EINVAL;
	if (!c->socket)
		c->socket = ex_arena_printf(&c->arena, "%s/agent.sock", c->state_dir);
	return c->socket ? 0 : -ENOMEM;
}

int ex_node_config_load(struct ex_node_config *c, int argc, char **argv)
{
	struct load l = { .c = c };
	struct flags f = { 0 };
	int r = parse_flags(argc, argv, &f);

	if (r < 0)
		return r;
	if (f.help) {
		print_usage();
		return 1;
	}
	ex_node_config_init(c);
	c->uninstall = f.uninstall;
	if (f.config || access(EX_NODE_CONFIG_FILE, F_OK) == 0)
		r = read_file(&l, f.config ? f.config : EX_NODE_CONFIG_FILE);
	if (r == 0)
		r = apply_flags(&l, &f);
	if (r == 0)
		r = finish(&l);
	if (r < 0)
		ex_node_config_done(c);
	return r;
}
