/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `exeat policy check` on mutated policy files: no crash, no hang, never more than 64 MiB, and what
 * is refused has a reason. EX_MUTATIONS=N for more than the usual number, EXEAT_CORPUS=DIR for more
 * files to begin with; an argument is the seed. The fuzzer (tests/fuzz/fuzz_policy.c) looks deeper;
 * this one measures.
 */
#include "policy_helper.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_MAX_KIB (64 * 1024)
#define SECONDS_MAX    5 /* of one file */
#define TEXT_MAX       (256 * 1024)
#define FILES_MAX      512
#define MUTATIONS      4000

static uint64_t seed = 1;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(seed >> 33) % n;
}

static struct {
	char *text;
	size_t len;
} files[FILES_MAX];
static size_t n_files;

static void load_dir(const char *dir)
{
	struct dirent **list;
	int n = dir ? scandir(dir, &list, NULL, alphasort) : 0;

	for (int i = 0; i < n; i++) {
		char path[4096];
		FILE *f;

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		f = list[i]->d_name[0] != '.' && n_files < FILES_MAX ? fopen(path, "r") : NULL;
		if (f) {
			char *text = malloc(65536);

			assert_non_null(text);
			files[n_files].len = fread(text, 1, 65536, f);
			files[n_files].text = text;
			if (files[n_files].len > 0)
				n_files++;
			else
				free(text);
			fclose(f);
		}
		free(list[i]);
	}
	if (n > 0)
		free(list);
}

/* ---- mutations ---- */

static char text[TEXT_MAX];
static size_t len;

/* Puts n bytes in place of `cut` bytes at `at`. */
static void splice(size_t at, size_t cut, const char *bytes, size_t n)
{
	if (at > len)
		at = len;
	if (cut > len - at)
		cut = len - at;
	if (len - cut + n > TEXT_MAX)
		return;
	memmove(text + at + n, text + at + cut, len - at - cut);
	memmove(text + at, bytes, n);
	len = len - cut + n;
}

static size_t line_start(void)
{
	size_t at = len ? rnd((uint32_t)len) : 0;

	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

static size_t line_len(size_t at)
{
	const char *end = memchr(text + at, '\n', len - at);

	return end ? (size_t)(end - text - at) + 1 : len - at;
}

static void insert_word(void)
{
	static const char *const words[] = {
		"*",
		"&a ",
		"*a",
		"!!str ",
		"<<: ",
		"---\n",
		"...\n",
		"null",
		"~",
		"[]",
		"{}",
		"[{}]",
		"\t",
		"\r\n",
		"\"",
		"'",
		"|\n",
		">\n",
		"- ",
		": ",
		"# ",
		"0x10",
		"010",
		"08",
		"1e9",
		"-1",
		"65536",
		"99999999999999999999",
		"true",
		"::/0",
		"0.0.0.0/0",
		"1.2.3.4/33",
		"::ffff:1.2.3.4/96",
		"**.",
		"***",
		"(a+)+$",
		"(a{1000}){9}",
		"[[:alpha:]]{99}",
		"\\C",
		"\\x{10ffff}",
		"(?i)x",
		"\xff\xfe",
		"\xc3\x28",
		"\\u0000",
		"toFQDNs",
		"toCIDR",
		"egressDeny",
		"specs",
		"preset: metadata",
		"matchPattern: '*.*.*.*.*.*'",
		"endPort: 1",
		"{a: {a: {a: {a: {a: ",
		"[[[[[[[[",
		"protocol: ANY",
		"mismatch: REPLACE",
		"secret: {name: x}",
		"enforcement: audit",
	};
	const char *w = words[rnd(EX_ARRAY_SIZE(words))];

	splice(rnd((uint32_t)len + 1), 0, w, strlen(w));
}

static void repeat_lines(void)
{
	size_t at = line_start(), n = line_len(at) + line_len(at + line_len(at)) * rnd(2);
	char block[4096];

	if (n == 0 || n > sizeof(block))
		return;
	memcpy(block, text + at, n);
	for (uint32_t i = rnd(rnd(8) ? 4 : 2000) + 1; i; i--)
		splice(at, 0, block, n);
}

static void mutate(void)
{
	size_t at = len ? rnd((uint32_t)len) : 0, other = rnd((uint32_t)n_files), from;
	char c = (char)rnd(256);

	switch (rnd(9)) {
	case 0:
		splice(at, 1, &c, 1);
		return;
	case 1:
		splice(at, 1 + rnd(40), "", 0);
		return;
	case 2:
	case 3:
		insert_word();
		return;
	case 4:
		repeat_lines();
		return;
	case 5:
		at = line_start();
		splice(at, line_len(at), "", 0);
		return;
	case 6: /* another indentation */
		splice(line_start(), rnd(2) * 2, "    ", rnd(3));
		return;
	case 7: /* a piece of another file */
		from = rnd((uint32_t)files[other].len);
		splice(line_start(), 0, files[other].text + from,
		       rnd((uint32_t)(files[other].len - from)) % 2000);
		return;
	default:
		at = line_start();
		splice(at, line_len(at), files[other].text, line_len(0) % files[other].len);
		return;
	}
}

/* ---- the child that checks ---- */

static void check_text(void)
{
	static const char known[] = "endpoints: [{name: gw, namespace: ns, labels: {app: gw},"
				    " ports: {http: 80}, addresses: [10.9.0.1]}]";
	const struct ex_text policy = { "policy.yaml", { text, len } };
	const struct ex_text endpoints = { "endpoints.yaml", EX_SPAN(known) };
	const struct ex_compile_input in = { .texts = &policy,
					     .n_texts = 1,
					     .endpoints = &endpoints,
					     .n_endpoints = 1,
					     .deny_metadata = true };
	struct ex_ruleset *rs = NULL;
	struct ex_diags diags = { 0 };
	int r = ex_compile_lint(&in, &rs, &diags);

	if (r < 0 && diags.n == 0)
		abort();
	for (size_t i = 0; i < diags.n; i++)
		for (const char *p = diags.items[i].message; *p; p++)
			if (*p < 0x20 || *p >= 0x7f)
				abort();
	ex_ruleset_unref(rs);
	ex_diags_done(&diags);
}

static long peak_kib(void)
{
	struct rusage ru;

	(void)getrusage(RUSAGE_SELF, &ru);
	return ru.ru_maxrss;
}

/* Leaves the text behind for whoever looks into it. */
static void keep_text(const char *why)
{
	char path[] = "/tmp/exeat-mutated-XXXXXX";
	int fd = mkstemp(path);

	if (fd >= 0 && write(fd, text, len) == (ssize_t)len)
		fprintf(stderr, "%s: %s\n", why, path);
	if (fd >= 0)
		close(fd);
}

static void on_alarm(int sig)
{
	(void)sig;
	keep_text("hangs");
	_exit(3);
}

static void on_crash(int sig)
{
	(void)signal(sig, SIG_DFL);
	keep_text("crashes");
	(void)raise(sig);
}

static int check_many(unsigned n)
{
	(void)signal(SIGALRM, on_alarm);
	(void)signal(SIGSEGV, on_crash);
	(void)signal(SIGABRT, on_crash);
	for (unsigned i = 0; i < n; i++) {
		size_t file = rnd((uint32_t)n_files);

		memcpy(text, files[file].text, files[file].len);
		len = files[file].len;
		for (uint32_t k = 1 + rnd(6); k; k--)
			mutate();
		(void)alarm(SECONDS_MAX);
		check_text();
#if !EX_ASAN
		if (peak_kib() > MEMORY_MAX_KIB) {
			fprintf(stderr, "%ld KiB\n", peak_kib());
			keep_text("takes too much memory");
			return 4;
		}
#endif
	}
	printf("# %u files, peak %ld KiB\n", n, peak_kib());
	fflush(stdout);
	return 0;
}

static void test_mutated_files(void **state)
{
	const char *more = getenv("EX_MUTATIONS");
	unsigned n = more ? (unsigned)strtoul(more, NULL, 10) : MUTATIONS;
	int status;
	pid_t pid;

	(void)state;
	load_dir("tests/unit/golden/policy");
	load_dir("tests/unit/corpus");
	load_dir("tests/fuzz/corpus/policy");
	load_dir("policy/presets");
	load_dir(getenv("EXEAT_CORPUS"));
	assert_true(n_files > 40);
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(check_many(n));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (size_t i = 0; i < n_files; i++)
		free(files[i].text);
	if (status != 0)
		fail_msg("status %x with seed %llu", (unsigned)status, (unsigned long long)seed);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_mutated_files) };

	if (argc > 1)
		seed = strtoull(argv[1], NULL, 10);
	printf("# seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
