/*
 * sparse.inc.h - products with a sparse matrix, for one instruction set
 *
 * Up to eight vectors of a row stay in registers.  X A: a row of the result, to which a row of A is added for each
 * element of X's row.  X^T A: a row of A, which is added to a row of the result for each element of X's row.  An element
 * of the result is the sum of its terms in their order by fused multiply-add, as tile.inc.h adds them up, where zeros
 * change nothing unless what they are multiplied with is infinite.
 *
 * The including file defines what tile.inc.h asks for, and includes that before.
 */
#include <string.h>

#define SPARSE_START(v) V s##v = LOAD(bias + (v) *LANES);
#define SPARSE_ADD(v) s##v = FMA(x, LOAD(a + (v) *LANES), s##v);
#define SPARSE_STORE(v) STORE(c + (v) *LANES, s##v);
#define SPARSE_HOLD(v) V d##v = LOAD(a + (v) *LANES);
#define SPARSE_SCATTER(v) STORE(to + (v) *LANES, FMA(x, d##v, LOAD(to + (v) *LANES)));

#define DEFINE_SPARSE(vectors)                                                                     \
	static void sparse_product_##vectors(const HbSparseProduct *p, size_t j)                       \
	{                                                                                              \
		const uint32_t *begin = p->x->begin, *column = p->x->column;                               \
		const float *value = p->x->value, *bias = p->bias + j, *from = p->a + j;                   \
		const size_t m = p->m, a_row = p->a_row, c_row = p->c_row;                                 \
		float *c = p->c + j;                                                                       \
		for (size_t i = 0; i < m; i++, c += c_row)                                                 \
		{                                                                                          \
			ROWS_##vectors(SPARSE_START) for (uint32_t l = begin[i], end = begin[i + 1]; l < end;  \
											  l++)                                                 \
			{                                                                                      \
				const float *a = from + column[l] * a_row;                                         \
				V x = BROADCAST(value + l);                                                        \
				ROWS_##vectors(SPARSE_ADD)                                                         \
			}                                                                                      \
			ROWS_##vectors(SPARSE_STORE)                                                           \
		}                                                                                          \
	}                                                                                              \
	static void sparse_gradient_##vectors(const HbSparseProduct *p, size_t j)                      \
	{                                                                                              \
		const uint32_t *begin = p->x->begin, *column = p->x->column;                               \
		const float *value = p->x->value, *a = p->a + j;                                           \
		const size_t m = p->m, a_row = p->a_row, c_row = p->c_row;                                 \
		float *c = p->c + j;                                                                       \
		for (size_t i = 0; i < m; i++, a += a_row)                                                 \
		{                                                                                          \
			ROWS_##vectors(SPARSE_HOLD) for (uint32_t l = begin[i], end = begin[i + 1]; l < end;   \
											 l++)                                                  \
			{                                                                                      \
				float *to = c + column[l] * c_row;                                                 \
				V x = BROADCAST(value + l);                                                        \
				ROWS_##vectors(SPARSE_SCATTER)                                                     \
			}                                                                                      \
		}                                                                                          \
	}

DEFINE_SPARSE(2)
DEFINE_SPARSE(4)
DEFINE_SPARSE(6)
DEFINE_SPARSE(8)

#if LANES == HB_PAD
DEFINE_SPARSE(1)
DEFINE_SPARSE(3)
DEFINE_SPARSE(5)
DEFINE_SPARSE(7)
#define IF_ODD(kernel) kernel
#else
#define IF_ODD(kernel) NULL /* HB_PAD is two vectors */
#endif

/* By the number of vectors. */
typedef void (*const SparseKernels[9])(const HbSparseProduct *p, size_t j);

static void
sparse_columns(SparseKernels kernels, const HbSparseProduct *p)
{
	for (size_t j = 0; j < p->n;)
	{
		size_t left = (p->n - j) / LANES, vectors = left < 8 ? left : 8;

		kernels[vectors](p, j);
		j += vectors * LANES;
	}
}

static void
sparse_product(const HbSparseProduct *p)
{
	static const SparseKernels kernels = {
		NULL,
		IF_ODD(sparse_product_1),
		sparse_product_2,
		IF_ODD(sparse_product_3),
		sparse_product_4,
		IF_ODD(sparse_product_5),
		sparse_product_6,
		IF_ODD(sparse_product_7),
		sparse_product_8,
	};

	sparse_columns(kernels, p);
}

static void
sparse_gradient(const HbSparseProduct *p)
{
	static const SparseKernels kernels = {
		NULL,
		IF_ODD(sparse_gradient_1),
		sparse_gradient_2,
		IF_ODD(sparse_gradient_3),
		sparse_gradient_4,
		IF_ODD(sparse_gradient_5),
		sparse_gradient_6,
		IF_ODD(sparse_gradient_7),
		sparse_gradient_8,
	};

	for (size_t l = 0; l < p->k; l++)
		memset(p->c + l * p->c_row, 0, p->n * sizeof(float));
	sparse_columns(kernels, p);
}
