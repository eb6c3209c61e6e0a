/*
 * kernels_avx2.c - the provider for processors with AVX2 and FMA
 *
 * Register tile 6 x 16: 12 accumulators, two vectors of B and one broadcast of the 16 registers.
 */
#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include "compute/vector_avx2.h"

#include "compute/elementwise.inc.h"

#define TILE_ROWS 6

#include "compute/tile.inc.h"
#include "compute/sparse.inc.h"

#define VI __m256i
#define LABELS(p) _mm256_loadu_si256((const __m256i *) (const void *) (p))
#define FILL(x) _mm256_set1_ps(x)
#define ADD(x, y) _mm256_add_ps(x, y)
#define SUB(x, y) _mm256_sub_ps(x, y)
#define MUL(x, y) _mm256_mul_ps(x, y)
#define DIV(x, y) _mm256_div_ps(x, y)
#define MAX(x, y) _mm256_max_ps(x, y)
#define SCALE(p, n, t)                                                                             \
	_mm256_mul_ps(                                                                                 \
		p, _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(_mm256_castps_si256(t), 23),     \
												_mm256_set1_epi32(0x3f800000))))
#define IS(label, c)                                                                               \
	_mm256_castsi256_ps(_mm256_cmpeq_epi32(label, _mm256_set1_epi32((int32_t) (c))))
#define WHERE(mask, x, y) _mm256_blendv_ps(y, x, mask)
#define SUB_WHERE(mask, x, y) _mm256_sub_ps(x, _mm256_and_ps(mask, y))
#define TOTAL(x) vector_total(x)

#include "compute/softmax.inc.h"

#define SQRT(x) _mm256_sqrt_ps(x)

#include "compute/update.inc.h"

#define W __m256i
#define WLANES 4
#define W_FILL(x) _mm256_set1_epi64x((int64_t) (uint32_t) (x))
#define W_COUNT() _mm256_set_epi64x(3, 2, 1, 0)
#define W_ADD(x, y) _mm256_add_epi64(x, y)
#define W_MUL(x, y) _mm256_mul_epu32(x, y)
#define W_HIGH(x) _mm256_srli_epi64(x, 32)
#define W_XOR(x, y, z) _mm256_xor_si256(_mm256_xor_si256(x, y), z)
/* the even words of each half, then the quarters in order */
#define W_JOIN(x, y)                                                                               \
	_mm256_permute4x64_epi64(_mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(x),         \
																   _mm256_castsi256_ps(y), 0x88)), \
							 0xd8)
#define BYTES(x) _mm256_set1_epi8((char) (x))
#define KEPT uint32_t
#define AT_LEAST(x, y) _mm256_cmpeq_epi8(_mm256_max_epu8(x, y), x)
#define KEEP(draw, next, high, low)                                                                \
	((uint32_t) _mm256_movemask_epi8(_mm256_andnot_si256(                                          \
		_mm256_andnot_si256(AT_LEAST(next, low), _mm256_cmpeq_epi8(draw, high)),                   \
		AT_LEAST(draw, high))))
#define PASSES(p)                                                                                  \
	((uint32_t) _mm256_movemask_ps(_mm256_cmp_ps(LOAD(p), _mm256_setzero_ps(), _CMP_NLE_UQ)))
#define SCALED(kept, scale, p)                                                                     \
	_mm256_and_ps(_mm256_mul_ps(LOAD(p), scale), kept_lanes((uint32_t) (kept)))

static inline __m256
kept_lanes(uint32_t kept)
{
	const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);

	return _mm256_castsi256_ps(
		_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int32_t) kept), bit), bit));
}

#include "compute/draw.inc.h"

static bool
avx2_available(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static const char *
avx2_version(void)
{
	return "";
}

/* A full 8 x 8 block in registers. */
static void
transpose_block(const float *from, size_t from_row, float *to, size_t to_row)
{
	__m256 r[8], t[8];

#pragma GCC unroll 8
	for (int i = 0; i < 8; i++)
		r[i] = _mm256_loadu_ps(from + i * from_row);
#pragma GCC unroll 4
	for (int i = 0; i < 8; i += 2)
	{
		t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
		t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
	}
#pragma GCC unroll 2
	for (int i = 0; i < 8; i += 4)
	{
		r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
		r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
		r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
		r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
	}
#pragma GCC unroll 4
	for (int i = 0; i < 4; i++)
	{
		_mm256_storeu_ps(to + i * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
		_mm256_storeu_ps(to + (i + 4) * to_row, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
	}
}

static void
avx2_transpose(const float *from, size_t rows, size_t cols, size_t from_row, float *to,
			   size_t to_row)
{
	size_t full_rows = rows / 8 * 8, full_cols = cols / 8 * 8;

	for (size_t j = 0; j < full_cols; j += 8)
		for (size_t i = 0; i < full_rows; i += 8)
			transpose_block(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
	for (size_t j = full_cols; j < cols; j++)
		for (size_t i = 0; i < full_rows; i++)
			to[j * to_row + i] = from[i * from_row + j];
	if (rows % HB_PAD != 0)
		for (size_t j = 0; j < cols; j++)
		{
			size_t i = full_rows;

			for (; i < rows; i++)
				to[j * to_row + i] = from[i * from_row + j];
			for (; i % HB_PAD != 0; i++)
				to[j * to_row + i] = 0;
		}
}

const HbProvider hb_provider_avx2 = {
	.name = "avx2",
	.kernel = "avx2",
	.description = "kernels for AVX2 and FMA",
	.panel = HB_PANEL,
	.sparse_from = 4,
	.available = avx2_available,
	.version = avx2_version,
	.product = tile_product,
	.sparse_product = sparse_product,
	.sparse_gradient = sparse_gradient,
	.transpose = avx2_transpose,
	.row_sums = ew_row_sums,
	.activate = ew_activate,
	.activate_back = ew_activate_back,
	.mask = vector_mask,
	.drop = vector_drop,
	.drop_relu = vector_drop_relu,
	.softmax = ew_softmax,
	.cross_entropy = softmax_cross_entropy,
	.hinge = ew_hinge,
	.squared = ew_squared,
	.errors = ew_errors,
	.update = vector_update,
};

#else
typedef int hb_no_avx2_kernels;
#endif
