/*
 * sampler_study.h - a study in memory, for tests of samplers
 */
#ifndef HB_SAMPLER_STUDY_H
#define HB_SAMPLER_STUDY_H

#include "tap.h"

#include "parse_json.h"
#include "tune/sampler.h"

#define STUDY_MAX 1000

typedef struct Study
{
	const HbSampler *sampler;
	HbSampleRequest request;
	HbObservation observations[STUDY_MAX];
	const HbJson *pending[STUDY_MAX];
	HbSamplerMemo memo;
	HbStatus status;
} Study;

static inline HbSpace *
study_space(const char *text)
{
	HbStatus status;
	HbSpace *space;

	hb_status_init(&status);
	space = hb_space_parse(&hb_host_malloc, parse_json(text), &status);
	if (!space)
		printf("Bail out! %s: %s\n", status.sqlstate, status.message);
	return space;
}

static inline void
study_start(Study *study, const char *sampler, const HbSpace *space, uint64_t seed)
{
	memset(study, 0, sizeof(*study));
	hb_status_init(&study->status);
	study->sampler = hb_sampler_find(sampler, &study->status);
	study->request = (HbSampleRequest){.host = &hb_host_malloc,
									   .space = space,
									   .seed = seed,
									   .observations = study->observations,
									   .pending = study->pending,
									   .memo = &study->memo};
}

/* The proposal of the next trial, which is pending from then on. */
static inline const HbJson *
study_ask(Study *study)
{
	const HbJson *config;

	study->request.number++;
	config = study->sampler->sample(&study->request, &study->status);
	if (config)
		study->pending[study->request.npending++] = config;
	return config;
}

/* The result of the trial that is pending longest. */
static inline void
study_tell(Study *study, int64_t number, int64_t resource, double loss)
{
	study->observations[study->request.nobservations++] =
		(HbObservation){number, resource, loss, study->pending[0]};
	study->request.npending--;
	memmove(study->pending, study->pending + 1, study->request.npending * sizeof(HbJson *));
}

static inline double
study_number(const HbJson *config, const char *key)
{
	const HbJson *value = hb_json_get(config, key);

	return value && value->type == HB_JSON_NUMBER ? value->number : NAN;
}

/* The best of n trials, one after another. */
static inline double
study_minimise(Study *study, double (*objective)(const HbJson *config), int n)
{
	double best = INFINITY;

	for (int i = 1; i <= n; i++)
	{
		const HbJson *config = study_ask(study);
		double loss = config ? objective(config) : NAN;

		if (!config)
		{
			printf("# %s: %s\n", study->status.sqlstate, study->status.message);
			return NAN;
		}
		best = fmin(best, loss);
		study_tell(study, i, 1, loss);
	}
	return best;
}

/* Pairs of equal configurations among observations and pending trials. */
static inline int
study_repeats(const Study *study)
{
	int n = study->request.nobservations + study->request.npending;
	int repeats = 0;

	for (int i = 0; i < n; i++)
		for (int k = 0; k < i; k++)
		{
			int nobs = study->request.nobservations;
			const HbJson *a = i < nobs ? study->observations[i].config : study->pending[i - nobs];
			const HbJson *b = k < nobs ? study->observations[k].config : study->pending[k - nobs];

			repeats += hb_json_equal(a, b);
		}
	return repeats;
}

/* Branin and Hoo, 1972; minimum 0.397887. */
static inline double
branin(const HbJson *config)
{
	double x = study_number(config, "x");
	double y = study_number(config, "y");
	double a = y - 5.1 / (4 * M_PI * M_PI) * x * x + 5 / M_PI * x - 6;

	return a * a + 10 * (1 - 1 / (8 * M_PI)) * cos(x) + 10;
}

#define BRANIN_SPACE                                                                               \
	"{'x':{'type':'float','low':-5,'high':10},'y':{'type':'float','low':0,'high':15}}"

/* Hartmann, 1973, in six dimensions; minimum -3.32237. */
static inline double
hartmann6(const HbJson *config)
{
	static const double alpha[4] = {1.0, 1.2, 3.0, 3.2};
	static const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
								   {0.05, 10, 17, 0.1, 8, 14},
								   {3, 3.5, 1.7, 10, 17, 8},
								   {17, 8, 0.05, 10, 0.1, 14}};
	static const double p[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
								   {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
								   {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
								   {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
	static const char *const names[6] = {"a", "b", "c", "d", "e", "f"};
	double value = 0;

	for (int i = 0; i < 4; i++)
	{
		double sum = 0;

		for (int j = 0; j < 6; j++)
			sum += a[i][j] * pow(study_number(config, names[j]) - p[i][j], 2);
		value -= alpha[i] * exp(-sum);
	}
	return value;
}

#define HARTMANN6_SPACE                                                                            \
	"{'a':{'type':'float','low':0,'high':1},'b':{'type':'float','low':0,'high':1},"                \
	"'c':{'type':'float','low':0,'high':1},'d':{'type':'float','low':0,'high':1},"                 \
	"'e':{'type':'float','low':0,'high':1},'f':{'type':'float','low':0,'high':1}}"

#endif /* HB_SAMPLER_STUDY_H */
