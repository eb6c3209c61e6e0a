/*
 * simulate.h - recorded loss curves under another scheduler, without training
 */
#ifndef HB_SIMULATE_H
#define HB_SIMULATE_H

#include "tune/scheduler.h"

/*
 * A trial's recorded losses, ascending by resource.  One that diverged has a last point without a loss (NaN), which
 * holds for every resource from there on; without any points it diverged at once.
 */
typedef struct HbCurve
{
	int64_t npoints;
	const int64_t *resources;
	const double *losses;
} HbCurve;

typedef struct HbSimulationRequest
{
	const HbScheduler *scheduler;
	HbPlanRequest plan; /* infinite: n_trials or a budget is needed */
	/*
	 * Trials take the curves in an order drawn by the seed, without repetition until all were taken, then in another
	 * order.
	 */
	uint64_t seed;
	int64_t ncurves;
	const HbCurve *curves;
	bool
		from_scratch; /* each rung is trained anew (rows, features) instead of going on from a checkpoint */
	bool means; /* losses are means of so many folds: those of fewer do not win */
	int64_t
		workers; /* of an asynchronous scheduler; 0: one. A unit of resource takes a unit of time */
	int64_t budget; /* work that would go beyond it is not begun; 0: none */
} HbSimulationRequest;

typedef struct HbSimulationStep
{
	int64_t resource_spent;
	double best_loss; /* of the one that would win now; NaN: no finite result yet */
	double regret;    /* best_loss less the lowest recorded loss up to max_resource */
} HbSimulationStep;

typedef struct HbSimulation
{
	int64_t nsteps; /* one whenever best_loss changed, and one at the end; spent ascends */
	HbSimulationStep *steps;
	int64_t resource_spent;
	int64_t trials; /* that were started */
	int64_t
		inexact; /* looked up at a resource that the curve does not have, and not beyond its end by divergence: the last
				 * point before it, or its first */
} HbSimulation;

extern bool hb_simulate(const HbHost *host, const HbSimulationRequest *request,
						HbSimulation *simulation, HbStatus *status);

#endif /* HB_SIMULATE_H */
