/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random paths, as servers of many kinds read them (attack 7): what an allow lets pass has to be
 * what it says to each of them, what a deny says has to be denied whoever reads it so.
 */
#include "policy_helper.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/http/http1.h"

#define ROUNDS   60000
#define PATH_CAP 256

#define ALLOW(list) OWN_HEAD "  egress:\n" TO_80 "      rules: {http: [" list "]}\n"

/*
 * What a server does, step by step: query off, fragment off, parameters off, unescape; at last all
 * of them climb by dots.
 */
static const char *const servers[] = {
	"q",                     /* takes it as it is */
	"qd",                    /* nginx */
	"qfd",                   /* http.server, urlsplit() */
	"qcd",                   /* Tomcat, Jetty */
	"qdc",                   /* what unescapes first: Spring's, RFC 2396's parameters */
	"dq",                    /* what splits late */
	"dqf",  "dqfc",  "qdqc", /* proxies that unescape, before servers that split again */
	"qdqf", "qdfcd", "qcdqf", "qcdf",
	"qdfq", "p", /* nginx, before it splits again: try_files, proxy_pass with a variable */
	"s",         /* Rack 2, Go before 1.17: parameters stand between semicolons, too */
	"ps",        /* one behind the other */
	"k",         /* Tomcat and Jetty, with the query */
	"ks",
};

static void cut(char *s, const char *at)
{
	s[strcspn(s, at)] = '\0';
}

static void cut_parameters(char *s)
{
	char *out = s;
	bool in = false;

	for (; *s; s++) {
		in = *s == ';' || (in && *s != '/');
		if (!in)
			*out++ = *s;
	}
	*out = '\0';
}

static void unescape(char *s)
{
	char *out = s;

	for (; *s; s++) {
		unsigned value;

		if (*s == '%' && sscanf(s + 1, "%2x", &value) == 1) {
			*s = (char)value;
			memmove(s + 1, s + 3, strlen(s + 3) + 1);
		}
		*out++ = *s;
	}
	*out = '\0';
}

static void to_path(char *s, void (*fn)(char *s))
{
	char query[PATH_CAP];
	size_t len = strcspn(s, "?");

	(void)snprintf(query, sizeof(query), "%s", s + len);
	s[len] = '\0';
	fn(s);
	memcpy(s + strlen(s), query, strlen(query) + 1);
}

/* RFC 3986 5.2.4 */
static void climb(char *s)
{
	char *start = s, *out = s;
	bool dots = false;

	for (size_t len; *s; s += len) {
		len = 1 + strcspn(s + 1, "/");
		dots = (len == 2 || len == 3) && memcmp(s, "/..", len) == 0;
		if (!dots)
			out = (char *)memmove(out, s, len) + len;
		while (len == 3 && dots && out > start && *--out != '/')
			;
	}
	if (dots)
		*out++ = '/';
	*out = '\0';
}

static void split_at_semicolons(char *s)
{
	for (s += strcspn(s, "?"); *s; s++)
		*s = *s == ';' ? '&' : *s;
}

static char *read_by(const char *server, const char *path, char out[static PATH_CAP])
{
	(void)snprintf(out, PATH_CAP, "%s", path);
	for (; *server; server++)
		switch (*server) {
		case 'q':
			cut(out, "?");
			break;
		case 'f':
			cut(out, "#");
			break;
		case 'c':
			cut_parameters(out);
			break;
		case 'd':
			unescape(out);
			break;
		case 'p':
			to_path(out, unescape);
			break;
		case 'k':
			to_path(out, cut_parameters);
			break;
		case 's':
			split_at_semicolons(out);
			break;
		default:
			fail();
		}
	to_path(out, climb);
	return out;
}

static void make_path(char out[static PATH_CAP])
{
	static const char *const parts[] = {
		"/",   "/",   "/",         "/",    "ok",       "ok",      "shut",    "shut",
		"x",   "a",   "b.png",     ".png", "..",       ".",       "%2e",     "%2F",
		"%2f", "%5c", ";",         ";",    "%3b",      "%3B",     "%3f",     "%3F",
		"?",   "#",   "%23",       "%00",  "%20",      "%c0%af",  "%25",     "%252f",
		":",   "%3a", "%3A",       "@",    "%40",      "+",       "%2b",     "&",
		"%26", "=",   "*",         "%2A",  ",",        "%2c",     "|",       "%5B",
		"%80", "%",   "%e2%80%8b", "/ok/", "/ok/shut", "/ok/a:x", "/ok/a/x", "_method=",
		"\\",
	};
	size_t len = (size_t)snprintf(out, PATH_CAP, random() % 3 ? "/ok/" : "/");

	for (long n = random() % 7; n >= 0; n--)
		len += (size_t)snprintf(out + len, PATH_CAP - len, "%s",
					parts[(size_t)random() % EX_ARRAY_SIZE(parts)]);
	if (random() % 3 == 0)
		(void)snprintf(out + len, PATH_CAP - len, "%s", random() % 2 ? ".png" : "/x");
}

static bool is_below_ok(char *p)
{
	return strncmp(p, "/ok/", 4) == 0;
}

static bool is_picture(char *p)
{
	size_t len;

	cut(p, "?");
	len = strlen(p);
	return len >= 5 && strcmp(p + len - 4, ".png") == 0 && !strpbrk(p + 1, "/:");
}

static bool has_no_query(char *p)
{
	return is_below_ok(p) && !strchr(p, '?');
}

static bool has_one_parameter(char *p)
{
	return is_below_ok(p) && !strchr(p + strcspn(p, "?"), '&');
}

static bool is_x(char *p)
{
	const char *slash;

	cut(p, "?");
	slash = is_below_ok(p) ? strchr(p + 4, '/') : NULL;
	return slash && slash > p + 4 && strcmp(slash, "/x") == 0;
}

static bool is_open(char *p)
{
	size_t len;
	bool verb;

	cut(p, "?");
	len = strlen(p);
	verb = is_below_ok(p) && !strchr(p + 4, '/') && len > 6 && strcmp(p + len - 2, ":x") == 0;
	return strcmp(p, "/ok/shut") != 0 && !verb;
}

static const struct rule {
	const char *policy;
	bool (*holds)(char *path);
} rules[] = {
	{ ALLOW("{path: '/ok/.*'}"), is_below_ok },
	{ ALLOW("{path: '/[^?:/]*[.]png(\\?.*)?'}"), is_picture },
	{ ALLOW("{path: '/ok/[^/?]+/x(\\?.*)?'}"), is_x },
	{ ALLOW("{path: '/ok/[^?]*'}"), has_no_query },
	{ ALLOW("{path: '/ok/[^?]*(\\?[^&]*)?'}"), has_one_parameter },
	{ ALLOW("{}, {path: '/.*%2F.*'}") "  egressDeny:\n" TO_80
					  "      rules: {http: [{path: '/ok/shut'}, {path: '/ok/[^/]+:x'}]}\n",
	  is_open },
};

static void test_attack_07_no_server_reads_another_path_than_the_rules(void **state)
{
	struct ex_ruleset *rs[EX_ARRAY_SIZE(rules)];
	char sent[PATH_CAP], path[PATH_CAP], seen[PATH_CAP];
	size_t allowed[EX_ARRAY_SIZE(rules)] = { 0 };

	(void)state;
	srandom(7);
	for (size_t k = 0; k < EX_ARRAY_SIZE(rules); k++)
		rs[k] = test_compile(rules[k].policy);
	for (int i = 0; i < ROUNDS; i++) {
		ssize_t len;

		make_path(sent);
		len = ex_h1_normalise(ex_span_str(sent), path, sizeof(path) - 1);
		if (len < 0)
			continue;
		path[len] = '\0';
		for (size_t k = 0; k < EX_ARRAY_SIZE(rules); k++) {
			if (!test_get(rs[k], path))
				continue;
			allowed[k]++;
			for (size_t s = 0; s < EX_ARRAY_SIZE(servers); s++)
				if (!rules[k].holds(read_by(servers[s], path, seen)))
					fail_msg("%s is read as %s (%s) under\n%s", sent, seen,
						 servers[s], rules[k].policy);
		}
	}
	for (size_t k = 0; k < EX_ARRAY_SIZE(rules); k++) {
		assert_true(allowed[k] > 50);
		ex_ruleset_unref(rs[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attack_07_no_server_reads_another_path_than_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
