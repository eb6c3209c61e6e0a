/*
 * normal.c - the standard normal distribution, accurate in its tails
 *
 * Quantiles: Wichura, Algorithm AS 241, Applied Statistics 37, 1988.  Log expected improvement: Ament et al.,
 * Unexpected Improvements to Expected Improvement for Bayesian Optimization, NeurIPS 2023; far to the left of zero
 * the difference phi(z) + z Phi(z) cancels, so that Mills' ratio and its asymptotic series take over.
 */
#include "tune/normal.h"

#include <math.h>

#define HALF_LOG_2PI 0.91893853320467274178
#define SQRT_HALF 0.70710678118654752440
#define SQRT_HALF_PI 1.25331413731550025121
#define FAR 20.0 /* beyond it the asymptotic series are exact to double precision */

double
hb_normal_cdf(double x)
{
	return 0.5 * erfc(-x * SQRT_HALF);
}

/* 1 - 1/t + 3/t^2 - 15/t^3 + ..., t = x^2: Mills' ratio times x. */
static double
mills_series(double x)
{
	double t = 1 / (x * x);

	return 1 - t * (1 - t * (3 - t * (15 - t * (105 - t * (945 - t * 10395)))));
}

double
hb_normal_log_cdf(double x)
{
	if (x > 5)
		return log1p(-0.5 * erfc(x * SQRT_HALF));
	if (x > -FAR)
		return log(hb_normal_cdf(x));
	return -0.5 * x * x - HALF_LOG_2PI - log(-x) + log(mills_series(x));
}

double
hb_normal_log_mass(double a, double b)
{
	double upper;
	double lower;

	if (a > 0)
		return hb_normal_log_mass(-b, -a);
	if (b > 0)
		return log1p(-hb_normal_cdf(a) - hb_normal_cdf(-b));
	upper = hb_normal_log_cdf(b);
	lower = hb_normal_log_cdf(a);
	return upper + log(-expm1(lower - upper));
}

static double
ratio(const double *numerator, const double *denominator, double x)
{
	double top = numerator[7];
	double bottom = denominator[7];

	for (int i = 6; i >= 0; i--)
	{
		top = top * x + numerator[i];
		bottom = bottom * x + denominator[i];
	}
	return top / bottom;
}

double
hb_normal_quantile(double p)
{
	static const double a[8] = {3.3871328727963666080e0, 1.3314166789178437745e2,
								1.9715909503065514427e3, 1.3731693765509461125e4,
								4.5921953931549871457e4, 6.7265770927008700853e4,
								3.3430575583588128105e4, 2.5090809287301226727e3};
	static const double b[8] = {1.0,
								4.2313330701600911252e1,
								6.8718700749205790830e2,
								5.3941960214247511077e3,
								2.1213794301586595867e4,
								3.9307895800092710610e4,
								2.8729085735721942674e4,
								5.2264952788528545610e3};
	static const double c[8] = {1.42343711074968357734e0,  4.63033784615654529590e0,
								5.76949722146069140550e0,  3.64784832476320460504e0,
								1.27045825245236838258e0,  2.41780725177450611770e-1,
								2.27238449892691845833e-2, 7.74545014278341407640e-4};
	static const double d[8] = {1.0,
								2.05319162663775882187e0,
								1.67638483018380384940e0,
								6.89767334985100004550e-1,
								1.48103976427480074590e-1,
								1.51986665636164571966e-2,
								5.47593808499534494600e-4,
								1.05075007164441684324e-9};
	static const double e[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,
								1.78482653991729133580e0,  2.96560571828504891230e-1,
								2.65321895265761230930e-2, 1.24266094738807843860e-3,
								2.71155556874348757815e-5, 2.01033439929228813265e-7};
	static const double f[8] = {1.0,
								5.99832206555887937690e-1,
								1.36929880922735805310e-1,
								1.48753612908506148525e-2,
								7.86869131145613259100e-4,
								1.84631831751005468180e-5,
								1.42151175831644588870e-7,
								2.04426310338993978564e-15};
	double q = p - 0.5;
	double r;
	double x;

	if (fabs(q) <= 0.425)
		return q * ratio(a, b, 0.180625 - q * q);
	r = sqrt(-log(q < 0 ? p : 1 - p));
	x = r <= 5 ? ratio(c, d, r - 1.6) : ratio(e, f, r - 5);
	return q < 0 ? -x : x;
}

double
hb_normal_log_improvement(double z)
{
	double log_density = -0.5 * z * z - HALF_LOG_2PI;
	double t;

	if (z > -1)
		return log(exp(log_density) + z * hb_normal_cdf(z));
	if (z > -FAR)
	{
		/* phi(z) (1 - |z| R), R = Phi(z) / phi(z) */
		double mills = SQRT_HALF_PI * exp(0.5 * z * z) * erfc(-z * SQRT_HALF);

		return log_density + log1p(z * mills);
	}
	t = 1 / (z * z);
	return log_density + log(t) + log1p(-t * (3 - t * (15 - t * (105 - t * (945 - t * 10395)))));
}
