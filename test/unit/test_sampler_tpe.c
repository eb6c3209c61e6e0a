/*
 * test_sampler_tpe.c - Parzen estimators against Optuna's, and what the sampler makes of them
 */
#include "sampler_study.h"

#include "tune/tpe_parzen.h"

#define MIXED_SPACE                                                                                \
	"{'a':{'type':'float','low':-2,'high':3},"                                                     \
	"'b':{'type':'float','low':1e-4,'high':1e-1,'log':true},'c':['x','y','z'],"                    \
	"'d':{'type':'float','low':0,'high':1,'step':0.25},"                                           \
	"'e':{'type':'int','low':1,'high':64,'log':true},'f':{'type':'int','low':2,'high':12,'step':"  \
	"2}}"

static const HbHost *host = &hb_host_malloc;

/* Row i of the observations that Optuna was given, too. */
static void
observation(int i, double row[6])
{
	row[0] = -2 + 5 * fmod(i * 0.37 + 0.11, 1);
	row[1] = 1e-4 * pow(10, 3 * fmod(i * 0.61 + 0.3, 1));
	row[2] = i * 2 % 3;
	row[3] = 0.25 * (i * 3 % 5);
	row[4] = 1 + (i * i * 7) % 64;
	row[5] = 2 + 2 * (i * 5 % 6);
}

static void
check_density(int n, int nparams, const double expected[3])
{
	static const double at[3][6] = {
		{-1.5, 2e-4, 0, 0, 1, 2}, {0.2, 1e-2, 1, 0.5, 9, 8}, {2.9, 9e-2, 2, 1, 64, 12}};
	HbSpace *space = study_space(MIXED_SPACE);
	int params[6] = {0, 1, 2, 3, 4, 5};
	const HbDist *dists[6];
	double codes[50 * 6];
	double scratch[51];
	int rows[50];
	HbParzenSpace modelled = {nparams, params, dists};
	HbObserved observed = {.n = n, .nparams = 6, .codes = codes};
	HbStatus status;
	HbParzen parzen;

	for (int p = 0; p < 6; p++)
		dists[p] = &space->params[p].cases[0];
	for (int i = 0; i < n; i++)
	{
		rows[i] = i;
		observation(i, codes + 6 * i);
	}
	ok(hb_parzen_init(&parzen, host, &modelled, &observed, rows, n, &status),
	   "an estimator from %d observations", n);
	for (int q = 0; q < 3; q++)
		is_near(hb_parzen_log_density(&parzen, at[q], scratch), expected[q], 1e-9,
				"%d observations: Optuna's density at point %d", n, q);
	hb_parzen_release(&parzen, host);
}

/*
 * optuna 5.0.0, optuna.samplers._tpe.parzen_estimator._ParzenEstimator(observations, space, parameters).log_pdf(points),
 * parameters: prior_weight 1, consider_magic_clip, no consider_endpoints, weights default_weights; densities of a
 * and b changed to coordinates in [0,1] by adding log(3 - -2) + log(log(0.1 / 1e-4)).
 * numpy.argsort was made stable, as equal observations are else in no defined order.
 */
static void
test_density(void)
{
	check_density(0, 6, (double[]){-6.18757831668975, -8.09857070180045, -10.5608320685031});
	check_density(1, 6, (double[]){-5.2524862994906, -8.35966058764781, -11.0987427710765});
	check_density(4, 6, (double[]){-3.50091141257452, -7.82364119119808, -9.86773966557423});
	check_density(12, 6, (double[]){-1.47399949405445, -10.436544679107, -13.1169164481651});
	check_density(40, 3, (double[]){-4.2298543275916, 0.318623736553037, -2.67762855028333});
}

/* Draws follow the density: frequencies of a choice and of a discrete number against its sums. */
static void
test_draws(void)
{
	HbSpace *space = study_space("{'c':['x','y','z'],'f':{'type':'int','low':1,'high':5}}");
	int params[2] = {0, 1};
	const HbDist *dists[2] = {&space->params[0].cases[0], &space->params[1].cases[0]};
	double codes[] = {0, 1, 0, 2, 1, 5, 2, 4};
	int rows[4] = {0, 1, 2, 3};
	int counts[3][5] = {{0}};
	double scratch[5];
	double total = 0;
	double worst = 0;
	HbParzenSpace modelled = {2, params, dists};
	HbObserved observed = {.n = 4, .nparams = 2, .codes = codes};
	HbDraws draws = {5, 1, HB_STREAM_TPE, 0};
	HbStatus status;
	HbParzen parzen;

	hb_parzen_init(&parzen, host, &modelled, &observed, rows, 4, &status);
	for (int i = 0; i < 60000; i++)
	{
		double drawn[2];

		hb_parzen_draw(&parzen, &draws, 1, drawn);
		counts[(int) drawn[0]][(int) drawn[1] - 1]++;
	}
	for (int c = 0; c < 3; c++)
		for (int f = 0; f < 5; f++)
		{
			double p = exp(hb_parzen_log_density(&parzen, (double[]){c, f + 1}, scratch));

			total += p;
			worst = fmax(worst, fabs(counts[c][f] / 60000.0 - p));
		}
	is_near(total, 1, 1e-12, "the density of discrete parameters sums to 1");
	ok(worst < 0.007, "draws follow the density");
	hb_parzen_release(&parzen, host);
}

/* Mean over seeds of the best loss. */
static double
mean_best(const char *sampler, const char *space, double (*objective)(const HbJson *), int trials,
		  int seeds, int *wins, const double *against, double *each)
{
	static Study study;
	HbSpace *parsed = study_space(space);
	double sum = 0;

	for (int seed = 0; seed < seeds; seed++)
	{
		study_start(&study, sampler, parsed, 100 + seed);
		each[seed] = study_minimise(&study, objective, trials);
		sum += each[seed] / seeds;
		if (wins)
			*wins += each[seed] < against[seed];
	}
	return sum;
}

static void
test_beats_random(void)
{
	double random[40];
	double tpe[40];
	double mean_random;
	double mean_tpe;
	int wins = 0;

	mean_random = mean_best("random", BRANIN_SPACE, branin, 60, 40, NULL, NULL, random);
	mean_tpe = mean_best("tpe", BRANIN_SPACE, branin, 60, 40, &wins, random, tpe);
	printf("# Branin: random %.4f, tpe %.4f, better in %d of 40\n", mean_random, mean_tpe, wins);
	ok(mean_tpe < mean_random && wins > 24, "better than random search on Branin");
	wins = 0;
	mean_random = mean_best("random", HARTMANN6_SPACE, hartmann6, 100, 20, NULL, NULL, random);
	mean_tpe = mean_best("tpe", HARTMANN6_SPACE, hartmann6, 100, 20, &wins, random, tpe);
	printf("# Hartmann-6: random %.4f, tpe %.4f, better in %d of 20\n", mean_random, mean_tpe,
		   wins);
	ok(mean_tpe < mean_random - 0.2 && wins >= 16, "better than random search on Hartmann-6");
}

/* An objective with parameters of every kind; the best are sgd, rate 0.1, momentum 0.9. */
static double
conditional(const HbJson *config)
{
	bool sgd = strcmp(hb_json_get(config, "opt")->string, "sgd") == 0;
	double rate = log10(study_number(config, "rate"));
	double layers = study_number(config, "layers");
	double loss = sgd ? fabs(rate + 1) + 4 * fabs(study_number(config, "momentum") - 0.9)
					  : 0.5 + fabs(rate + 3);

	return loss + 0.2 * fabs(layers - 3) +
		   (layers > 2 ? 0.01 * fabs(study_number(config, "units") - 20) : 0.3);
}

#define CONDITIONAL_SPACE                                                                          \
	"{'rate':{'cases':["                                                                           \
	"   {'type':'float','low':1e-3,'high':1,'log':true,'when':{'opt':'sgd'}},"                     \
	"   {'type':'float','low':1e-5,'high':0.1,'log':true,'when':{'opt':['adam','lion']}}]},"       \
	" 'momentum':{'type':'float','low':0.5,'high':0.99,'when':{'opt':'sgd'}},"                     \
	" 'units':{'type':'int','low':4,'high':64,'log':true,'when':{'layers':[3,4]}},"                \
	" 'opt':['adam','sgd','lion'],'layers':{'type':'int','low':1,'high':4},'epochs':7}"

/* The configuration has exactly the parameters that are active, within their bounds. */
static bool
is_proper(const HbSpace *space, const HbJson *config)
{
	HbStatus status;
	HbPoint point;
	bool proper;

	hb_point_init(&point, host, space, &status);
	proper = hb_point_read(&point, config) && hb_point_equals(&point, config);
	hb_point_release(&point, host);
	return proper;
}

static void
test_conditional(void)
{
	static Study study;
	HbSpace *space = study_space(CONDITIONAL_SPACE);
	double best[2] = {0, 0};
	int improper = 0;

	for (int k = 0; k < 2; k++)
		for (int seed = 0; seed < 10; seed++)
		{
			study_start(&study, k ? "tpe" : "random", space, seed);
			best[k] += study_minimise(&study, conditional, 60) / 10;
			for (int i = 0; i < study.request.nobservations; i++)
				improper += !is_proper(space, study.observations[i].config);
		}
	is_int(improper, 0, "proposals have the active parameters and no others");
	printf("# conditional: random %.3f, tpe %.3f\n", best[0], best[1]);
	ok(best[1] < best[0], "better than random search on a conditional space");
}

/* Asks, and says whether the random sampler would have answered the same. */
static bool
ask_is_random(Study *study, const HbJson **config)
{
	const HbSampler *random =
		hb_sampler_find(study->request.multi_fidelity ? "sobol" : "random", &study->status);

	*config = study_ask(study);
	study->request.npending--;
	return hb_json_equal(*config, random->sample(&study->request, &study->status));
}

static void
test_startup_and_batches(void)
{
	static Study study;
	const HbJson *config;
	const HbJson *again;
	int random = 0;

	study_start(&study, "tpe", study_space(BRANIN_SPACE), 3);
	for (int i = 1; i <= 10; i++)
	{
		random += ask_is_random(&study, &config);
		study.request.npending = 1;
		study_tell(&study, i, 1, branin(config));
	}
	is_int(random, 10, "the first ten trials are random");
	ok(!ask_is_random(&study, &config), "the next is not");
	study.request.number--;
	ok(!ask_is_random(&study, &again), "nor when asked for again");
	ok(hb_json_equal(config, again), "the same request gives the same proposal");
	study.request.number--;
	study.request.npending = 1;
	ok(!hb_json_equal(config, study_ask(&study)), "a pending trial changes it");
}

/* Losses at resource 1 mislead, those at 9 tell the truth; there are enough of them or not. */
static int
count_near(int at_nine, int proposals, int *random)
{
	static Study study;
	HbSpace *space = study_space("{'x':{'type':'float','low':0,'high':1}}");
	int near = 0;

	study_start(&study, "tpe", space, 11);
	study.request.multi_fidelity = true;
	for (int i = 1; i <= 30; i++)
	{
		double x;

		study_ask(&study);
		x = study_number(study.pending[0], "x");
		study_tell(&study, i, 1, fabs(x - 0.2));
		if (i > at_nine)
			continue;
		study.observations[study.request.nobservations] =
			study.observations[study.request.nobservations - 1];
		study.observations[study.request.nobservations].resource = 9;
		study.observations[study.request.nobservations++].loss = i == 1 ? NAN : fabs(x - 0.8);
	}
	*random = 0;
	for (int i = 0; i < proposals; i++)
	{
		const HbJson *config;

		*random += ask_is_random(&study, &config);
		near += fabs(study_number(config, "x") - (at_nine >= 4 ? 0.8 : 0.2)) < 0.2;
	}
	return near;
}

static void
test_multi_fidelity(void)
{
	int random;
	int near = count_near(12, 90, &random);

	ok(near > 55, "the model is that of the largest resource (%d of 90 near its optimum)", near);
	ok(random > 18 && random < 43, "every third trial is of the Sobol' sequence (%d of 90)",
	   random);
	near = count_near(3, 90, &random);
	ok(near > 48, "or of a smaller one while it has too few results (%d of 90)", near);
}

static void
test_small_spaces(void)
{
	static Study study;
	HbSpace *space =
		study_space("{'a':[1,2,3],'b':{'type':'int','low':1,'high':4},"
					"'c':{'type':'float','low':0,'high':1,'step':0.5,'when':{'a':2}}}");
	double best;

	study_start(&study, "tpe", space, 5);
	for (int i = 1; i <= 20; i++)
	{
		study_ask(&study);
		study_tell(&study, i, 1, i % 4 ? i % 7 : NAN);
	}
	is_int(study_repeats(&study), 0, "all 20 configurations of a small space come once");
	ok(study_ask(&study) != NULL, "then one comes again");
	study_start(&study, "tpe", study_space("{'a':3,'b':[true]}"), 5);
	best = study_minimise(&study, (double (*)(const HbJson *)) branin, 15);
	ok(isinf(best) || isnan(best), "a space without a choice");
	is_int(study.request.nobservations, 15, "has its trials");
}

int
main(void)
{
	test_density();
	test_draws();
	test_beats_random();
	test_conditional();
	test_startup_and_batches();
	test_multi_fidelity();
	test_small_spaces();
	return tap_done();
}
