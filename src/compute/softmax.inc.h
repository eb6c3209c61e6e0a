/*
 * softmax.inc.h - cross-entropy of few classes, the twin of ew_cross_entropy: one pass over the samples
 *
 * On narrow tables the output layer costs as much as the products, so a vector of samples goes from scores to
 * gradient in registers: one function for each number of classes, whose loops unroll.  The logarithms of
 * several samples' sums are taken at once, as that of their product: each sum lies in [1, classes].
 *
 * The including file defines, beside what tile.inc.h needs: VI (a vector of LANES labels), LABELS (load), FILL, ADD, SUB,
 * MUL, DIV, MAX (its second argument where one is NaN), SCALE (p 2^n, for t = n + 1.5 2^23), IS (mask: label = c),
 * WHERE (mask ? x : y), SUB_WHERE (mask ? x - y : x), TOTAL (sum of a vector's elements).
 */

#define LOG_VECTORS 8   /* EW_FEW_CLASSES^8 is far from the largest float */
#define SOFTMAX_ROWS 10 /* up to here scores stay in registers */
#define INLINE static inline __attribute__((always_inline))

/* e^x for x <= 0: 2^(x log2 e), whose fraction's power is a minimax polynomial (relative error 1e-7) */
INLINE V
softmax_exp(V x)
{
	const V magic = FILL(12582912.0f), log2e = FILL(1.44269504088896341f);
	V t, n, r, p;

	x = MAX(FILL(-87.0f), x);
	t = FMA(x, log2e, magic);
	n = SUB(t, magic);
	r = FMA(x, log2e, SUB(ZERO(), n));
	p = FMA(FILL(1.3276357147e-3f), r, FILL(9.6756555074e-3f));
	p = FMA(p, r, FILL(5.5507144846e-2f));
	p = FMA(p, r, FILL(2.4022117618e-1f));
	p = FMA(p, r, FILL(6.9314696578e-1f));
	p = FMA(p, r, FILL(1.0f));
	return SCALE(p, n, t);
}

/* What vectors of samples add up to: largest scores less the own classes', products of sums of e^(z - top), rows of d. */
typedef struct SoftmaxSums
{
	V lead;
	V product;
	V rows[SOFTMAX_ROWS];
} SoftmaxSums;

INLINE void
softmax_start(SoftmaxSums *sums, const uint32_t rows)
{
	sums->lead = ZERO();
	sums->product = FILL(1.0f);
#pragma GCC unroll 10
	for (uint32_t c = 0; c < rows; c++)
		sums->rows[c] = ZERO();
}

/* A vector of samples whose scores are at z; they become the gradient at d. */
INLINE void
softmax_registers(const float *z, float *d, size_t ld, VI label, V scale, const uint32_t rows,
				  const bool baseline, SoftmaxSums *sums)
{
	V e[SOFTMAX_ROWS], top = baseline ? ZERO() : LOAD(z), own = top, total, factor;

#pragma GCC unroll 10
	for (uint32_t c = 0; c < rows; c++)
	{
		e[c] = LOAD(z + c * ld);
		top = MAX(e[c], top);
		own = WHERE(IS(label, c), e[c], own);
	}
	sums->lead = ADD(sums->lead, SUB(top, own));
	total = baseline ? softmax_exp(SUB(ZERO(), top)) : ZERO();
#pragma GCC unroll 10
	for (uint32_t c = 0; c < rows; c++)
	{
		e[c] = softmax_exp(SUB(e[c], top));
		total = ADD(total, e[c]);
	}
	sums->product = MUL(sums->product, total);
	factor = DIV(scale, total);
#pragma GCC unroll 10
	for (uint32_t c = 0; c < rows; c++)
	{
		e[c] = MUL(e[c], factor);
		e[c] = SUB_WHERE(IS(label, c), e[c], scale);
		STORE(d + c * ld, e[c]);
		sums->rows[c] = ADD(sums->rows[c], e[c]);
	}
}

/* Of sums over a vector only the first n elements, added to those of all before. */
INLINE void
softmax_add_tail(const SoftmaxSums *tail, size_t n, const uint32_t rows, SoftmaxSums *sums)
{
	float lead[LANES], product[LANES], row[LANES];

	STORE(lead, tail->lead);
	STORE(product, tail->product);
	for (size_t i = n; i < LANES; i++)
		lead[i] = 0, product[i] = 1;
	sums->lead = ADD(sums->lead, LOAD(lead));
	sums->product = MUL(sums->product, LOAD(product));
#pragma GCC unroll 10
	for (uint32_t c = 0; c < rows; c++)
	{
		STORE(row, tail->rows[c]);
		for (size_t i = n; i < LANES; i++)
			row[i] = 0;
		sums->rows[c] = ADD(sums->rows[c], LOAD(row));
	}
}

INLINE void
softmax_row_sums(const HbScores *x, const SoftmaxSums *sums, const uint32_t rows)
{
	float rest = 0;

	if (x->sums == NULL)
		return;
#pragma GCC unroll 10
	for (uint32_t c = 0; c < rows; c++)
	{
		x->sums[c] = TOTAL(sums->rows[c]);
		rest -= x->sums[c];
	}
	if (x->baseline)
		x->sums[rows] = rest;
}

INLINE double
softmax_samples(const HbScores *x, const uint32_t rows, const bool baseline)
{
	const size_t n = x->n, ld = x->ld;
	const V scale = FILL(1.0f / (float) n);
	float *lead = x->scratch, *logs = lead + ld;
	size_t nlogs = 0, s = 0;
	SoftmaxSums sums;

	softmax_start(&sums, rows);
	while (s < n)
	{
		size_t end = n - s < LOG_VECTORS * LANES ? n : s + LOG_VECTORS * LANES;

		for (; s + LANES <= end; s += LANES)
			softmax_registers(x->z + s, x->d + s, ld, LABELS(x->labels + s), scale, rows, baseline,
							  &sums);
		if (s < end)
		{
			uint32_t labels[LANES] = {0};
			SoftmaxSums tail;

			softmax_start(&tail, rows);
			memcpy(labels, x->labels + s, (n - s) * sizeof(uint32_t));
			softmax_registers(x->z + s, x->d + s, ld, LABELS(labels), scale, rows, baseline, &tail);
			softmax_add_tail(&tail, n - s, rows, &sums);
			s = end;
		}
		STORE(lead + nlogs, sums.lead);
		STORE(logs + nlogs, sums.product);
		nlogs += LANES;
		sums.lead = ZERO();
		sums.product = FILL(1.0f);
	}
	softmax_row_sums(x, &sums, rows);
	for (size_t i = 0; i < nlogs; i++)
		logs[i] = hb_log1up(logs[i]) + lead[i];
	return ew_sum(logs, nlogs);
}

#define DEFINE_SOFTMAX(rows)                                                                       \
	static double softmax_##rows(const HbScores *x)                                                \
	{                                                                                              \
		return softmax_samples(x, rows, false);                                                    \
	}                                                                                              \
	static double softmax_baseline_##rows(const HbScores *x)                                       \
	{                                                                                              \
		return softmax_samples(x, rows, true);                                                     \
	}

DEFINE_SOFTMAX(1)
DEFINE_SOFTMAX(2)
DEFINE_SOFTMAX(3)
DEFINE_SOFTMAX(4)
DEFINE_SOFTMAX(5)
DEFINE_SOFTMAX(6)
DEFINE_SOFTMAX(7)
DEFINE_SOFTMAX(8)
DEFINE_SOFTMAX(9)
DEFINE_SOFTMAX(10)

typedef double (*SoftmaxFunction)(const HbScores *);

static const SoftmaxFunction softmaxes[SOFTMAX_ROWS + 1][2] = {
	{NULL, NULL},
	{softmax_1, softmax_baseline_1},
	{softmax_2, softmax_baseline_2},
	{softmax_3, softmax_baseline_3},
	{softmax_4, softmax_baseline_4},
	{softmax_5, softmax_baseline_5},
	{softmax_6, softmax_baseline_6},
	{softmax_7, softmax_baseline_7},
	{softmax_8, softmax_baseline_8},
	{softmax_9, softmax_baseline_9},
	{softmax_10, softmax_baseline_10},
};

static double
softmax_cross_entropy(const HbScores *x)
{
	size_t rows = ew_rows(x);

	if (x->d == NULL || rows > SOFTMAX_ROWS)
		return ew_cross_entropy(x);
	return softmaxes[rows][x->baseline](x);
}
