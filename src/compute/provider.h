/*
 * provider.h - the operations that training and prediction are made of, behind one interface
 *
 * A provider is a static const struct of function pointers.  "reference" is plain C and always
 * there; its twins for AVX2 and AVX-512 (kernels_*.c) are chosen at run time; "openblas" is linked
 * into the trainer only.  Adding one is a new file and a line in provider.c.
 *
 * Layout.  Weights are units-major, W[units][stride], and activations are Z[units][ld] with one
 * column a sample, so that trials of different widths lie one after another without padding and
 * every operation vectorises over samples.  Strides and ld are multiples of HB_PAD; columns beyond
 * the real count hold values of no meaning that nothing ever sums up.
 *
 * Every provider but openblas adds up a product's terms in an order that depends on k alone (amx 32 at a time, bf16 two,
 * the others one by one, as sparse products do), so that an element's bits do not depend on the shape of the product it is
 * computed in.
 */
#ifndef HB_PROVIDER_H
#define HB_PROVIDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* double is for checking gradients against finite differences: reference provider only. */
#ifdef HB_REAL_DOUBLE
typedef double hb_real;
#else
typedef float hb_real;
#endif

#define HB_PAD 16   /* strides are multiples of this many elements */
#define HB_PANEL 32 /* columns of a packed panel */

/* A group of dropout's draws: so many Philox blocks, a byte an element. */
#define HB_MASK_BLOCKS 16
#define HB_MASK_GROUP (16 * HB_MASK_BLOCKS)

/*
 * Whether an operand is rearranged for one product or for several.  HB_AGAIN promises that it has not changed since a
 * product that was HB_FIRST or HB_AGAIN of the same one, and that no other of that side was held since.
 */
typedef enum HbReuse
{
	HB_ONCE,
	HB_FIRST,
	HB_AGAIN
} HbReuse;

/* C[m][n] = bias[m] + A[m][k] B[k][n].  n is a multiple of HB_PAD; k is not 0. */
typedef struct HbProduct
{
	size_t m;
	size_t n;
	size_t k;
	const hb_real *a; /* element (i, l) at a[i * a_row + l * a_col], one of them 1 */
	size_t a_row;
	size_t a_col;
	const hb_real *b; /* element (l, j) at b[(j / b_width) * b_panel + l * b_row + j % b_width] */
	size_t b_row;
	size_t b_width; /* a multiple of HB_PANEL, or at least n: one panel */
	size_t b_panel;
	hb_real *c; /* row-major */
	size_t c_row;
	const hb_real *bias; /* NULL: none */
	/* b is what hb_pack_* made for this provider; b_row, b_width and b_panel do not count */
	bool packed;
	/*
	 * not 0: element (l, j) of B is at b[j * b_row + l], and 0 for j from this on, of which n has less than HB_PAD; only
	 * where the provider turns
	 */
	size_t turned;
	HbReuse reuse_a;
	HbReuse reuse_b;
	/* what the caller will touch next: rows of c_row's count, ahead_row elements apart, as wide as C; a hint, or NULL */
	const hb_real *ahead[2];
	size_t ahead_row;
} HbProduct;

/*
 * A matrix most of whose elements are 0, by its rows: row i has the elements begin[i] to begin[i + 1] - 1, whose columns
 * ascend; a 0 may be among them.
 */
typedef struct HbSparse
{
	uint32_t *begin; /* [rows + 1] */
	uint32_t *column;
	float *value;
} HbSparse;

/* What X[m][k] is multiplied with, n columns of it, a multiple of HB_PAD; all row-major. */
typedef struct HbSparseProduct
{
	const HbSparse *x;
	size_t m;
	size_t k;
	size_t n;
	const hb_real *a;
	size_t a_row;
	const hb_real *bias; /* [n]; not NULL */
	hb_real *c;
	size_t c_row;
} HbSparseProduct;

/* What products keep of a term; each level may lose more than the one before it. */
typedef enum HbPrecision
{
	HB_HIGHEST, /* up to 2^-24 is lost: float32 throughout */
	HB_HIGH,    /* 2^-15 */
	HB_MEDIUM   /* 2^-7 */
} HbPrecision;

#define HB_PRECISIONS 3

typedef enum HbActivation
{
	HB_RELU,
	HB_TANH,
	HB_SIGMOID,
	HB_GELU, /* by erf */
	HB_ACTIVATION_COUNT
} HbActivation;

typedef enum HbUpdateRule
{
	HB_UPDATE_SGD,      /* W -= rate g */
	HB_UPDATE_MOMENTUM, /* v = mu v + g; W -= rate v */
	HB_UPDATE_NESTEROV, /* v = mu v + g; W -= rate (g + mu v) */
	HB_UPDATE_RMSPROP,  /* s = rho s + (1 - rho) g^2; W -= rate g / (sqrt(s) + eps) */
	HB_UPDATE_ADAM      /* bias correction is in rate and root */
} HbUpdateRule;

/*
 * One optimizer step on a block W[rows][cols]; g is first increased by l2 W.  With contrast, W's last row is the
 * baseline of the others (HbScores): g has rows - 1 rows, the last row's is minus their sum, and the step leaves
 * the other rows less the last in contrast.
 */
typedef struct HbUpdate
{
	HbUpdateRule rule;
	size_t rows;
	size_t cols;
	const hb_real *g;
	size_t g_row;
	hb_real *w;
	hb_real *s1; /* laid out as w: velocity, mean square, or first moment */
	hb_real *s2; /* second moment */
	size_t w_row;
	hb_real *contrast; /* laid out as w; NULL: none */
	hb_real rate;      /* adam: lambda / (1 - beta1^t) */
	hb_real l2;
	hb_real decay1;  /* mu, rho or beta1 */
	hb_real decay2;  /* beta2 */
	hb_real root;    /* adam: 1 / sqrt(1 - beta2^t) */
	hb_real epsilon; /* outside the root */
} HbUpdate;

/*
 * Scores Z[outputs][ld] of n samples, and where their gradient goes (may be z itself).  A softmax does not change where
 * all scores of a sample grow by the same number, and its gradient adds up to 0 over the classes: with baseline,
 * z holds the other scores less the last class's, and neither z nor d has a row for the last (baseline-category
 * logits: Agresti, Categorical Data Analysis).  Cross-entropy only.
 */
typedef struct HbScores
{
	size_t outputs;
	size_t n;
	size_t ld;
	const hb_real *z;
	hb_real *d;             /* mean gradient dL/dz; NULL: loss only */
	const uint32_t *labels; /* classes */
	const float *targets;   /* regression */
	hb_real *scratch;       /* 3 * ld elements */
	hb_real *sums;          /* [outputs]: sums of d's rows; NULL: not wanted */
	hb_real *
		softmax; /* as z, may be z itself: cross-entropy's probabilities; NULL: not wanted; not with d or baseline */
	bool baseline;
} HbScores;

typedef struct HbProvider
{
	const char *name;
	const char *kernel; /* instruction set of the kernels */
	const char *description;
	size_t panel; /* width of packed panels that product() likes; 0: plain row-major matrices */
	size_t depth; /* a packed matrix's k is rounded up to a multiple of this; 0: 1 */
	size_t terms; /* of them are an element of a packed matrix; 0: 1 */
	size_t rows;  /* a multiple of this many rows of C is what product() likes; 0: any */
	bool turns;   /* product() takes a B that lies turned */
	HbPrecision precision; /* of product() */
	/*
	 * mini-batches are kept sparse where rows have so many inputs for each value that sparse ones hold, since they train
	 * faster then, as measured with batches of 16 rows and more; 0: never
	 */
	size_t sparse_from;
	/*
	 * is faster where m or k is small whatever is computed together, since rearranging operands costs more than it
	 * saves; what is computed together must agree in it.  NULL: none
	 */
	const struct HbProvider *narrow;
	bool (*available)(void);
	const char *(*version)(void);     /* of the library behind it; "" where there is none */
	const char *(*kernel_name)(void); /* as chosen at run time; NULL: kernel */

	void (*product)(const HbProduct *product);
	/*
	 * C[m][n] = bias[n] + X A[k][n], and C[k][n] = X^T A[m][n] without a bias: each the same bits as product's with a
	 * dense X where A is finite, but float32's throughout.  NULL where sparse_from is 0
	 */
	void (*sparse_product)(const HbSparseProduct *product);
	void (*sparse_gradient)(const HbSparseProduct *product);
	/*
	 * B(l, j) = x[l * row + j * column], one of them 1, in a form of its own for product(); out is aligned to 64 bytes.
	 * NULL: panels of floats
	 */
	void (*pack)(const float *x, size_t row, size_t column, size_t k, size_t n, hb_real *out);
	/* to[j][i] = from[i][j] for i < rows, j < cols; to's columns up to a multiple of HB_PAD are zeroed */
	void (*transpose)(const hb_real *from, size_t rows, size_t cols, size_t from_row, hb_real *to,
					  size_t to_row);
	/* out[i] = sum of the first n of row i */
	void (*row_sums)(const hb_real *d, size_t rows, size_t n, size_t ld, hb_real *out);
	/* a = f(z); gelu also turns z into f'(z); z and a may be the same except for gelu */
	void (*activate)(HbActivation f, hb_real *z, hb_real *a, size_t n);
	/* d *= f'(z), given what activate() left */
	void (*activate_back)(HbActivation f, const hb_real *z, const hb_real *a, hb_real *d, size_t n);
	/*
	 * Draws, by Philox (as hb_random4) on counter blocks first.., which of groups of HB_MASK_GROUP elements to keep, each
	 * but with probability rate / 65536: bit e % 16 of kept[e / 16].  Element e of a group has byte e % 4 (the lowest is
	 * 0) of word e / 64 of block e % 64 / 4; it is dropped where that is below rate / 256, and where they are equal, by
	 * the byte of the element 64 further (of the first after the last) below rate % 256.
	 */
	void (*mask)(uint64_t seed, uint32_t stream, uint64_t detail, uint32_t first, size_t groups,
				 uint32_t rate, uint16_t *kept);
	/* out = a * scale where kept, else 0; n is a multiple of HB_PAD */
	void (*drop)(const uint16_t *kept, hb_real scale, const hb_real *a, hb_real *out, size_t n);
	/* z = relu(z) * scale where kept, else 0; kept is from then on where relu has a slope, too: the mask of the way back */
	void (*drop_relu)(uint16_t *kept, hb_real scale, hb_real *z, size_t n);
	void (*softmax)(hb_real *z, size_t outputs, size_t n, size_t ld, hb_real *scratch);
	/* each returns the sum of the n losses */
	double (*cross_entropy)(const HbScores *scores);
	double (*hinge)(const HbScores *scores);   /* outputs 1: max(0, 1 - ys); more: Crammer-Singer */
	double (*squared)(const HbScores *scores); /* (z - y)^2 / 2 */
	/* rows whose largest score, the first of equals, is not their label's; one output: whose sign is wrong */
	size_t (*errors)(const HbScores *scores);
	void (*update)(const HbUpdate *update);
} HbProvider;

extern const HbProvider *const hb_providers[]; /* those linked in, some NULL */
extern const int hb_nproviders;

/* By name, where the processor can run it; NULL otherwise. */
extern const HbProvider *hb_provider_find(const char *name);

/* The fastest plain-C or hand-written one for this processor: no library behind it. */
extern const HbProvider *hb_provider_kernels(void);

/* The fastest of those that are linked in and lose no more than this. */
extern const HbProvider *hb_provider_best(HbPrecision least);

/* "highest", "high", "medium", as PyTorch calls what is like them (set_float32_matmul_precision). */
extern const char *const hb_precision_names[HB_PRECISIONS];

/* False where no precision is called so. */
extern bool hb_precision_find(const char *name, HbPrecision *precision);

/* For the products of one layer of so many units. */
extern const HbProvider *hb_provider_for_layer(const HbProvider *provider, size_t units);

extern const char *hb_provider_kernel_name(const HbProvider *provider);

/* Up to a multiple of HB_PAD. */
static inline size_t
hb_padded(size_t n)
{
	return (n + HB_PAD - 1) / HB_PAD * HB_PAD;
}

/* Row strides: a multiple of HB_PAD that is no multiple of 1 kB, so that rows do not share cache sets. */
extern size_t hb_stride(size_t n);

/* Elements of a packed matrix of k rows and n columns. */
extern size_t hb_packed_size(const HbProvider *provider, size_t k, size_t n);

/*
 * Packs x[n][stride] of n samples with inputs columns (a multiple of HB_PAD) for the gradient product
 * (k = samples, columns = inputs) and for the forward product (k = inputs, columns = samples, zero beyond n).
 */
extern void hb_pack_gradient(const HbProvider *provider, const float *x, size_t n, size_t inputs,
							 size_t stride, hb_real *out);
extern void hb_pack_forward(const HbProvider *provider, const float *x, size_t n, size_t inputs,
							size_t stride, hb_real *out);

/* Makes columns first.. (a multiple of HB_PANEL) of a matrix packed from k rows and n columns the product's B. */
extern void hb_product_packed(const HbProvider *provider, const hb_real *packed, size_t k, size_t n,
							  size_t first, HbProduct *product);

/* While training, subnormal numbers count as zero (SSE's FTZ and DAZ); returns what to restore. */
extern unsigned hb_flush_subnormals(void);
extern void hb_restore_subnormals(unsigned saved);

#endif /* HB_PROVIDER_H */
