/*
 * test_scheduler_infinite.c - plans that grow, brackets that are drawn late, and recorded curves under other schedulers
 */
#include "tap.h"

#include "core/rng.h"
#include "tune/simulate.h"

static const HbHost *host = &hb_host_malloc;

enum
{
	MAX_TRIALS = 4000
};

/* A study whose trials appear bracket by bracket, as a supervisor draws them. */
typedef struct Study
{
	const HbScheduler *scheduler;
	HbPlanRequest request;
	HbPlan plan;
	HbStudyState state;
	HbTrialView trials[MAX_TRIALS];
	double losses[MAX_TRIALS];
	int64_t spent;
	int64_t budget;
	int drawn_early; /* a bracket was drawn before those of earlier waves had ended */
	int wrong;
	double diverging;
} Study;

static double
fake(int64_t number, int64_t resource)
{
	return hb_random_uniform(1, HB_STREAM_SAMPLE, number, 0) + 1.0 / (double) resource;
}

static void
study_open(Study *study, const char *scheduler, HbPlanRequest request, int64_t budget)
{
	HbStatus status;

	memset(study, 0, sizeof(*study));
	study->scheduler = hb_scheduler_find(scheduler, &status);
	study->request = request;
	study->budget = budget;
	if (!study->scheduler->plan(host, &request, &study->plan, &status))
		printf("# %s\n", status.message);
	study->state.plan = &study->plan;
	study->state.trials = study->trials;
}

/* Draws the brackets of the next wave, or extends the plan first; false: there is nothing more. */
static bool
draw(Study *study)
{
	HbStatus status;
	int first = hb_plan_drawn(&study->plan, study->state.ntrials);
	bool extended;

	if (first == study->plan.nbrackets)
	{
		if (!study->request.infinite ||
			!study->scheduler->extend(host, &study->request, &study->plan, &extended, &status) ||
			!extended)
			return false;
	}
	for (int64_t i = 0; i < study->state.ntrials; i++)
		study->drawn_early += study->trials[i].state == HB_TRIAL_WAITING;
	for (int b = first; b < study->plan.nbrackets &&
						study->plan.brackets[b].wave == study->plan.brackets[first].wave;
		 b++)
		for (int64_t i = 0; i < study->plan.brackets[b].trials; i++)
		{
			int64_t number = ++study->state.ntrials;

			study->trials[number - 1] = (HbTrialView){
				.number = number, .bracket_index = b, .rung = -1, .loss = NAN, .tie_loss = NAN};
		}
	return true;
}

static void
study_run(Study *study)
{
	draw(study);
	for (;;)
	{
		HbStage stage;
		HbStatus status;

		if (!study->scheduler->next(host, &study->state, &stage, &status))
		{
			printf("# %s %s\n", status.message, status.detail);
			study->wrong++;
			return;
		}
		if (stage.ntrials == 0 && !draw(study))
			return;
		for (int i = 0; i < stage.ntrials; i++)
		{
			HbTrialView *trial = &study->trials[stage.numbers[i] - 1];
			int rung = hb_rung_at(&study->plan, trial, stage.to_resource);

			if (study->budget &&
				study->spent + stage.to_resource - stage.from_resource > study->budget)
				return;
			study->spent += stage.to_resource - stage.from_resource;
			study->wrong +=
				study->plan.brackets[trial->bracket_index].wave !=
				study->plan.brackets[study->trials[stage.numbers[0] - 1].bracket_index].wave;
			if (hb_random_uniform(2, HB_STREAM_SAMPLE, trial->number,
								  (uint32_t) stage.to_resource) < study->diverging)
			{
				trial->state = HB_TRIAL_DIVERGED;
				continue;
			}
			trial->resource = stage.to_resource;
			if (rung < 0)
				continue;
			trial->rung = rung;
			trial->loss = fake(trial->number, stage.to_resource);
			trial->evaluated = true;
		}
	}
}

/* Trials of each bracket that reached each rung are as many as the plan says, and the best ones. */
static bool
counts_hold(const Study *study)
{
	for (int b = 0; b < study->plan.nbrackets; b++)
	{
		const HbPlanBracket *bracket = &study->plan.brackets[b];
		const HbTrialView *trials = study->trials + bracket->first_number - 1;

		for (int r = 0; r < bracket->nrungs; r++)
		{
			int64_t reached = 0;

			for (int64_t i = 0; i < bracket->trials; i++)
			{
				reached += trials[i].rung >= r;
				/* nobody who stayed at this rung had the lower loss there of one that went on */
				for (int64_t j = 0; j < bracket->trials; j++)
					if (trials[i].rung == r && trials[j].rung > r &&
						fake(trials[i].number, bracket->rungs[r].resource) <
							fake(trials[j].number, bracket->rungs[r].resource))
						return false;
			}
			if (reached != bracket->rungs[r].trials)
				return false;
		}
	}
	return true;
}

static void
test_studies(void)
{
	static Study study;
	HbPlanRequest request = {.min_resource = 1, .eta = 2, .n_trials = 1000, .infinite = true};

	study_open(&study, "hyperband", request, 0);
	study_run(&study);
	ok(study.wrong == 0 && study.state.ntrials == 1000 && study.plan.trials == 1000,
	   "infinite horizon: a thousand trials, exactly");
	ok(counts_hold(&study), "every rung's survivors are the best, as many as planned");
	is_int(study.spent, study.plan.cost, "the cost is the plan's");
	is_int(study.drawn_early, 0, "a round begins when the one before has ended");

	request.n_trials = 0;
	study_open(&study, "hyperband", request, 5000);
	study_run(&study);
	ok(study.wrong == 0 && study.spent <= 5000 && study.spent > 4000 && study.plan.rounds > 8,
	   "without n_trials it goes on until the limit: %d rounds, %lld spent", study.plan.rounds,
	   (long long) study.spent);

	request.batch = 1;
	request.n_trials = 200;
	study_open(&study, "hyperband", request, 0);
	study.diverging = 0.3;
	study_run(&study);
	ok(study.wrong == 0 && study.state.ntrials == 200 && study.drawn_early == 0,
	   "bracket by bracket with diverging trials");

	request = (HbPlanRequest){.max_resource = 81, .min_resource = 1, .eta = 3, .batch = 1};
	study_open(&study, "hyperband", request, 0);
	study_run(&study);
	ok(study.wrong == 0 && study.drawn_early == 0 && counts_hold(&study) &&
		   study.spent == study.plan.cost,
	   "the finite horizon bracket by bracket, drawn late");
	request.batch = 5;
	study_open(&study, "full", request, 0);
	study_run(&study);
	ok(study.wrong == 0 && study.drawn_early == 0 && study.plan.nbrackets == 4 &&
		   study.spent == 17 * 81,
	   "full training in batches of five");
}

static void
test_properties(void)
{
	static Study study;
	static const char *const names[] = {"hyperband", "halving", "full"};
	int wrong = 0;

	for (int i = 0; i < 300; i++)
	{
		uint32_t w[4];
		HbPlanRequest request = {0};

		hb_random4(11, HB_STREAM_SAMPLE, 0, i, w);
		request.max_resource = 1 + w[0] % 200;
		request.eta = 2 + w[1] % 5;
		request.min_resource = i % 2 ? 1 : 1 + w[2] % (uint32_t) request.max_resource;
		request.n_trials = 1 + w[3] % 150;
		request.batch = i % 4 == 3 ? 1 + i % 7 : 0;
		study_open(&study, names[i % 3], request, 0);
		study_run(&study);
		wrong += study.wrong || study.drawn_early || !counts_hold(&study) ||
				 study.spent != study.plan.cost || study.state.ntrials != request.n_trials;
		hb_plan_release(host, &study.plan);
	}
	is_int(wrong, 0, "300 random studies: counts, survivors and budgets agree with their plans");
}

/* Curves of 1, 3, 9, ... units; the best at the end is not the best at the beginning. */
enum
{
	NCURVES = 40,
	NPOINTS = 5
};
static int64_t resources[NPOINTS] = {1, 3, 9, 27, 81};
static double losses[NCURVES][NPOINTS];
static HbCurve curves[NCURVES];

static void
make_curves(void)
{
	for (int i = 0; i < NCURVES; i++)
	{
		double limit = hb_random_uniform(5, HB_STREAM_SAMPLE, i, 0);
		double slow = hb_random_uniform(5, HB_STREAM_SAMPLE, i, 1);

		for (int j = 0; j < NPOINTS; j++)
			losses[i][j] = limit + slow / (double) resources[j];
		curves[i] = (HbCurve){NPOINTS, resources, losses[i]};
	}
}

static HbSimulationRequest
simulation_of(const char *scheduler, int64_t n)
{
	HbStatus status;

	return (HbSimulationRequest){
		.scheduler = hb_scheduler_find(scheduler, &status),
		.plan = {.max_resource = 81, .min_resource = 1, .eta = 3, .n_trials = n},
		.seed = 1,
		.ncurves = NCURVES,
		.curves = curves};
}

static bool
steps_hold(const HbSimulation *simulation)
{
	for (int64_t i = 1; i < simulation->nsteps; i++)
	{
		const HbSimulationStep *step = &simulation->steps[i];

		if (step->resource_spent < step[-1].resource_spent ||
			step->best_loss > step[-1].best_loss || step->regret < 0)
			return false;
	}
	return simulation->nsteps > 0 &&
		   simulation->steps[simulation->nsteps - 1].resource_spent == simulation->resource_spent;
}

static void
test_simulate(void)
{
	HbSimulationRequest request;
	HbSimulation simulation;
	HbSimulation again;
	HbStatus status;
	double lowest = INFINITY;

	make_curves();
	for (int i = 0; i < NCURVES; i++)
		lowest = fmin(lowest, losses[i][NPOINTS - 1]);

	request = simulation_of("full", NCURVES);
	ok(hb_simulate(host, &request, &simulation, &status), "full training of all curves");
	ok(simulation.resource_spent == 81 * NCURVES && simulation.trials == NCURVES &&
		   simulation.inexact == 0 && steps_hold(&simulation),
	   "costs all of it");
	ok(simulation.steps[simulation.nsteps - 1].best_loss == lowest &&
		   simulation.steps[simulation.nsteps - 1].regret == 0,
	   "and finds the best: each curve is taken once");
	ok(simulation.steps[0].resource_spent == 81, "the first result comes after one training");

	request = simulation_of("hyperband", 0);
	hb_simulate(host, &request, &simulation, &status);
	ok(simulation.resource_spent == 1404 && simulation.trials == 128 && steps_hold(&simulation),
	   "Hyperband spends what its plan says");
	request.budget = 700;
	hb_simulate(host, &request, &simulation, &status);
	ok(simulation.resource_spent <= 700 && steps_hold(&simulation), "and never more than a budget");
	request.budget = 0;
	request.from_scratch = true;
	hb_simulate(host, &request, &simulation, &status);
	is_int(simulation.resource_spent,
		   (81 + 81 + 81 + 81 + 81) + (81 + 81 + 81 + 81) + (81 + 81 + 81) + (6 * 27 + 162) + 405,
		   "from scratch every rung costs in full");

	request = simulation_of("halving", 9);
	hb_simulate(host, &request, &simulation, &status);
	is_int(simulation.resource_spent, 81 + 54 + 54, "halving of nine");

	request = simulation_of("asha", 0);
	request.workers = 4;
	ok(hb_simulate(host, &request, &simulation, &status), "asha is simulated");
	ok(simulation.trials == 128 && steps_hold(&simulation) && simulation.resource_spent >= 422,
	   "asha with four workers: %lld units", (long long) simulation.resource_spent);
	hb_simulate(host, &request, &again, &status);
	ok(simulation.nsteps == again.nsteps &&
		   memcmp(simulation.steps, again.steps, again.nsteps * sizeof(HbSimulationStep)) == 0,
	   "and again the same");
	request.budget = 200;
	hb_simulate(host, &request, &simulation, &status);
	ok(simulation.resource_spent <= 200, "within a budget");

	request = simulation_of("racing", 6);
	request.plan.max_resource = 5;
	ok(hb_simulate(host, &request, &simulation, &status) && simulation.resource_spent <= 30 &&
		   simulation.trials == 6,
	   "racing");
	ok(simulation.inexact > 0, "curves that lack a resource are counted");
}

/* Three trials, of which the best so far diverges after 9 units: it neither holds its last loss nor wins. */
static void
test_simulate_diverged(void)
{
	static const int64_t at[] = {1, 9, 10};
	static const double diverging[] = {0.3, 0.2, NAN};
	static const double sound[2][3] = {{0.9, 0.5, 0.5}, {0.8, 0.6, 0.6}};
	HbSimulationRequest request = simulation_of("full", 3);
	HbCurve three[] = {{3, at, diverging}, {2, at, sound[0]}, {2, at, sound[1]}};
	HbSimulation simulation;
	HbStatus status;

	request.curves = three;
	request.ncurves = 3;
	hb_simulate(host, &request, &simulation, &status);
	is_near(simulation.steps[simulation.nsteps - 1].best_loss, 0.5, 0,
			"a trial that diverged after its last loss does not win with it");
	is_int(simulation.inexact, 2, "and it is known exactly that it has none");
	request.plan.max_resource = 9;
	hb_simulate(host, &request, &simulation, &status);
	is_near(simulation.steps[simulation.nsteps - 1].best_loss, 0.2, 0,
			"up to there its loss counts");
	is_int(simulation.inexact, 0, "and is exact");
	request = (HbSimulationRequest){.scheduler = hb_scheduler_find("halving", &status),
									.plan = {.max_resource = 81, .min_resource = 9, .eta = 3},
									.ncurves = 3,
									.curves = three};
	request.plan.n_trials = 9;
	hb_simulate(host, &request, &simulation, &status);
	is_near(simulation.steps[simulation.nsteps - 1].best_loss, 0.2, 0,
			"its result before it diverged counts in halving as in a study");
}

static void
test_simulate_rest(void)
{
	HbSimulationRequest request = simulation_of("hyperband", 0);
	HbSimulation simulation;
	HbStatus status;

	request.plan.infinite = true;
	request.plan.eta = 2;
	request.budget = 3000;
	ok(hb_simulate(host, &request, &simulation, &status) && simulation.resource_spent <= 3000 &&
		   simulation.resource_spent > 2500 && steps_hold(&simulation),
	   "infinite horizon within a budget");
	request.budget = 0;
	ok(!hb_simulate(host, &request, &simulation, &status) && strcmp(status.sqlstate, "22023") == 0,
	   "without end it is refused: %s", status.message);
	request.scheduler = hb_scheduler_find("asha", &status);
	request.budget = 5;
	ok(!hb_simulate(host, &request, &simulation, &status), "asha has no infinite horizon: %s",
	   status.message);
	request = simulation_of("full", 3);
	request.ncurves = 0;
	ok(!hb_simulate(host, &request, &simulation, &status), "nothing recorded: %s", status.message);

	request = simulation_of("full", 7);
	for (int i = 0; i < NCURVES; i++)
		curves[i].npoints = i % 2 ? 0 : 2;
	hb_simulate(host, &request, &simulation, &status);
	ok(simulation.trials == 7 && simulation.inexact > 0,
	   "curves that end early hold their last loss");
	test_simulate_diverged();
	request = simulation_of("full", 7);
	for (int i = 0; i < NCURVES; i++)
		curves[i].npoints = 0;
	hb_simulate(host, &request, &simulation, &status);
	ok(simulation.nsteps == 1 && isnan(simulation.steps[0].best_loss) &&
		   simulation.resource_spent == 7 * 81,
	   "no loss at all");
}

int
main(void)
{
	test_studies();
	test_properties();
	test_simulate();
	test_simulate_rest();
	return tap_done();
}
