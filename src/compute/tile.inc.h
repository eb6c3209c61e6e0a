/*
 * tile.inc.h - the matrix product for one instruction set
 *
 * A register tile of TILE_ROWS rows and two vectors of columns is kept in named accumulators (an
 * array of vectors would be spilled by gcc 12); each step of k loads one row of B and broadcasts TILE_ROWS
 * elements of A (Goto and van de Geijn, TOMS 2008; BLIS's outer-product kernels).  A is read where
 * it lies, B usually in packed panels.  Every element is the sum of its terms in the order of k by fused
 * multiply-add, wherever it lies and however the product is cut.
 *
 * The including file defines V, LANES, LOAD, STORE, BROADCAST (of a float in memory), FMA, ZERO,
 * TILE_ROWS (6 or 12).  Where a float stands for a pair of smaller numbers (product_bf16.c), k counts pairs.
 */

/* Rows come in threes (STEP): base, base + row, base + 2 row is all that x86 addressing needs. */

#define ROWS_1(M) M(0)
#define ROWS_2(M) ROWS_1(M) M(1)
#define ROWS_3(M) ROWS_2(M) M(2)
#define ROWS_4(M) ROWS_3(M) M(3)
#define ROWS_5(M) ROWS_4(M) M(4)
#define ROWS_6(M) ROWS_5(M) M(5)
#define ROWS_7(M) ROWS_6(M) M(6)
#define ROWS_8(M) ROWS_7(M) M(7)
#define ROWS_9(M) ROWS_8(M) M(8)
#define ROWS_10(M) ROWS_9(M) M(9)
#define ROWS_11(M) ROWS_10(M) M(10)
#define ROWS_12(M) ROWS_11(M) M(11)

#define BASE_0 a0
#define BASE_1 a0
#define BASE_2 a0
#define BASE_3 a3
#define BASE_4 a3
#define BASE_5 a3
#define BASE_6 a6
#define BASE_7 a6
#define BASE_8 a6
#define BASE_9 a9
#define BASE_10 a9
#define BASE_11 a9

/* The empty asm keeps the compiler from turning the four bases into twelve pointers. */
#define NEXT_OF_A                                                                                  \
	a0 += a_col, a3 += a_col, a6 += a_col, a9 += a_col;                                            \
	__asm__("" : "+r"(a0), "+r"(a3), "+r"(a6), "+r"(a9))

/* One tile: where its operands start, and whether C already holds the terms of smaller k. */
typedef struct Tile
{
	size_t k;
	const float *a;
	size_t a_row;
	size_t a_col;
	const float *b;
	size_t b_row;
	float *c;
	size_t c_row;
	const float *bias;
	const float *ahead[2];
	size_t ahead_row;
	bool resume;
} Tile;

static inline V
tile_start(const Tile *t, size_t i, size_t j)
{
	if (t->resume)
		return LOAD(t->c + i * t->c_row + j);
	return t->bias ? BROADCAST(t->bias + i) : ZERO();
}

#define DECLARE_2(i) V c##i##_0 = tile_start(t, i, 0), c##i##_1 = tile_start(t, i, LANES);
#define DECLARE_1(i) V c##i##_0 = tile_start(t, i, 0);
#define STEP_2(i)                                                                                  \
	{                                                                                              \
		V x = BROADCAST(BASE_##i + ((i) % 3) * row);                                               \
		c##i##_0 = FMA(x, b0, c##i##_0);                                                           \
		c##i##_1 = FMA(x, b1, c##i##_1);                                                           \
	}
#define STEP_1(i) c##i##_0 = FMA(BROADCAST(BASE_##i + ((i) % 3) * row), b0, c##i##_0);
#define STORE_2(i)                                                                                 \
	STORE(t->c + (i) *t->c_row, c##i##_0);                                                         \
	STORE(t->c + (i) *t->c_row + LANES, c##i##_1);
#define STORE_1(i) STORE(t->c + (i) *t->c_row, c##i##_0);

/* The lines of two vectors; most of a step's time goes by without a load. */
#define ASK(p)                                                                                     \
	__builtin_prefetch(p, 1, 2);                                                                   \
	__builtin_prefetch(p + 2 * LANES - 1, 1, 2);

#define DEFINE_TILE(rows)                                                                          \
	static void tile_##rows##_2(const Tile *t)                                                     \
	{                                                                                              \
		const size_t row = t->a_row, a_col = t->a_col, b_row = t->b_row;                           \
		const float *a0 = t->a, *a3 = a0 + 3 * row, *a6 = a3 + 3 * row, *a9 = a6 + 3 * row;        \
		const float *b = t->b;                                                                     \
		size_t l = t->k;                                                                           \
		ROWS_##rows(DECLARE_2) if (t->ahead[0] != NULL && l > rows)                                \
		{                                                                                          \
			const float *p = t->ahead[0], *q = t->ahead[1];                                        \
			for (size_t end = l - rows; l > end; l--, p += t->ahead_row, q += t->ahead_row)        \
			{                                                                                      \
				V b0 = LOAD(b), b1 = LOAD(b + LANES);                                              \
				ASK(p) ASK(q) ROWS_##rows(STEP_2) NEXT_OF_A;                                       \
				b += b_row;                                                                        \
			}                                                                                      \
		}                                                                                          \
		for (; l > 0; l--)                                                                         \
		{                                                                                          \
			V b0 = LOAD(b), b1 = LOAD(b + LANES);                                                  \
			ROWS_##rows(STEP_2) NEXT_OF_A;                                                         \
			b += b_row;                                                                            \
		}                                                                                          \
		ROWS_##rows(STORE_2)                                                                       \
	}                                                                                              \
	static void tile_##rows##_1(const Tile *t)                                                     \
	{                                                                                              \
		const size_t row = t->a_row, a_col = t->a_col, b_row = t->b_row;                           \
		const float *a0 = t->a, *a3 = a0 + 3 * row, *a6 = a3 + 3 * row, *a9 = a6 + 3 * row;        \
		const float *b = t->b;                                                                     \
		ROWS_##rows(DECLARE_1) for (size_t l = t->k; l > 0; l--)                                   \
		{                                                                                          \
			V b0 = LOAD(b);                                                                        \
			ROWS_##rows(STEP_1) NEXT_OF_A;                                                         \
			b += b_row;                                                                            \
		}                                                                                          \
		ROWS_##rows(STORE_1)                                                                       \
	}

DEFINE_TILE(1)
DEFINE_TILE(2)
DEFINE_TILE(3)
DEFINE_TILE(4)
DEFINE_TILE(5)
DEFINE_TILE(6)
#if TILE_ROWS > 6
DEFINE_TILE(7)
DEFINE_TILE(8)
DEFINE_TILE(9)
DEFINE_TILE(10)
DEFINE_TILE(11)
DEFINE_TILE(12)
#endif

typedef void (*TileFunction)(const Tile *);

static const TileFunction tiles[TILE_ROWS + 1][3] = {
	{NULL, NULL, NULL},           {NULL, tile_1_1, tile_1_2},   {NULL, tile_2_1, tile_2_2},
	{NULL, tile_3_1, tile_3_2},   {NULL, tile_4_1, tile_4_2},   {NULL, tile_5_1, tile_5_2},
	{NULL, tile_6_1, tile_6_2},
#if TILE_ROWS > 6
	{NULL, tile_7_1, tile_7_2},   {NULL, tile_8_1, tile_8_2},   {NULL, tile_9_1, tile_9_2},
	{NULL, tile_10_1, tile_10_2}, {NULL, tile_11_1, tile_11_2}, {NULL, tile_12_1, tile_12_2},
#endif
};

/*
 * Columns j.. of C (as many as the vectors hold, one or two), terms l..l+k, over all rows in tiles of even height.
 * resume: C holds what came before.
 */
static void
product_column(const HbProduct *p, size_t j, size_t vectors, size_t l, size_t k, bool resume)
{
	size_t ntiles = (p->m + TILE_ROWS - 1) / TILE_ROWS;
	Tile t = {.k = k,
			  .a_row = p->a_row,
			  .a_col = p->a_col,
			  .b = p->b + j / p->b_width * p->b_panel + j % p->b_width + l * p->b_row,
			  .b_row = p->b_row,
			  .c_row = p->c_row,
			  .ahead_row = p->ahead_row,
			  .resume = resume};

	for (size_t i = 0, left = ntiles; left > 0; left--)
	{
		size_t rows = (p->m - i + left - 1) / left;

		t.a = p->a + i * p->a_row + l * p->a_col;
		t.c = p->c + i * p->c_row + j;
		t.bias = p->bias ? p->bias + i : NULL;
		for (int s = 0; p->ahead[0] != NULL && s < 2; s++)
			t.ahead[s] = p->ahead[s] + i * p->ahead_row + j;
		tiles[rows][vectors](&t);
		i += rows;
	}
}

/* Blocks of k keep a panel of B in the first-level cache while all rows of A pass by; the last is no small one. */
#define PRODUCT_BLOCK 256

static size_t
product_block(size_t left)
{
	return left < PRODUCT_BLOCK * 3 / 2 ? left : PRODUCT_BLOCK;
}

static inline void
tile_product(const HbProduct *p)
{
	size_t l = 0;

	do
	{
		size_t k = product_block(p->k - l);

		for (size_t j = 0; j < p->n; j += 2 * LANES)
			product_column(p, j, p->n - j >= 2 * LANES ? 2 : 1, l, k, l > 0);
		l += k;
	} while (l < p->k);
}
