/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dns/budget.h"

#include <errno.h>

enum {
	LETTERS_PER_NAME = 96,
	/* Which of the known names is asked, and when, says something too: eleven bits. */
	LETTERS_REPEATED = 2,
	/* Hosts named by hash or GUID have 32 to 40 hexadecimal digits, and stay above this. */
	DENSE_LABEL = 40,
	DENSE_COINCIDENCE = 40, /* thousandths */
};

enum {                /* bits of what is noted of a name */
       SEEN_FREE = 1, /* it has free letters */
       SEEN_OLD = 2,  /* that was under another policy */
       SEEN_BITS = 3,
};

/* what one workload may cost this process: a tenth of a core */
static const struct ex_rate questions = { 10000, 20000 };
/* what it may cost the host's resolver; answers are cached for five seconds at least */
static const struct ex_rate forwards = { 500, 1000 };
/* some 400 names below a wildcard at once, then about two a second */
static const struct ex_rate letters = { 32, 8192 };
static const struct ex_rate judgements = { 20000, 100000 };

int ex_dns_budget_init(struct ex_dns_budget *b)
{
	memset(b, 0, sizeof(*b));
	return ex_dns_key_init(&b->key);
}

bool ex_dns_budget_question(struct ex_dns_budget *b, uint64_t now_ms)
{
	return ex_bucket_take(&b->questions, &questions, now_ms);
}

bool ex_dns_budget_forward(struct ex_dns_budget *b, uint64_t now_ms)
{
	return ex_bucket_take(&b->forwards, &forwards, now_ms);
}

bool ex_dns_budget_judge(struct ex_dns_budget *b, uint64_t now_ms)
{
	return ex_bucket_take(&b->judgements, &judgements, now_ms);
}

void ex_dns_budget_recount(struct ex_dns_budget *b)
{
	for (size_t i = 0; i < EX_DNS_SEEN_SETS; i++)
		for (size_t j = 0; j < EX_DNS_SEEN_WAYS; j++)
			b->seen[i][j] |= SEEN_OLD;
}

/*
 * A letter is free when the name would be allowed as well with another one in its place. Stops
 * beyond what a name may have; false when there is no budget to find out.
 */
static bool count_free(struct ex_dns_budget *b, const struct ex_ruleset *rs, struct ex_span name,
		       uint64_t now, size_t *ret)
{
	char other[EX_DNS_NAME_MAX];

	*ret = 0;
	memcpy(other, name.ptr, name.len);
	for (size_t i = 0; i < name.len && *ret <= LETTERS_PER_NAME; i++) {
		if (name.ptr[i] == '.')
			continue;
		if (!ex_dns_budget_judge(b, now))
			return false;
		other[i] = name.ptr[i] == 'x' ? 'y' : 'x';
		if (ex_judge_dns(rs, (struct ex_span){ other, name.len }).verdict == EX_V_ALLOW)
			++*ret;
		other[i] = name.ptr[i];
	}
	return true;
}

/*
 * Index of coincidence: how often two letters of the label are equal. About 0.066 in words, 0.063
 * in hexadecimal digits, 0.031 in base32 of anything compressed or encrypted. Unlike entropy it
 * does not depend on the length.
 */
static bool label_is_dense(const char *label, size_t len)
{
	unsigned count[256] = { 0 };
	size_t pairs = 0;

	if (len < DENSE_LABEL)
		return false;
	for (size_t i = 0; i < len; i++)
		pairs += 2 * count[(uint8_t)label[i]]++;
	return pairs * 1000 < len * (len - 1) * DENSE_COINCIDENCE;
}

static bool has_dense_label(struct ex_span name)
{
	size_t start = 0;

	for (size_t i = 0; i <= name.len; i++) {
		if (i < name.len && name.ptr[i] != '.')
			continue;
		if (label_is_dense(name.ptr + start, i - start))
			return true;
		start = i + 1;
	}
	return false;
}

/* What is noted of the name, and it is the first of its set from here on; 0: nothing. */
static uint64_t find_seen(uint64_t set[static EX_DNS_SEEN_WAYS], uint64_t hash)
{
	for (size_t i = 0; i < EX_DNS_SEEN_WAYS; i++) {
		uint64_t found = set[i];

		if (!hash || (found & ~(uint64_t)SEEN_BITS) != hash)
			continue;
		memmove(set + 1, set, i * sizeof(*set));
		return set[0] = found;
	}
	return 0;
}

/* Counts what is free. */
static int weigh(struct ex_dns_budget *b, const struct ex_ruleset *rs, struct ex_span name,
		 uint64_t now, size_t *ret)
{
	if (!count_free(b, rs, name, now, ret))
		return -EBUSY;
	if (*ret > LETTERS_PER_NAME || (*ret >= DENSE_LABEL && has_dense_label(name)))
		return -E2BIG;
	return 0;
}

int ex_dns_budget_name(struct ex_dns_budget *b, const struct ex_ruleset *rs, struct ex_span name,
		       uint64_t now_ms)
{
	uint64_t hash = ex_dns_hash(&b->key, name) & ~(uint64_t)SEEN_BITS;
	uint64_t *set = b->seen[hash / (SEEN_BITS + 1) % EX_DNS_SEEN_SETS];
	uint64_t found = find_seen(set, hash);
	size_t n = found & SEEN_FREE;
	int r = 0;

	if (name.len > EX_DNS_NAME_MAX)
		return -E2BIG;
	if (!found || found & SEEN_OLD)
		r = weigh(b, rs, name, now_ms, &n);
	if (r < 0)
		return r;
	if (!ex_bucket_take_n(&b->letters, &letters, now_ms,
			      found && n > 0 ? LETTERS_REPEATED : (uint32_t)n))
		return -EBUSY;
	if (!found)
		memmove(set + 1, set, (EX_DNS_SEEN_WAYS - 1) * sizeof(*set));
	set[0] = hash | (n > 0 ? SEEN_FREE : 0);
	return 0;
}
