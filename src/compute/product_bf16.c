/*
 * product_bf16.c - the matrix product for processors that multiply pairs of bfloat16 numbers (AVX-512 BF16)
 *
 * Every float becomes the nearest bfloat16 number, of eight bits; products of these are exact and are added up in
 * float32, while weights and all else stay float32 (Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training,
 * 2019).  It is what PyTorch calls float32_matmul_precision "medium".
 *
 * The instruction that multiplies sixteen pairs by one and adds both products takes the time of one that multiplies
 * sixteen floats by one.  So once terms 2p and 2p + 1 of an operand are a pair, in the place of a float, the product is
 * tile.inc.h's, of half as many terms.  Their order is decided by k alone.  What rounds to infinity is infinite.
 */
#include "compute/kernels.h"

#if defined(HB_HAVE_X86_KERNELS) && defined(__AVX512BF16__)

#include "compute/held.h"
#include "compute/transpose_avx512.h"
#include "compute/vector_avx512.h"

#undef FMA
#define FMA(x, y, z) _mm512_dpbf16_ps(z, (__m512bh) (x), (__m512bh) (y))
#define TILE_ROWS 12

#include "compute/tile.inc.h"

#define WIDTH HB_PANEL
_Static_assert(HB_BF16_DEPTH % HB_PAD == 0,
			   "inputs are padded when packed, and not when multiplied");

/* Pairs of each operand laid out at a time, a quarter of a megabyte.  One thread of a process multiplies. */
#define ROOM ((size_t) 64 << 10)
static float left[ROOM] __attribute__((aligned(64)));
static float right[ROOM] __attribute__((aligned(64)));
static HbHeldOperand held_left, held_right;

/* ---- laying out ---- */

/* Thirty-two floats as sixteen pairs of neighbours. */
static inline __m512
pair_neighbours(__m512 first, __m512 second)
{
	return (__m512) _mm512_cvtne2ps_pbh(second, first);
}

/* Sixteen pairs of an element of the one and that of the other. */
static inline __m512
pair_rows(__m512 one, __m512 other)
{
	const __m512i zip = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
										 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);

	return _mm512_castsi512_ps(
		_mm512_permutexvar_epi16(zip, (__m512i) _mm512_cvtne2ps_pbh(other, one)));
}

/* Up to 32 terms of a line. */
static inline __m512
pairs_of(const float *x, size_t terms)
{
	__mmask16 second = terms > LANES ? first_of(terms - LANES) : 0;

	return pair_neighbours(_mm512_maskz_loadu_ps(first_of(terms), x),
						   _mm512_maskz_loadu_ps(second, x + LANES));
}

/* Lines whose terms are neighbours, line after line of so many pairs. */
static void
lay_out_lines(const float *x, size_t line_step, size_t lines, size_t terms, float *out,
			  size_t out_line)
{
	for (size_t i = 0; i < lines; i++, x += line_step, out += out_line)
		for (size_t l = 0; l < terms; l += 2 * LANES)
			_mm512_mask_storeu_ps(out + l / 2, first_of((terms - l + 1) / 2),
								  pairs_of(x + l, terms - l));
}

/* Lines that are neighbours themselves: a row of pairs after another; lines up to a multiple of LANES are zero. */
static void
lay_out_rows(const float *x, size_t term_step, size_t lines, size_t terms, float *out,
			 size_t out_row)
{
	for (size_t l = 0; l < terms; l += 2, x += 2 * term_step, out += out_row)
		for (size_t i = 0; i < lines; i += LANES)
		{
			__mmask16 real = first_of(lines - i), both = l + 1 < terms ? real : 0;

			STORE(out + i, pair_rows(_mm512_maskz_loadu_ps(real, x + i),
									 _mm512_maskz_loadu_ps(both, x + term_step + i)));
		}
}

/* As lay_out_rows, of lines whose terms are neighbours. */
static void
lay_out_turned(const float *x, size_t line_step, size_t lines, size_t terms, float *out,
			   size_t out_row)
{
	for (size_t i = 0; i < lines; i += LANES)
		for (size_t l = 0; l < terms; l += 2 * LANES)
		{
			const float *from = x + i * line_step + l;
			size_t n = lines - i, pairs = hb_at_most((terms - l + 1) / 2, LANES);
			__m512 r[LANES];

#pragma GCC unroll 16
			for (size_t s = 0; s < LANES; s++)
				r[s] = s < n ? pairs_of(from + s * line_step, terms - l) : ZERO();
			transpose_16(r);
#pragma GCC unroll 16
			for (size_t s = 0; s < LANES; s++)
				if (s < pairs)
					STORE(out + (l / 2 + s) * out_row + i, r[s]);
		}
}

/* Pairs of a panel of a packed B; a product may take fewer terms than were packed, within the same depth. */
static size_t
packed_panel(size_t k)
{
	return hb_packed_size(&hb_provider_bf16, k, WIDTH);
}

void
hb_bf16_pack(const float *x, size_t row, size_t column, size_t k, size_t n, float *out)
{
	size_t panel = packed_panel(k);

	for (size_t j = 0; j < n; j += WIDTH, out += panel)
	{
		size_t columns = hb_at_most(n - j, WIDTH);

		if (column == 1)
			lay_out_rows(x + j, row, columns, k, out, WIDTH);
		else
			lay_out_turned(x + j * column, column, columns, k, out, WIDTH);
	}
}

/* Columns j.. of a B that is not packed, so many, and terms l.., in panels. */
static void
lay_out_right(const HbProduct *p, size_t j, size_t columns, size_t l, size_t terms, float *out)
{
	size_t panel = (terms + 1) / 2 * WIDTH;

	for (size_t s = 0; s < columns; s += WIDTH, out += panel)
	{
		size_t at = j + s, n = hb_at_most(columns - s, WIDTH);

		if (p->turned)
			lay_out_turned(p->b + at * p->b_row + l, p->b_row, hb_at_most(p->turned - at, n), terms,
						   out, WIDTH);
		else
			lay_out_rows(p->b + at / p->b_width * p->b_panel + at % p->b_width + l * p->b_row,
						 p->b_row, n, terms, out, WIDTH);
	}
}

/* ---- multiplying ---- */

/* So many terms of a product, from an even one on. */
typedef struct Part
{
	const HbProduct *p;
	size_t first;
	size_t terms;
	size_t pairs;
} Part;

/* Rows i.. of A as the left operand of a product of pairs. */
static void
take_left(const Part *part, size_t i, HbProduct *pairs)
{
	const HbProduct *p = part->p;
	const float *from = p->a + i * p->a_row + part->first * p->a_col;
	bool by_lines = p->a_col == 1, all = pairs->m == p->m && part->terms == p->k;
	size_t row = hb_padded(pairs->m);

	pairs->a = left;
	pairs->a_row = by_lines ? part->pairs : 1;
	pairs->a_col = by_lines ? 1 : row;
	if (hb_holds(&held_left, p->reuse_a, p->a, p->m, p->k))
		return;
	if (by_lines)
		lay_out_lines(from, p->a_row, pairs->m, part->terms, left, part->pairs);
	else
		lay_out_rows(from, p->a_col, pairs->m, part->terms, left, row);
	held_left = (HbHeldOperand){all ? p->a : NULL, p->m, p->k};
}

/* Panels of columns j.., so many, of B. */
static const float *
take_right(const Part *part, size_t j, size_t columns)
{
	const HbProduct *p = part->p;
	bool all = columns == p->n && part->terms == p->k;

	if (!hb_holds(&held_right, p->reuse_b, p->b, p->n, p->k))
	{
		lay_out_right(p, j, columns, part->first, part->terms, right);
		held_right = (HbHeldOperand){all ? p->b : NULL, p->n, p->k};
	}
	return right;
}

/* Rows i.. and columns j.. of C. */
static void
multiply_columns(const Part *part, size_t i, size_t j, size_t columns, const float *panels,
				 size_t panel, HbProduct *pairs)
{
	const HbProduct *p = part->p;

	for (size_t s = 0; s < columns; s += WIDTH, panels += panel)
	{
		pairs->b = panels;
		pairs->c = p->c + i * p->c_row + j + s;
		for (int a = 0; a < 2; a++)
			pairs->ahead[a] = p->ahead[a] ? p->ahead[a] + i * p->ahead_row + j + s : NULL;
		product_column(pairs, 0, columns - s > LANES ? 2 : 1, 0, part->pairs, part->first > 0);
	}
}

/* All of C, so many terms: as many rows and columns at a time as there is room for. */
static void
multiply_terms(const Part *part)
{
	const HbProduct *p = part->p;
	size_t rows = ROOM / part->pairs / HB_PAD * HB_PAD;
	size_t columns = p->packed ? p->n : ROOM / part->pairs / WIDTH * WIDTH;
	size_t panel = p->packed ? packed_panel(p->k) : part->pairs * WIDTH;

	for (size_t j = 0; j < p->n; j += columns)
	{
		size_t n = hb_at_most(p->n - j, columns);
		const float *panels = p->packed ? p->b + part->first / 2 * WIDTH : take_right(part, j, n);

		for (size_t i = 0; i < p->m; i += rows)
		{
			HbProduct pairs = {.m = hb_at_most(p->m - i, rows),
							   .b_row = WIDTH,
							   .b_width = WIDTH,
							   .c_row = p->c_row,
							   .bias = p->bias ? p->bias + i : NULL,
							   .ahead_row = p->ahead_row};

			take_left(part, i, &pairs);
			multiply_columns(part, i, j, n, panels, panel, &pairs);
		}
	}
}

void
hb_bf16_product(const HbProduct *p)
{
	size_t all = (p->k + 1) / 2, pairs;

	for (size_t l = 0; l < all; l += pairs)
	{
		pairs = product_block(all - l);
		multiply_terms(&(Part){p, 2 * l, hb_at_most(p->k - 2 * l, 2 * pairs), pairs});
	}
}

bool
hb_bf16_available(void)
{
	return __builtin_cpu_supports("avx512bf16");
}

#elif defined(HB_HAVE_X86_KERNELS)

/* A compiler that does not know the instructions: its provider is never available, so that nothing else here is called. */
bool
hb_bf16_available(void)
{
	return false;
}

void
hb_bf16_product(const HbProduct *p)
{
	(void) p;
}

void
hb_bf16_pack(const float *x, size_t row, size_t column, size_t k, size_t n, float *out)
{
	(void) x, (void) row, (void) column, (void) k, (void) n, (void) out;
}

#else
typedef int hb_no_bf16;
#endif
