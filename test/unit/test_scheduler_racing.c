/*
 * test_scheduler_racing.c - Student's t, and races of trials over folds
 */
#include "tap.h"

#include "core/rng.h"
#include "tune/racing.h"
#include "tune/student.h"

static const HbHost *host = &hb_host_malloc;

enum
{
	MAX_ARMS = 64,
	MAX_PULLS = 40
};

/* alpha of both tails, degrees of freedom, t: scipy.stats.t.isf(alpha/2, df) of SciPy 1.17 */
static const double quantiles[][3] = {
	{0.5, 1, 1},
	{0.5, 2, 0.8164965809277261},
	{0.5, 3, 0.7648923284043444},
	{0.5, 4, 0.7406970841126829},
	{0.5, 5, 0.7266868438004226},
	{0.5, 9, 0.7027221467513264},
	{0.5, 30, 0.6827556933212927},
	{0.5, 80, 0.6775688463948343},
	{0.5, 1000, 0.6747351646070093},
	{0.050000000000000003, 1, 12.7062047361747},
	{0.050000000000000003, 2, 4.302652729749464},
	{0.050000000000000003, 3, 3.182446305283709},
	{0.050000000000000003, 4, 2.776445105197794},
	{0.050000000000000003, 5, 2.570581835636315},
	{0.050000000000000003, 9, 2.262157162798205},
	{0.050000000000000003, 30, 2.042272456301238},
	{0.050000000000000003, 80, 1.990063421254446},
	{0.050000000000000003, 1000, 1.962339080826409},
	{0.001, 1, 636.6192487687196},
	{0.001, 2, 31.59905457644362},
	{0.001, 3, 12.92397863668748},
	{0.001, 4, 8.610301581379275},
	{0.001, 5, 6.86882662588111},
	{0.001, 9, 4.780912585931139},
	{0.001, 30, 3.645958635042021},
	{0.001, 80, 3.416337458476947},
	{0.001, 1000, 3.300282648423913},
	{3.2552083333333333e-05, 1, 19556.95939008787},
	{3.2552083333333333e-05, 2, 175.2669392901529},
	{3.2552083333333333e-05, 3, 40.73648350479479},
	{3.2552083333333333e-05, 4, 20.63961399422247},
	{3.2552083333333333e-05, 5, 14.07683512960852},
	{3.2552083333333333e-05, 9, 7.620926084872323},
	{3.2552083333333333e-05, 30, 4.881471145494535},
	{3.2552083333333333e-05, 80, 4.404384573687077},
	{3.2552083333333333e-05, 1000, 4.173882469397149},
	{9.9999999999999995e-07, 1, 636619.7723670577},
	{9.9999999999999995e-07, 2, 999.9992499998438},
	{9.9999999999999995e-07, 3, 130.1545895583579},
	{9.9999999999999995e-07, 4, 49.45863675693464},
	{9.9999999999999995e-07, 5, 28.47847346298421},
	{9.9999999999999995e-07, 9, 11.63678202732889},
	{9.9999999999999995e-07, 30, 6.119075620384216},
	{9.9999999999999995e-07, 80, 5.299916243466444},
	{9.9999999999999995e-07, 1000, 4.922289523429588},
	{1.0000000000000001e-09, 1, 636619772.3675814},
	{1.0000000000000001e-09, 2, 31622.77657796671},
	{1.0000000000000001e-09, 3, 1301.637167291693},
	{1.0000000000000001e-09, 4, 278.3097799244099},
	{1.0000000000000001e-09, 5, 113.6550510764125},
	{1.0000000000000001e-09, 9, 25.65626769961377},
	{1.0000000000000001e-09, 30, 8.72151122437306},
	{1.0000000000000001e-09, 80, 6.92235882402733},
	{1.0000000000000001e-09, 1000, 6.168430247805824},
	{9.9999999999999995e-21, 1, 6.366197723675814e+19},
	{9.9999999999999995e-21, 2, 10000000000},
	{9.9999999999999995e-21, 3, 6041668.820268779},
	{9.9999999999999995e-21, 4, 156508.4579966797},
	{9.9999999999999995e-21, 5, 18016.09940732876},
	{9.9999999999999995e-21, 9, 430.6130406699696},
	{9.9999999999999995e-21, 30, 23.21807342570006},
	{9.9999999999999995e-21, 80, 12.62177468886505},
	{9.9999999999999995e-21, 1000, 9.545697742493818},
};

static void
test_student(void)
{
	double worst = 0;
	double worst_tails = 0;
	int wrong = 0;
	int n = (int) (sizeof(quantiles) / sizeof(quantiles[0]));

	for (int i = 0; i < n; i++)
	{
		const double *q = quantiles[i];

		worst = fmax(worst, fabs(hb_student_quantile(q[0], q[1]) / q[2] - 1));
		worst_tails = fmax(worst_tails, fabs(hb_student_tails(q[2], q[1]) / q[0] - 1));
	}
	ok(worst < 1e-12, "%d quantiles agree with SciPy's: to %.1e", n, worst);
	ok(worst_tails < 1e-11, "so do the tails: to %.1e", worst_tails);
	for (double df = 1; df < 1e6; df *= 1.7)
		for (double alpha = 0.99; alpha > 1e-60; alpha *= 0.3)
			wrong +=
				!(fabs(hb_student_tails(hb_student_quantile(alpha, df), df) / alpha - 1) < 1e-9);
	is_int(wrong, 0, "the tails of a quantile are its alpha, for any alpha and degrees of freedom");
	ok(hb_student_quantile(1, 5) == 0 && isnan(hb_student_quantile(0, 5)) &&
		   isnan(hb_student_quantile(1.1, 5)) && isnan(hb_student_quantile(0.5, 0)) &&
		   isnan(hb_student_quantile(NAN, 3)),
	   "limits");
	ok(hb_student_tails(0, 3) == 1 && hb_student_tails(INFINITY, 3) == 0 &&
		   hb_student_tails(-2, 3) == hb_student_tails(2, 3),
	   "limits of the tails");
}

typedef struct Race
{
	HbPlan plan;
	HbStudyState state;
	HbTrialView trials[MAX_ARMS];
	HbResult results[MAX_ARMS * MAX_PULLS];
	double (*pull)(int64_t number, int64_t pull);
	int pulls; /* in all */
	int stages;
	HbDecision decisions[MAX_ARMS][MAX_PULLS];
	int contradictions;
} Race;

static void
race_open(Race *race, int64_t n, int64_t folds, int64_t min_resource,
		  double (*pull)(int64_t number, int64_t pull))
{
	HbPlanRequest request = {
		.max_resource = folds, .min_resource = min_resource, .eta = 3, .n_trials = n};
	HbStatus status;

	memset(race, 0, sizeof(*race));
	hb_plan_racing(host, &request, &race->plan, &status);
	race->pull = pull;
	race->state.plan = &race->plan;
	race->state.ntrials = n;
	race->state.trials = race->trials;
	race->state.results = race->results;
	for (int64_t i = 0; i < n; i++)
		race->trials[i] = (HbTrialView){.number = i + 1, .rung = -1, .loss = NAN, .tie_loss = NAN};
}

/* One pull; its place in results is wherever it arrives. */
static void
pull_arm(Race *race, int64_t number, const HbStage *stage)
{
	HbTrialView *trial = &race->trials[number - 1];
	int64_t k = stage->to_resource;
	double x = race->pull(number, k);
	double mean = k == 1 ? x : trial->loss + (x - trial->loss) / k;

	if (trial->resource >= stage->to_resource)
		return;
	race->contradictions += stage->to_resource != stage->from_resource + 1;
	race->results[race->state.nresults++] =
		(HbResult){.number = number,
				   .rung = (int) k - 1,
				   .loss = mean,
				   .pull = hb_racing_pull(mean, trial->loss, k)};
	trial->resource = k;
	trial->rung = (int) k - 1;
	trial->loss = mean;
	trial->evaluated = true;
	race->pulls++;
}

static bool
race_stage(Race *race, HbStage *stage, int until)
{
	HbStatus status;
	const HbScheduler *racing = hb_scheduler_find("racing", &status);

	if (!racing->next(host, &race->state, stage, &status))
	{
		printf("# %s %s\n", status.message, status.detail);
		race->contradictions++;
		return false;
	}
	for (int i = 0; i < stage->ndecisions; i++)
	{
		HbDecision *old =
			&race->decisions[stage->decisions[i].number - 1][stage->decisions[i].rung];

		race->contradictions +=
			old->number != 0 && (old->rank != stage->decisions[i].rank ||
								 old->promoted != stage->decisions[i].promoted ||
								 old->state != stage->decisions[i].state);
		*old = stage->decisions[i];
	}
	race->stages++;
	/* the last come first: order of arrival must not matter */
	for (int i = stage->ntrials - 1; i >= 0 && race->pulls < until; i--)
		pull_arm(race, stage->numbers[i], stage);
	return stage->ntrials > 0;
}

static void
race_run(Race *race, int until)
{
	HbStage stage;

	while (race->pulls < until && race_stage(race, &stage, until))
		;
}

static HbTrialState
state_of(const Race *race, int64_t number)
{
	return race->trials[number - 1].state;
}

/*
 * Arms 1 to 4 differ by 0, 0.001, 0.3 and 0.02 on average; folds differ by much more than that, but for all arms
 * alike.
 */
static double
scripted(int64_t number, int64_t pull)
{
	static const double offset[] = {0, 0.001, 0.3, 0.02};
	static const double wobble[4][6] = {{0, 0, 0, 0, 0, 0},
										{0.004, -0.003, 0.001, -0.004, 0.003, -0.001},
										{0.001, -0.001, 0.001, -0.001, 0.001, -0.001},
										{0.001, -0.001, 0.0005, -0.0005, 0.001, -0.001}};
	static const double fold[] = {0.5, 0.9, 0.2, 0.7, 0.4, 0.6};

	return fold[pull - 1] + offset[number - 1] + wobble[number - 1][pull - 1];
}

/*
 * In numpy, alpha = 0.05/(4*3*4) after the third pull: half width of arm 3 t*s/sqrt(3) with t = 31.0 (two degrees of
 * freedom), s = 0.00115: 0.0207 < 0.3003; of arm 4 with s = 0.00104: 0.0186 < 0.0202; arm 2 stays within its own.
 */
static void
test_script(void)
{
	static Race race;
	HbStage stage;
	HbRacingArm arms[MAX_ARMS];
	HbStatus status;
	int64_t narms;

	race_open(&race, 4, 6, 1, scripted);
	race_stage(&race, &stage, 100);
	race_stage(&race, &stage, 100);
	is_int(stage.ntrials, 4, "nobody is dropped after one pull");
	race_stage(&race, &stage, 100);
	is_int(stage.ntrials, 4, "nor after two");
	hb_racing_report(host, &race.state, arms, &narms, &status);
	ok(narms == 4 && arms[0].pulls == 3, "a report of all arms");
	is_near(arms[2].difference, 0.30033333333333334, 1e-12, "mean difference to the leader");
	is_near(arms[2].difference_bound,
			hb_student_quantile(0.05 / 48, 2) * 0.0011547005383792516 / sqrt(3), 1e-12,
			"its bound");
	is_near(arms[0].mean, 1.6 / 3, 1e-12, "the arm's mean");
	is_near(arms[0].bound, hb_student_quantile(0.05 / 48, 2) * 0.35118845842842461 / sqrt(3), 1e-12,
			"and its bound, which the folds make wide");
	ok(arms[0].difference == 0 && arms[0].difference_bound == 0,
	   "nothing between the leader and itself");
	race_stage(&race, &stage, 100);
	ok(state_of(&race, 3) == HB_TRIAL_STOPPED && state_of(&race, 4) == HB_TRIAL_STOPPED &&
		   stage.ntrials == 2,
	   "after three the ones that cannot win are dropped, by pairs although their means overlap");
	race_run(&race, 1000);
	ok(state_of(&race, 1) == HB_TRIAL_COMPLETED && state_of(&race, 2) == HB_TRIAL_COMPLETED,
	   "two that cannot be told apart go on to the last pull");
	is_int(race.pulls, 3 * 4 + 3 * 2, "eighteen pulls instead of twenty-four");
	is_int(race.contradictions, 0, "without contradiction");
	hb_racing_report(host, &race.state, arms, &narms, &status);
	ok(narms == 4 && arms[2].pulls == 3 && arms[1].pulls == 6 && arms[1].difference > 0 &&
		   arms[1].difference < arms[1].difference_bound,
	   "the report keeps the dropped at their last pull");
	is_near(arms[2].difference, 0.30033333333333334, 1e-12,
			"a dropped arm is compared over the pulls that it had");

	race_open(&race, 4, 6, 5, scripted);
	race_run(&race, 1000);
	is_int(race.pulls, 5 * 4 + 2, "min_resource: no elimination before the fifth pull");
}

static double marginal_share;
static int64_t marginal_pulls;

/* Arm 2 is worse by this share of the bound after so many pulls; two others are out of the question. */
static double
marginal(int64_t number, int64_t pull)
{
	static const double wobble[] = {0.01, -0.02, 0.03, -0.01, 0.02};
	double mean = 0;
	double squares = 0;
	int64_t k = marginal_pulls;

	for (int64_t j = 0; j < k; j++)
		mean += wobble[j] / (double) k;
	for (int64_t j = 0; j < k; j++)
		squares += (wobble[j] - mean) * (wobble[j] - mean);
	if (number != 2)
		return number == 1 ? 0 : 1000 * (double) number;
	return wobble[pull - 1] - mean +
		   marginal_share *
			   hb_student_quantile(0.05 / (double) (4 * k * (k + 1)), (double) (k - 1)) *
			   sqrt(squares / (double) (k * (k - 1)));
}

/* Just above the bound an arm is dropped, just below it goes on. */
static void
test_bound(void)
{
	static Race race;
	int wrong = 0;

	for (marginal_pulls = 3; marginal_pulls <= 4; marginal_pulls++)
		for (int above = 0; above <= 1; above++)
		{
			HbStage stage;

			marginal_share = above ? 1.001 : 0.999;
			race_open(&race, 4, 5, marginal_pulls, marginal);
			for (int64_t k = 0; k < marginal_pulls; k++)
				race_stage(&race, &stage, 1000);
			race_stage(&race, &stage, 0);
			wrong += state_of(&race, 2) != (above ? HB_TRIAL_STOPPED : HB_TRIAL_WAITING);
			wrong += state_of(&race, 3) != HB_TRIAL_STOPPED;
		}
	is_int(wrong, 0, "the bound is t at 1 - 0.05/(n*k*(k+1)), no more and no less");
}

static double
one_good(int64_t number, int64_t pull)
{
	double u = hb_random_uniform(3, HB_STREAM_SAMPLE, number, (uint32_t) pull);

	return number == 5 ? 0.1 + 0.001 * u : number == 2 ? NAN : 0.9 + 0.001 * u;
}

static double
all_same(int64_t number, int64_t pull)
{
	return 0.5 + 0.01 * (double) pull;
}

static double
none(int64_t number, int64_t pull)
{
	return NAN;
}

static double
noisy(int64_t number, int64_t pull)
{
	double a = hb_random_uniform(8, HB_STREAM_SAMPLE, number, (uint32_t) pull);
	double b = hb_random_uniform(9, HB_STREAM_SAMPLE, number, (uint32_t) pull);

	return 0.02 * (double) number + 0.1 * sqrt(-2 * log(1 - a)) * cos(2 * M_PI * b);
}

static void
test_ends(void)
{
	static Race race;

	race_open(&race, 8, 10, 1, one_good);
	race_run(&race, 1000);
	ok(state_of(&race, 5) == HB_TRIAL_COMPLETED && race.pulls == 3 * 7 + 1,
	   "the one that is left has won, after three pulls");
	ok(state_of(&race, 2) == HB_TRIAL_STOPPED && race.trials[1].resource == 1,
	   "an arm without a finite loss is dropped at once");
	is_int(race.contradictions, 0, "without contradiction");
	race_open(&race, 8, 10, 1, all_same);
	race_run(&race, 1000);
	is_int(race.pulls, 80, "equal arms all go to the end");
	race_open(&race, 8, 10, 1, none);
	race_run(&race, 1000);
	is_int(race.pulls, 8, "without a finite loss the race is over");
	race_open(&race, 3, 2, 1, one_good);
	race_run(&race, 1000);
	is_int(race.pulls, 5, "two folds are too few to drop anybody but for NaN");
	race_open(&race, 1, 10, 1, all_same);
	race_run(&race, 1000);
	ok(race.pulls == 3 && state_of(&race, 1) == HB_TRIAL_COMPLETED, "one arm alone: three pulls");
}

/* Stopped after any pull and begun anew from the rows, a race ends alike. */
static void
test_stops(void)
{
	static Race whole;
	int different = 0;

	race_open(&whole, 12, 30, 1, noisy);
	race_run(&whole, 100000);
	ok(whole.pulls < 12 * 30 && whole.pulls >= 3 * 12, "a noisy race takes %d of 360 pulls",
	   whole.pulls);
	for (int stop = 0; stop <= whole.pulls; stop++)
	{
		static Race race;

		race_open(&race, 12, 30, 1, noisy);
		race_run(&race, stop);
		for (int i = 0; stop % 2 && i < 12; i++)
			if (race.trials[i].state == HB_TRIAL_COMPLETED)
			{
				race.trials[i].state = HB_TRIAL_WAITING;
				race.trials[i].evaluated = true;
			}
		race_run(&race, 100000);
		different += race.contradictions != 0 || race.pulls != whole.pulls;
		for (int i = 0; i < 12; i++)
			different += race.trials[i].state != whole.trials[i].state ||
						 race.trials[i].resource != whole.trials[i].resource;
	}
	is_int(different, 0, "stopped after any of them it ends alike");
}

static double race_seed;

static double
random_arms(int64_t number, int64_t pull)
{
	double a = hb_random_uniform((uint64_t) race_seed, HB_STREAM_SAMPLE, number, (uint32_t) pull);
	double b = hb_random_uniform((uint64_t) race_seed, HB_STREAM_SPACE, number, (uint32_t) pull);

	return 0.05 * (double) (number - 1) + 0.1 * sqrt(-2 * log(1 - a)) * cos(2 * M_PI * b);
}

/* The best arm is dropped in at most one race of twenty. */
static void
test_confidence(void)
{
	static Race race;
	int dropped = 0;
	int over = 0;
	int64_t pulls = 0;

	for (int i = 0; i < 1000; i++)
	{
		race_seed = i;
		race_open(&race, 5, 30, 1, random_arms);
		race_run(&race, 100000);
		dropped += state_of(&race, 1) == HB_TRIAL_STOPPED;
		over += race.pulls > race.plan.cost || race.contradictions != 0;
		pulls += race.pulls;
		hb_plan_release(host, &race.plan);
	}
	ok(dropped <= 50, "1,000 races: the best arm was dropped in %d", dropped);
	is_int(over, 0, "none takes more than its plan");
	ok(pulls < 1000 * 5 * 30 * 9 / 10, "they take %.0f%% of all pulls", (double) pulls / 1500);
}

static void
test_refused(void)
{
	static Race race;
	HbStage stage;
	HbStatus status;
	const HbScheduler *racing = hb_scheduler_find("racing", &status);
	HbRacingArm arms[MAX_ARMS];
	int64_t narms;

	race_open(&race, 4, 6, 1, scripted);
	race_stage(&race, &stage, 100);
	race_stage(&race, &stage, 100);
	race.state.nresults--;
	ok(!racing->next(host, &race.state, &stage, &status) && strcmp(status.sqlstate, "XX001") == 0,
	   "a missing result is reported: %s", status.detail);
	ok(!hb_racing_report(host, &race.state, arms, &narms, &status), "by the report, too");
	race.state.nresults++;
	race.results[0].number = 99;
	ok(!racing->next(host, &race.state, &stage, &status), "so is one of nobody: %s",
	   status.message);
}

int
main(void)
{
	test_student();
	test_script();
	test_bound();
	test_ends();
	test_stops();
	test_confidence();
	test_refused();
	return tap_done();
}
