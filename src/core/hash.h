/*
 * hash.h - 128-bit digests of rows (XXH3-128, output frozen since xxHash 0.8)
 *
 * A row's digest decides on which side of the split it lies and where it stands in the row order, so
 * it is taken over binary values in canonical form, never over their text: see load_read.c.
 * Digests compare as unsigned 128-bit numbers.
 */
#ifndef HB_HASH_H
#define HB_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HbHash128
{
	uint64_t high;
	uint64_t low;
} HbHash128;

/* XXH3-128 of length bytes, seed 0: a seed is best put in front of the bytes. */
extern HbHash128 hb_hash128(const void *bytes, size_t length);

/* fraction * 2^128, exactly; fraction in [0,1). digest < hb_hash128_threshold(f) holds for a fraction f of digests. */
extern HbHash128 hb_hash128_threshold(double fraction);

/* A digest of another family, for a second decision about the same row. */
extern uint64_t hb_hash128_again(HbHash128 digest, uint64_t seed, uint64_t purpose);

static inline int
hb_hash128_compare(HbHash128 a, HbHash128 b)
{
	if (a.high != b.high)
		return a.high < b.high ? -1 : 1;
	return a.low < b.low ? -1 : a.low > b.low;
}

/*
 * A digest extended by a value that is itself a digest or a number: cheap, since a row's digest is uniform already.  For one
 * digest it is one-to-one in value.low (the finalizer of MurmurHash3 is a bijection).
 */
static inline uint64_t
hb_hash_finalize(uint64_t x)
{
	x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
	x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

static inline HbHash128
hb_hash128_extend(HbHash128 digest, HbHash128 value)
{
	uint64_t mixed = hb_hash_finalize(value.low ^ digest.high);

	return (HbHash128){.high = digest.high + hb_hash_finalize(mixed ^ value.high ^ digest.low),
					   .low = digest.low + mixed};
}

/* Sum modulo 2^128: a digest of a multiset of rows, whatever their order. */
static inline void
hb_hash128_add(HbHash128 *sum, HbHash128 digest)
{
	sum->low += digest.low;
	sum->high += digest.high + (sum->low < digest.low);
}

#endif /* HB_HASH_H */
