// SPDX-License-Identifier: Apache-2.0
#include "agent/dns/budget.h"

enum {
	/* what one workload may cost this process; a tenth of a core */
	QUESTIONS_BURST = 20000,
	QUESTIONS_PER_S = 10000,
	/* what it may cost the host's resolver; answers are cached for five seconds at least */
	FORWARDS_BURST = 1000,
	FORWARDS_PER_S = 500,
	/* some 400 names below a wildcard at once, then about two a second */
	LETTERS_BURST = 8192,
	LETTERS_PER_S = 32,
	LETTERS_PER_NAME = 96,
	/* Which of the known names is asked, and when, says something too: about ten bits. */
	LETTERS_REPEATED = 2,
	JUDGEMENTS_BURST = 100000,
	JUDGEMENTS_PER_S = 20000,
	/* Hosts named by hash or GUID have 32 to 40 hexadecimal digits, and stay above this. */
	DENSE_LABEL = 40,
	DENSE_COINCIDENCE = 40, /* thousandths */
};

static bool take(struct ex_dns_bucket *b, uint64_t now, uint64_t n, uint64_t burst, uint64_t per_s)
{
	uint64_t full = burst * 1000, gone = now - b->at;

	b->at = now;
	/* per_s per 1000 ms is per_s thousandths per ms */
	b->level = gone >= full || b->level + gone * per_s >= full ? full : b->level + gone * per_s;
	if (b->level < n * 1000)
		return false;
	b->level -= n * 1000;
	return true;
}

int ex_dns_budget_init(struct ex_dns_budget *b, uint64_t now_ms)
{
	memset(b, 0, sizeof(*b));
	b->questions = (struct ex_dns_bucket){ QUESTIONS_BURST * 1000, now_ms };
	b->forwards = (struct ex_dns_bucket){ FORWARDS_BURST * 1000, now_ms };
	b->judgements = (struct ex_dns_bucket){ JUDGEMENTS_BURST * 1000, now_ms };
	b->letters = (struct ex_dns_bucket){ LETTERS_BURST * 1000, now_ms };
	return ex_dns_key_init(&b->key);
}

bool ex_dns_budget_question(struct ex_dns_budget *b, uint64_t now_ms)
{
	return take(&b->questions, now_ms, 1, QUESTIONS_BURST, QUESTIONS_PER_S);
}

bool ex_dns_budget_forward(struct ex_dns_budget *b, uint64_t now_ms)
{
	return take(&b->forwards, now_ms, 1, FORWARDS_BURST, FORWARDS_PER_S);
}

bool ex_dns_budget_judge(struct ex_dns_budget *b, uint64_t now_ms)
{
	return take(&b->judgements, now_ms, 1, JUDGEMENTS_BURST, JUDGEMENTS_PER_S);
}

void ex_dns_budget_forget(struct ex_dns_budget *b)
{
	memset(b->seen, 0, sizeof(b->seen));
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

bool ex_dns_budget_name(struct ex_dns_budget *b, const struct ex_ruleset *rs, struct ex_span name,
			uint64_t now_ms)
{
	uint64_t hash = ex_dns_hash(&b->key, name) & ~1ull;
	uint64_t *place = &b->seen[(hash >> 1) % EX_DNS_SEEN];
	size_t letters;

	if (name.len > EX_DNS_NAME_MAX)
		return false;
	if (hash && (*place & ~1ull) == hash)
		return take(&b->letters, now_ms, *place & 1 ? LETTERS_REPEATED : 0, LETTERS_BURST,
			    LETTERS_PER_S);
	if (!count_free(b, rs, name, now_ms, &letters) || letters > LETTERS_PER_NAME ||
	    (letters >= DENSE_LABEL && has_dense_label(name)) ||
	    !take(&b->letters, now_ms, letters, LETTERS_BURST, LETTERS_PER_S))
		return false;
	*place = hash | (letters > 0);
	return true;
}
