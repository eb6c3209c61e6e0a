/*
 * softmax.inc.h - cross-entropy of few classes, the twin of ew_cross_entropy: one pass over the samples
 *
 * On narrow tables the output layer costs as much as the products, so a vector of samples goes from scores to
 * gradient while it is in registers and the first-level cache.  The logarithms of several
 * samples' sums are taken at once, as that of their product: each sum lies in [1, classes].
 *
 * The including file defines, beside what tile.inc.h needs: VI (a vector of LANES labels), LABELS (load), FILL, ADD, SUB,
 * MUL, DIV, MAX (its second argument where one is NaN), SCALE (p 2^n, for t = n + 1.5 2^23), PICK (label = c ? x : y).
 */

#define LOG_VECTORS 8 /* EW_FEW_CLASSES^8 is far from the largest float */

/* hb_exp for x <= 0 */
static inline V
softmax_exp(V x)
{
	const V magic = FILL(12582912.0f);
	V t, n, r, p;

	x = MAX(FILL(-87.0f), x);
	t = FMA(x, FILL(1.44269504088896341f), magic);
	n = SUB(t, magic);
	r = FMA(n, FILL(-0.693359375f), x);
	r = FMA(n, FILL(2.12194440e-4f), r);
	p = FMA(FILL(1.9875691500e-4f), r, FILL(1.3981999507e-3f));
	p = FMA(p, r, FILL(8.3334519073e-3f));
	p = FMA(p, r, FILL(4.1665795894e-2f));
	p = FMA(p, r, FILL(1.6666665459e-1f));
	p = FMA(p, r, FILL(5.0000001201e-1f));
	p = ADD(FMA(p, MUL(r, r), r), FILL(1.0f));
	return SCALE(p, n, t);
}

/* What a vector of samples leaves behind: its largest score less its own class's, and the sum of e^(z - top). */
typedef struct SoftmaxSums
{
	V lead;
	V total;
} SoftmaxSums;

/* Samples s.. of the scores; labels: LANES of them. */
static inline SoftmaxSums
softmax_vector(const HbScores *x, size_t s, const uint32_t *labels, V scale)
{
	const size_t outputs = x->outputs, ld = x->ld;
	const float *z = x->z + s;
	float *d = x->d ? x->d + s : NULL;
	const VI label = LABELS(labels);
	V top = LOAD(z), own = top, total = ZERO(), factor;

	for (uint32_t c = 1; c < outputs; c++)
	{
		V row = LOAD(z + c * ld);

		top = MAX(row, top);
		own = PICK(label, c, row, own);
	}
	for (uint32_t c = 0; c < outputs; c++)
	{
		V e = softmax_exp(SUB(LOAD(z + c * ld), top));

		total = ADD(total, e);
		if (d != NULL)
			STORE(d + c * ld, e);
	}
	factor = DIV(scale, total);
	for (uint32_t c = 0; d != NULL && c < outputs; c++)
		STORE(d + c * ld, SUB(MUL(LOAD(d + c * ld), factor), PICK(label, c, scale, ZERO())));
	return (SoftmaxSums){SUB(top, own), total};
}

/* The last samples, fewer than a vector: labels beyond are made up, their sums count as 1. */
static inline SoftmaxSums
softmax_tail(const HbScores *x, size_t s, V scale)
{
	uint32_t labels[LANES] = {0};
	float total[LANES];
	SoftmaxSums sums;

	memcpy(labels, x->labels + s, (x->n - s) * sizeof(uint32_t));
	sums = softmax_vector(x, s, labels, scale);
	STORE(total, sums.total);
	for (size_t i = x->n - s; i < LANES; i++)
		total[i] = 1;
	sums.total = LOAD(total);
	return sums;
}

static double
softmax_cross_entropy(const HbScores *x)
{
	const size_t n = x->n;
	const V scale = FILL(1.0f / (float) n);
	float *lead = x->scratch, *logs = lead + x->ld;
	size_t nlogs = 0, vectors = 0;
	V product = FILL(1.0f);

	if (x->outputs > EW_FEW_CLASSES)
		return ew_cross_entropy(x);
	for (size_t s = 0; s < n; s += LANES)
	{
		SoftmaxSums sums =
			n - s < LANES ? softmax_tail(x, s, scale) : softmax_vector(x, s, x->labels + s, scale);

		STORE(lead + s, sums.lead);
		product = MUL(product, sums.total);
		if (++vectors % LOG_VECTORS != 0 && s + LANES < n)
			continue;
		STORE(logs + nlogs, product);
		nlogs += LANES;
		product = FILL(1.0f);
	}
	for (size_t i = 0; i < nlogs; i++)
		logs[i] = hb_log1up(logs[i]);
	return ew_sum(lead, n) + ew_sum(logs, nlogs);
}
