/*
 * simulate.c - runs a scheduler over recorded loss curves
 *
 * The schedulers are functions of recorded rows, so the ones that run studies run here unchanged; a result is
 * looked up where a trainer would have computed it.  Asynchronous schedulers get workers on a clock on which a
 * unit of resource takes a unit of time.
 */
#include "tune/simulate.h"

#include <math.h>
#include <string.h>

#include "core/rng.h"
#include "tune/racing.h"

typedef struct Work
{
	int64_t number;
	int64_t to;
	int64_t cost;
	int64_t done_at;
} Work;

typedef struct Simulator
{
	const HbHost *host;
	const HbSimulationRequest *request;
	HbSimulation *out;
	HbPlan plan;
	HbStudyState state;
	int64_t trials_capacity;
	HbResult *results;
	int64_t results_capacity;
	int64_t steps_capacity;
	uint32_t *order; /* of the curves, in the repetition that the last trial drawn belongs to */
	uint32_t *curve; /* by number - 1 */
	int64_t curve_capacity;
	bool *begun; /* by number - 1 */
	int64_t begun_capacity;
	int64_t committed; /* cost of all work begun */
	double best_recorded;
	double best_loss; /* of the one that would win now */
} Simulator;

/* Doubles an array until it holds so many elements. */
static bool
grow(const HbHost *host, void **array, int64_t *capacity, int64_t wanted, size_t size,
	 HbStatus *status)
{
	int64_t larger = *capacity > 0 ? *capacity : 16;
	void *grown;

	if (wanted <= *capacity)
		return true;
	while (larger < wanted)
		larger *= 2;
	grown = hb_alloc(host, larger * size);
	if (!grown)
		return hb_fail_memory(status, larger * size);
	if (*capacity > 0)
		memcpy(grown, *array, *capacity * size);
	hb_release(host, *array);
	*array = grown;
	*capacity = larger;
	return true;
}

/* Appends the trials of the plan that are not there yet, each with its curve. */
static bool
draw_trials(Simulator *sim, HbStatus *status)
{
	const HbSimulationRequest *request = sim->request;
	HbStudyState *state = &sim->state;
	void *trials = state->trials;
	void *curve = sim->curve;
	void *begun = sim->begun;
	bool grown =
		grow(sim->host, &trials, &sim->trials_capacity, sim->plan.trials, sizeof(HbTrialView),
			 status) &&
		grow(sim->host, &curve, &sim->curve_capacity, sim->plan.trials, sizeof(uint32_t), status) &&
		grow(sim->host, &begun, &sim->begun_capacity, sim->plan.trials, sizeof(bool), status);

	state->trials = trials;
	sim->curve = curve;
	sim->begun = begun;
	if (!grown)
		return false;
	for (int b = 0; b < sim->plan.nbrackets; b++)
	{
		const HbPlanBracket *bracket = &sim->plan.brackets[b];

		for (int64_t i = bracket->first_number - 1; i < bracket->first_number - 1 + bracket->trials;
			 i++)
		{
			if (i < state->ntrials)
				continue;
			if (i % request->ncurves == 0)
				hb_random_permutation(request->seed, HB_STREAM_SIMULATE,
									  (uint64_t) (i / request->ncurves), sim->order,
									  (uint32_t) request->ncurves);
			sim->curve[i] = sim->order[i % request->ncurves];
			state->trials[i] = (HbTrialView){.number = i + 1,
											 .bracket_index = b,
											 .rung = -1,
											 .state = HB_TRIAL_WAITING,
											 .loss = NAN,
											 .tie_loss = NAN,
											 .batch_size = 1,
											 .cost = 1};
			state->ntrials++;
		}
	}
	return true;
}

/* The last recorded loss up to a resource; a trial that diverged has none from there on, and that is exact. */
static double
look_up(Simulator *sim, int64_t number, int64_t resource)
{
	const HbCurve *curve = &sim->request->curves[sim->curve[number - 1]];
	int64_t low = 0;
	int64_t high = curve->npoints;

	if (curve->npoints == 0)
		return NAN;
	while (low < high)
	{
		int64_t middle = low + (high - low) / 2;

		if (curve->resources[middle] <= resource)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		low = 1;
	sim->out->inexact += curve->resources[low - 1] != resource && !isnan(curve->losses[low - 1]);
	return curve->losses[low - 1];
}

static double
lowest_recorded(const HbSimulationRequest *request)
{
	double lowest = NAN;

	for (int64_t i = 0; i < request->ncurves; i++)
		for (int64_t j = 0; j < request->curves[i].npoints; j++)
			if ((request->plan.infinite ||
				 request->curves[i].resources[j] <= request->plan.max_resource) &&
				isfinite(request->curves[i].losses[j]))
				lowest = fmin(lowest, request->curves[i].losses[j]);
	return lowest;
}

static bool
add_step(Simulator *sim, HbStatus *status)
{
	HbSimulation *out = sim->out;
	void *steps = out->steps;
	bool grown = grow(sim->host, &steps, &sim->steps_capacity, out->nsteps + 1,
					  sizeof(HbSimulationStep), status);

	out->steps = steps;
	if (!grown)
		return false;
	out->steps[out->nsteps++] = (HbSimulationStep){.resource_spent = out->resource_spent,
												   .best_loss = sim->best_loss,
												   .regret = sim->best_loss - sim->best_recorded};
	return true;
}

/* A trial with a new result may be the one that would win now. */
static bool
update_best(Simulator *sim, const HbTrialView *trial, HbStatus *status)
{
	if (!isfinite(trial->loss) || trial->loss >= sim->best_loss)
		return true;
	sim->best_loss = trial->loss;
	return add_step(sim, status);
}

/* Whether only results of the same resource compare, so that those with the most win. */
static bool
most_wins(const Simulator *sim)
{
	return sim->request->scheduler->completed_wins || sim->request->means;
}

/* The best of those with the most pulls or folds. */
static bool
update_leader(Simulator *sim, HbStatus *status)
{
	const HbTrialView *leader = NULL;

	for (int64_t i = 0; i < sim->state.ntrials; i++)
	{
		const HbTrialView *trial = &sim->state.trials[i];

		if (trial->rung < 0 || !isfinite(trial->loss))
			continue;
		if (!leader || trial->resource > leader->resource ||
			(trial->resource == leader->resource && trial->loss < leader->loss))
			leader = trial;
	}
	if (!leader || leader->loss == sim->best_loss)
		return true;
	sim->best_loss = leader->loss;
	return add_step(sim, status);
}

/* A trial's work is done: its result, if there is a rung. */
static bool
record(Simulator *sim, const Work *work, HbStatus *status)
{
	HbTrialView *trial = &sim->state.trials[work->number - 1];
	int rung = hb_rung_at(&sim->plan, trial, work->to);
	double before = trial->loss;
	bool first = trial->rung < 0;
	void *results = sim->results;
	bool grown = grow(sim->host, &results, &sim->results_capacity, sim->state.nresults + 1,
					  sizeof(HbResult), status);

	sim->results = results;
	sim->state.results = results;
	if (!grown)
		return false;
	sim->out->resource_spent += work->cost;
	trial->resource = work->to;
	trial->state = HB_TRIAL_WAITING;
	trial->started = false;
	if (rung < 0)
		return true;
	trial->rung = rung;
	trial->loss = look_up(sim, work->number, work->to);
	trial->evaluated = true;
	sim->results[sim->state.nresults++] =
		(HbResult){.number = work->number,
				   .rung = rung,
				   .loss = trial->loss,
				   .pull = hb_racing_pull(trial->loss, before, rung + 1)};
	sim->state.last_seq++;
	if (!most_wins(sim))
		return update_best(sim, trial, status);
	/* in lockstep after the stage, which all of it reaches; at its first rung nobody can be ahead only by being early */
	return (!sim->request->scheduler->asynchronous && !(first && sim->request->means)) ||
		   update_leader(sim, status);
}

/* The stage's work for one trial; false: it would go beyond the budget. */
static bool
begin(Simulator *sim, const HbStage *stage, int64_t number, Work *work)
{
	const HbTrialView *trial = &sim->state.trials[number - 1];
	bool rung = hb_rung_at(&sim->plan, trial, stage->to_resource) >= 0;

	work->number = number;
	work->to = stage->to_resource;
	work->cost = stage->to_resource - stage->from_resource;
	if (sim->request->from_scratch)
		work->cost = rung ? stage->to_resource : 0;
	if (sim->request->budget > 0 && work->cost > sim->request->budget - sim->committed)
		return false;
	sim->committed += work->cost;
	sim->out->trials += !sim->begun[number - 1];
	sim->begun[number - 1] = true;
	return true;
}

static void
release_stage(const HbHost *host, HbStage *stage)
{
	hb_release(host, stage->decisions);
	hb_release(host, stage->numbers);
}

static bool
check_interrupted(const HbHost *host, HbStatus *status)
{
	if (host->interrupted && host->interrupted(host->context))
		return hb_fail(status, "57014", "canceling simulation due to user request");
	return true;
}

/* Trials that a plan has beyond those of the last stage: an infinite horizon's next round; false in *more: none. */
static bool
extend(Simulator *sim, bool *more, HbStatus *status)
{
	const HbSimulationRequest *request = sim->request;

	*more = false;
	if (!request->plan.infinite)
		return true;
	return request->scheduler->extend(sim->host, &request->plan, &sim->plan, more, status) &&
		   draw_trials(sim, status);
}

static bool
run_lockstep(Simulator *sim, HbStatus *status)
{
	bool more = true;

	while (more)
	{
		HbStage stage;
		bool done = true;

		if (!check_interrupted(sim->host, status) ||
			!sim->request->scheduler->next(sim->host, &sim->state, &stage, status))
			return false;
		for (int i = 0; done && more && i < stage.ntrials; i++)
		{
			Work work;

			more = begin(sim, &stage, stage.numbers[i], &work);
			done = !more || record(sim, &work, status);
		}
		if (done && (more || sim->request->means) && most_wins(sim))
			done = update_leader(sim, status);
		if (done && stage.ntrials == 0)
			done = extend(sim, &more, status);
		release_stage(sim->host, &stage);
		if (!done)
			return false;
	}
	return true;
}

/* The work that is done first; ties to the one begun first. */
static int64_t
first_done(const Work *works, int64_t n)
{
	int64_t first = 0;

	for (int64_t i = 1; i < n; i++)
		if (works[i].done_at < works[first].done_at)
			first = i;
	return first;
}

/* Gives work to free workers; *more is false once the budget does not allow what comes next. */
static bool
fill_workers(Simulator *sim, Work *works, int64_t workers, int64_t *running, int64_t now,
			 bool *more, HbStatus *status)
{
	while (*more && *running < workers)
	{
		HbStage stage;
		int n;

		if (!sim->request->scheduler->next(sim->host, &sim->state, &stage, status))
			return false;
		n = stage.ntrials;
		if (n > 0)
			*more = begin(sim, &stage, stage.numbers[0], &works[*running]);
		release_stage(sim->host, &stage);
		if (n == 0)
			break;
		works[*running].done_at = now + works[*running].cost;
		*running += *more;
	}
	return true;
}

static bool
run_asynchronous(Simulator *sim, HbStatus *status)
{
	int64_t workers = sim->request->workers > 0 ? sim->request->workers : 1;
	Work *works = hb_alloc(sim->host, workers * sizeof(Work));
	int64_t running = 0;
	int64_t now = 0;
	bool more = true;
	bool well = true;

	if (!works)
		return hb_fail_memory(status, workers * sizeof(Work));
	while (well)
	{
		int64_t first;

		well = check_interrupted(sim->host, status) &&
			   fill_workers(sim, works, workers, &running, now, &more, status);
		if (!well || running == 0)
			break;
		first = first_done(works, running);
		now = works[first].done_at;
		well = record(sim, &works[first], status);
		/* the others keep the order in which they were begun */
		memmove(works + first, works + first + 1, (running - first - 1) * sizeof(Work));
		running--;
	}
	hb_release(sim->host, works);
	return well;
}

static bool
check(const HbSimulationRequest *request, HbStatus *status)
{
	if (request->ncurves < 1)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER, "study has no recorded loss curves");
	if (request->ncurves > INT32_MAX)
		return hb_fail(status, HB_ERR_OUT_OF_RANGE, "study has too many recorded loss curves");
	if (!request->plan.infinite)
		return true;
	if (!request->scheduler->extend)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "scheduler \"%s\" does not support an infinite horizon",
					   request->scheduler->name);
	if (request->plan.n_trials == 0 && request->budget == 0)
		return hb_fail(status, HB_ERR_INVALID_PARAMETER,
					   "simulation of an infinite horizon needs \"n_trials\" or a budget");
	return true;
}

static bool
run(Simulator *sim, HbStatus *status)
{
	const HbSimulationRequest *request = sim->request;
	const HbScheduler *scheduler = request->scheduler;

	sim->order = hb_alloc(sim->host, request->ncurves * sizeof(uint32_t));
	if (!sim->order)
		return hb_fail_memory(status, request->ncurves * sizeof(uint32_t));
	if (!scheduler->plan(sim->host, &request->plan, &sim->plan, status) ||
		!draw_trials(sim, status))
		return false;
	if (scheduler->open && !scheduler->open(sim->host, &sim->state, status))
		return false;
	if (!(scheduler->asynchronous ? run_asynchronous(sim, status) : run_lockstep(sim, status)))
		return false;
	return add_step(sim, status);
}

bool
hb_simulate(const HbHost *host, const HbSimulationRequest *request, HbSimulation *simulation,
			HbStatus *status)
{
	Simulator sim = {.host = host, .request = request, .out = simulation, .best_loss = NAN};
	bool well;

	memset(simulation, 0, sizeof(*simulation));
	if (!check(request, status))
		return false;
	sim.state.plan = &sim.plan;
	sim.best_recorded = lowest_recorded(request);
	well = run(&sim, status);
	if (request->scheduler->close)
		request->scheduler->close(host, &sim.state);
	hb_plan_release(host, &sim.plan);
	hb_release(host, sim.state.trials);
	hb_release(host, sim.results);
	hb_release(host, sim.order);
	hb_release(host, sim.curve);
	hb_release(host, sim.begun);
	return well;
}
