/*
 * normal.h - the standard normal distribution, accurate in its tails
 */
#ifndef HB_NORMAL_H
#define HB_NORMAL_H

extern double hb_normal_cdf(double x);
extern double hb_normal_log_cdf(double x);
/* log(Phi(b) - Phi(a)), a <= b; -infinity where a = b. */
extern double hb_normal_log_mass(double a, double b);
/* The x with Phi(x) = p, 0 < p < 1 (Wichura, Algorithm AS 241, 1988: about 16 digits). */
extern double hb_normal_quantile(double p);
/* log(phi(z) + z Phi(z)): the logarithm of expected improvement in units of the standard deviation. */
extern double hb_normal_log_improvement(double z);

#endif /* HB_NORMAL_H */
