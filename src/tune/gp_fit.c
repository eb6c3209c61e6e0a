/*
 * gp_fit.c - hyperparameters of a Gaussian process by penalised marginal likelihood
 *
 * L-BFGS (Nocedal and Wright, algorithm 7.4) with backtracking, projected on a box: a component at its bound whose
 * gradient points outward is held.  The starts are fixed, so that the same results give the same model.
 */
#include <math.h>
#include <string.h>

#include "tune/gp_cholesky.h"
#include "tune/gp_model.h"

#define MEMORY 6
#define ITERATIONS 40
#define BACKTRACKS 12
#define STARTS 2

/* Bounds and log-normal priors of one kind of hyperparameter; the observations have variance 1. */
typedef struct Prior
{
	double low;
	double high;
	double mean;
	double deviation;
} Prior;

static const Prior length_prior = {-4.0, 3.0, -0.7, 1.2}; /* exp(-0.7) = 0.5; plus log(d) / 2 */
static const Prior signal_prior = {-3.0, 4.0, 0.0, 1.0};
static const Prior noise_prior = {-13.8, 0.0, -7.0, 2.5}; /* 1e-6 to 1, around 1e-3 */

/* log length scale against its prior's mean, log noise */
static const double starts[STARTS][2] = {{0.0, -7.0}, {1.0, -3.0}};

typedef struct Minimiser
{
	HbGp *gp;
	HbStatus *status;
	int n;
	Prior *priors;
	double *x;
	double *gradient;
	double *next;
	double *next_gradient;
	double *direction;
	double *steps;   /* MEMORY x n: differences of x */
	double *changes; /* MEMORY x n: differences of the gradient */
	int stored;      /* pairs, the latest last */
	bool failed;     /* out of memory */
} Minimiser;

static double
clip(const Prior *prior, double value)
{
	return fmin(fmax(value, prior->low), prior->high);
}

/* The negative penalised log likelihood and its gradient; infinite where the covariance cannot be factorised. */
static double
evaluate(Minimiser *m, const double *x, double *gradient)
{
	double value;

	memcpy(m->gp->theta, x, m->n * sizeof(double));
	if (!hb_gp_factorise(m->gp))
		return INFINITY;
	if (!hb_gp_gradient(m->gp, gradient, m->status))
	{
		m->failed = true;
		return INFINITY;
	}
	value = -hb_gp_log_likelihood(m->gp);
	for (int i = 0; i < m->n; i++)
	{
		double z = (x[i] - m->priors[i].mean) / m->priors[i].deviation;

		value += 0.5 * z * z;
		gradient[i] = -gradient[i] + z / m->priors[i].deviation;
	}
	return value;
}

static bool
is_held(const Minimiser *m, int i)
{
	return (m->x[i] <= m->priors[i].low && m->gradient[i] > 0) ||
		   (m->x[i] >= m->priors[i].high && m->gradient[i] < 0);
}

/* The two loops of L-BFGS over the components that are not held. */
static void
set_direction(Minimiser *m)
{
	int n = m->n;
	double coefficient[MEMORY];
	double *d = m->direction;

	for (int i = 0; i < n; i++)
		d[i] = is_held(m, i) ? 0 : -m->gradient[i];
	for (int k = m->stored - 1; k >= 0; k--)
	{
		const double *s = m->steps + k * n;
		const double *y = m->changes + k * n;

		coefficient[k] = hb_dot(s, d, n) / hb_dot(s, y, n);
		for (int i = 0; i < n; i++)
			d[i] -= coefficient[k] * y[i];
	}
	if (m->stored > 0)
	{
		const double *s = m->steps + (m->stored - 1) * n;
		const double *y = m->changes + (m->stored - 1) * n;
		double scale = hb_dot(s, y, n) / hb_dot(y, y, n);

		for (int i = 0; i < n; i++)
			d[i] *= scale;
	}
	for (int k = 0; k < m->stored; k++)
	{
		const double *s = m->steps + k * n;
		const double *y = m->changes + k * n;
		double beta = hb_dot(y, d, n) / hb_dot(s, y, n);

		for (int i = 0; i < n; i++)
			d[i] += s[i] * (coefficient[k] - beta);
	}
	for (int i = 0; i < n; i++)
		if (is_held(m, i))
			d[i] = 0;
}

static void
remember(Minimiser *m)
{
	int n = m->n;
	double *s;
	double *y;

	if (m->stored == MEMORY)
	{
		memmove(m->steps, m->steps + n, (MEMORY - 1) * n * sizeof(double));
		memmove(m->changes, m->changes + n, (MEMORY - 1) * n * sizeof(double));
		m->stored--;
	}
	s = m->steps + m->stored * n;
	y = m->changes + m->stored * n;
	for (int i = 0; i < n; i++)
	{
		s[i] = m->next[i] - m->x[i];
		y[i] = m->next_gradient[i] - m->gradient[i];
	}
	if (hb_dot(s, y, n) > 1e-10 * sqrt(hb_dot(s, s, n) * hb_dot(y, y, n)))
		m->stored++;
}

/* The first of ever shorter steps that lowers the value enough; INFINITY where none does. */
static double
search_line(Minimiser *m, double value)
{
	double longest = 1e-300;
	double t;

	for (int i = 0; i < m->n; i++)
		longest = fmax(longest, fabs(m->direction[i]));
	/* without curvature the first step is one unit of log scale at most */
	t = m->stored > 0 ? fmin(1, 3 / longest) : fmin(1, 1 / longest);
	for (int k = 0; k < BACKTRACKS && !m->failed; k++, t *= 0.4)
	{
		double expected = 0;
		double next;

		for (int i = 0; i < m->n; i++)
		{
			m->next[i] = clip(&m->priors[i], m->x[i] + t * m->direction[i]);
			expected += m->gradient[i] * (m->next[i] - m->x[i]);
		}
		if (!(expected < 0))
			return INFINITY;
		next = evaluate(m, m->next, m->next_gradient);
		if (next <= value + 1e-4 * expected)
			return next;
	}
	return INFINITY;
}

/* From m->x on; leaves the minimiser there and returns its value. */
static double
minimise(Minimiser *m)
{
	double value = evaluate(m, m->x, m->gradient);

	m->stored = 0;
	for (int iteration = 0; iteration < ITERATIONS && isfinite(value) && !m->failed; iteration++)
	{
		double next;
		double gain;

		set_direction(m);
		next = search_line(m, value);
		if (!isfinite(next))
		{
			if (m->stored == 0)
				break;
			m->stored = 0; /* once more along the gradient */
			continue;
		}
		remember(m);
		memcpy(m->x, m->next, m->n * sizeof(double));
		memcpy(m->gradient, m->next_gradient, m->n * sizeof(double));
		gain = value - next;
		value = next;
		if (gain < 1e-5 * (1 + fabs(value)))
			break;
	}
	return value;
}

static bool
allocate(Minimiser *m, double **block)
{
	int n = m->n;
	double *at = hb_alloc(m->gp->host, (5 + 2 * MEMORY) * n * sizeof(double));

	*block = at;
	m->priors = hb_alloc(m->gp->host, n * sizeof(Prior));
	if (!at || !m->priors)
		return hb_fail_memory(m->status, (5 + 2 * MEMORY) * n * sizeof(double));
	m->x = at;
	m->gradient = at + n;
	m->next = at + 2 * n;
	m->next_gradient = at + 3 * n;
	m->direction = at + 4 * n;
	m->steps = at + 5 * n;
	m->changes = at + (5 + MEMORY) * n;
	return true;
}

static void
set_priors(Minimiser *m)
{
	int d = m->gp->d;

	for (int j = 0; j < d; j++)
	{
		m->priors[j] = length_prior;
		/* distances grow with the square root of the dimension (Hvarfner et al., ICML 2024) */
		m->priors[j].mean += 0.5 * log(d);
	}
	m->priors[d] = signal_prior;
	m->priors[d + 1] = noise_prior;
}

static void
set_start(Minimiser *m, const double start[2])
{
	int d = m->gp->d;

	for (int j = 0; j < d; j++)
		m->x[j] = clip(&m->priors[j], m->priors[j].mean + start[0]);
	m->x[d] = 0;
	m->x[d + 1] = start[1];
}

bool
hb_gp_fit(HbGp *gp, HbStatus *status)
{
	Minimiser m = {.gp = gp, .status = status, .n = gp->d + 2};
	double best = INFINITY;
	double *block = NULL;
	double *chosen = hb_alloc(gp->host, m.n * sizeof(double));

	if (!chosen || !allocate(&m, &block))
		return hb_fail_memory(status, m.n * sizeof(double));
	set_priors(&m);
	set_start(&m, starts[1]); /* much noise: can always be factorised */
	memcpy(chosen, m.x, m.n * sizeof(double));
	for (int k = 0; k < STARTS && !m.failed; k++)
	{
		double value;

		set_start(&m, starts[k]);
		value = minimise(&m);
		if (value < best)
		{
			best = value;
			memcpy(chosen, m.x, m.n * sizeof(double));
		}
	}
	memcpy(gp->theta, chosen, m.n * sizeof(double));
	hb_release(gp->host, chosen);
	hb_release(gp->host, block);
	hb_release(gp->host, m.priors);
	return !m.failed;
}
