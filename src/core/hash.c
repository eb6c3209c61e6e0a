/*
 * hash.c - 128-bit digests of rows (XXH3-128)
 *
 * xxHash's own run-time dispatch picks AVX2 or AVX-512 on x86; every variant gives the same digest.
 */
#include "core/hash.h"

#include <math.h>

#if defined(__x86_64__) && defined(__has_include)
#if __has_include(<xxh_x86dispatch.h>)
#define HB_DISPATCH 1
#endif
#endif

#ifdef HB_DISPATCH
#include <immintrin.h>
#include <xxh_x86dispatch.h>

#define SHORT_BYTES 240 /* up to here no vectors are used */

__attribute__((target("avx"))) static void
clear_upper_halves(void)
{
	_mm256_zeroupper();
}

/*
 * xxHash 0.8.1 (Debian 12) returns from its loops for AVX2 and AVX-512 with the upper halves of the vector registers in
 * use.  Intel's processors then stop at the next instruction of plain SSE and the next of AVX: 150 ns a row.
 */
static XXH128_hash_t
xxh128(const void *bytes, size_t length)
{
	XXH128_hash_t digest = XXH3_128bits_dispatch(bytes, length);

	if (length > SHORT_BYTES && __builtin_cpu_supports("avx"))
		clear_upper_halves();
	return digest;
}
#else
#include <xxhash.h>

static XXH128_hash_t
xxh128(const void *bytes, size_t length)
{
	return XXH3_128bits(bytes, length);
}
#endif

HbHash128
hb_hash128(const void *bytes, size_t length)
{
	XXH128_hash_t digest = xxh128(bytes, length);

	return (HbHash128){.high = digest.high64, .low = digest.low64};
}

HbHash128
hb_hash128_threshold(double fraction)
{
	HbHash128 threshold = {0, 0};
	double high;

	if (!(fraction > 0.0))
		return threshold;
	if (fraction >= 1.0)
		return (HbHash128){.high = UINT64_MAX, .low = UINT64_MAX};
	/* Both products are exact: a power of two changes only the exponent. */
	fraction = ldexp(fraction, 64);
	high = floor(fraction);
	threshold.high = (uint64_t) high;
	threshold.low = (uint64_t) ldexp(fraction - high, 64);
	return threshold;
}

uint64_t
hb_hash128_again(HbHash128 digest, uint64_t seed, uint64_t purpose)
{
	uint64_t message[4] = {digest.high, digest.low, seed, purpose};

	return xxh128(message, sizeof(message)).high64;
}
