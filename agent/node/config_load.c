/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's file and command line. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>

#include "agent/core/log.h"
#include "agent/node/config_keys.h"
#include "policy/decode.h"

#define KEYS_MAX  48
#define FLAGS_MAX 128
#define OPT_KEY   256 /* + index of the key */
#define FLAG_TEXT 32

/* ---- the file ---- */

static void read_value(struct ex_decoder *d, const struct ex_node *n, const struct node_key *k,
		       struct ex_node_config *c)
{
	const char *why;

	if (n->kind != EX_NODE_SCALAR) {
		ex_decode_error(d, n, k->help, "must be a single value");
		return;
	}
	why = k->set(c, k, n->text);
	if (why)
		ex_decode_error(d, n, k->help, "%s", why);
}

static void read_key(struct ex_decoder *d, const struct ex_node *n, void *out)
{
	const struct node_key *k = node_key_find(n->key);
	struct ex_node_config *c = out;

	if (!k->list) {
		read_value(d, n, k, c);
		return;
	}
	node_key_empty(c, k);
	if (!ex_decode_list(d, n, FLAGS_MAX, true))
		return;
	for (const struct ex_node *i = n->first; i; i = i->next)
		read_value(d, i, k, c);
}

static int read_docs(struct ex_decoder *d, const struct ex_docs *docs, const char *file,
		     struct ex_node_config *c)
{
	struct ex_field fields[KEYS_MAX];
	const struct node_key *keys;
	size_t n;

	keys = node_keys(&n);
	for (size_t i = 0; i < n && i < KEYS_MAX; i++)
		fields[i] = (struct ex_field){ keys[i].name, read_key, NULL, NULL };
	if (docs->n > 1)
		ex_diag_add(d->diags, (struct ex_pos){ file, 0, 0 }, false, "write one document",
			    "has more than one document");
	if (docs->n == 1)
		(void)ex_decode_map(d, docs->v[0], fields, n, c);
	return docs->n > 1 || d->n_errors ? -EINVAL : 0;
}

static int read_file(struct ex_node_config *c, const char *file)
{
	struct ex_arena tree = { 0 };
	struct ex_diags diags = { 0 };
	struct ex_docs docs = { 0 };
	struct ex_decoder d = { .arena = &tree, .diags = &diags };
	int r = ex_yaml_read(file, &tree, &diags, &docs);

	if (r == 0)
		r = read_docs(&d, &docs, file, c);
	ex_diags_print(&diags, stderr);
	ex_diags_done(&diags);
	free(docs.v);
	ex_arena_done(&tree);
	return r;
}

/* ---- the flags ---- */

/* "upstreamCa" -> "upstream-ca"; a list loses its plural: "policyDirs" -> "policy-dir". */
static void flag_name(const struct node_key *k, char buf[static FLAG_TEXT])
{
	size_t n = 0;

	for (const char *p = k->name; *p && n < FLAG_TEXT - 2; p++) {
		if (isupper((unsigned char)*p))
			buf[n++] = '-';
		buf[n++] = (char)tolower((unsigned char)*p);
	}
	if (k->list && n > 4 && strcmp(k->name, "policyDirs") == 0)
		n--;
	buf[n] = '\0';
}

void ex_node_config_usage(FILE *out)
{
	const struct node_key *keys;
	char flag[FLAG_TEXT], left[80];
	size_t n;

	fputs("Usage: exeat agent [OPTION...]\n\n"
	      "Gates the endpoints of this node: pods (by exeat-cni) and what 'exeat endpoint add'\n"
	      "names. Needs root. Each option is also a key of the configuration file, in\n"
	      "camelCase: --policy-dir is policyDirs.\n\n"
	      "      --config FILE                configuration (" EX_NODE_CONFIG_FILE ")\n",
	      out);
	keys = node_keys(&n);
	for (size_t i = 0; i < n; i++) {
		flag_name(&keys[i], flag);
		snprintf(left, sizeof(left), "--%s %s", flag,
			 keys[i].words ? keys[i].words : keys[i].arg);
		fprintf(out, strlen(left) > 28 ? "      %s\n%35s%s\n" : "      %-28s %s%s\n", left,
			"", keys[i].help);
	}
	fputs("      --uninstall                  let every endpoint go, remove what is pinned, end\n"
	      "  -h, --help                       this text\n\n"
	      "Signals: SIGTERM ends, the kernel gate stays; SIGHUP reads the policies again;\n"
	      "SIGUSR2 starts the program anew in place, no connection is lost.\n"
	      "Exit status: 0 when told to end, 125 when it could not start.\n",
	      out);
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
	const struct node_key *keys;
	size_t n;

	keys = node_keys(&n);
	if (c == 'c') {
		f->config = optarg;
	} else if (c == 'u') {
		f->uninstall = true;
	} else if (c == 'h') {
		f->help = true;
	} else if (c >= OPT_KEY && (size_t)(c - OPT_KEY) < n && f->n < FLAGS_MAX) {
		f->v[f->n].key = &keys[c - OPT_KEY];
		f->v[f->n++].text = optarg;
	} else {
		fputs("Try 'exeat agent --help'.\n", stderr);
		return -EINVAL;
	}
	return 0;
}

static int parse_flags(int argc, char **argv, struct flags *f)
{
	struct option options[KEYS_MAX + 4] = { 0 };
	char names[KEYS_MAX][FLAG_TEXT];
	const struct node_key *keys;
	size_t n;
	int c, r = 0;

	keys = node_keys(&n);
	for (size_t i = 0; i < n; i++) {
		flag_name(&keys[i], names[i]);
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

static int apply_flags(struct ex_node_config *c, const struct flags *f)
{
	int r = 0;

	for (size_t i = 0; i < f->n; i++) {
		const struct node_key *k = f->v[i].key;
		bool first = true;
		const char *why;

		for (size_t j = 0; j < i; j++)
			first &= f->v[j].key != k;
		if (first)
			node_key_empty(c, k);
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

static int finish(struct ex_node_config *c)
{
	if (!c->socket)
		c->socket = ex_arena_printf(&c->arena, "%s/agent.sock", c->state_dir);
	if (c->audit_key && !c->audit_file) {
		ex_error("auditKey without auditFile: there is nothing to chain");
		return -EINVAL;
	}
	return c->socket ? 0 : -ENOMEM;
}

int ex_node_config_load(struct ex_node_config *c, int argc, char **argv)
{
	struct flags f = { 0 };
	int r = parse_flags(argc, argv, &f);

	if (r < 0)
		return r;
	if (f.help) {
		ex_node_config_usage(stdout);
		return 1;
	}
	ex_node_config_init(c);
	c->uninstall = f.uninstall;
	if (f.config || access(EX_NODE_CONFIG_FILE, F_OK) == 0)
		r = read_file(c, f.config ? f.config : EX_NODE_CONFIG_FILE);
	if (r == 0)
		r = apply_flags(c, &f);
	if (r == 0)
		r = finish(c);
	if (r < 0)
		ex_node_config_done(c);
	return r;
}
