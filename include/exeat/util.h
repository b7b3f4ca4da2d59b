/* SPDX-License-Identifier: Apache-2.0 */
/* Header-only helpers for user space: spans, cleanup, addresses. */
#ifndef EXEAT_UTIL_H
#define EXEAT_UTIL_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi.h"

#define EX_ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define ex_container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define EX_MUST_CHECK   __attribute__((warn_unused_result))
#define EX_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define EX_CLEANUP(fn)  __attribute__((cleanup(fn)))
/* A large local that is written before it is read, often: not to be cleared first. */
#define EX_UNSET __attribute__((uninitialized))
/* Is this a build with the address sanitizer? gcc says so in one way, clang in another. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EX_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define EX_ASAN 1
#endif
#if !defined(EX_ASAN)
#define EX_ASAN 0
#endif
#define EX_TAKE_PTR(p)                                                                             \
	({                                                                                         \
		__typeof__(p) *pp_ = &(p), p_ = *pp_;                                              \
		*pp_ = NULL;                                                                       \
		p_;                                                                                \
	})
#define EX_TAKE_FD(fd)                                                                             \
	({                                                                                         \
		int *fp_ = &(fd), f_ = *fp_;                                                       \
		*fp_ = -1;                                                                         \
		f_;                                                                                \
	})

/* Bytes that are not ours and may hold anything, NUL included. Never NUL-terminated by contract. */
struct ex_span {
	const char *ptr;
	size_t len;
};

#define EX_SPAN(lit) ((struct ex_span){ (lit), sizeof(lit) - 1 })

static inline struct ex_span ex_span_str(const char *s)
{
	return (struct ex_span){ s, s ? strlen(s) : 0 };
}

static inline bool ex_span_eq(struct ex_span a, struct ex_span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* Without surrounding blanks and tabs (OWS, RFC 9110 5.6.3). */
static inline struct ex_span ex_span_trim(struct ex_span s)
{
	while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

/* Takes the next element off a comma-separated list (RFC 9110 5.6.1); false at its end. */
static inline bool ex_span_next(struct ex_span *list, struct ex_span *ret)
{
	const char *comma;

	if (!list->ptr)
		return false;
	comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
	if (comma) {
		*ret = ex_span_trim((struct ex_span){ list->ptr, (size_t)(comma - list->ptr) });
		list->len -= (size_t)(comma - list->ptr) + 1;
		list->ptr = comma + 1;
	} else {
		*ret = ex_span_trim(*list);
		*list = (struct ex_span){ NULL, 0 };
	}
	return true;
}

/* False when the text is not exactly a whole number from min to max, in digits. */
static inline bool ex_number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	size_t len = strspn(text, "0123456789");
	uint64_t n = 0;

	if (!len || text[len] || len > 19) /* so many fit */
		return false;
	for (; *text; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	if (n < min || n > max)
		return false;
	*ret = n;
	return true;
}

static inline void ex_freep(void *p)
{
	free(*(void **)p);
}

static inline void ex_closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Until size bytes are there or the file ends: how many there were, or negative errno. */
static inline ssize_t ex_read_full(int fd, void *to, size_t size)
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < size && n) {
		n = read(fd, (char *)to + len, size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)len;
}

/* All of it: 0, or negative errno. */
static inline int ex_write_full(int fd, struct ex_span bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		bytes.ptr += n > 0 ? n : 0;
		bytes.len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

#define EX_AUTO_FREE  EX_CLEANUP(ex_freep)
#define EX_AUTO_CLOSE EX_CLEANUP(ex_closep)

/* NULL: it is known by its number only. */
static inline const char *ex_proto_word(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_SCTP:
		return "sctp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	}
	return NULL;
}

/* ---- addresses: 16 bytes, network order, IPv4 as ::ffff:a.b.c.d (see abi.h) ---- */

static inline bool ex_ip_is4(const struct ex_ip *ip)
{
	static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	return memcmp(ip->b, prefix, sizeof(prefix)) == 0;
}

static inline struct ex_ip ex_ip_from4(const void *four)
{
	struct ex_ip ip = { .b = { [10] = 0xff, [11] = 0xff } };
	memcpy(ip.b + 12, four, 4);
	return ip;
}

static inline bool ex_ip_eq(const struct ex_ip *a, const struct ex_ip *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* False when the text is not exactly one address (no port, no zone, no prefix). */
static inline bool ex_ip_parse(const char *text, struct ex_ip *ret)
{
	uint8_t four[4];

	if (inet_pton(AF_INET, text, four) == 1) {
		*ret = ex_ip_from4(four);
		return true;
	}
	return inet_pton(AF_INET6, text, ret->b) == 1;
}

#define EX_IP_TEXT INET6_ADDRSTRLEN

/* inet_ntop() of IPv4 is an sprintf(): too much for what every record has two of. */
static inline const char *ex_ip_text(const struct ex_ip *ip, char buf[static EX_IP_TEXT])
{
	char *p = buf;

	if (!ex_ip_is4(ip))
		return inet_ntop(AF_INET6, ip->b, buf, EX_IP_TEXT);
	for (const uint8_t *b = ip->b + 12; b < ip->b + 16; b++) {
		if (*b >= 100)
			*p++ = (char)('0' + *b / 100);
		if (*b >= 10)
			*p++ = (char)('0' + *b / 10 % 10);
		*p++ = (char)('0' + *b % 10);
		*p++ = '.';
	}
	p[-1] = '\0';
	return buf;
}

/* ---- reasons ---- */

static inline const char *ex_reason_word(unsigned reason)
{
	switch (reason) {
#define X(num, sym, word, text)                                                                    \
	case num:                                                                                  \
		return word;
		EX_REASONS(X)
#undef X
	}
	return "unspecified";
}

static inline const char *ex_reason_text(unsigned reason)
{
	switch (reason) {
#define X(num, sym, word, text)                                                                    \
	case num:                                                                                  \
		return text;
		EX_REASONS(X)
#undef X
	}
	return "no verdict was reached; this is a bug in exeat";
}

#endif
