/*
 * vecmath.h - exp, log, tanh and erf without branches, so that the compiler can vectorise them
 *
 * Single precision: exp and log after Cephes (Moshier), tanh and erf as the rational minimax
 * approximations used by Eigen.  Errors are a few units in the last place on the ranges that
 * networks use (test_compute checks them against libm).  A NaN argument gives NaN.  The
 * double-precision build, which only checks gradients, calls libm.
 */
#ifndef HB_VECMATH_H
#define HB_VECMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "compute/provider.h"

#ifdef HB_REAL_DOUBLE

static inline hb_real
hb_exp(hb_real x)
{
	return exp(x);
}

static inline hb_real
hb_log1up(hb_real x)
{
	return log(x);
}

static inline hb_real
hb_tanh(hb_real x)
{
	return tanh(x);
}

static inline hb_real
hb_erf(hb_real x)
{
	return erf(x);
}

static inline hb_real
hb_sqrt(hb_real x)
{
	return sqrt(x);
}

#else

static inline float
hb_float_of_bits(int32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof f);
	return f;
}

static inline int32_t
hb_bits_of_float(float f)
{
	int32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return bits;
}

/* e^x, cut to x in [-87, 88]: beyond, the smallest or largest value of that range. */
static inline float
hb_exp(float x)
{
	const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
	float t, n, r, p;

	x = x < -87.0f ? -87.0f : x;
	x = x > 88.0f ? 88.0f : x;
	t = x * 1.44269504088896341f + magic;
	n = t - magic;
	r = x - n * 0.693359375f;
	r = r - n * -2.12194440e-4f;
	p = 1.9875691500e-4f;
	p = p * r + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * (r * r) + r + 1.0f;
	return p * hb_float_of_bits((int32_t) (((uint32_t) hb_bits_of_float(t) << 23) + 0x3f800000u));
}

/* ln x for x >= 1 (a softmax's sum); NaN and infinity give NaN. */
static inline float
hb_log1up(float x)
{
	int32_t bits = hb_bits_of_float(x);
	float e = (float) ((bits >> 23) - 127);
	float m = hb_float_of_bits((bits & 0x007fffff) | 0x3f800000); /* [1, 2) */
	float half = m > 1.41421356f ? 1.0f : 0.0f;
	float z, y;

	m = m * (1.0f - 0.5f * half) - 1.0f;
	e = e + half;
	z = m * m;
	y = 7.0376836292e-2f;
	y = y * m - 1.1514610310e-1f;
	y = y * m + 1.1676998740e-1f;
	y = y * m - 1.2420140846e-1f;
	y = y * m + 1.4249322787e-1f;
	y = y * m - 1.6668057665e-1f;
	y = y * m + 2.0000714765e-1f;
	y = y * m - 2.4999993993e-1f;
	y = y * m + 3.3333331174e-1f;
	y = y * m * z + e * -2.12194440e-4f - 0.5f * z;
	return m + y + e * 0.693359375f + (x - x);
}

static inline float
hb_tanh(float x)
{
	float z, p, q;

	x = x < -7.90531110763549805f ? -7.90531110763549805f : x;
	x = x > 7.90531110763549805f ? 7.90531110763549805f : x;
	z = x * x;
	p = -2.76076847742355e-16f;
	p = p * z + 2.00018790482477e-13f;
	p = p * z - 8.60467152213735e-11f;
	p = p * z + 5.12229709037114e-08f;
	p = p * z + 1.48572235717979e-05f;
	p = p * z + 6.37261928875436e-04f;
	p = p * z + 4.89352455891786e-03f;
	q = 1.19825839466702e-06f;
	q = q * z + 1.18534705686654e-04f;
	q = q * z + 2.26843463243900e-03f;
	q = q * z + 4.89352518554385e-03f;
	return x * p / q;
}

static inline float
hb_erf(float x)
{
	float z, p, q;

	x = x < -4.0f ? -4.0f : x;
	x = x > 4.0f ? 4.0f : x;
	z = x * x;
	p = -2.72614225801306e-10f;
	p = p * z + 2.77068142495902e-08f;
	p = p * z - 2.10102402082508e-06f;
	p = p * z - 5.69250639462346e-05f;
	p = p * z - 7.34990630326855e-04f;
	p = p * z - 2.95459980854025e-03f;
	p = p * z - 1.60960333262415e-02f;
	q = -1.45660718464996e-05f;
	q = q * z - 2.13374055278905e-04f;
	q = q * z - 1.68282697438203e-03f;
	q = q * z - 7.37332916720468e-03f;
	q = q * z - 1.42647390514189e-02f;
	return x * p / q;
}

static inline float
hb_sqrt(float x)
{
	return __builtin_sqrtf(x);
}

#endif /* HB_REAL_DOUBLE */

static inline hb_real
hb_sigmoid(hb_real x)
{
	return (hb_real) 1 / ((hb_real) 1 + hb_exp(-x));
}

#endif /* HB_VECMATH_H */
