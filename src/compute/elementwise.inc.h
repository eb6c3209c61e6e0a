/*
 * elementwise.inc.h - everything but products, in C that the compiler vectorises
 *
 * Included once by each kernel file, which is compiled for its own instruction set; all functions are static.
 * Bounds and pointers are copied to locals before a loop: the server's build has -fno-strict-aliasing.
 * sqrt must not set errno to vectorise: the Makefile compiles this folder with compute_flags.
 */
#include "compute/vecmath.h"

static void
ew_relu(const hb_real *z, hb_real *a, size_t n)
{
	/* A NaN must stay one: the comparison is false for it. */
	for (size_t i = 0; i < n; i++)
		a[i] = z[i] < 0 ? 0 : z[i];
}

static void
ew_tanh(const hb_real *z, hb_real *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = hb_tanh(z[i]);
}

static void
ew_sigmoid(const hb_real *z, hb_real *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		a[i] = hb_sigmoid(z[i]);
}

/* gelu(x) = x Phi(x); gelu'(x) = Phi(x) + x phi(x) (Hendrycks and Gimpel, 2016). */
static void
ew_gelu(hb_real *restrict z, hb_real *restrict a, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		hb_real x = z[i];
		hb_real cdf = (hb_real) 0.5 * ((hb_real) 1 + hb_erf(x * (hb_real) 0.70710678118654752440));
		hb_real pdf = (hb_real) 0.39894228040143267794 * hb_exp((hb_real) -0.5 * x * x);

		a[i] = x * cdf;
		z[i] = cdf + x * pdf;
	}
}

static void
ew_activate(HbActivation f, hb_real *z, hb_real *a, size_t n)
{
	switch (f)
	{
		case HB_RELU:
			ew_relu(z, a, n);
			break;
		case HB_TANH:
			ew_tanh(z, a, n);
			break;
		case HB_SIGMOID:
			ew_sigmoid(z, a, n);
			break;
		case HB_GELU:
			ew_gelu(z, a, n);
			break;
		default:
			break;
	}
}

static void
ew_activate_back(HbActivation f, const hb_real *restrict z, const hb_real *restrict a,
				 hb_real *restrict d, size_t n)
{
	switch (f)
	{
		case HB_RELU:
			for (size_t i = 0; i < n; i++)
				d[i] = a[i] > 0 ? d[i] : 0;
			break;
		case HB_TANH:
			for (size_t i = 0; i < n; i++)
				d[i] *= 1 - a[i] * a[i];
			break;
		case HB_SIGMOID:
			for (size_t i = 0; i < n; i++)
				d[i] *= a[i] * (1 - a[i]);
			break;
		case HB_GELU:
			for (size_t i = 0; i < n; i++)
				d[i] *= z[i];
			break;
		default:
			break;
	}
}

/* In a fixed order whatever n is: sixteen partial sums, then a tree. */
static double
ew_sum(const hb_real *x, size_t n)
{
	double part[8] = {0};
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		for (int j = 0; j < 8; j++)
			part[j] += (double) x[i + j];
	for (; i < n; i++)
		part[i & 7] += (double) x[i];
	return ((part[0] + part[4]) + (part[2] + part[6])) +
		   ((part[1] + part[5]) + (part[3] + part[7]));
}

static hb_real
ew_row_sum(const hb_real *x, size_t n)
{
	hb_real part[16] = {0}, eight[8], four[4];
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 16; j++)
			part[j] += x[i + j];
	for (int j = 0; i < n; i++, j++)
		part[j] += x[i];
	for (int j = 0; j < 8; j++)
		eight[j] = part[j] + part[j + 8];
	for (int j = 0; j < 4; j++)
		four[j] = eight[j] + eight[j + 4];
	return (four[0] + four[2]) + (four[1] + four[3]);
}

static void
ew_row_sums(const hb_real *d, size_t rows, size_t n, size_t ld, hb_real *out)
{
	for (size_t i = 0; i < rows; i++)
		out[i] = ew_row_sum(d + i * ld, n);
}

/* Largest of the scores; with a baseline, 0 is one of them. */
static void
ew_top(const hb_real *restrict z, size_t rows, size_t ld, bool baseline, hb_real *restrict top)
{
	if (baseline)
		memset(top, 0, ld * sizeof(hb_real));
	else
		memcpy(top, z, ld * sizeof(hb_real));
	for (size_t c = 0; c < rows; c++)
		for (size_t s = 0; s < ld; s++)
			top[s] = z[c * ld + s] > top[s] ? z[c * ld + s] : top[s];
}

/* What the baseline, where there is one, adds to the sum of e^(z - top). */
static void
ew_start_total(size_t ld, bool baseline, const hb_real *restrict top, hb_real *restrict total)
{
	for (size_t s = 0; s < ld; s++)
		total[s] = baseline ? hb_exp(-top[s]) : 0;
}

/* top = max over outputs; total = sum of e^(z - top); e^(z - top) goes to out. */
static void
ew_exponents(const hb_real *z, size_t rows, size_t ld, bool baseline, hb_real *out,
			 hb_real *restrict top, hb_real *restrict total)
{
	ew_top(z, rows, ld, baseline, top);
	ew_start_total(ld, baseline, top, total);
	for (size_t c = 0; c < rows; c++)
	{
		const hb_real *row = z + c * ld;
		hb_real *o = out + c * ld;

		for (size_t s = 0; s < ld; s++)
		{
			hb_real e = hb_exp(row[s] - top[s]);

			o[s] = e;
			total[s] += e;
		}
	}
}

/* From e^(z - top) and their sums to probabilities; total is overwritten. */
static void
ew_normalise(hb_real *restrict e, size_t rows, size_t ld, hb_real *restrict total)
{
	for (size_t s = 0; s < ld; s++)
		total[s] = 1 / total[s];
	for (size_t c = 0; c < rows; c++)
		for (size_t s = 0; s < ld; s++)
			e[c * ld + s] *= total[s];
}

static void
ew_softmax(hb_real *z, size_t outputs, size_t n, size_t ld, hb_real *scratch)
{
	hb_real *top = scratch, *total = scratch + ld;

	ew_exponents(z, outputs, ld, false, z, top, total);
	ew_normalise(z, outputs, ld, total);
}

/* Up to here, comparing the label with every class over vectors beats one scattered access a sample. */
#define EW_FEW_CLASSES 32

static inline size_t
ew_rows(const HbScores *x)
{
	return x->outputs - x->baseline;
}

/* out[s] = z of sample s's own class */
static void
ew_pick(const HbScores *x, hb_real *restrict out)
{
	const uint32_t *restrict labels = x->labels;
	const hb_real *restrict z = x->z;
	size_t n = x->n, ld = x->ld, rows = ew_rows(x);

	if (rows > EW_FEW_CLASSES)
	{
		for (size_t s = 0; s < n; s++)
			out[s] = labels[s] < rows ? z[labels[s] * ld + s] : 0;
		return;
	}
	memset(out, 0, n * sizeof(hb_real));
	for (uint32_t c = 0; c < rows; c++)
		for (size_t s = 0; s < n; s++)
			out[s] = labels[s] == c ? z[c * ld + s] : out[s];
}

/* d = (e / total - [c = label]) scale, for d holding e; total is overwritten. */
static void
ew_cross_entropy_gradient(const HbScores *x, hb_real *restrict total)
{
	const uint32_t *restrict labels = x->labels;
	hb_real scale = (hb_real) 1 / (hb_real) x->n;
	size_t n = x->n, ld = x->ld, rows = ew_rows(x);
	bool few = rows <= EW_FEW_CLASSES;
	hb_real *d = x->d;

	for (size_t s = 0; s < n; s++)
		total[s] = scale / total[s];
	for (uint32_t c = 0; c < rows; c++)
	{
		hb_real *restrict row = d + c * ld;

		if (few)
			for (size_t s = 0; s < n; s++)
				row[s] = row[s] * total[s] - (labels[s] == c ? scale : 0);
		else
			for (size_t s = 0; s < n; s++)
				row[s] *= total[s];
	}
	for (size_t s = 0; !few && s < n; s++)
		if (labels[s] < rows)
			d[labels[s] * ld + s] -= scale;
}

/* What a loss leaves in sums, once d is there. */
static void
ew_gradient_sums(const HbScores *x)
{
	size_t rows = ew_rows(x);
	hb_real rest = 0;

	if (x->d == NULL || x->sums == NULL)
		return;
	ew_row_sums(x->d, rows, x->n, x->ld, x->sums);
	for (size_t c = 0; x->baseline && c < rows; c++)
		rest -= x->sums[c];
	if (x->baseline)
		x->sums[rows] = rest;
}

/* total = sum of e^(z - top) without keeping the terms. */
static void
ew_total(const HbScores *x, hb_real *restrict top, hb_real *restrict total)
{
	size_t ld = x->ld, rows = ew_rows(x);
	const hb_real *restrict z = x->z;

	ew_top(z, rows, ld, x->baseline, top);
	ew_start_total(ld, x->baseline, top, total);
	for (size_t c = 0; c < rows; c++)
		for (size_t s = 0; s < ld; s++)
			total[s] += hb_exp(z[c * ld + s] - top[s]);
}

static double
ew_cross_entropy(const HbScores *x)
{
	size_t ld = x->ld, n = x->n;
	hb_real *restrict top = x->scratch, *restrict total = top + ld, *restrict loss = total + ld;
	hb_real *exponents = x->d != NULL ? x->d : x->softmax;

	ew_pick(x, loss);
	if (exponents == NULL)
		ew_total(x, top, total);
	else
		ew_exponents(x->z, ew_rows(x), ld, x->baseline, exponents, top, total);
	for (size_t s = 0; s < n; s++)
		loss[s] = hb_log1up(total[s]) + top[s] - loss[s];
	if (x->d != NULL)
		ew_cross_entropy_gradient(x, total);
	else if (x->softmax != NULL)
		ew_normalise(x->softmax, ew_rows(x), ld, total);
	ew_gradient_sums(x);
	return ew_sum(loss, n);
}

static double
ew_hinge_two(const HbScores *x)
{
	hb_real *loss = x->scratch;
	hb_real scale = (hb_real) 1 / (hb_real) x->n;

	for (size_t s = 0; s < x->n; s++)
	{
		hb_real y = x->labels[s] == 1 ? 1 : -1;
		hb_real margin = 1 - y * x->z[s];

		/* written so that a NaN margin stays NaN */
		loss[s] = margin < 0 ? 0 : margin;
		if (x->d != NULL)
			x->d[s] = margin > 0 ? -y * scale : 0;
	}
	ew_gradient_sums(x);
	return ew_sum(loss, x->n);
}

/* max(0, 1 + max over j != y of z_j - z_y) (Crammer and Singer, JMLR 2001). */
static double
ew_hinge(const HbScores *x)
{
	hb_real *loss = x->scratch;
	hb_real scale = (hb_real) 1 / (hb_real) x->n;

	if (x->outputs == 1)
		return ew_hinge_two(x);
	for (size_t s = 0; s < x->n; s++)
	{
		uint32_t y = x->labels[s], rival = y == 0 ? 1 : 0;
		hb_real margin, finite = 0;

		for (uint32_t c = 0; c < x->outputs; c++)
		{
			finite += x->z[c * x->ld + s] - x->z[c * x->ld + s];
			if (c != y && x->z[c * x->ld + s] > x->z[rival * x->ld + s])
				rival = c;
		}
		margin = 1 + x->z[rival * x->ld + s] - x->z[y * x->ld + s] + finite;
		loss[s] = margin < 0 ? 0 : margin;
		if (x->d == NULL)
			continue;
		for (uint32_t c = 0; c < x->outputs; c++)
			x->d[c * x->ld + s] = 0;
		if (margin > 0)
		{
			x->d[rival * x->ld + s] = scale;
			x->d[y * x->ld + s] = -scale;
		}
	}
	ew_gradient_sums(x);
	return ew_sum(loss, x->n);
}

static double
ew_squared(const HbScores *x)
{
	hb_real *restrict loss = x->scratch;
	const float *restrict targets = x->targets;
	const hb_real *z = x->z;
	hb_real *d = x->d, scale = (hb_real) 1 / (hb_real) x->n;
	size_t n = x->n;

	for (size_t s = 0; s < n; s++)
	{
		hb_real e = z[s] - (hb_real) targets[s];

		loss[s] = (hb_real) 0.5 * e * e;
	}
	for (size_t s = 0; d != NULL && s < n; s++)
		d[s] = (z[s] - (hb_real) targets[s]) * scale;
	ew_gradient_sums(x);
	return ew_sum(loss, n);
}

static size_t
ew_errors(const HbScores *x)
{
	const uint32_t *restrict labels = x->labels;
	hb_real *restrict best = x->scratch, *restrict class = best + x->ld;
	const hb_real *z = x->z;
	const size_t n = x->n;
	uint32_t wrong = 0;

	for (size_t s = 0; s < n; s++)
	{
		best[s] = x->outputs == 1 ? 0 : z[s];
		class[s] = 0;
	}
	for (uint32_t c = 1; c < x->outputs || c == 1; c++)
	{
		const hb_real *restrict row = z + (x->outputs == 1 ? 0 : c) * x->ld;
		hb_real number = (hb_real) c;

		for (size_t s = 0; s < n; s++)
		{
			class[s] = row[s] > best[s] ? number : class[s];
			best[s] = row[s] > best[s] ? row[s] : best[s];
		}
	}
	for (size_t s = 0; s < n; s++)
		wrong += class[s] != (hb_real) (int32_t) labels[s];
	return wrong;
}

static void
ew_update_sgd(const HbUpdate *u, const hb_real *restrict g, hb_real *restrict w)
{
	const size_t cols = u->cols;
	hb_real rate = u->rate, l2 = u->l2;

	for (size_t j = 0; j < cols; j++)
		w[j] -= rate * (g[j] + l2 * w[j]);
}

static void
ew_update_momentum(const HbUpdate *u, const hb_real *restrict g, hb_real *restrict w,
				   hb_real *restrict v)
{
	const size_t cols = u->cols;
	hb_real rate = u->rate, l2 = u->l2, mu = u->decay1;

	for (size_t j = 0; j < cols; j++)
	{
		v[j] = mu * v[j] + (g[j] + l2 * w[j]);
		w[j] -= rate * v[j];
	}
}

static void
ew_update_nesterov(const HbUpdate *u, const hb_real *restrict g, hb_real *restrict w,
				   hb_real *restrict v)
{
	const size_t cols = u->cols;
	hb_real rate = u->rate, l2 = u->l2, mu = u->decay1;

	for (size_t j = 0; j < cols; j++)
	{
		hb_real gradient = g[j] + l2 * w[j];

		v[j] = mu * v[j] + gradient;
		w[j] -= rate * (gradient + mu * v[j]);
	}
}

static void
ew_update_rmsprop(const HbUpdate *u, const hb_real *restrict g, hb_real *restrict w,
				  hb_real *restrict s)
{
	const size_t cols = u->cols;
	hb_real rate = u->rate, l2 = u->l2, rho = u->decay1, rest = 1 - rho, epsilon = u->epsilon;

	for (size_t j = 0; j < cols; j++)
	{
		hb_real gradient = g[j] + l2 * w[j];

		s[j] = rho * s[j] + rest * gradient * gradient;
		w[j] -= rate * gradient / (hb_sqrt(s[j]) + epsilon);
	}
}

static void
ew_update_adam(const HbUpdate *u, const hb_real *restrict g, hb_real *restrict w,
			   hb_real *restrict m, hb_real *restrict v)
{
	const size_t cols = u->cols;
	hb_real rate = u->rate, l2 = u->l2, beta1 = u->decay1, beta2 = u->decay2;
	hb_real rest1 = 1 - beta1, rest2 = 1 - beta2, root = u->root, epsilon = u->epsilon;

	for (size_t j = 0; j < cols; j++)
	{
		hb_real gradient = g[j] + l2 * w[j];

		m[j] = beta1 * m[j] + rest1 * gradient;
		v[j] = beta2 * v[j] + rest2 * gradient * gradient;
		w[j] -= rate * m[j] / (hb_sqrt(v[j]) * root + epsilon);
	}
}

static void
ew_update_rows(const HbUpdate *u)
{
	for (size_t i = 0; i < u->rows; i++)
	{
		const hb_real *g = u->g + i * u->g_row;
		size_t at = i * u->w_row;

		switch (u->rule)
		{
			case HB_UPDATE_SGD:
				ew_update_sgd(u, g, u->w + at);
				break;
			case HB_UPDATE_MOMENTUM:
				ew_update_momentum(u, g, u->w + at, u->s1 + at);
				break;
			case HB_UPDATE_NESTEROV:
				ew_update_nesterov(u, g, u->w + at, u->s1 + at);
				break;
			case HB_UPDATE_RMSPROP:
				ew_update_rmsprop(u, g, u->w + at, u->s1 + at);
				break;
			case HB_UPDATE_ADAM:
				ew_update_adam(u, g, u->w + at, u->s1 + at, u->s2 + at);
				break;
		}
	}
}

#define EW_CONTRAST_COLUMNS 64 /* whose last row's gradient is kept at a time */

static void
ew_update_contrast(const HbUpdate *u, size_t j, size_t cols)
{
	size_t last = u->rows - 1, at = last * u->w_row;
	hb_real rest[EW_CONTRAST_COLUMNS] = {0};
	HbUpdate block = *u;

	block.rows = last;
	block.cols = cols;
	block.g = u->g + j;
	block.w = u->w + j;
	block.s1 = u->s1 ? u->s1 + j : NULL;
	block.s2 = u->s2 ? u->s2 + j : NULL;
	for (size_t i = 0; i < last; i++)
		for (size_t c = 0; c < cols; c++)
			rest[c] -= block.g[i * u->g_row + c];
	ew_update_rows(&block);
	block.rows = 1;
	block.g = rest;
	block.w += at;
	block.s1 = block.s1 ? block.s1 + at : NULL;
	block.s2 = block.s2 ? block.s2 + at : NULL;
	ew_update_rows(&block);
	for (size_t i = 0; i < last; i++)
		for (size_t c = j; c < j + cols; c++)
			u->contrast[i * u->w_row + c] = u->w[i * u->w_row + c] - u->w[at + c];
}

static void
ew_update(const HbUpdate *u)
{
	if (u->contrast == NULL)
	{
		ew_update_rows(u);
		return;
	}
	for (size_t j = 0; j < u->cols; j += EW_CONTRAST_COLUMNS)
		ew_update_contrast(u, j,
						   u->cols - j < EW_CONTRAST_COLUMNS ? u->cols - j : EW_CONTRAST_COLUMNS);
}
