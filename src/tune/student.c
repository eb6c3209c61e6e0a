/*
 * student.c - Student's t distribution, both tails together
 *
 * The probability of the tails is the incomplete beta function I_x(df/2, 1/2) at x = df/(df + t^2), here by its continued
 * fraction (DLMF 8.17.22) in the modified Lentz form (Thompson and Barnett, J. Comput. Phys. 64, 1986).  The
 * quantile starts from Hill's expansion (CACM 13, 1970, algorithm 396) and is polished by Newton's method on
 * ln P over ln t, where the tails are nearly straight, however small the probability.
 */
#include "tune/student.h"

#include <float.h>
#include <math.h>

#include "tune/normal.h"

#define MAX_TERMS 100000
#define MAX_STEPS 100

/* The continued fraction of I_x(a, b); converges fast where x < (a + 1)/(a + b + 2). */
static double
beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1;
	double d = 1 - (a + b) * x / (a + 1);
	double h;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	h = d;
	for (int m = 1; m <= MAX_TERMS; m++)
	{
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 + even * d;
		c = 1 + even / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		h *= d * c;
		d = 1 + odd * d;
		c = 1 + odd / c;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = fabs(c) < tiny ? tiny : c;
		step = d * c;
		h *= step;
		if (fabs(step - 1) < DBL_EPSILON)
			break;
	}
	return h;
}

/* ln of the gamma function without the global sign that lgamma() writes. */
static double
log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

double
hb_student_tails(double t, double df)
{
	double a = df / 2;
	double b = 0.5;
	double square = t * t;
	double x = df / (df + square);
	double y = square / (df + square); /* 1 - x, without cancellation */
	double front;

	if (!(df >= 1) || isnan(t))
		return NAN;
	if (y == 0)
		return 1;
	if (x == 0)
		return 0;
	/* x^a needs its logarithm exactly where x is near 1 */
	front =
		exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) - a * log1p(square / df) + b * log(y));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, y) / b;
}

/* ln of the density. */
static double
log_density(double t, double df)
{
	return log_gamma((df + 1) / 2) - log_gamma(df / 2) - 0.5 * log(df * M_PI) -
		   (df + 1) / 2 * log1p(t * t / df);
}

/* Hill's algorithm 396. */
static double
hill(double alpha, double df)
{
	double a = 1 / (df - 0.5);
	double b = (48 / a) / a;
	double c = ((20700 * a / b - 98) * a - 16) * a + 96.36;
	double d = ((94.5 / (b + c) - 3) / b + 1) * sqrt(a * M_PI_2) * df;
	double x = d * alpha;
	double y = pow(x, 2 / df);

	if (y > 0.05 + a)
	{
		x = hb_normal_quantile(alpha / 2);
		y = x * x;
		if (df < 5)
			c += 0.3 * (df - 4.5) * (x + 0.6);
		c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c;
		y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x;
		y = expm1(a * y * y);
	}
	else
		y = ((1 / (((df + 6) / (df * y) - 0.089 * d - 0.822) * (df + 2) * 3) + 0.5 / (df + 4)) * y -
			 1) *
				(df + 1) / (df + 2) +
			1 / y;
	return sqrt(df * y);
}

double
hb_student_quantile(double alpha, double df)
{
	double t;

	if (!(alpha > 0 && alpha <= 1) || !(df >= 1) || !isfinite(df))
		return NAN;
	if (alpha == 1)
		return 0;
	if (df == 1)
		return 1 / tan(alpha * M_PI_2);
	if (df == 2)
		return sqrt(2 / (alpha * (2 - alpha)) - 2);
	t = hill(alpha, df);
	if (!isfinite(t) || t <= 0)
		t = 1;
	for (int i = 0; i < MAX_STEPS; i++)
	{
		double tails = hb_student_tails(t, df);
		/* d ln P / d ln t = -2 f(t) t / P */
		double slope = 2 * exp(log_density(t, df)) * t / tails;
		double step = (log(tails) - log(alpha)) / slope;

		/* a start far off must not run away */
		step = fmax(-1, fmin(1, step));
		t *= exp(step);
		if (fabs(step) < 4 * DBL_EPSILON)
			break;
	}
	return t;
}
