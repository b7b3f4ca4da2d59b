/* SPDX-License-Identifier: Apache-2.0 */
/* `exeat policy …`: what the sub-commands share. Exit status: 0 yes, 1 no, 2 wrong usage. */
#ifndef EXEAT_POLICY_TOOL_H
#define EXEAT_POLICY_TOOL_H

#include <stdio.h>

#include "policy/compile.h"
#include "policy/explain.h"

enum {
	EX_TOOL_OK = 0,
	EX_TOOL_NO = 1,
	EX_TOOL_USAGE = 2,
};

/* argv[0] is "policy"; prints to stdout and stderr. */
int ex_cmd_policy(int argc, char **argv);

#define EX_TOOL_FILES_MAX  1024
#define EX_TOOL_LABELS_MAX 256

#define EX_TOOL_SERVES_MAX 64

/* Options that every sub-command has: files, --endpoints, --secrets, -l, --no-metadata, --serve. */
struct ex_tool {
	const char *files[EX_TOOL_FILES_MAX];
	struct ex_label labels[EX_TOOL_LABELS_MAX];
	struct ex_compile_input in;
	struct ex_served served[EX_TOOL_SERVES_MAX];
	bool serve_given;
	struct ex_inward inward; /* of served; to be pointed to by whoever looks at ingress */
	const char *format;      /* --format */
	bool strict;             /* --strict */
	bool ingress;            /* --ingress */
	/* explain */
	const char *from, *to, *method, *address, *sni;
	const char *headers[32];
	size_t n_headers;
};

/* EX_TOOL_OK, or EX_TOOL_USAGE with a message on stderr. */
int ex_tool_parse(int argc, char **argv, const char *usage, struct ex_tool *ret);

/*
 * Compiles; prints what is wrong to stderr. NULL when it cannot be used. With in->inward, as a node
 * does it, it is enough when policies say something about one direction: see ex_tool_judge().
 */
struct ex_ruleset *ex_tool_compile(const struct ex_compile_input *in);

/* No policy says anything about either direction. */
bool ex_tool_is_about_nothing(const struct ex_ruleset *rs);

/*
 * What becomes of the request, also where no policy says anything about egress: a node denies that
 * (unless it is told otherwise), and nothing else starts.
 */
struct ex_decision ex_tool_judge(const struct ex_ruleset *rs, const struct ex_probe *p);

int ex_tool_check(int argc, char **argv);
int ex_tool_explain(int argc, char **argv);
int ex_tool_test(int argc, char **argv);
int ex_tool_diff(int argc, char **argv);
int ex_tool_dump(int argc, char **argv);
int ex_tool_presets(int argc, char **argv);

/* A JSON string with its quotes; whatever the bytes are, the result is ASCII. */
void ex_tool_json_string(FILE *out, const char *text);

/* To stdout, without what acts on a terminal or ends a line: it may be somebody else's. */
void ex_tool_print_text(const char *text);

/* "POLICY (FILE:LINE) WHERE" of a rule, "no rule" for 0. */
void ex_tool_print_rule(FILE *out, const struct ex_ruleset *rs, uint32_t rule);

const char *ex_verdict_word(enum ex_verdict verdict);

#endif
