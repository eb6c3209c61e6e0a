/*
 * gp_model.c - Gaussian process regression (Rasmussen and Williams, 2006, algorithm 2.1, equations 2.30 and 5.9)
 *
 *   k(a,b) = s (1 + q + q^2/3) exp(-q),  q = sqrt(5 sum_j D_j(a,b) / l_j^2)
 */
#include "tune/gp_model.h"

#include <math.h>
#include <string.h>

#include "tune/gp_cholesky.h"

#define LOG_2PI 1.83787706640934548356

bool
hb_gp_init(HbGp *gp, const HbHost *host, int n, int d, const bool *category, const double *x,
		   const double *y, HbStatus *status)
{
	size_t cells = (size_t) n * n;

	*gp = (HbGp){.host = host, .n = n, .d = d, .category = category, .x = x, .y = y};
	gp->theta = hb_alloc(host, (d + 2) * sizeof(double));
	gp->scale = hb_alloc(host, (d + 1) * sizeof(double));
	gp->factor = hb_alloc(host, cells * sizeof(double));
	gp->alpha = hb_alloc(host, n * sizeof(double));
	if (gp->theta && gp->scale && gp->factor && gp->alpha)
		return true;
	hb_gp_release(gp);
	return hb_fail_memory(status, cells * sizeof(double));
}

void
hb_gp_release(HbGp *gp)
{
	hb_release(gp->host, gp->theta);
	hb_release(gp->host, gp->scale);
	hb_release(gp->host, gp->factor);
	hb_release(gp->host, gp->alpha);
	hb_release(gp->host, gp->inverse);
	hb_release(gp->host, gp->scratch);
	gp->theta = gp->scale = gp->factor = gp->alpha = gp->inverse = gp->scratch = NULL;
}

/* D_j: the squared distance in one dimension. */
static inline double
distance(bool category, double a, double b)
{
	double at = isnan(a) ? b : a;

	if (isnan(a) || isnan(b))
		return isnan(at) ? 0 : category ? 1 : 1 + (at - 0.5) * (at - 0.5);
	return category ? a != b : (a - b) * (a - b);
}

/* q of the kernel */
static double
scaled_distance(const HbGp *gp, const double *a, const double *b)
{
	double sum = 0;

	for (int j = 0; j < gp->d; j++)
		sum += gp->scale[j] * distance(gp->category[j], a[j], b[j]);
	return sqrt(sum);
}

static double
inverse_square(double log_length)
{
	return 5 * exp(-2 * log_length);
}

static double
kernel(double signal, double q)
{
	return signal * (1 + q + q * q / 3) * exp(-q);
}

bool
hb_gp_factorise(HbGp *gp)
{
	int n = gp->n;
	int d = gp->d;
	double signal = exp(gp->theta[d]);
	double noise = exp(gp->theta[d + 1]);

	for (int j = 0; j < d; j++)
		gp->scale[j] = inverse_square(gp->theta[j]);
	for (int a = 0; a < n; a++)
	{
		double *row = gp->factor + (size_t) a * n;

		for (int b = 0; b < a; b++)
			row[b] =
				kernel(signal, scaled_distance(gp, gp->x + (size_t) a * d, gp->x + (size_t) b * d));
		row[a] = signal + noise;
	}
	if (!hb_cholesky(gp->factor, n))
		return false;
	memcpy(gp->alpha, gp->y, n * sizeof(double));
	hb_solve_lower(gp->factor, n, gp->alpha);
	hb_solve_lower_transposed(gp->factor, n, gp->alpha);
	return true;
}

double
hb_gp_log_likelihood(const HbGp *gp)
{
	double sum = -0.5 * hb_dot(gp->y, gp->alpha, gp->n) - 0.5 * gp->n * LOG_2PI;

	for (int i = 0; i < gp->n; i++)
		sum -= log(gp->factor[(size_t) i * gp->n + i]);
	return sum;
}

static bool
allocate_inverse(HbGp *gp, HbStatus *status)
{
	size_t size = (size_t) gp->n * gp->n * sizeof(double);

	if (!gp->inverse)
		gp->inverse = hb_alloc(gp->host, size);
	if (!gp->scratch)
		gp->scratch = hb_alloc(gp->host, size);
	return (gp->inverse && gp->scratch) || hb_fail_memory(status, size);
}

/* One pair's part: weight is the entry of alpha alpha' - covariance^-1. */
static void
add_pair(const HbGp *gp, double signal, double weight, const double *a, const double *b,
		 double *gradient)
{
	double q = scaled_distance(gp, a, b);
	/* dk/dlog l_j = s/3 (1 + q) exp(-q) 5 D_j / l_j^2 */
	double slope = weight * signal * (1 + q) * exp(-q) / 3;

	for (int j = 0; j < gp->d; j++)
		gradient[j] += slope * gp->scale[j] * distance(gp->category[j], a[j], b[j]);
	gradient[gp->d] += weight * kernel(signal, q);
}

bool
hb_gp_gradient(HbGp *gp, double *gradient, HbStatus *status)
{
	int n = gp->n;
	int d = gp->d;
	double signal = exp(gp->theta[d]);
	double noise = exp(gp->theta[d + 1]);

	if (!allocate_inverse(gp, status))
		return false;
	hb_cholesky_inverse(gp->factor, n, gp->inverse, gp->scratch);
	for (int j = 0; j < d + 2; j++)
		gradient[j] = 0;
	for (int a = 0; a < n; a++)
	{
		const double *inverse = gp->inverse + (size_t) a * n;
		double weight = gp->alpha[a] * gp->alpha[a] - inverse[a];

		for (int b = 0; b < a; b++)
			add_pair(gp, signal, gp->alpha[a] * gp->alpha[b] - inverse[b], gp->x + (size_t) a * d,
					 gp->x + (size_t) b * d, gradient);
		gradient[d] += 0.5 * weight * signal;
		gradient[d + 1] += 0.5 * weight * noise;
	}
	return true;
}

void
hb_gp_predict(const HbGp *gp, const double *x, double *scratch, double *mean, double *variance)
{
	int n = gp->n;
	int d = gp->d;
	double signal = exp(gp->theta[d]);
	double left;

	for (int i = 0; i < n; i++)
		scratch[i] = kernel(signal, scaled_distance(gp, gp->x + (size_t) i * d, x));
	*mean = hb_dot(scratch, gp->alpha, n);
	hb_solve_lower(gp->factor, n, scratch);
	left = signal - hb_dot(scratch, scratch, n);
	*variance = left > signal * 1e-12 ? left : signal * 1e-12;
}
