/*
 * kernels_avx512.c - the provider for processors with AVX-512
 *
 * Register tile 12 x 32: 24 accumulators, two vectors of B and one broadcast of the 32 registers.
 */
#include "compute/kernels.h"

#ifdef HB_HAVE_X86_KERNELS

#include "compute/transpose_avx512.h"
#include "compute/vector_avx512.h"

#include "compute/elementwise.inc.h"

#define TILE_ROWS 12

#include "compute/tile.inc.h"
#include "compute/sparse.inc.h"

#define VI __m512i
#define LABELS(p) _mm512_loadu_si512(p)
#define FILL(x) _mm512_set1_ps(x)
#define ADD(x, y) _mm512_add_ps(x, y)
#define SUB(x, y) _mm512_sub_ps(x, y)
#define MUL(x, y) _mm512_mul_ps(x, y)
#define DIV(x, y) _mm512_div_ps(x, y)
#define MAX(x, y) _mm512_max_ps(x, y)
#define SCALE(p, n, t) _mm512_scalef_ps(p, n)
#define IS(label, c) _mm512_cmpeq_epi32_mask(label, _mm512_set1_epi32((int32_t) (c)))
#define WHERE(mask, x, y) _mm512_mask_blend_ps(mask, y, x)
#define SUB_WHERE(mask, x, y) _mm512_mask_sub_ps(x, mask, x, y)
#define TOTAL(x) _mm512_reduce_add_ps(x)

#include "compute/softmax.inc.h"

#define SQRT(x) _mm512_sqrt_ps(x)

#include "compute/update.inc.h"

#define W __m512i
#define WLANES 8
#define W_FILL(x) _mm512_set1_epi64((int64_t) (uint32_t) (x))
#define W_COUNT() _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0)
#define W_ADD(x, y) _mm512_add_epi64(x, y)
#define W_MUL(x, y) _mm512_mul_epu32(x, y)
/* by the port that multiplies nothing; what is left in the upper halves does not count */
#define W_HIGH(x) _mm512_shuffle_epi32(x, (_MM_PERM_ENUM) 0xf5)
#define W_XOR(x, y, z) _mm512_ternarylogic_epi64(x, y, z, 0x96)
#define W_JOIN(x, y)                                                                               \
	_mm512_permutex2var_epi32(                                                                     \
		x, _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0), y)
#define BYTES(x) _mm512_set1_epi8((char) (x))
#define KEPT uint64_t
#define KEEP(draw, next, high, low)                                                                \
	(~(_mm512_cmplt_epu8_mask(draw, high) |                                                        \
	   _mm512_mask_cmplt_epu8_mask(_mm512_cmpeq_epi8_mask(draw, high), next, low)))
#define PASSES(p) ((uint32_t) _mm512_cmp_ps_mask(LOAD(p), _mm512_setzero_ps(), _CMP_NLE_UQ))
#define SCALED(kept, scale, p) _mm512_maskz_mul_ps((__mmask16) (kept), scale, LOAD(p))

#include "compute/draw.inc.h"

static bool
avx512_available(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		   __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
		   __builtin_cpu_supports("fma");
}

static const char *
avx512_version(void)
{
	return "";
}

static void
transpose_block(const float *from, size_t rows, size_t from_row, __mmask16 columns, size_t cols,
				float *to, size_t to_row)
{
	__m512 r[16];

#pragma GCC unroll 16
	for (size_t i = 0; i < 16; i++)
		r[i] = i < rows ? _mm512_maskz_loadu_ps(columns, from + i * from_row) : _mm512_setzero_ps();
	transpose_16(r);
#pragma GCC unroll 16
	for (size_t j = 0; j < 16; j++)
		if (j < cols)
			_mm512_storeu_ps(to + j * to_row, r[j]);
}

static void
avx512_transpose(const float *from, size_t rows, size_t cols, size_t from_row, float *to,
				 size_t to_row)
{
	for (size_t j = 0; j < cols; j += 16)
	{
		size_t count = cols - j < 16 ? cols - j : 16;
		__mmask16 mask = (__mmask16) ((1u << count) - 1);

		for (size_t i = 0; i < rows; i += 16)
			transpose_block(from + i * from_row + j, rows - i < 16 ? rows - i : 16, from_row, mask,
							count, to + j * to_row + i, to_row);
	}
}

/* What the providers below have in common. */
#define ELEMENTWISE                                                                                \
	.panel = HB_PANEL, .version = avx512_version, .sparse_product = sparse_product,                \
	.sparse_gradient = sparse_gradient, .transpose = avx512_transpose, .row_sums = ew_row_sums,    \
	.activate = ew_activate, .activate_back = ew_activate_back, .mask = vector_mask,               \
	.drop = vector_drop, .drop_relu = vector_drop_relu, .softmax = ew_softmax,                     \
	.cross_entropy = softmax_cross_entropy, .hinge = ew_hinge, .squared = ew_squared,              \
	.errors = ew_errors, .update = vector_update

const HbProvider hb_provider_avx512 = {
	.name = "avx512",
	.kernel = "avx512",
	.description = "kernels for AVX-512",
	.sparse_from = 4,
	.available = avx512_available,
	.product = tile_product,
	ELEMENTWISE,
};

static bool
bf16_available(void)
{
	return avx512_available() && hb_bf16_available();
}

const HbProvider hb_provider_bf16 = {
	.name = "bf16",
	.kernel = "avx512-bf16",
	.description = "products of bfloat16 numbers by AVX-512 BF16, kernels for AVX-512",
	.depth = HB_BF16_DEPTH,
	.terms = HB_BF16_TERMS,
	.turns = true,
	.precision = HB_MEDIUM,
	.sparse_from = 6, /* dense products are faster */
	.narrow = &hb_provider_avx512,
	.available = bf16_available,
	.product = hb_bf16_product,
	.pack = hb_bf16_pack,
	ELEMENTWISE,
};

static bool
amx_available(void)
{
	return avx512_available() && hb_amx_available();
}

const HbProvider hb_provider_amx = {
	.name = "amx",
	.kernel = "amx-bf16",
	.description = "products of two bfloat16 numbers a float by AMX, kernels for AVX-512",
	.depth = HB_AMX_DEPTH,
	.rows = HB_AMX_ROWS,
	.turns = true,
	.sparse_from = 7, /* dense products are faster */
	.precision = HB_HIGH,
	.narrow = &hb_provider_avx512,
	.available = amx_available,
	.product = hb_amx_product,
	.pack = hb_amx_pack,
	ELEMENTWISE,
};

#else
typedef int hb_no_avx512_kernels;
#endif
