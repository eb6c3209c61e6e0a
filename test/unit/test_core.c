/*
 * test_core.c - status, host and random numbers
 *
 * The Philox words are the known answers that come with Random123 (kat_vectors).
 */
#include "tap.h"

#include <stdint.h>

#include "core/host.h"
#include "core/rng.h"
#include "core/status.h"

static void
test_status(void)
{
	HbStatus status;
	char long_name[1200];

	hb_status_init(&status);
	ok(status.sqlstate[0] == '\0', "a new status is empty");
	ok(!hb_fail(&status, HB_ERR_DATA, "column \"%s\" is bad", "x"), "hb_fail returns false");
	is_str(status.sqlstate, "22000", "SQLSTATE is kept");
	is_str(status.message, "column \"x\" is bad", "message is formatted");
	ok(!hb_fail_detail(&status, "Found %d.", 3) && !hb_fail_hint(&status, "Try %s.", "y"),
	   "detail and hint return false");
	is_str(status.detail, "Found 3.", "detail is formatted");
	is_str(status.hint, "Try y.", "hint is formatted");
	hb_fail(&status, HB_ERR_LIMIT, "other");
	is_str(status.detail, "", "a new error drops the old detail");
	hb_fail_memory(&status, 12);
	is_str(status.sqlstate, "53200", "out of memory has its own SQLSTATE");

	/* two-byte characters: 511 bytes of room end in the middle of one */
	for (int i = 0; i < 1199; i += 2)
	{
		long_name[i] = (char) 0xC3;
		long_name[i + 1] = (char) 0xA4;
	}
	long_name[1198] = '\0';
	hb_fail(&status, HB_ERR_DATA, "%s", long_name);
	is_int(strlen(status.message), 510, "a cut message ends at a whole character");
	hb_fail(&status, HB_ERR_DATA, "a%s", long_name);
	is_int(strlen(status.message), 511, "and is as long as it can be");
	long_name[508] = '\0';
	hb_fail(&status, HB_ERR_DATA, "%s", long_name);
	is_int(strlen(status.message), 508, "a message that fits is not cut");
}

static void
test_host(void)
{
	unsigned char *bytes = hb_alloc(&hb_host_malloc, 1000);
	int nonzero = 0;
	char *copy;

	ok(bytes && (uintptr_t) bytes % 64 == 0, "memory is aligned to 64 bytes");
	for (int i = 0; i < 1000; i++)
		nonzero += bytes[i] != 0;
	is_int(nonzero, 0, "memory is zeroed");
	hb_release(&hb_host_malloc, bytes);
	hb_release(&hb_host_malloc, NULL);
	bytes = hb_alloc(&hb_host_malloc, 0);
	ok(bytes != NULL, "no bytes are not out of memory");
	hb_release(&hb_host_malloc, bytes);
	ok(hb_alloc(&hb_host_malloc, SIZE_MAX) == NULL, "an impossible size is NULL");
	ok(hb_alloc(&hb_host_malloc, SIZE_MAX - 64) == NULL, "and so is one below it");
	copy = hb_strdup(&hb_host_malloc, "name");
	is_str(copy, "name", "a text is copied");
	hb_release(&hb_host_malloc, copy);
	ok(!hb_host_malloc.interrupted(NULL), "the host of tests is never interrupted");
}

static void
test_philox(void)
{
	static const uint32_t zeros[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
	static const uint32_t ones[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
	uint32_t words[4];

	hb_random4(0, (HbStream) 0, 0, 0, words);
	ok(memcmp(words, zeros, sizeof(words)) == 0, "Philox4x32-10 known answer: zeros");
	hb_random4(UINT64_MAX, (HbStream) 0xffffffffu, UINT64_MAX, UINT32_MAX, words);
	ok(memcmp(words, ones, sizeof(words)) == 0, "Philox4x32-10 known answer: ones");
}

static void
test_uniform(void)
{
	enum
	{
		N = 100000,
		BINS = 20
	};
	int bins[BINS] = {0};
	double sum = 0;
	double squares = 0;
	double chi = 0;
	int outside = 0;

	for (int i = 0; i < N; i++)
	{
		double u = hb_random_uniform(42, HB_STREAM_SPACE, 7, i);

		outside += !(u >= 0 && u < 1);
		sum += u;
		squares += u * u;
		bins[(int) (u * BINS)]++;
	}
	for (int b = 0; b < BINS; b++)
		chi += pow(bins[b] - N / BINS, 2) / (N / BINS);
	is_int(outside, 0, "uniforms lie in [0,1)");
	is_near(sum / N, 0.5, 0.005, "mean of uniforms");
	is_near(squares / N, 1.0 / 3, 0.005, "second moment of uniforms");
	ok(chi < 43.8, "uniforms fill %d bins evenly (chi square %.1f below its 99.9%% point)", BINS,
	   chi);
	ok(hb_random_uniform(1, HB_STREAM_SPACE, 7, 3) != hb_random_uniform(2, HB_STREAM_SPACE, 7, 3) &&
		   hb_random_uniform(1, HB_STREAM_SPACE, 7, 3) !=
			   hb_random_uniform(1, HB_STREAM_ORDER, 7, 3) &&
		   hb_random_uniform(1, HB_STREAM_SPACE, 7, 3) !=
			   hb_random_uniform(1, HB_STREAM_SPACE, 8, 3) &&
		   hb_random_uniform(1, HB_STREAM_SPACE, 7, 3) !=
			   hb_random_uniform(1, HB_STREAM_SPACE, 7ull << 32, 3),
	   "seed, stream and both halves of the detail matter");
}

static void
test_normals(void)
{
	enum
	{
		N = 400000
	};
	float *x = malloc(N * sizeof(float));
	float few[7];
	double moments[5] = {0};
	double lag = 0;
	int beyond = 0;

	hb_random_normals(5, HB_STREAM_INIT, 9, x, N);
	for (int i = 0; i < N; i++)
	{
		for (int k = 1; k <= 4; k++)
			moments[k] += pow(x[i], k) / N;
		if (i > 0)
			lag += (double) x[i] * x[i - 1] / N;
		beyond += fabsf(x[i]) > 1.96f;
	}
	is_near(moments[1], 0, 0.01, "mean of normals");
	is_near(moments[2], 1, 0.01, "variance of normals");
	is_near(moments[3], 0, 0.03, "skewness of normals");
	is_near(moments[4], 3, 0.06, "kurtosis of normals");
	is_near(lag, 0, 0.01, "neighbours are not correlated");
	is_near((double) beyond / N, 0.05, 0.002, "tail of normals");
	for (int n = 0; n <= 7; n++)
	{
		memset(few, 0, sizeof(few));
		hb_random_normals(5, HB_STREAM_INIT, 9, few, n);
		ok(memcmp(few, x, n * sizeof(float)) == 0 && (n == 7 || few[n] == 0),
		   "%d normals are the first of many, and no more are written", n);
	}
	free(x);
}

static void
test_permutation(void)
{
	enum
	{
		N = 100003,
		ROUNDS = 24000
	};
	uint32_t *order = malloc(N * sizeof(uint32_t));
	uint32_t *again = malloc(N * sizeof(uint32_t));
	unsigned char *seen = calloc(N, 1);
	int counts[24] = {0};
	int distinct = 0;
	double chi = 0;

	hb_random_permutation(3, HB_STREAM_ORDER, 1, order, N);
	hb_random_permutation(3, HB_STREAM_ORDER, 1, again, N);
	ok(memcmp(order, again, N * sizeof(uint32_t)) == 0, "a permutation is reproducible");
	for (int i = 0; i < N; i++)
		if (order[i] < N && !seen[order[i]]++)
			distinct++;
	is_int(distinct, N, "every number occurs once");
	hb_random_permutation(3, HB_STREAM_ORDER, 2, again, N);
	ok(memcmp(order, again, N * sizeof(uint32_t)) != 0, "another epoch has another order");
	for (int round = 0; round < ROUNDS; round++)
	{
		uint32_t p[4];

		hb_random_permutation(11, HB_STREAM_ORDER, round, p, 4);
		/* place among the 24, in the factorial number system */
		counts[p[0] * 6 + (p[1] - (p[1] > p[0])) * 2 + (p[2] > p[3])]++;
	}
	for (int i = 0; i < 24; i++)
		chi += pow(counts[i] - ROUNDS / 24, 2) / (ROUNDS / 24);
	ok(chi < 49.7, "all 24 orders of 4 are equally likely (chi square %.1f below its 99.9%% point)",
	   chi);
	hb_random_permutation(3, HB_STREAM_ORDER, 1, order, 0);
	hb_random_permutation(3, HB_STREAM_ORDER, 1, order, 1);
	is_int(order[0], 0, "the permutation of one");
	free(order);
	free(again);
	free(seen);
}

int
main(void)
{
	test_status();
	test_host();
	test_philox();
	test_uniform();
	test_normals();
	test_permutation();
	ok(hb_hash64("lr", 2, 0) != hb_hash64("l2", 2, 0) &&
		   hb_hash64("lr", 2, 0) == hb_hash64("lr", 2, 0),
	   "names have hashes of their own");
	return tap_done();
}
