/*
 * encode_vbmi.c - arrays of bytes as inputs by looking each up, on processors with AVX-512 VBMI
 *
 * What a byte becomes is one of 256 floats, whose four bytes are looked up apart, 64 bytes at a time: an instruction
 * chooses among 128, so two and the highest bit do.  The bytes are then zipped to floats.  To standardise as many in
 * double takes three times as long.
 */
#include "compute/encode.h"

#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include <immintrin.h>

#define ELEMENTS 64
#define LANES 16

static bool
vbmi_available(void)
{
	return hb_provider_avx512.available() && __builtin_cpu_supports("avx512vbmi");
}

static inline __m512i
choose(const __m512i plane[4], __m512i bytes, __mmask64 upper)
{
	return _mm512_mask_blend_epi8(upper, _mm512_permutex2var_epi8(plane[0], bytes, plane[1]),
								  _mm512_permutex2var_epi8(plane[2], bytes, plane[3]));
}

/* Floats 16i..16i+15 of the 64 in r[i]: quarter q of the bytes' vectors is zipped to quarter q of these. */
static inline void
look_up_64(const __m512i plane[4][4], __m512i bytes, __m512i r[4])
{
	/* fours of bytes are transposed before, so that floats come out in order */
	const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
	__m512i x = _mm512_permutexvar_epi32(order, bytes);
	__mmask64 upper = _mm512_movepi8_mask(x);
	__m512i b0 = choose(plane[0], x, upper), b1 = choose(plane[1], x, upper);
	__m512i b2 = choose(plane[2], x, upper), b3 = choose(plane[3], x, upper);
	__m512i low01 = _mm512_unpacklo_epi8(b0, b1), high01 = _mm512_unpackhi_epi8(b0, b1);
	__m512i low23 = _mm512_unpacklo_epi8(b2, b3), high23 = _mm512_unpackhi_epi8(b2, b3);

	r[0] = _mm512_unpacklo_epi16(low01, low23);
	r[1] = _mm512_unpackhi_epi16(low01, low23);
	r[2] = _mm512_unpacklo_epi16(high01, high23);
	r[3] = _mm512_unpackhi_epi16(high01, high23);
}

static void
look_up(const unsigned char *restrict in, int32_t length, const HbByteValues *values,
		float *restrict out)
{
	__m512i plane[4][4], r[4];

	for (int p = 0; p < 4; p++)
		for (int q = 0; q < 4; q++)
			plane[p][q] = _mm512_loadu_si512(values->plane[p] + q * ELEMENTS);
	for (; length >= ELEMENTS; length -= ELEMENTS, in += ELEMENTS, out += ELEMENTS)
	{
		look_up_64(plane, _mm512_loadu_si512(in), r);
		for (int i = 0; i < 4; i++)
			_mm512_storeu_si512(out + i * LANES, r[i]);
	}
	if (length <= 0)
		return;
	look_up_64(plane, _mm512_maskz_loadu_epi8(((__mmask64) 1 << length) - 1, in), r);
	for (int i = 0; i < 4; i++, length -= LANES)
		_mm512_mask_storeu_epi32(out + i * LANES,
								 length >= LANES ? 0xffff
								 : length > 0    ? (__mmask16) ((1u << length) - 1)
												 : 0,
								 r[i]);
}

extern const HbByteLookup hb_byte_lookup_vbmi;
const HbByteLookup hb_byte_lookup_vbmi = {
	.name = "avx512-vbmi",
	.available = vbmi_available,
	.look_up = look_up,
};

#else
typedef int hb_no_vbmi;
#endif
