/*
 * test_compute.c - every operation of every provider against plain loops in double, and the vector
 * functions against libm
 */
#include "tap.h"
#include "random_floats.h"
#include "compute/provider.h"
#include "compute/vecmath.h"

typedef enum Packing
{
	PLAIN,
	GRADIENT,
	FORWARD,
	TURNED,
	PACKINGS
} Packing;

/* x[k][columns], of which n are real, as the product's B; what is returned is to be freed. */
static float *
as_right(const HbProvider *provider, Packing packing, const float *x, size_t k, size_t n,
		 size_t columns, HbProduct *p)
{
	size_t padded = hb_padded(k);
	size_t most = hb_packed_size(provider, padded, columns);
	float *packed = aligned_alloc(64, (most + HB_PAD) / HB_PAD * HB_PAD * sizeof(float));
	float *turned = calloc(columns * padded, sizeof(float));

	for (size_t i = 0; i < columns * k; i++)
		turned[i % columns * padded + i / columns] =
			i % columns < n || packing != TURNED ? x[i] : NAN;
	p->b = x;
	p->b_row = p->b_width = columns;
	if (packing == TURNED && provider->turns)
	{
		p->b = turned;
		p->b_row = padded;
		p->turned = n;
		free(packed);
		return turned;
	}
	if (packing == GRADIENT)
	{
		hb_pack_gradient(provider, x, k, columns, columns, packed);
		hb_product_packed(provider, packed, k, columns, 0, p);
	}
	else if (packing == FORWARD)
	{
		hb_pack_forward(provider, turned, columns, padded, padded, packed);
		hb_product_packed(provider, packed, padded, columns, 0, p);
	}
	free(turned);
	return packed;
}

/* A factor of a term as a product of this provider takes it: the nearest bfloat16 number, halves of the last place to even. */
static double
factor(const HbProvider *provider, float x)
{
	uint32_t bits;

	if (provider->precision != HB_MEDIUM)
		return x;
	memcpy(&bits, &x, sizeof(bits));
	bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* How far C is from the plain sum, in the size of the terms' sum. */
static double
product_error(const HbProvider *provider, size_t m, size_t n, size_t k, bool transposed,
			  Packing packing, bool bias)
{
	size_t columns = hb_padded(n);
	size_t lda = transposed ? hb_stride(m) : hb_stride(k);
	float *a = random_floats((transposed ? k : m) * lda), *x = random_floats(columns * k);
	float *c = random_floats(m * columns), *offset = random_floats(m), *packed;
	double worst = 0;
	HbProduct p = {
		.m = m,
		.n = columns,
		.k = k,
		.a = a,
		.a_row = transposed ? 1 : lda,
		.a_col = transposed ? lda : 1,
		.c = c,
		.c_row = columns,
		.bias = bias ? offset : NULL,
		/* a hint that must change nothing, also where fewer terms follow than a tile has rows */
		.ahead = {packing ? a : NULL, x},
		.ahead_row = columns};

	packed = as_right(provider, packing, x, k, n, columns, &p);
	provider->product(&p);
	for (size_t i = 0; i < m; i++)
		for (size_t j = 0; j < n; j++)
		{
			double sum = bias ? offset[i] : 0;

			for (size_t l = 0; l < k; l++)
				sum += factor(provider, a[transposed ? l * lda + i : i * lda + l]) *
					   factor(provider, x[l * columns + j]);
			worst = fmax(worst, fabs(sum - c[i * columns + j]) / sqrt((double) k));
		}
	free(a);
	free(x);
	free(packed);
	free(c);
	free(offset);
	return worst;
}

/* Two bfloat16 numbers lose up to 2^-17 of each factor, the product that is left out is up to 2^-16 of a term. */
static double
product_tolerance(const HbProvider *provider)
{
	return provider->precision == HB_HIGH ? 6e-5 : 1e-5;
}

static void
check_products(const HbProvider *provider)
{
	static const size_t shapes[][3] = {{1, 16, 1},     {5, 128, 30},    {7, 48, 300},
									   {12, 784, 128}, {13, 80, 17},    {60, 128, 784},
									   {128, 33, 40},  {300, 80, 1500}, {40, 1200, 700},
									   {10, 128, 128}, {13, 80, 1001}};
	double worst = 0;

	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
		for (int variant = 0; variant < 4 * PACKINGS; variant++)
			worst = fmax(worst, product_error(provider, shapes[s][0], shapes[s][1], shapes[s][2],
											  variant & 1, (Packing) (variant / 4), variant & 2));
	for (size_t m = 1; m <= 50; m++)
		worst = fmax(worst, product_error(provider, m, 48, 9, m & 1, GRADIENT, true));
	ok(worst < product_tolerance(provider), "%s: products: %.1e", provider->name, worst);
}

/*
 * Rows and columns of a product alone, and one after another with the same operand, have the bits they have in it:
 * of an operand that is held whole, and of one that is too large for that.
 */
static void
check_product_bits(const HbProvider *provider, size_t m, size_t n, size_t k)
{
	const size_t rows = 48, first = 64;
	float *a = random_floats(m * k), *x = random_floats(k * n), *packed;
	float *c = random_floats(m * n), *part = random_floats(m * n);
	HbProduct p = {.m = m, .n = n, .k = k, .a = a, .a_row = k, .a_col = 1, .c = c, .c_row = n}, q;
	bool same;

	packed = as_right(provider, GRADIENT, x, k, n, n, &p);
	provider->product(&p);
	q = (HbProduct){
		.n = n, .k = k, .a_row = k, .a_col = 1, .b = x, .b_row = n, .b_width = n, .c_row = n};
	for (size_t i = 0; i < m; i += rows)
	{
		q.m = m - i < rows ? m - i : rows;
		q.a = a + i * k;
		q.c = part + i * n;
		q.reuse_b = i > 0 ? HB_AGAIN : HB_FIRST;
		provider->product(&q);
	}
	same = memcmp(c, part, m * n * sizeof(float)) == 0;
	for (size_t j = 0; j < n; j += first)
	{
		q = (HbProduct){.m = m, .k = k, .a = a, .a_row = k, .a_col = 1, .c = part + j, .c_row = n};
		q.n = n - j < first ? n - j : first;
		q.b = x + j;
		q.b_row = q.b_width = n;
		q.reuse_a = j > 0 ? HB_AGAIN : HB_FIRST;
		provider->product(&q);
	}
	same = same && memcmp(c, part, m * n * sizeof(float)) == 0;
	ok(same, "%s: an element's bits do not depend on the product's shape: %zu x %zu, %zu terms",
	   provider->name, m, n, k);
	free(a);
	free(x);
	free(packed);
	free(c);
	free(part);
}

static void
check_layout(const HbProvider *provider)
{
	static const size_t sizes[][2] = {{1, 1}, {16, 16}, {20, 37}, {33, 5}, {128, 100}};
	bool right = true;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
	{
		size_t rows = sizes[s][0], cols = sizes[s][1], to_row = hb_stride(rows);
		float *x = random_floats(rows * cols), *y = random_floats(cols * to_row);
		float *packed = calloc(hb_packed_size(provider, cols, rows + HB_PAD), sizeof(float));
		HbProduct p;

		provider->transpose(x, rows, cols, cols, y, to_row);
		if (provider->pack == NULL)
			hb_pack_forward(provider, x, rows, cols, cols, packed);
		hb_product_packed(provider, packed, cols, rows, 0, &p);
		for (size_t j = 0; j < cols; j++)
			for (size_t i = 0; i < hb_padded(rows); i++)
			{
				float expected = i < rows ? x[i * cols + j] : 0;

				right = right && y[j * to_row + i] == expected &&
						(p.packed ||
						 packed[i / p.b_width * p.b_width * cols + j * p.b_width + i % p.b_width] ==
							 expected);
			}
		free(x);
		free(y);
		free(packed);
	}
	ok(right, "%s: transposition and packing", provider->name);
}

static void
check_activations(const HbProvider *provider)
{
	size_t n = 1024;
	float *z = random_floats(n), *a = random_floats(n), *d = random_floats(n),
		  *w = random_floats(n);

	for (int f = 0; f < HB_ACTIVATION_COUNT; f++)
	{
		double worst = 0, slope = 0;

		memcpy(w, z, n * sizeof(float));
		for (size_t i = 0; i < n; i++)
			d[i] = 2;
		provider->activate((HbActivation) f, w, a, n);
		provider->activate_back((HbActivation) f, w, a, d, n);
		for (size_t i = 0; i < n; i++)
		{
			double x = z[i], cdf = 0.5 * erfc(-x / sqrt(2)), s = 1 / (1 + exp(-x));
			double value[] = {x > 0 ? x : 0, tanh(x), s, x * cdf};
			double derivative[] = {x > 0, 1 - tanh(x) * tanh(x), s * (1 - s),
								   cdf + x * exp(-x * x / 2) / sqrt(2 * M_PI)};

			worst = fmax(worst, fabs(a[i] - value[f]));
			slope = fmax(slope, fabs(d[i] / 2 - derivative[f]));
		}
		ok(worst < 1e-6 && slope < 2e-6, "%s: activation %d: %.1e, derivative %.1e", provider->name,
		   f, worst, slope);
	}
	a[0] = NAN;
	for (int f = 0; f < HB_ACTIVATION_COUNT; f++)
	{
		z[0] = NAN;
		provider->activate((HbActivation) f, z, a, 16);
		ok(isnan(a[0]), "%s: activation %d of NaN is NaN", provider->name, f);
	}
	free(z);
	free(a);
	free(d);
	free(w);
}

typedef struct LossCase
{
	const char *name;
	double (*sum)(const HbScores *);
	size_t outputs;
} LossCase;

/* Loss and gradient of one sample by the definition, in double. */
static double
plain_loss(const LossCase *kind, const float *z, size_t ld, uint32_t y, float target, double *d)
{
	double top = -INFINITY, total = 0, margin;
	size_t rival = y == 0 ? 1 : 0;

	memset(d, 0, kind->outputs * sizeof(double));
	if (kind->name[0] == 's')
		return d[0] = z[0] - target, 0.5 * d[0] * d[0];
	if (kind->name[0] == 'h' && kind->outputs == 1)
	{
		double s = y ? 1 : -1;

		d[0] = s * z[0] < 1 ? -s : 0;
		return fmax(0, 1 - s * z[0]);
	}
	for (size_t c = 0; c < kind->outputs; c++)
	{
		top = fmax(top, z[c * ld]);
		if (c != y && z[c * ld] > z[rival * ld])
			rival = c;
	}
	if (kind->name[0] == 'h')
	{
		margin = 1.0 + z[rival * ld] - z[y * ld];
		if (margin > 0)
			d[rival] = 1, d[y] = -1;
		return fmax(0, margin);
	}
	for (size_t c = 0; c < kind->outputs; c++)
		total += exp(z[c * ld] - top);
	for (size_t c = 0; c < kind->outputs; c++)
		d[c] = exp(z[c * ld] - top) / total - (c == y);
	return log(total) + top - z[y * ld];
}

static void
check_losses(const HbProvider *provider)
{
	const LossCase cases[] = {{"cross_entropy", provider->cross_entropy, 2},
							  {"cross_entropy", provider->cross_entropy, 10},
							  {"cross_entropy", provider->cross_entropy, 40},
							  {"hinge", provider->hinge, 1},
							  {"hinge", provider->hinge, 5},
							  {"squared", provider->squared, 1}};
	size_t ld = 304, n = 299;
	uint32_t labels[299];
	float *z = random_floats(40 * ld), *d = random_floats(40 * ld), *targets = random_floats(n);
	float *scratch = random_floats(3 * ld);

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
	{
		HbScores scores = {cases[k].outputs, n, ld, z, d, labels, targets, scratch};
		double expected = 0, got, worst = 0, gradient[40];

		for (size_t s = 0; s < n; s++)
			labels[s] = (uint32_t) (s * 7 % (cases[k].outputs > 1 ? cases[k].outputs : 2));
		got = cases[k].sum(&scores);
		for (size_t s = 0; s < n; s++)
		{
			expected += plain_loss(&cases[k], z + s, ld, labels[s], targets[s], gradient);
			for (size_t c = 0; c < cases[k].outputs; c++)
				worst = fmax(worst, fabs(d[c * ld + s] * (double) n - gradient[c]));
		}
		ok(fabs(got - expected) < 1e-5 * n && worst < 2e-6, "%s: %s of %zu: %.1e, gradient %.1e",
		   provider->name, cases[k].name, cases[k].outputs, fabs(got - expected), worst);
		scores.d = NULL;
		ok(fabs(cases[k].sum(&scores) - got) < 1e-6 * n, "%s: %s of %zu without a gradient",
		   provider->name, cases[k].name, cases[k].outputs);
		z[3] = INFINITY;
		if (cases[k].outputs == 10)
			ok(!isfinite(cases[k].sum(&scores)), "%s: an infinite score shows", provider->name);
		z[3] = NAN;
		ok(!isfinite(cases[k].sum(&scores)), "%s: %s of %zu: so does a NaN", provider->name,
		   cases[k].name, cases[k].outputs);
		z[3] = 0.5f;
	}
	free(z);
	free(d);
	free(targets);
	free(scratch);
}

/* Scores less the last class's give the same loss and gradient, whose rows are added up, the last one's too. */
static void
check_baseline(const HbProvider *provider)
{
	const size_t counts[] = {2, 3, 5, 10, 11, 12, 40}, samples[] = {299, 128, 7};
	size_t ld = 304;
	uint32_t labels[299];
	float *z = random_floats(40 * ld), *less = random_floats(40 * ld),
		  *scratch = random_floats(3 * ld);

	for (size_t k = 0; k < 3 * sizeof(counts) / sizeof(counts[0]); k++)
	{
		size_t outputs = counts[k / 3], n = samples[k % 3];
		LossCase kind = {"cross_entropy", provider->cross_entropy, outputs};
		float sums[40];
		HbScores scores = {.outputs = outputs,
						   .n = n,
						   .ld = ld,
						   .z = less,
						   .d = less,
						   .labels = labels,
						   .scratch = scratch,
						   .sums = sums,
						   .baseline = true};
		double expected = 0, got, lone, worst = 0, apart = 0, gradient[40], total[40] = {0};

		for (size_t s = 0; s < n; s++)
		{
			labels[s] = (uint32_t) (s * 7 % outputs);
			for (size_t c = 0; c + 1 < outputs; c++)
				less[c * ld + s] = z[c * ld + s] - z[(outputs - 1) * ld + s];
		}
		scores.d = NULL;
		lone = provider->cross_entropy(&scores);
		scores.d = less;
		got = provider->cross_entropy(&scores);
		for (size_t s = 0; s < n; s++)
		{
			expected += plain_loss(&kind, z + s, ld, labels[s], 0, gradient);
			for (size_t c = 0; c < outputs; c++)
				total[c] += gradient[c] / (double) n;
			for (size_t c = 0; c + 1 < outputs; c++)
				worst = fmax(worst, fabs(less[c * ld + s] * (double) n - gradient[c]));
		}
		for (size_t c = 0; c < outputs; c++)
			apart = fmax(apart, fabs(sums[c] - total[c]));
		ok(fabs(got - expected) < 1e-5 * n && fabs(lone - expected) < 1e-5 * n && worst < 2e-6 &&
			   apart < 2e-6,
		   "%s: %zu classes less the last, %zu samples: %.1e, alone %.1e, gradient %.1e, sums %.1e",
		   provider->name, outputs, n, fabs(got - expected), fabs(lone - expected), worst, apart);
	}
	free(z);
	free(less);
	free(scratch);
}

/* Sums of the gradient's rows, by every loss. */
static void
check_gradient_sums(const HbProvider *provider)
{
	const LossCase cases[] = {{"cross_entropy", provider->cross_entropy, 6},
							  {"cross_entropy", provider->cross_entropy, 40},
							  {"hinge", provider->hinge, 1},
							  {"hinge", provider->hinge, 5},
							  {"squared", provider->squared, 1}};
	size_t ld = 112, n = 99;
	uint32_t labels[99];
	float *z = random_floats(40 * ld), *d = random_floats(40 * ld), *targets = random_floats(n);
	float *scratch = random_floats(3 * ld), sums[40];

	for (size_t s = 0; s < n; s++)
		labels[s] = (uint32_t) (s % 2);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++)
	{
		HbScores scores = {cases[k].outputs, n, ld, z, d, labels, targets, scratch, sums};
		double worst = 0;

		cases[k].sum(&scores);
		for (size_t c = 0; c < cases[k].outputs; c++)
		{
			double total = 0;

			for (size_t s = 0; s < n; s++)
				total += d[c * ld + s];
			worst = fmax(worst, fabs(total - sums[c]));
		}
		ok(worst < 1e-6, "%s: %s of %zu: sums of the gradient: %.1e", provider->name, cases[k].name,
		   cases[k].outputs, worst);
	}
	free(z);
	free(d);
	free(targets);
	free(scratch);
}

/* A step of every rule beside plain C's, whole vectors and fewer; with a baseline row beside its gradient spelt out. */
static void
check_updates(const HbProvider *provider)
{
	const size_t widths[] = {48, 16, 5};
	size_t row = 64, rows = 5, size = rows * 64;

	for (int k = 0; k < 6 * (HB_UPDATE_ADAM + 1); k++)
	{
		size_t cols = widths[k % 3];
		bool contrast = k / 3 % 2;
		float *g = random_floats(size), *w = random_floats(size), *s1 = random_floats(size);
		float *s2 = random_floats(size), *less = random_floats(size), *plain[3], worst = 0;
		HbUpdate u = {.rule = (HbUpdateRule) (k / 6),
					  .rows = rows,
					  .cols = cols,
					  .g = g,
					  .g_row = row,
					  .w_row = row,
					  .rate = 0.1f,
					  .l2 = 0.01f,
					  .decay1 = 0.9f,
					  .decay2 = 0.99f,
					  .root = 1.5f,
					  .epsilon = 1e-3f};

		for (size_t i = 0; i < size; i++)
			s1[i] = u.rule == HB_UPDATE_RMSPROP ? fabsf(s1[i]) : s1[i], s2[i] = fabsf(s2[i]);
		for (size_t c = 0; contrast && c < row; c++)
		{
			g[4 * row + c] = 0;
			for (size_t i = 0; i < 4; i++)
				g[4 * row + c] -= g[i * row + c];
		}
		for (int i = 0; i < 3; i++)
			plain[i] = malloc(size * sizeof(float));
		memcpy(plain[0], w, size * sizeof(float));
		memcpy(plain[1], s1, size * sizeof(float));
		memcpy(plain[2], s2, size * sizeof(float));
		u.w = plain[0], u.s1 = plain[1], u.s2 = plain[2];
		hb_provider_find("reference")->update(&u);
		for (size_t c = 0; contrast && c < row; c++)
			g[4 * row + c] = NAN;
		u.w = w, u.s1 = s1, u.s2 = s2, u.contrast = contrast ? less : NULL;
		provider->update(&u);
		for (size_t i = 0; i < size; i++)
		{
			worst = fmaxf(worst, fabsf(w[i] - plain[0][i]));
			worst = fmaxf(worst, fabsf(s1[i] - plain[1][i]));
			worst = fmaxf(worst, fabsf(s2[i] - plain[2][i]));
			if (!(fabsf(w[i]) < 1e6f))
				worst = INFINITY;
			if (contrast && i < 4 * row && i % row < cols)
				worst = fmaxf(worst, fabsf(less[i] - (w[i] - w[4 * row + i % row])));
		}
		ok(worst < 1e-5f, "%s: rule %d, %zu columns%s: %.1e", provider->name, (int) u.rule, cols,
		   contrast ? ", baseline" : "", (double) worst);
		for (int i = 0; i < 3; i++)
			free(plain[i]);
		free(g);
		free(w);
		free(s1);
		free(s2);
		free(less);
	}
}

/* Every third sample has two equal scores at the top; the first of them is the answer. */
static void
check_errors(const HbProvider *provider)
{
	const size_t counts[] = {1, 2, 5, 40};
	size_t ld = 112, n = 99;
	uint32_t labels[99];
	float *z = random_floats(40 * ld), *scratch = random_floats(3 * ld);

	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++)
	{
		size_t outputs = counts[k], expected = 0, got;
		HbScores scores = {
			.outputs = outputs, .n = n, .ld = ld, .z = z, .labels = labels, .scratch = scratch};

		for (size_t s = 0; s < n; s++)
		{
			size_t best = 0;

			labels[s] = (uint32_t) (s * 5 % (outputs > 1 ? outputs : 2));
			if (s % 3 == 0)
				z[s] = z[(outputs - 1) * ld + s] = outputs > 1 ? 3 : 0;
			for (size_t c = 1; c < outputs; c++)
				best = z[c * ld + s] > z[best * ld + s] ? c : best;
			expected += labels[s] != (outputs > 1 ? best : z[s] > 0);
		}
		got = provider->errors(&scores);
		ok(got == expected, "%s: %zu errors among %zu outputs, by the definition %zu",
		   provider->name, got, outputs, expected);
	}
	free(z);
	free(scratch);
}

/* p: room for z's 48 elements */
static void
check_drop_relu(const HbProvider *provider, const uint16_t kept[3], const float *z, float *p)
{
	uint16_t mask[3];
	bool same = true;

	memcpy(mask, kept, sizeof mask);
	memcpy(p, z, 48 * sizeof(float));
	p[0] = NAN;
	p[15] = 0;
	provider->drop_relu(mask, 2, p, 48);
	for (int i = 0; i < 48; i++)
	{
		bool passes = (kept[i / 16] >> i % 16 & 1) && i != 15 && (i == 0 || z[i] > 0);
		bool right = i == 0 ? isnan(p[i]) : p[i] == (passes ? 2 * z[i] : 0);

		same = same && right && (mask[i / 16] >> i % 16 & 1) == passes;
	}
	ok(same, "%s: dropout of relu", provider->name);
}

static void
check_rest(const HbProvider *provider)
{
	size_t ld = 48, n = 37;
	float *z = random_floats(6 * ld), *p = random_floats(6 * ld), *scratch = random_floats(3 * ld);
	float sums[6];
	static const uint16_t kept[3] = {0x8001, 0xffff, 0x1234};
	double worst = 0, row = 0;
	bool dropped = true;

	memcpy(p, z, 6 * ld * sizeof(float));
	provider->softmax(p, 6, n, ld, scratch);
	for (size_t s = 0; s < n; s++)
	{
		double total = 0;

		for (int c = 0; c < 6; c++)
			total += exp(z[c * ld + s]);
		for (int c = 0; c < 6; c++)
			worst = fmax(worst, fabs(exp(z[c * ld + s]) / total - p[c * ld + s]));
	}
	ok(worst < 1e-6, "%s: softmax: %.1e", provider->name, worst);
	provider->row_sums(z, 6, n, ld, sums);
	for (int c = 0; c < 6; c++)
	{
		double total = 0;

		for (size_t s = 0; s < n; s++)
			total += z[c * ld + s];
		row = fmax(row, fabs(total - sums[c]));
	}
	ok(row < 1e-5, "%s: sums of rows: %.1e", provider->name, row);
	provider->drop(kept, 2, z, p, 48);
	for (int i = 0; i < 48; i++)
		dropped = dropped && p[i] == (kept[i / 16] >> i % 16 & 1 ? 2 * z[i] : 0);
	ok(dropped, "%s: dropout", provider->name);
	check_drop_relu(provider, kept, z, p);
	free(z);
	free(p);
	free(scratch);
}

/* Byte e of a group of Random123's blocks from first on, as provider.h orders them. */
static uint32_t
mask_byte(uint32_t first, uint32_t e)
{
	uint32_t words[4];

	hb_random4(0x123456789abcdefULL, (HbStream) 4, 0xfedcba987654321ULL, first + e % 64 / 4, words);
	return words[e / 64 % 4] >> e % 4 * 8 & 255;
}

static void
check_masks(const HbProvider *provider)
{
	static const uint32_t rates[] = {0, 1, 6553, 19660, 30000, 32768, 62259};
	uint16_t kept[3 * HB_MASK_GROUP / 16];
	bool same = true;

	for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++)
	{
		provider->mask(0x123456789abcdefULL, 4, 0xfedcba987654321ULL, 77, 3, rates[r], kept);
		for (uint32_t e = 0; e < 3 * HB_MASK_GROUP; e++)
		{
			uint32_t first = 77 + e / HB_MASK_GROUP * HB_MASK_BLOCKS;
			uint32_t draw = mask_byte(first, e % HB_MASK_GROUP) << 8 |
							mask_byte(first, (e + 64) % HB_MASK_GROUP);

			same = same && (kept[e / 16] >> e % 16 & 1) == (draw >= rates[r]);
		}
	}
	ok(same, "%s: masks are of Random123's draws", provider->name);
}

/* Of so many draws the share differs from the rate by less than five standard errors. */
static void
check_mask_rate(const HbProvider *provider)
{
	enum
	{
		GROUPS = 4096
	};
	uint16_t *kept = malloc(GROUPS * HB_MASK_GROUP / 8);
	double n = GROUPS * HB_MASK_GROUP, worst = 0;

	for (uint32_t rate = 200; rate < 65536; rate += 9001)
	{
		double p = rate / 65536.0, count = 0;

		provider->mask(rate, 4, 1, 0, GROUPS, rate, kept);
		for (size_t i = 0; i < GROUPS * HB_MASK_GROUP / 16; i++)
			count += 16 - __builtin_popcount(kept[i]);
		worst = fmax(worst, fabs(count / n - p) / sqrt(p * (1 - p) / n));
	}
	ok(worst < 5, "%s: shares dropped: %.1f standard errors from the rates", provider->name, worst);
	free(kept);
}

/* Relative errors over dense ranges. */
static void
check_functions(void)
{
	double e = 0, l = 0, t = 0, f = 0;

	for (int i = -870000; i <= 870000; i++)
	{
		float x = (float) i * 1e-4f;

		e = fmax(e, fabs(hb_exp(x) / exp((double) x) - 1));
	}
	for (int i = 0; i < 1000000; i++)
	{
		float x = 1 + (float) i * 1e-3f, y = (float) (i - 500000) * 2e-5f;

		if (i > 0)
			l = fmax(l, fabs(hb_log1up(x) / log((double) x) - 1));
		if (y != 0)
		{
			t = fmax(t, fabs(hb_tanh(y) / tanh((double) y) - 1));
			f = fmax(f, fabs(hb_erf(y) / erf((double) y) - 1));
		}
	}
	ok(e < 2e-7, "exp on [-87, 87]: relative error %.1e", e);
	ok(l < 3e-7, "log on [1, 1000]: %.1e", l);
	ok(t < 5e-7, "tanh on [-10, 10]: %.1e", t);
	ok(f < 5e-7, "erf on [-10, 10]: %.1e", f);
	ok(hb_log1up(1) == 0 && isnan(hb_log1up(NAN)) && isnan(hb_log1up(INFINITY)) &&
		   isnan(hb_exp(NAN)) && isnan(hb_tanh(NAN)) && isnan(hb_erf(NAN)),
	   "NaN stays NaN");
}

int
main(void)
{
	check_functions();
	for (int i = 0; i < hb_nproviders; i++)
	{
		const HbProvider *provider = hb_providers[i];

		if (provider == NULL)
			continue;
		if (!provider->available())
		{
			tap_skip("this processor cannot run provider %s", provider->name);
			continue;
		}
		check_products(provider);
		if (strcmp(provider->name, "openblas") != 0)
		{
			check_product_bits(provider, 70, 112, 100);
			check_product_bits(provider, 70, 112, 1100);
			check_product_bits(provider, 150, 208, 1000);
		}
		check_layout(provider);
		check_activations(provider);
		check_losses(provider);
		check_baseline(provider);
		check_gradient_sums(provider);
		check_updates(provider);
		check_errors(provider);
		check_rest(provider);
		check_masks(provider);
		check_mask_rate(provider);
	}
	ok(hb_provider_find("reference") != NULL && hb_provider_find("abacus") == NULL,
	   "providers are found by name");
	for (int level = HB_HIGHEST; level < HB_PRECISIONS; level++)
	{
		HbPrecision found;

		ok(hb_provider_best((HbPrecision) level)->precision <= (HbPrecision) level,
		   "precision %s: %s", hb_precision_names[level],
		   hb_provider_best((HbPrecision) level)->name);
		ok(hb_precision_find(hb_precision_names[level], &found) && (int) found == level,
		   "precision %s is found by name", hb_precision_names[level]);
	}
	ok(!hb_precision_find("low", &(HbPrecision){HB_HIGH}), "another is not");
	if (hb_provider_find("bf16") != NULL && hb_provider_find("amx") == NULL)
		ok(hb_provider_best(HB_MEDIUM) == hb_provider_find("bf16"), "precision medium: bf16");
	return tap_done();
}
