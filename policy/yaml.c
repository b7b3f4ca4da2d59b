/* SPDX-License-Identifier: Apache-2.0 */
/* The only user of libyaml. Events to nodes with a stack of our own: input makes none recurse. */
#include "policy/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	const char *file;
	struct ex_arena *arena;
	struct ex_diags *diags;
	struct ex_docs *docs;

	struct ex_node *stack[EX_YAML_DEPTH_MAX];
	size_t depth, nodes;
	struct ex_node *root;
	uint32_t from;   /* of this document */
	const char *key; /* the key read last, waiting for its value */
	struct ex_pos key_pos;
};

static struct ex_pos mark_pos(const struct reader *rd, const yaml_mark_t *mark)
{
	return (struct ex_pos){ rd->file, (int)mark->line + 1, (int)mark->column + 1 };
}

static int fail_at(struct reader *rd, const yaml_mark_t *mark, const char *remedy, const char *what)
{
	ex_diag_add(rd->diags, mark_pos(rd, mark), false, remedy, "%s", what);
	return -EINVAL;
}

static int fail_parser(struct reader *rd)
{
	const yaml_parser_t *p = &rd->parser;
	struct ex_pos pos = { rd->file, 0, 0 };
	char begun[50] = "";

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR) {
		ex_diag_add(rd->diags, pos, false, "save the file as plain UTF-8 text",
			    "not YAML: %s at byte %zu", p->problem, p->problem_offset);
		return -EINVAL;
	}
	pos = mark_pos(rd, &p->problem_mark);
	if (p->context && p->context_mark.line != p->problem_mark.line)
		(void)snprintf(begun, sizeof(begun), " that begins in line %zu",
			       p->context_mark.line + 1);
	ex_diag_add(rd->diags, pos, false,
		    p->problem && strstr(p->problem, "<document start>")
			    ? "write a line --- between two documents, or objects of JSON"
			    : "line up what belongs together, with spaces and no tabs; quote text "
			      "that has : { [ * & # in it",
		    "not YAML: %s%s%s%s", p->problem ? p->problem : "cannot be parsed",
		    p->context ? " " : "", p->context ? p->context : "", begun);
	return -EINVAL;
}

static int take_key(struct reader *rd, const yaml_event_t *ev)
{
	struct ex_node *map = rd->stack[rd->depth - 1];
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	char quoted[EX_QUOTE_TEXT];

	if (memchr(text, 0, len))
		return fail_at(rd, &ev->start_mark, NULL, "a key must not contain a NUL byte");
	if (map->n >= EX_YAML_KEYS_MAX)
		return fail_at(rd, &ev->start_mark, NULL, "too many keys in one map");
	if (strcmp(text, "<<") == 0)
		return fail_at(rd, &ev->start_mark, "write the fields out",
			       "merge keys (<<) are not accepted");
	for (const struct ex_node *c = map->first; c; c = c->next) {
		if (strcmp(c->key, text) == 0) {
			ex_diag_add(rd->diags, mark_pos(rd, &ev->start_mark), false,
				    "keep one of the two", "duplicate key %s, first at line %d",
				    ex_quote(text, len, quoted), c->key_pos.line);
			return -EINVAL;
		}
	}
	rd->key = ex_arena_strndup(rd->arena, text, len);
	rd->key_pos = mark_pos(rd, &ev->start_mark);
	return rd->key ? 0 : -ENOMEM;
}

static int add_node(struct reader *rd, struct ex_node *n)
{
	struct ex_node *parent = rd->depth ? rd->stack[rd->depth - 1] : NULL;

	if (!parent) {
		rd->root = n;
		return 0;
	}
	if (parent->kind == EX_NODE_MAP) {
		n->key = EX_TAKE_PTR(rd->key);
		n->key_pos = rd->key_pos;
	}
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->n++;
	return 0;
}

static int new_node(struct reader *rd, enum ex_node_kind kind, const yaml_mark_t *mark,
		    struct ex_node **ret)
{
	struct ex_node *n;

	if (rd->nodes++ >= EX_YAML_NODES_MAX)
		return fail_at(rd, mark, "split it into several files", "too many values");
	n = ex_arena_alloc(rd->arena, 1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->kind = kind;
	n->pos = mark_pos(rd, mark);
	*ret = n;
	return 0;
}

static bool wants_key(const struct reader *rd)
{
	return rd->depth && rd->stack[rd->depth - 1]->kind == EX_NODE_MAP && !rd->key;
}

static int take_scalar(struct reader *rd, const yaml_event_t *ev)
{
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	struct ex_node *n;
	int r;

	if (ev->data.scalar.anchor)
		return fail_at(rd, &ev->start_mark, "write the value out where it is needed",
			       "anchors (&name) are not accepted");
	if (ev->data.scalar.tag)
		return fail_at(rd, &ev->start_mark, "remove the tag",
			       "type tags (!tag) are not accepted");
	if (wants_key(rd))
		return take_key(rd, ev);
	if (memchr(text, 0, len))
		return fail_at(rd, &ev->start_mark, NULL, "a value must not contain a NUL byte");
	r = new_node(rd, EX_NODE_SCALAR, &ev->start_mark, &n);
	if (r < 0)
		return r;
	n->text = ex_arena_strndup(rd->arena, text, len);
	if (!n->text)
		return -ENOMEM;
	n->len = len;
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return add_node(rd, n);
}

static int open_container(struct reader *rd, const yaml_event_t *ev, enum ex_node_kind kind,
			  const void *anchor, const void *tag)
{
	struct ex_node *n;
	int r;

	if (anchor)
		return fail_at(rd, &ev->start_mark, "write the value out where it is needed",
			       "anchors (&name) are not accepted");
	if (tag)
		return fail_at(rd, &ev->start_mark, "remove the tag",
			       "type tags (!tag) are not accepted");
	if (wants_key(rd))
		return fail_at(rd, &ev->start_mark, NULL, "a key must be plain text");
	if (rd->depth >= EX_YAML_DEPTH_MAX)
		return fail_at(rd, &ev->start_mark, NULL, "nested too deeply");
	r = new_node(rd, kind, &ev->start_mark, &n);
	if (r < 0)
		return r;
	n->from = (uint32_t)ev->start_mark.index;
	(void)add_node(rd, n);
	rd->stack[rd->depth++] = n;
	return 0;
}

static int end_document(struct reader *rd, const yaml_event_t *ev)
{
	struct ex_node **slot;

	if (!rd->root || ex_node_is_null(rd->root))
		return 0; /* an empty document between two --- */
	rd->root->from = rd->from;
	rd->root->to = (uint32_t)ev->start_mark.index;
	slot = EX_VEC_ADD(rd->docs);
	if (!slot)
		return -ENOMEM;
	*slot = EX_TAKE_PTR(rd->root);
	return 0;
}

/* 0 to go on, 1 at the end of the stream, or negative errno. */
static int take_event(struct reader *rd, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_DOCUMENT_START_EVENT:
		rd->root = NULL;
		rd->from = (uint32_t)ev->end_mark.index;
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		return end_document(rd, ev);
	case YAML_ALIAS_EVENT:
		return fail_at(rd, &ev->start_mark, "write the value out",
			       "aliases (*name) are not accepted");
	case YAML_SCALAR_EVENT:
		return take_scalar(rd, ev);
	case YAML_SEQUENCE_START_EVENT:
		return open_container(rd, ev, EX_NODE_LIST, ev->data.sequence_start.anchor,
				      ev->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return open_container(rd, ev, EX_NODE_MAP, ev->data.mapping_start.anchor,
				      ev->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		rd->stack[--rd->depth]->to = (uint32_t)ev->end_mark.index;
		return 0;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
		return 0;
	}
	return -EINVAL;
}

int ex_yaml_parse(const char *text, size_t len, const char *file, struct ex_arena *arena,
		  struct ex_diags *diags, struct ex_docs *docs)
{
	struct reader rd = { .file = file, .arena = arena, .diags = diags, .docs = docs };
	int r = 0;

	if (len > EX_YAML_SIZE_MAX) {
		ex_diag_add(diags, (struct ex_pos){ rd.file, 0, 0 }, false,
			    "split it into several files", "larger than 16 MiB");
		return -EINVAL;
	}
	if (!yaml_parser_initialize(&rd.parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&rd.parser, YAML_UTF8_ENCODING);
	if (!len) /* an empty file may have no memory at all */
		text = "";
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a mark that some editors write */
		text += 3;
		len -= 3;
	}
	yaml_parser_set_input_string(&rd.parser, (const unsigned char *)text, len);
	while (r == 0) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&rd.parser, &ev)) {
			r = fail_parser(&rd);
			break;
		}
		r = take_event(&rd, &ev);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&rd.parser);
	return r < 0 ? r : 0;
}

const char *ex_yaml_remedy(int err)
{
	switch (err) {
	case ENOENT:
		return "check the path";
	case EISDIR:
		return "name the files in it";
	case EACCES:
	case EPERM:
		return "let the user who runs exeat read it";
	default:
		return NULL;
	}
}

static int fail_file(struct ex_diags *diags, const char *file, int err)
{
	ex_diag_add(diags, (struct ex_pos){ file, 0, 0 }, false,
		    strcmp(file, "-") == 0 ? "for standard input write /dev/stdin"
					   : ex_yaml_remedy(err),
		    "cannot read: %s", strerrordesc_np(err));
	return -EINVAL;
}

int ex_yaml_text(int fd, char **ret, size_t *ret_len)
{
	EX_AUTO_FREE char *text = malloc(EX_YAML_SIZE_MAX + 1);
	ssize_t n = text ? ex_read_full(fd, text, EX_YAML_SIZE_MAX + 1) : -ENOMEM;

	if (n < 0)
		return (int)n;
	*ret = realloc(text, (size_t)n + 1);
	if (!*ret)
		return -ENOMEM;
	text = NULL;
	*ret_len = (size_t)n;
	return 0;
}

int ex_yaml_read(const char *file, struct ex_arena *arena, struct ex_diags *diags,
		 struct ex_docs *docs)
{
	EX_AUTO_FREE char *text = NULL;
	EX_AUTO_CLOSE int fd = -1;
	size_t len = 0;
	struct stat st;
	int r;

	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return fail_file(diags, file, errno);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return fail_file(diags, file, EISDIR);
	r = ex_yaml_text(fd, &text, &len);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return fail_file(diags, file, -r);
	return ex_yaml_parse(text, len, file, arena, diags, docs);
}

const struct ex_node *ex_node_get(const struct ex_node *map, const char *key)
{
	if (map->kind != EX_NODE_MAP)
		return NULL;
	for (const struct ex_node *c = map->first; c; c = c->next) {
		if (strcmp(c->key, key) == 0)
			return c;
	}
	return NULL;
}

bool ex_node_is_null(const struct ex_node *n)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	if (n->kind != EX_NODE_SCALAR || !n->plain)
		return false;
	for (size_t i = 0; i < EX_ARRAY_SIZE(words); i++) {
		if (strcmp(n->text, words[i]) == 0)
			return true;
	}
	return false;
}

const char *ex_node_kind_name(const struct ex_node *n)
{
	switch (n->kind) {
	case EX_NODE_MAP:
		return "a map";
	case EX_NODE_LIST:
		return "a list";
	case EX_NODE_SCALAR:
		return ex_node_is_null(n) ? "null" : "a plain value";
	}
	return "nothing";
}
