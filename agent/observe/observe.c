/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring and its readers. A reader has a place in the ring and sends from there as long as its
 * connection takes it; then it waits for room. So the backlog of all clients together is the ring,
 * and a slow one costs nobody else anything.
 */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "agent/control/control.h"
#include "agent/observe/observe_priv.h"

#define JSON_MAX   32768 /* every byte of an event escaped */
#define SEND_MAX   65536 /* bytes a reader is given in a row */
#define LOOK_MAX   4096  /* events a reader looks at in a row */
#define LABELS_MAX 256

struct reader {
	struct ex_observe *o;
	struct reader *next, **link;
	struct ex_call *call;
	struct ex_observe_filter *filter;
	uint64_t at;    /* seq of the next event to look at */
	uint64_t until; /* last one wanted; UINT64_MAX = follows */
	bool waiting;   /* for room */
};

struct kept {
	struct ex_observe_who *who;
	uint8_t *bytes; /* NULL: there was no memory for it */
	size_t len;
};

struct ex_observe {
	struct ex_loop *loop;
	struct ex_defer pump;
	char node[256];
	struct kept *ring;
	size_t size;
	uint64_t seq; /* of the newest */
	struct reader *readers;
};

/* ---- who ---- */

static char *print_label(const struct ex_label *l)
{
	char *text = NULL;

	return asprintf(&text, l->value && l->value[0] ? "%s=%s" : "%s", l->key, l->value) < 0
		       ? NULL
		       : text;
}

static int who_fill(struct ex_observe_who *who, const struct ex_observe_endpoint *ep)
{
	size_t n = ep->n_labels < LABELS_MAX ? ep->n_labels : LABELS_MAX;

	who->id = ep->id;
	who->name = strdup(ep->name);
	who->ns = strdup(ep->ns ? ep->ns : "");
	who->labels = calloc(n + 1, sizeof(*who->labels));
	if (!who->name || !who->ns || !who->labels)
		return -ENOMEM;
	for (; who->n_labels < n; who->n_labels++) {
		who->labels[who->n_labels] = print_label(&ep->labels[who->n_labels]);
		if (!who->labels[who->n_labels])
			return -ENOMEM;
	}
	return 0;
}

static void who_free(struct ex_observe_who *who)
{
	for (size_t i = 0; i < who->n_labels; i++)
		free(who->labels[i]);
	free(who->labels);
	free(who->name);
	free(who->ns);
	free(who);
}

int ex_observe_who_new(const struct ex_observe_endpoint *ep, struct ex_observe_who **ret)
{
	struct ex_observe_who *who = calloc(1, sizeof(*who));
	int r = who ? who_fill(who, ep) : -ENOMEM;

	if (r == 0) {
		who->refs = 1;
		*ret = who;
	} else if (who) {
		who_free(who);
	}
	return r;
}

void ex_observe_who_unref(struct ex_observe_who *who)
{
	if (who && --who->refs == 0)
		who_free(who);
}

/* ---- the ring ---- */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * EX_SEC + (uint64_t)ts.tv_nsec;
}

static struct kept *ring_at(struct ex_observe *o, uint64_t seq)
{
	return &o->ring[seq % o->size];
}

static uint64_t ring_oldest(const struct ex_observe *o)
{
	return o->seq >= o->size ? o->seq - o->size + 1 : 1;
}

static bool ring_read(struct ex_observe *o, uint64_t seq, struct ex_observed *ret)
{
	const struct kept *k = ring_at(o, seq);

	if (k->bytes)
		ex_observed_unpack(k->bytes, k->len, ret);
	return k->bytes;
}

static void kept_done(struct kept *k)
{
	ex_observe_who_unref(k->who);
	free(k->bytes);
	*k = (struct kept){ 0 };
}

/* e: what is before its record. */
static void ring_put(struct ex_observe *o, struct ex_observed *e, const struct ex_audit_record *rec,
		     const struct ex_ruleset *rs)
{
	const struct ex_rule_info *rule = rs ? ex_ruleset_rule(rs, rec->rule) : NULL;
	struct kept *k = ring_at(o, ++o->seq);
	uint8_t bytes[EX_OBSERVED_PACKED_MAX] EX_UNSET;

	kept_done(k);
	e->seq = o->seq;
	e->line = rule ? rule->line : 0;
	k->len = ex_observed_pack(e, rec, rule, bytes);
	k->bytes = malloc(k->len);
	if (!k->bytes)
		return;
	memcpy(k->bytes, bytes, k->len);
	k->who = e->who;
	if (k->who)
		k->who->refs++;
	if (o->readers)
		ex_defer(o->loop, &o->pump);
}

/* What is before its record: the rest is not used. */
static void event_init(struct ex_observed *e, enum ex_observed_kind kind,
		       struct ex_observe_who *who, uint64_t time)
{
	memset(e, 0, offsetof(struct ex_observed, rec));
	e->kind = kind;
	e->who = who;
	e->time = time;
}

void ex_observe_record(struct ex_observe *o, struct ex_observe_who *who,
		       const struct ex_ruleset *rs, const struct ex_audit_record *rec)
{
	struct ex_observed e EX_UNSET;

	event_init(&e, EX_OBSERVED_VERDICT, who, clock_ns(CLOCK_REALTIME));
	ring_put(o, &e, rec, rs);
}

void ex_observe_event(struct ex_observe *o, struct ex_observe_who *who, const struct ex_ruleset *rs,
		      const struct ex_event *ev)
{
	struct ex_observed e EX_UNSET;
	struct ex_audit_record rec;

	if (ev->type != EX_EV_NEW && ev->type != EX_EV_END)
		return;
	event_init(&e, ev->type == EX_EV_NEW ? EX_OBSERVED_NEW : EX_OBSERVED_END, who,
		   clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC) + ev->time);
	e.steered = ev->verdict == EX_V_STEER;
	e.packets = ev->packets;
	e.bytes = ev->bytes;
	e.suppressed = ev->suppressed;
	rec = ex_audit_of_event(ev);
	ring_put(o, &e, &rec, rs);
}

ssize_t ex_observe_last(struct ex_observe *o, char *out, size_t cap)
{
	struct ex_observed e;
	struct ex_json j;

	if (!o->seq || !ring_read(o, o->seq, &e))
		return -ENOENT;
	ex_json_init(&j, out, cap);
	ex_observed_json(&e, o->node, &j);
	return ex_json_done(&j);
}

/* ---- readers ---- */

static void reader_free(struct reader *rd)
{
	*rd->link = rd->next;
	if (rd->next)
		rd->next->link = rd->link;
	ex_observe_filter_free(rd->filter);
	free(rd);
}

static void reader_end(struct reader *rd)
{
	ex_call_end(rd->call);
	reader_free(rd);
}

static void on_gone(void *arg, struct ex_call *call)
{
	(void)call;
	reader_end(arg);
}

/* 0 or as ex_call_send(). */
static int send_lost(struct reader *rd, uint64_t lost)
{
	char text[512], time[EX_OBSERVED_TIME], number[24];
	struct ex_json j;

	ex_observed_time(clock_ns(CLOCK_REALTIME), time);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)lost);
	ex_json_init(&j, text, sizeof(text));
	ex_json_open(&j, NULL, '{');
	ex_json_open(&j, "lost_events", '{');
	ex_json_text(&j, "source", "HUBBLE_RING_BUFFER");
	ex_json_text(&j, "num_events_lost", number); /* protobuf writes 64 bits as a string */
	ex_json_close(&j, '}');
	ex_json_text(&j, "time", time);
	ex_json_close(&j, '}');
	return ex_call_send(rd->call, (struct ex_span){ text, j.len });
}

static int send_event(struct reader *rd, const struct ex_observed *e, size_t *sent)
{
	char text[JSON_MAX];
	struct ex_json j;
	ssize_t n;
	int r;

	ex_json_init(&j, text, sizeof(text));
	ex_observed_json(e, rd->o->node, &j);
	n = ex_json_done(&j);
	if (n < 0)
		return 0; /* cannot be: JSON_MAX holds the largest */
	r = ex_call_send(rd->call, (struct ex_span){ text, (size_t)n });
	*sent += r == 0 ? (size_t)n : 0;
	return r;
}

static void on_room(void *arg, struct ex_call *call);

/* Sends from the reader's place; frees it when it has had all it wanted. */
static void reader_pump(struct reader *rd)
{
	struct ex_observe *o = rd->o;
	uint64_t oldest = ring_oldest(o), end = rd->until < o->seq ? rd->until : o->seq;
	size_t sent = 0;
	int r = 0;

	if (rd->at < oldest) {
		r = send_lost(rd, oldest - rd->at);
		if (r == 0)
			rd->at = oldest;
	}
	for (int i = 0; r == 0 && rd->at <= end && i < LOOK_MAX && sent < SEND_MAX; i++) {
		struct ex_observed e;

		if (ring_read(o, rd->at, &e) && ex_observe_filter_matches(rd->filter, &e))
			r = send_event(rd, &e, &sent);
		if (r == 0)
			rd->at++;
	}
	if (rd->at > rd->until) {
		reader_end(rd);
	} else if (rd->at <= end) {
		rd->waiting = true;
		ex_call_on_room(rd->call, on_room, rd);
	}
}

static void on_room(void *arg, struct ex_call *call)
{
	struct reader *rd = arg;

	(void)call;
	rd->waiting = false;
	reader_pump(rd);
}

static void pump_all(struct ex_defer *d)
{
	struct ex_observe *o = ex_container_of(d, struct ex_observe, pump);

	for (struct reader *rd = o->readers, *next; rd; rd = next) {
		next = rd->next;
		if (!rd->waiting)
			reader_pump(rd);
	}
}

/* ---- the op ---- */

/* The place behind which n events match: 0 < n. */
static uint64_t find_last(struct ex_observe *o, const struct ex_observe_filter *f, uint64_t n)
{
	uint64_t at = o->seq + 1, oldest = ring_oldest(o);

	while (at > oldest && n) {
		struct ex_observed e;

		n -= ring_read(o, --at, &e) && ex_observe_filter_matches(f, &e);
	}
	return at;
}

/* What is there and cannot be read is no default. */
static bool read_last(const struct ex_jv *request, int64_t *last)
{
	return !ex_jv_get(request, "last") || ex_jv_integer(request, "last", 0, INT64_MAX, last);
}

static void op_observe(void *arg, struct ex_call *call)
{
	const struct ex_jv *request = ex_call_request(call);
	bool follow = ex_jv_bool(request, "follow", false);
	struct ex_observe *o = arg;
	struct reader *rd;
	int64_t last = follow ? 0 : 20;
	char err[320] = "out of memory";

	if (!read_last(request, &last)) {
		ex_call_error(call, "invalid", "last: write a number of events");
		return;
	}
	rd = calloc(1, sizeof(*rd));
	if (!rd || ex_observe_filter_new(request, &rd->filter, err, sizeof(err)) < 0) {
		free(rd);
		ex_call_error(call, "invalid", "%s", err);
		return;
	}
	rd->o = o;
	rd->call = call;
	rd->at = last ? find_last(o, rd->filter, (uint64_t)last) : o->seq + 1;
	rd->until = follow ? UINT64_MAX : o->seq;
	rd->next = o->readers;
	rd->link = &o->readers;
	if (rd->next)
		rd->next->link = &rd->next;
	o->readers = rd;
	ex_call_on_gone(call, on_gone, rd);
	reader_pump(rd);
}

/* ---- life ---- */

int ex_observe_new(struct ex_loop *loop, const char *node, size_t keep, struct ex_observe **ret)
{
	struct ex_observe *o = calloc(1, sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->loop = loop;
	o->pump.fn = pump_all;
	o->size = keep;
	o->ring = calloc(keep, sizeof(*o->ring)); /* touched as it fills */
	snprintf(o->node, sizeof(o->node), "%s", node);
	if (!o->ring) {
		free(o);
		return -ENOMEM;
	}
	*ret = o;
	return 0;
}

void ex_observe_free(struct ex_observe *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->size; i++)
		kept_done(&o->ring[i]);
	free(o->ring);
	free(o);
}

int ex_observe_serve(struct ex_observe *o, struct ex_control *control)
{
	return ex_control_add(control, "observe", op_observe, o);
}
