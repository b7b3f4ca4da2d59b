/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One post at a time. A batch is what waits when it begins; it stays at the head of the queue until
 * the server has taken it (2xx), refused it for good (other 4xx) or was asked TRIES_MAX times.
 */
#include <errno.h>
#include <stdio.h>
#include <strings.h>

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "agent/audit/chain.h"
#include "agent/core/json.h"
#include "agent/core/log.h"
#include "agent/core/loop.h"
#include "agent/http/authority.h"
#include "agent/report/library.h"
#include "agent/report/webhook.h"
#include "agent/tls/hmac.h"

#define QUEUE_MAX    1000 /* alerts that wait */
#define BATCH_MAX    100
#define BODY_MAX     (1u << 20)
#define TRIES_MAX    12
#define PAUSE_MS     1000 /* after the first failure; doubled by each, up to PAUSE_MAX_MS */
#define PAUSE_MAX_MS 60000
#define POST_MS      10000L
#define CONNECT_MS   5000L
#define WAIT_MS      60000

/* What is used of libcurl; see library.h. */
static struct {
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_easy_getinfo) *easy_getinfo;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_setopt) *easy_setopt;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_multi_add_handle) *multi_add_handle;
	__typeof__(curl_multi_cleanup) *multi_cleanup;
	__typeof__(curl_multi_info_read) *multi_info_read;
	__typeof__(curl_multi_init) *multi_init;
	__typeof__(curl_multi_perform) *multi_perform;
	__typeof__(curl_multi_poll) *multi_poll;
	__typeof__(curl_multi_remove_handle) *multi_remove_handle;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
} curl;

#define SYMBOL(fn)                                                                                 \
	{                                                                                          \
		"curl_" #fn, offsetof(__typeof__(curl), fn)                                        \
	}

static const struct ex_symbol symbols[] = {
	SYMBOL(easy_cleanup),        SYMBOL(easy_getinfo),  SYMBOL(easy_init),
	SYMBOL(easy_setopt),         SYMBOL(easy_strerror), SYMBOL(global_init),
	SYMBOL(multi_add_handle),    SYMBOL(multi_cleanup), SYMBOL(multi_info_read),
	SYMBOL(multi_init),          SYMBOL(multi_perform), SYMBOL(multi_poll),
	SYMBOL(multi_remove_handle), SYMBOL(slist_append),  SYMBOL(slist_free_all),
};

struct ex_webhook {
	struct ex_webhook_config cfg;
	CURLM *multi;
	CURL *easy;
	struct curl_slist *headers;
	char *queue[QUEUE_MAX]; /* a ring */
	size_t first, n;
	size_t batch; /* of these, in the body; 0 = no batch */
	struct ex_json body;
	bool busy; /* a post is under way */
	bool stale;
	unsigned tries;
	uint64_t due;       /* ms: not before */
	uint64_t lost_told; /* by posts that got through */
	uint64_t lost_said; /* by the body there is */
	struct ex_report_stats stats;
};

/* What the server says is of no interest. */
static size_t discard(char *bytes, size_t size, size_t n, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * n;
}

/* ---- where ---- */

bool ex_webhook_is_url(const char *text)
{
	size_t scheme = strncasecmp(text, "http://", 7) == 0    ? 7
			: strncasecmp(text, "https://", 8) == 0 ? 8
								: 0;
	struct ex_span host = { text + scheme, strcspn(text + scheme, "/?#") };
	struct ex_authority a;

	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return scheme && ex_authority_parse(host, &a) == 0;
}

/* ---- the queue ---- */

void ex_webhook_add(struct ex_webhook *w, struct ex_span json)
{
	char *text = w->n < QUEUE_MAX ? strndup(json.ptr, json.len) : NULL;

	if (!text) {
		w->stats.lost++;
		return;
	}
	w->queue[(w->first + w->n++) % QUEUE_MAX] = text;
	w->stats.queued = w->n;
}

static void queue_drop(struct ex_webhook *w, size_t n)
{
	for (; n && w->n; n--, w->n--) {
		free(w->queue[w->first]);
		w->first = (w->first + 1) % QUEUE_MAX;
	}
	w->stats.queued = w->n;
}

/* ---- a post ---- */

static void write_body(struct ex_webhook *w)
{
	struct ex_json *j = &w->body;
	size_t n = w->n < BATCH_MAX ? w->n : BATCH_MAX;

	ex_json_wipe(j);
	w->lost_said = w->stats.lost;
	ex_json_open(j, NULL, '{');
	ex_json_number(j, "version", 1);
	ex_json_text(j, "node", w->cfg.node);
	ex_json_number(j, "lost", w->lost_said - w->lost_told);
	ex_json_open(j, "alerts", '[');
	for (w->batch = 0; w->batch < n && j->len < BODY_MAX / 2; w->batch++)
		ex_json_raw(j, NULL, ex_span_str(w->queue[(w->first + w->batch) % QUEUE_MAX]));
	ex_json_close(j, ']');
	ex_json_close(j, '}');
}

static int add_header(struct ex_webhook *w, const char *text)
{
	struct curl_slist *list = curl.slist_append(w->headers, text);

	if (!list)
		return -ENOMEM;
	w->headers = list;
	return 0;
}

static int add_signature(struct ex_webhook *w)
{
	struct ex_span body = { w->body.out, w->body.len };
	char hex[2 * EX_MAC_LEN + 1], text[128];
	uint8_t mac[EX_MAC_LEN];
	int r;

	if (!w->cfg.secret.len)
		return 0;
	r = ex_mac(w->cfg.secret, &body, 1, mac);
	if (r < 0)
		return r;
	ex_hex_encode(mac, sizeof(mac), hex);
	snprintf(text, sizeof(text), "X-Exeat-Signature: sha256=%s", hex);
	return add_header(w, text);
}

static int add_headers(struct ex_webhook *w)
{
	char text[4200];
	int r;

	curl.slist_free_all(EX_TAKE_PTR(w->headers));
	r = add_header(w, "Content-Type: application/json");
	if (r == 0)
		r = add_header(w, "Expect:");
	if (r == 0)
		r = add_signature(w);
	if (r < 0 || !w->cfg.token.len)
		return r;
	snprintf(text, sizeof(text), "Authorization: Bearer %.*s", (int)w->cfg.token.len,
		 w->cfg.token.ptr);
	return add_header(w, text);
}

static void post_begin(struct ex_webhook *w)
{
	if (!w->batch)
		write_body(w);
	if (ex_json_done(&w->body) < 0 || add_headers(w) < 0) {
		w->batch = 0;
		w->due = ex_clock_ms() + PAUSE_MAX_MS;
		return;
	}
	curl.easy_setopt(w->easy, CURLOPT_HTTPHEADER, w->headers);
	curl.easy_setopt(w->easy, CURLOPT_POSTFIELDS, w->body.out);
	curl.easy_setopt(w->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)w->body.len);
	w->busy = curl.multi_add_handle(w->multi, w->easy) == CURLM_OK;
	w->stats.posts++;
	if (!w->busy)
		w->due = ex_clock_ms() + PAUSE_MAX_MS;
}

static void batch_sent(struct ex_webhook *w)
{
	w->stats.sent += w->batch;
	w->lost_told = w->lost_said;
	queue_drop(w, w->batch);
	w->batch = 0;
	w->tries = 0;
	w->due = ex_clock_ms() + w->cfg.interval_ms;
}

static bool is_for_good(CURLcode code, long status)
{
	return code == CURLE_OK && status >= 400 && status < 500 && status != 408 && status != 429;
}

static void batch_failed(struct ex_webhook *w, CURLcode code, long status, const char *why)
{
	bool for_good = is_for_good(code, status);
	uint64_t pause = PAUSE_MS;

	w->stats.failed++;
	if (w->tries++ == 0)
		ex_warning("webhook: %s", why); /* once, until it works again */
	for (unsigned i = 1; i < w->tries && pause < PAUSE_MAX_MS; i++)
		pause *= 2;
	pause = pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
	w->due = ex_clock_ms() + (pause > w->cfg.interval_ms ? pause : w->cfg.interval_ms);
	if (!for_good && w->tries < TRIES_MAX)
		return;
	w->stale = code == CURLE_COULDNT_RESOLVE_HOST;
	w->stats.lost += w->batch;
	queue_drop(w, w->batch);
	w->batch = 0;
	w->tries = for_good ? 1 : w->tries - 1;
}

static void post_end(struct ex_webhook *w, CURLcode code)
{
	char why[160];
	long status = 0;

	curl.multi_remove_handle(w->multi, w->easy);
	w->busy = false;
	curl.easy_getinfo(w->easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && status >= 200 && status < 300) {
		batch_sent(w);
		return;
	}
	if (code == CURLE_OK)
		snprintf(why, sizeof(why), "the server answered %ld", status);
	else
		snprintf(why, sizeof(why), "%s", curl.easy_strerror(code));
	batch_failed(w, code, status, why);
}

/* ---- waiting ---- */

static int time_left(const struct ex_webhook *w)
{
	uint64_t now = ex_clock_ms();

	if (w->busy || !w->n)
		return WAIT_MS;
	return w->due <= now ? 0 : w->due - now > WAIT_MS ? WAIT_MS : (int)(w->due - now);
}

void ex_webhook_wait(struct ex_webhook *w, int fd)
{
	struct curl_waitfd extra = { .fd = fd, .events = CURL_WAIT_POLLIN };
	int running, left;
	CURLMsg *msg;

	if (!w->busy && w->n && w->due <= ex_clock_ms())
		post_begin(w);
	(void)curl.multi_poll(w->multi, &extra, 1, time_left(w), NULL);
	(void)curl.multi_perform(w->multi, &running);
	while ((msg = curl.multi_info_read(w->multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			post_end(w, msg->data.result);
}

bool ex_webhook_is_stale(const struct ex_webhook *w)
{
	return w->stale;
}

const struct ex_report_stats *ex_webhook_stats(const struct ex_webhook *w)
{
	return &w->stats;
}

/* ---- life ---- */

static int set_up(struct ex_webhook *w)
{
	struct curl_blob ca = { .data = (void *)(uintptr_t)w->cfg.ca.ptr,
				.len = w->cfg.ca.len,
				.flags = CURL_BLOB_NOCOPY };

	if (curl.easy_setopt(w->easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK ||
	    curl.easy_setopt(w->easy, CURLOPT_URL, w->cfg.url) != CURLE_OK ||
	    curl.easy_setopt(w->easy, CURLOPT_PROXY, "") != CURLE_OK ||
	    curl.easy_setopt(w->easy, CURLOPT_USERAGENT, "exeat/" EX_VERSION) != CURLE_OK)
		return -EINVAL;
	if (ca.len && (curl.easy_setopt(w->easy, CURLOPT_CAINFO_BLOB, &ca) != CURLE_OK ||
		       curl.easy_setopt(w->easy, CURLOPT_CAPATH, NULL) != CURLE_OK))
		return -EINVAL;
	curl.easy_setopt(w->easy, CURLOPT_NOSIGNAL, 1L);
	curl.easy_setopt(w->easy, CURLOPT_TIMEOUT_MS, POST_MS);
	curl.easy_setopt(w->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl.easy_setopt(w->easy, CURLOPT_WRITEFUNCTION, discard);
	return 0;
}

void ex_webhook_free(struct ex_webhook *w)
{
	if (!w)
		return;
	if (w->busy)
		curl.multi_remove_handle(w->multi, w->easy);
	curl.easy_cleanup(w->easy);
	curl.multi_cleanup(w->multi);
	curl.slist_free_all(w->headers);
	queue_drop(w, w->n);
	ex_json_wipe(&w->body);
	free(w);
}

int ex_webhook_new(const struct ex_webhook_config *config, struct ex_webhook **ret)
{
	struct ex_webhook *w = calloc(1, sizeof(*w));
	int r = -ENOMEM;

	if (!w)
		return -ENOMEM;
	r = ex_library_load("libcurl.so.4", symbols, EX_ARRAY_SIZE(symbols), &curl);
	if (r < 0) {
		free(w);
		return r;
	}
	r = -ENOMEM;
	w->cfg = *config;
	ex_json_init_growing(&w->body, BODY_MAX);
	if (curl.global_init(CURL_GLOBAL_DEFAULT) == 0) {
		w->multi = curl.multi_init();
		w->easy = curl.easy_init();
	}
	if (w->multi && w->easy)
		r = set_up(w);
	if (r < 0) {
		ex_webhook_free(w);
		return r;
	}
	*ret = w;
	return 0;
}
