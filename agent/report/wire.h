/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the agent and its reporting process: two SOCK_SEQPACKET sockets, one for alerts (the
 * first byte of a message is its type), one for questions (a structure each way, the text of the
 * answer in a descriptor that comes along).
 */
#ifndef EXEAT_AGENT_REPORT_WIRE_H
#define EXEAT_AGENT_REPORT_WIRE_H

#include "exeat/util.h"

#define EX_REPORT_FD_ALERTS    3
#define EX_REPORT_FD_QUESTIONS 4
#define EX_REPORT_FD_END       5

#define EX_REPORT_MESSAGE_MAX 49152

enum ex_report_message {
	EX_REPORT_CONFIG = 'C', /* to the process, first: JSON */
	EX_REPORT_ALERT = 'A',  /* to the process: JSON */
	EX_REPORT_READY = 'R',  /* from it: it serves */
	EX_REPORT_FAILED = 'F', /* from it: it cannot; a text */
	EX_REPORT_STATS = 'S',  /* from it: struct ex_report_stats behind the byte */
};

struct ex_report_stats {
	uint64_t sent;   /* alerts that the webhook took */
	uint64_t lost;   /* alerts that were given up */
	uint64_t posts;  /* tried */
	uint64_t failed; /* of these */
	uint64_t queued;
};

enum ex_report_what { EX_REPORT_METRICS = 1, EX_REPORT_HEALTH = 2 };

struct ex_report_question {
	uint32_t what; /* enum ex_report_what */
	uint32_t id;
};

struct ex_report_answer {
	uint32_t id;
	int32_t status; /* HTTP status */
	uint64_t len;   /* of the text in the descriptor */
};

#endif
