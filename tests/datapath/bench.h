/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test bench for the gate's programs: one endpoint on the loopback interface of a namespace of
 * our own, driven by BPF_PROG_TEST_RUN. No socket is in the sockmap, so a packet that is steered
 * ends as NO_PROXY with the rule that steered it.
 */
#ifndef EXEAT_TESTS_BENCH_H
#define EXEAT_TESTS_BENCH_H

#include <linux/pkt_cls.h>

#include "agent/gate/gate.h"
#include "tests/datapath/netns.h"
#include "tests/datapath/pkt.h"

#define BENCH_IF 1

struct bench_result {
	int action;            /* TC_ACT_* */
	enum ex_reason reason; /* the one counter that moved */
	uint32_t mark;
	uint8_t out[PKT_MAX];
	size_t len;
};

extern struct ex_gate *bench_gate;
extern uint32_t bench_ifindex; /* BENCH_IF unless a test says otherwise */

void bench_open(const struct ex_gate_limits *limits);
void bench_close(void);
int bench_setup(void **state); /* of a group of tests: the two with defaults */
int bench_teardown(void **state);
void bench_publish(const struct ex_tables *tables, uint32_t flags);
/* rules are of class 1, which 198.51.100.0/24 and 2001:db8::/32 belong to. */
void bench_publish_rules(const struct ex_rule_entry *rules, size_t n, uint32_t flags);

/* Runs a frame through a program; checks that exactly one reason counted it, with its bytes. */
struct bench_result bench_send(const struct pkt_frame *f);
struct bench_result bench_receive(const struct pkt_frame *f);

/* The same with any program of the gate, and a mark. */
struct bench_result bench_program(const char *name, const struct pkt_frame *f, uint32_t mark);

/* TC_ACT_* of a program that does not count what it lets pass. */
int bench_program_action(const char *name, const struct pkt_frame *f);

/* TC_ACT_* of the program towards the workload for a packet with this mark. */
int bench_receive_marked(const struct pkt_frame *f, uint32_t mark);

/* TC_ACT_* of the program from the workload, without a look at the counters. */
int bench_action(const struct pkt_frame *f);

/* The reason for a frame from the workload / to it. */
enum ex_reason bench_out(const struct pkt_spec *spec);
enum ex_reason bench_in(const struct pkt_spec *spec);

#endif
