/*
 * gp_model.h - Gaussian process regression with a Matern-5/2 kernel, one length scale a dimension
 *
 * Inputs are rows of d coordinates.  A number's is in [0,1]; of a category only equality counts (the kernel of a
 * one-hot encoding whose columns share a length scale); NaN: the parameter is inactive, which is a place of its own,
 * at distance 1 above the middle of the range.
 */
#ifndef HB_GP_MODEL_H
#define HB_GP_MODEL_H

#include "core/host.h"
#include "core/status.h"

typedef struct HbGp
{
	const HbHost *host;
	int n;
	int d;
	const bool *category; /* d */
	const double *x;      /* n x d */
	const double *y;      /* n */
	/* d log length scales, then the logarithms of the signal's and the noise's variance */
	double *theta;
	double *scale;   /* 5 / length scale^2, as hb_gp_factorise() found theta */
	double *factor;  /* L of the covariance with noise */
	double *alpha;   /* covariance^-1 y */
	double *inverse; /* scratch of gradients, allocated on first use */
	double *scratch;
} HbGp;

/* Shares category, x and y with the caller. theta starts at zero. False when out of memory. */
extern bool hb_gp_init(HbGp *gp, const HbHost *host, int n, int d, const bool *category,
					   const double *x, const double *y, HbStatus *status);
extern void hb_gp_release(HbGp *gp);

/* Factorises the covariance under theta; false where it is not positive definite in double precision. */
extern bool hb_gp_factorise(HbGp *gp);
/* Log marginal likelihood of y; after hb_gp_factorise(). */
extern double hb_gp_log_likelihood(const HbGp *gp);
/* Its derivatives by theta into gradient (d + 2); after hb_gp_factorise(); false when out of memory. */
extern bool hb_gp_gradient(HbGp *gp, double *gradient, HbStatus *status);
/* Mean and variance of the function (without noise) at x; after hb_gp_factorise(); scratch: n. */
extern void
hb_gp_predict(const HbGp *gp, const double *x, double *scratch, double *mean, double *variance);

/*
 * Sets theta to the largest penalised marginal likelihood, by L-BFGS within bounds from fixed starts.  The penalty
 * is a weak log-normal prior on each hyperparameter, which keeps them sensible while results are few.
 */
extern bool hb_gp_fit(HbGp *gp, HbStatus *status);

#endif /* HB_GP_MODEL_H */
