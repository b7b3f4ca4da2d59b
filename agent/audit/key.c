/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "agent/audit/chain.h"
#include "agent/core/log.h"
#include "agent/core/output.h"
#include "agent/tls/hmac.h"
#include "exeat/text.h"

#define KEY_LEN_MIN 32

void ex_audit_keys_wipe(struct ex_audit_keys *keys)
{
	explicit_bzero(keys, sizeof(*keys));
}

const struct ex_audit_key *ex_audit_keys_current(const struct ex_audit_keys *keys)
{
	return keys->n ? &keys->list[keys->n - 1] : NULL;
}

const struct ex_audit_key *ex_audit_keys_find(const struct ex_audit_keys *keys, struct ex_span id)
{
	for (size_t i = 0; i < keys->n; i++)
		if (ex_span_eq(ex_span_str(keys->list[i].id), id))
			return &keys->list[i];
	return NULL;
}

static bool id_is_valid(struct ex_span id)
{
	for (size_t i = 0; i < id.len; i++) {
		char c = id.ptr[i];

		if (!ex_is_alnum(c) && c != '-' && c != '_')
			return false;
	}
	return id.len > 0 && id.len <= EX_AUDIT_KEY_ID_MAX;
}

/* 0, 1 for an empty or comment line, or -EINVAL. */
static int line_parse(char *line, struct ex_audit_keys *keys)
{
	struct ex_audit_key *k = &keys->list[keys->n];
	struct ex_span id, hex;

	line[strcspn(line, "\n")] = '\0';
	line += strspn(line, " \t");
	if (line[0] == '\0' || line[0] == '#')
		return 1;
	id = (struct ex_span){ line, strcspn(line, " \t") };
	hex.ptr = id.ptr + id.len + strspn(id.ptr + id.len, " \t");
	hex.len = strlen(hex.ptr);
	if (keys->n == EX_AUDIT_KEYS_MAX || !id_is_valid(id) || ex_audit_keys_find(keys, id) ||
	    hex.len < 2 * KEY_LEN_MIN || hex.len > 2 * EX_AUDIT_KEY_MAX ||
	    !ex_hex_decode(hex, k->bytes, hex.len / 2))
		return -EINVAL;
	memcpy(k->id, id.ptr, id.len);
	k->id[id.len] = '\0';
	k->len = hex.len / 2;
	keys->n++;
	return 0;
}

static int check_private(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && !(st.st_mode & 077))
		return 0;
	ex_error("%s: not a file that only its owner may read (chmod 600)", path);
	return -EPERM;
}

static int file_read(FILE *f, const char *path, struct ex_audit_keys *keys)
{
	size_t cap = EX_AUDIT_KEY_ID_MAX + 2 * EX_AUDIT_KEY_MAX + 64; /* comments may be longer */
	EX_AUTO_FREE char *line = malloc(cap);
	int r = line ? check_private(fileno(f), path) : -ENOMEM;

	if (r < 0)
		return r;
	for (int n = 1; r >= 0 && getline(&line, &cap, f) >= 0; n++) {
		r = line_parse(line, keys);
		if (r < 0)
			ex_error("%s:%d: not \"ID HEX\" with a new ID and %d bytes or more", path,
				 n, KEY_LEN_MIN);
	}
	explicit_bzero(line, cap);
	if (r >= 0 && !feof(f)) {
		ex_error("%s: cannot be read to its end", path);
		r = -EIO;
	}
	if (r >= 0 && keys->n == 0) {
		ex_error("%s: no key in it", path);
		r = -EINVAL;
	}
	return r < 0 ? r : 0;
}

int ex_audit_keys_load(const char *path, struct ex_audit_keys *ret)
{
	FILE *f = fopen(path, "re");
	int r;

	if (!f) {
		r = -errno;
		ex_error("%s: %s", path, strerror(-r));
		return r;
	}
	*ret = (struct ex_audit_keys){ 0 };
	r = file_read(f, path, ret);
	if (r < 0)
		ex_audit_keys_wipe(ret);
	fclose(f);
	return r;
}

/* The line as a whole, on a line of its own, or nothing of it. */
static int line_append(int fd, struct ex_span line)
{
	struct stat st;
	char last = '\n';
	ssize_t n;
	int r;

	if (fstat(fd, &st) < 0 || (st.st_size > 0 && pread(fd, &last, 1, st.st_size - 1) != 1))
		return -EIO;
	if (last != '\n' && write(fd, "\n", 1) != 1)
		return -EIO;
	n = write(fd, line.ptr, line.len);
	if (n == (ssize_t)line.len)
		return 0;
	r = n < 0 ? -errno : -ENOSPC;
	return ftruncate(fd, st.st_size) < 0 ? -errno : r;
}

static int key_append(int fd)
{
	char line[EX_AUDIT_KEY_ID_MAX + 2 * KEY_LEN_MIN + 4], hex[2 * KEY_LEN_MIN + 1];
	uint8_t bytes[KEY_LEN_MIN + 4];
	int n, r = ex_random(bytes, sizeof(bytes));

	if (r < 0)
		return r;
	ex_hex_encode(bytes, KEY_LEN_MIN, hex);
	n = snprintf(line, sizeof(line), "k%lld-%02x%02x%02x%02x %s\n", (long long)time(NULL),
		     bytes[KEY_LEN_MIN], bytes[KEY_LEN_MIN + 1], bytes[KEY_LEN_MIN + 2],
		     bytes[KEY_LEN_MIN + 3], hex);
	r = line_append(fd, (struct ex_span){ line, (size_t)n });
	explicit_bzero(line, sizeof(line));
	explicit_bzero(hex, sizeof(hex));
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}

int ex_audit_keys_append(const char *path)
{
	EX_AUTO_CLOSE int fd = ex_output_open(path, O_RDWR | O_CREAT | O_APPEND, 0600);
	int r;

	if (fd < 0) {
		ex_error("%s: %s", path, ex_output_error(fd));
		return fd;
	}
	r = check_private(fd, path);
	if (r < 0)
		return r;
	r = key_append(fd);
	if (r < 0)
		ex_error("%s: %s", path, strerror(-r));
	return r;
}
