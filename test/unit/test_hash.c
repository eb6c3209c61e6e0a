/*
 * test_hash.c - row digests: frozen values, thresholds of a split, sums over multisets
 */
#include "core/hash.h"

#include "tap.h"

static void
test_frozen(void)
{
	/* XXH3-128 of the empty input and of "abc" with seed 0, as the xxHash project publishes them. */
	HbHash128 empty = hb_hash128("", 0), abc = hb_hash128("abc", 3);

	ok(empty.high == 0x99aa06d3014798d8ULL && empty.low == 0x6001c324468d497fULL,
	   "the digest of nothing is XXH3-128's");
	ok(abc.high == 0x06b05ab6733a6185ULL && abc.low == 0x78af5f94892f3950ULL,
	   "the digest of abc is XXH3-128's");
}

static void
test_variants(void)
{
	static unsigned char bytes[4096 + 64];
	int same = 1;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char) (i * 131 + (i >> 5));
	for (size_t n = 0; n < 4096; n += 37)
	{
		HbHash128 a = hb_hash128(bytes, n);
		unsigned char moved[4096 + 64];

		memcpy(moved + 3, bytes, n);
		same &= hb_hash128_compare(a, hb_hash128(moved + 3, n)) == 0;
	}
	ok(same, "the digest does not depend on alignment");
}

static void
test_threshold(void)
{
	HbHash128 half = hb_hash128_threshold(0.5), tiny = hb_hash128_threshold(ldexp(1.0, -100));
	HbHash128 fifth = hb_hash128_threshold(0.2);
	int below = 0;

	ok(half.high == 1ULL << 63 && half.low == 0, "half of all digests");
	ok(tiny.high == 0 && tiny.low == 1ULL << 28, "a threshold within the low word");
	ok(fifth.high == 0x3333333333333400ULL && fifth.low == 0,
	   "a fraction is taken exactly as the double it is");
	is_int(hb_hash128_threshold(0.0).high, 0, "no digest is below the threshold of 0");
	for (int i = 0; i < 100000; i++)
		below += hb_hash128_compare(hb_hash128(&i, sizeof(i)), fifth) < 0;
	is_near(below / 1e5, 0.2, 0.006, "a fifth of digests is below the threshold of 0.2");
}

static void
test_again(void)
{
	HbHash128 digest = hb_hash128("row", 3);
	int below = 0, both = 0;

	ok(hb_hash128_again(digest, 1, 1) != hb_hash128_again(digest, 2, 1) &&
		   hb_hash128_again(digest, 1, 1) != hb_hash128_again(digest, 1, 2),
	   "seed and purpose both change the second hash");
	for (int i = 0; i < 100000; i++)
	{
		HbHash128 row = hb_hash128(&i, sizeof(i));
		int validates = row.high < 1ULL << 63;
		int tests = hb_hash128_again(row, 0, 1) < 1ULL << 63;

		below += tests;
		both += tests && validates;
	}
	is_near(below / 1e5, 0.5, 0.01, "the second hash is uniform");
	is_near(both / 1e5, 0.25, 0.01, "and independent of the digest");
}

static void
test_sum(void)
{
	HbHash128 forward = {0, 0}, backward = {0, 0}, carry = {0, UINT64_MAX}, one = {0, 1};

	for (int i = 0; i < 1000; i++)
	{
		int j = 999 - i;

		hb_hash128_add(&forward, hb_hash128(&i, sizeof(i)));
		hb_hash128_add(&backward, hb_hash128(&j, sizeof(j)));
	}
	is_int(hb_hash128_compare(forward, backward), 0, "a sum of digests has no order");
	hb_hash128_add(&carry, one);
	ok(carry.high == 1 && carry.low == 0, "the low word carries");
	ok(hb_hash128_compare((HbHash128){1, 0}, (HbHash128){0, UINT64_MAX}) > 0,
	   "the high word decides a comparison");
}

static void
test_extend(void)
{
	HbHash128 digest = hb_hash128("row", 3);
	int distinct = 1;

	for (uint64_t i = 1; i < 1000; i++)
	{
		HbHash128 a = hb_hash128_extend(digest, (HbHash128){0, i});
		HbHash128 b = hb_hash128_extend(digest, (HbHash128){0, i - 1});

		distinct &= a.low != b.low && a.high != b.high;
	}
	ok(distinct, "a digest extended by different targets differs");
	ok(hb_hash128_compare(hb_hash128_extend(digest, (HbHash128){1, 7}),
						  hb_hash128_extend(digest, (HbHash128){2, 7})) != 0,
	   "in either half of the target");
}

int
main(void)
{
	test_frozen();
	test_variants();
	test_threshold();
	test_again();
	test_sum();
	test_extend();
	return tap_done();
}
