/*
 * product_amx.c - the matrix product for processors with tiles of bfloat16 (Intel AMX)
 *
 * A float is the sum of two bfloat16 numbers to 16 bits: high is the nearest one, low the nearest to what is left.
 * A product is three of them, low x high, high x high and high x low, added up in float32 (Henry, Tang and Heinecke,
 * Leveraging the bfloat16 Artificial Intelligence Datatype for Higher-Precision Computations, ARITH 2019).
 * low x low, which is left out, and what the two numbers lose are together less than 2^-15 of a term: between TF32
 * (2^-11) and float32 (2^-24), and what PyTorch calls float32_matmul_precision "high".  The tiles multiply sixteen times
 * as fast as AVX-512, so three products are five times as fast as the one in float32.
 *
 * Both operands are laid out as tiles of 16 lines (rows of A, columns of B) and 32 terms, the high ones followed by
 * the low ones.  Terms are added in an order that k alone decides, 32 at a time: an element's bits do not depend on the
 * shape of the product it is computed in.  Infinities, and what rounds to one, become NaN.
 */
#include "compute/kernels.h"

#if defined(HB_HAVE_X86_KERNELS) && defined(__AMX_BF16__)

#include <cpuid.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compute/held.h"
#include "compute/transpose_avx512.h"
#include "compute/vector_avx512.h"

#define LINES 16
#define TERMS 32
#define TILE_BYTES 1024
#define PAIR_BYTES (2 * TILE_BYTES) /* high and low */
_Static_assert(HB_AMX_DEPTH == 32 && HB_AMX_ROWS == 32, "two lines of tiles, a pair along k");

#define DEPTH 32 /* pairs of tiles along k at a time: their sums stay in C meanwhile */
#define NEAR 8   /* pairs of tiles that stay in the first-level cache while others pass by */
/* Pairs of tiles of an operand laid out at a time, half a megabyte; one that needs more, or has more terms than DEPTH pairs, is not held. */
#define HELD ((size_t) 256)

/* One thread of a process multiplies. */
static unsigned char left_tiles[HELD * PAIR_BYTES] __attribute__((aligned(64)));
static unsigned char near_tiles[NEAR * PAIR_BYTES] __attribute__((aligned(64)));
static unsigned char right_tiles[HELD * PAIR_BYTES] __attribute__((aligned(64)));

/* ---- laying out ---- */

/*
 * Sixteen pairs of floats as pairs of bfloat16 numbers that add up to them, x0's in the lower halves.  Halves of the
 * last place are rounded away from zero.
 */
static inline void
split_pairs(__m512 x0, __m512 x1, __m512i *high, __m512i *low)
{
	const __m512i half = _mm512_set1_epi32(0x8000), upper = _mm512_set1_epi32((int) 0xffff0000);
	__m512i h0 = _mm512_add_epi32(_mm512_castps_si512(x0), half);
	__m512i h1 = _mm512_add_epi32(_mm512_castps_si512(x1), half);
	__m512 r0 = _mm512_sub_ps(x0, _mm512_castsi512_ps(_mm512_and_si512(h0, upper)));
	__m512 r1 = _mm512_sub_ps(x1, _mm512_castsi512_ps(_mm512_and_si512(h1, upper)));
	__m512i l0 = _mm512_add_epi32(_mm512_castps_si512(r0), half);
	__m512i l1 = _mm512_add_epi32(_mm512_castps_si512(r1), half);

	*high = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(h0, 16), h1);
	*low = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(l0, 16), l1);
}

/* Vector i is where vectors of n floats step apart begin, empty from count on. */
static inline void
load_vectors(const float *x, size_t step, size_t count, __mmask16 n, __m512 r[LINES])
{
#pragma GCC unroll 16
	for (size_t i = 0; i < LINES; i++)
		r[i] = _mm512_maskz_loadu_ps(i < count ? n : 0, x + i * step);
}

static inline void
store_pairs(const float x0[LINES][LINES], const __m512 x1[LINES], unsigned char *out)
{
#pragma GCC unroll 16
	for (size_t i = 0; i < LINES; i++)
	{
		__m512i high, low;

		split_pairs(_mm512_load_ps(x0[i]), x1[i], &high, &low);
		_mm512_store_si512(out + i * 64, high);
		_mm512_store_si512(out + TILE_BYTES + i * 64, low);
	}
}

/*
 * A pair of tiles: 16 lines (rows of A, columns of B), 32 terms.  Term i is paired with term 16 + i, in A as in B, so
 * that pairs are made without moving anything within vectors.  Vectors are of what a tile has a row of: of A, of
 * terms of a line; of B, of lines.  Vector i of them is at x + i * step.
 */
static inline void
lay_out_straight(const float *x, size_t step, size_t lines, size_t terms, const bool right,
				 unsigned char *out)
{
	__mmask16 m0 = first_of(right ? lines : terms);
	__mmask16 m1 = right ? m0 : first_of(terms > LINES ? terms - LINES : 0);
	size_t n0 = right ? terms : lines, n1 = right ? (terms > LINES ? terms - LINES : 0) : lines;
	size_t apart = right ? LINES * step : LINES;

#pragma GCC unroll 16
	for (size_t i = 0; i < LINES; i++)
	{
		__m512i high, low;

		split_pairs(_mm512_maskz_loadu_ps(i < n0 ? m0 : 0, x + i * step),
					_mm512_maskz_loadu_ps(i < n1 ? m1 : 0, x + i * step + apart), &high, &low);
		_mm512_store_si512(out + i * 64, high);
		_mm512_store_si512(out + TILE_BYTES + i * 64, low);
	}
}

/* The same where vectors are of the other kind: of A, of lines; of B, of terms. */
static inline void
lay_out_turned(const float *x, size_t step, size_t lines, size_t terms, const bool right,
			   unsigned char *out)
{
	float first[LINES][LINES] __attribute__((aligned(64)));
	size_t rest = terms > LINES ? terms - LINES : 0;
	__m512 r[LINES];

	load_vectors(x, step, right ? lines : terms, first_of(right ? terms : lines), r);
	transpose_16(r);
#pragma GCC unroll 16
	for (size_t i = 0; i < LINES; i++)
		_mm512_store_ps(first[i], r[i]);
	load_vectors(x + (right ? LINES : LINES * step), step, right ? lines : rest,
				 first_of(right ? rest : lines), r);
	transpose_16(r);
	store_pairs(first, r, out);
}

/*
 * Lines 0..lines of an operand over terms 0..terms, tiles of a line after another.  Element (line, term) at
 * x[line * line_step + term * term_step], one of the steps is 1; right: of B, else of A.
 */
static void
lay_out(const float *x, size_t line_step, size_t term_step, size_t lines, size_t terms, bool right,
		unsigned char *out)
{
	for (size_t i = 0; i < lines; i += LINES)
		for (size_t l = 0; l < terms; l += TERMS, out += PAIR_BYTES)
		{
			const float *from = x + i * line_step + l * term_step;
			size_t n = lines - i < LINES ? lines - i : LINES;
			size_t k = terms - l < TERMS ? terms - l : TERMS;

			if (term_step == 1 && right)
				lay_out_turned(from, line_step, n, k, true, out);
			else if (term_step == 1)
				lay_out_straight(from, line_step, n, k, false, out);
			else if (right)
				lay_out_straight(from, term_step, n, k, true, out);
			else
				lay_out_turned(from, term_step, n, k, false, out);
		}
}

void
hb_amx_pack(const float *x, size_t row, size_t column, size_t k, size_t n, float *out)
{
	lay_out(x, column, row, n, k, true, (unsigned char *) out);
}

/* ---- multiplying ---- */

/* gcc 12's intrinsics do not tell it that they read memory: what was written must be there. */
#define WRITTEN(p) __asm__ volatile("" : : "r"(p) : "memory")

/* Tiles of C and what they are the sum of. */
typedef struct Block
{
	const unsigned char *a; /* pairs of the first line's tiles */
	const unsigned char *b;
	size_t a_line; /* bytes to the next line's */
	size_t b_line;
	size_t depth; /* pairs along k */
	bool resume;  /* C holds what came before */
	float *c[4];  /* row by row */
	size_t c_row[4];
	/* what comes nearer meanwhile, addresses that may lie beyond the end: two pieces, a pair along k so many bytes of each */
	uintptr_t ahead;
	size_t ahead_line; /* bytes from the one to the other */
	size_t ahead_bytes;
} Block;

/* Keeps the third-level cache busy while the tiles are. */
static inline uintptr_t
ask_ahead(const Block *t, uintptr_t ahead)
{
	for (size_t at = 0; at < t->ahead_bytes; at += 64)
	{
		_mm_prefetch((const char *) (ahead + at), _MM_HINT_T1);
		_mm_prefetch((const char *) (ahead + t->ahead_line + at), _MM_HINT_T1);
	}
	return ahead + t->ahead_bytes;
}

#define START(tile)                                                                                \
	do                                                                                             \
	{                                                                                              \
		if (t->resume)                                                                             \
			_tile_loadd(tile, t->c[tile], t->c_row[tile]);                                         \
		else                                                                                       \
			_tile_zero(tile);                                                                      \
	} while (0)
#define FINISH(tile) _tile_stored(tile, t->c[tile], t->c_row[tile])
#define A(line) (a + (line) *a_line)
#define B(line) (b + (line) *b_line)
#define LOW TILE_BYTES
#define BLOCK_START                                                                                \
	const unsigned char *a = t->a, *b = t->b;                                                      \
	const size_t a_line = t->a_line, b_line = t->b_line;

static void
block_2_2(const Block *t)
{
	uintptr_t ahead = t->ahead;
	BLOCK_START

	START(0);
	START(1);
	START(2);
	START(3);
	for (size_t l = t->depth; l > 0; l--, a += PAIR_BYTES, b += PAIR_BYTES)
	{
		_tile_loadd(4, A(0) + LOW, 64);
		_tile_loadd(6, B(0), 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_loadd(7, B(1), 64);
		_tile_dpbf16ps(1, 4, 7);
		_tile_loadd(5, A(1) + LOW, 64);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
		ahead = ask_ahead(t, ahead);
		_tile_loadd(4, A(0), 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 4, 7);
		_tile_loadd(5, A(1), 64);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
		_tile_loadd(6, B(0) + LOW, 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_loadd(7, B(1) + LOW, 64);
		_tile_dpbf16ps(1, 4, 7);
		_tile_dpbf16ps(2, 5, 6);
		_tile_dpbf16ps(3, 5, 7);
	}
	FINISH(0);
	FINISH(1);
	FINISH(2);
	FINISH(3);
}

static void
block_2_1(const Block *t)
{
	BLOCK_START

	START(0);
	START(1);
	for (size_t l = t->depth; l > 0; l--, a += PAIR_BYTES, b += PAIR_BYTES)
	{
		_tile_loadd(4, A(0) + LOW, 64);
		_tile_loadd(5, A(1) + LOW, 64);
		_tile_loadd(6, B(0), 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 5, 6);
		_tile_loadd(4, A(0), 64);
		_tile_loadd(5, A(1), 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(1, 5, 6);
		_tile_loadd(7, B(0) + LOW, 64);
		_tile_dpbf16ps(0, 4, 7);
		_tile_dpbf16ps(1, 5, 7);
	}
	FINISH(0);
	FINISH(1);
}

/* One line of tiles: four of C hide the latency of a sum. */
static void
block_1_4(const Block *t)
{
	BLOCK_START

	START(0);
	START(1);
	START(2);
	START(3);
	for (size_t l = t->depth; l > 0; l--, a += PAIR_BYTES, b += PAIR_BYTES)
	{
		_tile_loadd(4, A(0) + LOW, 64);
		_tile_loadd(6, B(0), 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_loadd(7, B(1), 64);
		_tile_dpbf16ps(1, 4, 7);
		_tile_loadd(6, B(2), 64);
		_tile_dpbf16ps(2, 4, 6);
		_tile_loadd(7, B(3), 64);
		_tile_dpbf16ps(3, 4, 7);
		_tile_loadd(5, A(0), 64);
		_tile_loadd(6, B(0), 64);
		_tile_dpbf16ps(0, 5, 6);
		_tile_loadd(7, B(1), 64);
		_tile_dpbf16ps(1, 5, 7);
		_tile_loadd(6, B(2), 64);
		_tile_dpbf16ps(2, 5, 6);
		_tile_loadd(7, B(3), 64);
		_tile_dpbf16ps(3, 5, 7);
		_tile_loadd(6, B(0) + LOW, 64);
		_tile_dpbf16ps(0, 5, 6);
		_tile_loadd(7, B(1) + LOW, 64);
		_tile_dpbf16ps(1, 5, 7);
		_tile_loadd(6, B(2) + LOW, 64);
		_tile_dpbf16ps(2, 5, 6);
		_tile_loadd(7, B(3) + LOW, 64);
		_tile_dpbf16ps(3, 5, 7);
	}
	FINISH(0);
	FINISH(1);
	FINISH(2);
	FINISH(3);
}

static void
block_1_1(const Block *t)
{
	BLOCK_START

	START(0);
	for (size_t l = t->depth; l > 0; l--, a += PAIR_BYTES, b += PAIR_BYTES)
	{
		_tile_loadd(4, A(0) + LOW, 64);
		_tile_loadd(5, A(0), 64);
		_tile_loadd(6, B(0), 64);
		_tile_loadd(7, B(0) + LOW, 64);
		_tile_dpbf16ps(0, 4, 6);
		_tile_dpbf16ps(0, 5, 6);
		_tile_dpbf16ps(0, 5, 7);
	}
	FINISH(0);
}

/*
 * Rows i.. and columns j.. of C, terms l..: where their operands' tiles lie, so many lines of them.  NULL: not laid out
 * yet, which is done block by block as they are multiplied, so that they are still in the first-level cache.
 */
typedef struct Part
{
	const HbProduct *p;
	const unsigned char *a;
	const unsigned char *b;
	size_t a_line; /* bytes from a line of tiles to the next */
	size_t b_line;
	size_t i;
	size_t j;
	size_t l;
	size_t rows;
	size_t columns;
	size_t depth;
} Part;

/* The bias, or what C holds, in the rows that are C's. */
static void
fill_tile(const HbProduct *p, size_t i, size_t rows, size_t j, bool resume, float *to,
		  size_t to_row)
{
	for (size_t r = 0; r < rows; r++)
	{
		const float *from = p->c + (i + r) * p->c_row + j;

		_mm512_storeu_ps(to + r * to_row,
						 resume ? _mm512_loadu_ps(from) : _mm512_set1_ps(p->bias[i + r]));
	}
}

/* One or two by one, two or four tiles of C from row i and column j on; those that stick out of C are made beside it. */
static inline void
multiply_block(const HbProduct *p, Block *t, size_t i, size_t j, const size_t rows,
			   const size_t columns, void (*block)(const Block *))
{
	float beside[4][LINES * LINES] __attribute__((aligned(64)));
	bool biased = p->bias != NULL && !t->resume, resume = t->resume;
	bool out = i + rows * LINES > p->m;

	t->resume = resume || biased;
	for (size_t r = 0, n = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++, n++)
		{
			size_t row = i + r * LINES;
			bool whole = row + LINES <= p->m;

			t->c[n] = whole ? p->c + row * p->c_row + j + c * LINES : beside[n];
			t->c_row[n] = (whole ? p->c_row : LINES) * sizeof(float);
			if (biased || (resume && !whole))
				fill_tile(p, row, whole ? LINES : p->m - row, j + c * LINES, resume, t->c[n],
						  whole ? p->c_row : LINES);
		}
	WRITTEN(beside);
	block(t);
	t->resume = resume;
	for (size_t c = 0; out && c < columns; c++)
	{
		size_t last = i + (rows - 1) * LINES;

		for (size_t s = 0; s < p->m - last; s++)
			_mm512_storeu_ps(p->c + (last + s) * p->c_row + j + c * LINES,
							 _mm512_load_ps(beside[(rows - 1) * columns + c] + s * LINES));
	}
}

/* Two lines of rows by two of columns or one, else one by four or by one, from line r and line c of the part on. */
static void
multiply_lines(const Part *part, Block *t, size_t r, size_t rows, size_t c, size_t columns)
{
	const unsigned char *b = t->b;
	size_t i = part->i + r * LINES, j = part->j + c * LINES;
	size_t step = rows == 2 ? 2 : columns == 4 ? 4 : 1;

	for (size_t s = 0; s < columns; s += step, j += step * LINES)
	{
		if (rows == 2 && columns - s >= 2)
			multiply_block(part->p, t, i, j, 2, 2, block_2_2);
		else if (rows == 2)
			multiply_block(part->p, t, i, j, 2, 1, block_2_1);
		else if (step == 4)
			multiply_block(part->p, t, i, j, 1, 4, block_1_4);
		else
			multiply_block(part->p, t, i, j, 1, 1, block_1_1);
		t->b += step * t->b_line;
		t->ahead += step * t->b_line;
	}
	t->b = b;
}

/* Terms of a part from pair of tiles l on, so many. */
static size_t
terms_of(const Part *part, size_t l, size_t depth)
{
	return hb_at_most(part->p->k - part->l - l * TERMS, depth * TERMS);
}

/*
 * While pair of lines r of a part is multiplied by columns of a packed B, its share of what follows them comes nearer:
 * next bytes further on.
 */
static void
set_ahead(const Part *part, Block *t, size_t r, size_t next)
{
	size_t share = PAIR_BYTES / ((part->rows + 1) / 2) / 64 * 64;

	t->ahead_bytes = part->p->packed ? share : 0;
	if (!part->p->packed)
		return;
	t->ahead = (uintptr_t) t->b + next + r / 2 * share * t->depth;
	t->ahead_line = t->b_line;
}

/* Lines of rows first: their tiles are laid out where the part has none, and multiplied by all columns'. */
static void
multiply_by_rows(const Part *part, Block *t, size_t l)
{
	const HbProduct *p = part->p;
	const unsigned char *b = t->b;

	for (size_t r = 0, rows; r < part->rows; r += rows)
	{
		size_t i = part->i + r * LINES;

		rows = hb_at_most(part->rows - r, 2);
		lay_out(p->a + i * p->a_row + (part->l + l * TERMS) * p->a_col, p->a_row, p->a_col,
				hb_at_most(p->m - i, rows * LINES), terms_of(part, l, t->depth), false, near_tiles);
		t->a = near_tiles;
		t->a_line = t->depth * PAIR_BYTES;
		for (size_t c = 0; c < part->columns; c += 4)
		{
			t->b = b + c * t->b_line;
			set_ahead(part, t, r, t->depth * PAIR_BYTES);
			multiply_lines(part, t, r, rows, c, hb_at_most(part->columns - c, 4));
		}
	}
}

/* Columns j..j+lines of a B that is not packed: at once where it lies turned, else panel by panel. */
static void
lay_out_right(const HbProduct *p, size_t j, size_t lines, size_t l, size_t terms,
			  unsigned char *out)
{
	size_t line = (terms + TERMS - 1) / TERMS * PAIR_BYTES, width;

	if (p->turned)
	{
		lay_out(p->b + j * p->b_row + l, p->b_row, 1, hb_at_most(p->turned - j, lines), terms, true,
				out);
		return;
	}
	for (size_t s = 0; s < lines; s += width)
	{
		size_t within = (j + s) % p->b_width;

		width = hb_at_most(lines - s, p->b_width - within);
		lay_out(p->b + (j + s) / p->b_width * p->b_panel + within + l * p->b_row, 1, p->b_row,
				width, terms, true, out + s / LINES * line);
	}
}

/* Lines of columns first: their tiles, laid out or not, are multiplied by all rows'. */
static void
multiply_by_columns(const Part *part, Block *t, size_t l)
{
	const unsigned char *a = t->a, *b = t->b;
	size_t step = part->rows == 1 ? 4 : 2;

	for (size_t c = 0, columns; c < part->columns; c += columns)
	{
		columns = hb_at_most(part->columns - c, step);
		if (part->b != NULL)
			t->b = b + c * t->b_line;
		else
		{
			lay_out_right(part->p, part->j + c * LINES, columns * LINES, part->l + l * TERMS,
						  terms_of(part, l, t->depth), near_tiles);
			t->b = near_tiles;
			t->b_line = t->depth * PAIR_BYTES;
		}
		for (size_t r = 0; r < part->rows; r += 2)
		{
			t->a = a + r * t->a_line;
			set_ahead(part, t, r, columns * t->b_line);
			multiply_lines(part, t, r, hb_at_most(part->rows - r, 2), c, columns);
		}
	}
}

/* Depths of which two or four lines stay in the first-level cache while the other operand passes by. */
static void
multiply_part(const Part *part)
{
	size_t step = part->a != NULL && part->rows == 1 ? NEAR / 4 : NEAR / 2;

	for (size_t l = 0; l < part->depth; l += step)
	{
		Block t = {.a = part->a ? part->a + l * PAIR_BYTES : NULL,
				   .b = part->b ? part->b + l * PAIR_BYTES : NULL,
				   .a_line = part->a_line,
				   .b_line = part->b_line,
				   .depth = hb_at_most(part->depth - l, step),
				   .resume = part->l + l > 0};

		if (part->a == NULL)
			multiply_by_rows(part, &t, l);
		else
			multiply_by_columns(part, &t, l);
	}
}

static HbHeldOperand held_left, held_right;

/* Rows of a part's columns: all at once where they are laid out as they come, else as many as are held. */
static void
multiply_rows(const HbProduct *p, Part *part, bool hold)
{
	size_t most = hold ? HELD / part->depth / 2 * 2 * LINES : p->m;
	size_t terms = terms_of(part, 0, part->depth);

	for (size_t i = 0; i < p->m; i += most)
	{
		size_t lines = hb_at_most(p->m - i, most);
		bool all = lines == p->m && terms == p->k;

		if (hold && !hb_holds(&held_left, p->reuse_a, p->a, p->m, p->k))
		{
			lay_out(p->a + i * p->a_row + part->l * p->a_col, p->a_row, p->a_col, lines, terms,
					false, left_tiles);
			held_left = (HbHeldOperand){all ? p->a : NULL, p->m, p->k};
		}
		part->a = hold ? left_tiles : NULL;
		part->i = i;
		part->rows = (lines + LINES - 1) / LINES;
		multiply_part(part);
	}
}

/* B held in tiles of its own, columns as many as there is room for. */
static void
multiply_held(const HbProduct *p, Part *part)
{
	size_t most = HELD / part->depth / 4 * 4 * LINES, terms = terms_of(part, 0, part->depth);

	for (size_t j = 0; j < p->n; j += most)
	{
		size_t lines = hb_at_most(p->n - j, most);
		bool all = lines == p->n && terms == p->k;

		if (!hb_holds(&held_right, p->reuse_b, p->b, p->n, p->k))
		{
			lay_out_right(p, j, lines, part->l, terms, right_tiles);
			held_right = (HbHeldOperand){all ? p->b : NULL, p->n, p->k};
		}
		part->b = right_tiles;
		part->b_line = part->depth * PAIR_BYTES;
		part->j = j;
		part->columns = lines / LINES;
		multiply_rows(p, part, p->reuse_a != HB_ONCE);
	}
}

static void
multiply_terms(const HbProduct *p, size_t l)
{
	size_t depth = hb_at_most((p->k - l + TERMS - 1) / TERMS, DEPTH);
	Part part = {
		.p = p, .a_line = depth * PAIR_BYTES, .l = l, .columns = p->n / LINES, .depth = depth};

	if (p->packed)
	{
		part.b = (const unsigned char *) p->b + l / TERMS * PAIR_BYTES;
		part.b_line = (p->k + TERMS - 1) / TERMS * PAIR_BYTES;
		multiply_rows(p, &part, p->reuse_a != HB_ONCE);
	}
	else if (p->reuse_b != HB_ONCE)
		multiply_held(p, &part);
	else
		multiply_rows(p, &part, true);
}

/* Of the one thread that multiplies; nobody else in the process sets or releases them. */
static bool tiles_set;

static void
set_tiles(void)
{
	struct
	{
		uint8_t palette;
		uint8_t start_row;
		uint8_t reserved[14];
		uint16_t row_bytes[16];
		uint8_t rows[16];
	} config = {.palette = 1};

	for (int i = 0; i < 8; i++)
		config.row_bytes[i] = 64, config.rows[i] = LINES;
	WRITTEN(&config);
	_tile_loadconfig(&config);
	WRITTEN(&config);
	tiles_set = true;
}

void
hb_amx_product(const HbProduct *p)
{
	if (!tiles_set)
		set_tiles();
	for (size_t l = 0; l < p->k; l += DEPTH * TERMS)
		multiply_terms(p, l);
}

/* In cpuid.h under other names with each compiler: edx of leaf 7. */
#define CPUID_AMX_BF16 (1u << 22)
#define CPUID_AMX_TILE (1u << 24)

/* Linux gives a process the tiles when it asks for them. */
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

bool
hb_amx_available(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & CPUID_AMX_BF16) &&
		   (d & CPUID_AMX_TILE) &&
		   syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

#elif defined(HB_HAVE_X86_KERNELS)

/* A compiler that knows no AMX: its provider is never available, so that nothing else here is called. */
bool
hb_amx_available(void)
{
	return false;
}

void
hb_amx_product(const HbProduct *p)
{
	(void) p;
}

void
hb_amx_pack(const float *x, size_t row, size_t column, size_t k, size_t n, float *out)
{
	(void) x, (void) row, (void) column, (void) k, (void) n, (void) out;
}

#else
typedef int hb_no_amx;
#endif
