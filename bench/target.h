/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the load of the benchmark asks: names, their addresses, and the text of a request. */
#ifndef EXEAT_BENCH_TARGET_H
#define EXEAT_BENCH_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define REQUEST_MAX 2048

struct target {
	char host[256];
	struct sockaddr_storage addr;
	socklen_t addr_len;
	char request[REQUEST_MAX]; /* the head, then what a small body is made of */
	size_t request_len;        /* of the head */
};

struct target_request {
	const char *method;
	size_t upload;
	bool close; /* one request a connection */
};

/*
 * n of them: %u in the URL's host is first, first + 1, and so on; each is looked up once, slowly
 * enough for a resolver that counts. Ends the program when it can not.
 */
struct target *targets_new(const char *url, unsigned first, unsigned n,
			   const struct target_request *req, bool *ret_tls);

#endif
