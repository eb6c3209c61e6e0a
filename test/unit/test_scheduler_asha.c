/*
 * test_scheduler_asha.c - asynchronous halving: promotions in order, whole studies, logs, interruptions
 */
#include "tap.h"

#include "core/rng.h"
#include "tune/asha.h"

static const HbHost *host = &hb_host_malloc;

enum
{
	MAX_EVENTS = 20000
};

static const HbScheduler *
asha_scheduler(void)
{
	HbStatus status;

	return hb_scheduler_find("asha", &status);
}

/* The rule as the paper states it, by sorting; nothing is kept between decisions. */
typedef struct Naive
{
	const HbPlan *plan;
	const HbAshaEvent *events;
	int64_t nevents;
} Naive;

static int
compare_places(const void *a, const void *b)
{
	const HbAshaPlace *x = a;
	const HbAshaPlace *y = b;
	double u = isfinite(x->loss) ? x->loss : INFINITY;
	double v = isfinite(y->loss) ? y->loss : INFINITY;

	if (u != v)
		return u < v ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

static bool
naive_started(const Naive *naive, int64_t number, int rung)
{
	for (int64_t i = 0; i < naive->nevents; i++)
		if (naive->events[i].kind == HB_ASHA_START && naive->events[i].number == number &&
			naive->events[i].rung == rung)
			return true;
	return false;
}

static bool
naive_choose(const Naive *naive, int64_t *number, int *rung)
{
	static HbAshaPlace places[MAX_EVENTS];
	int64_t started = 0;

	for (int r = naive->plan->brackets[0].nrungs - 2; r >= 0; r--)
	{
		int n = 0;

		for (int64_t i = 0; i < naive->nevents; i++)
			if (naive->events[i].kind == HB_ASHA_RESULT && naive->events[i].rung == r)
				places[n++] = (HbAshaPlace){naive->events[i].loss, naive->events[i].number};
		qsort(places, n, sizeof(places[0]), compare_places);
		for (int i = 0; i < n / naive->plan->eta; i++)
			if (isfinite(places[i].loss) && !naive_started(naive, places[i].number, r + 1))
			{
				*number = places[i].number;
				*rung = r + 1;
				return true;
			}
	}
	for (int64_t i = 0; i < naive->nevents; i++)
		started += naive->events[i].kind == HB_ASHA_START && naive->events[i].rung == 0;
	*number = started + 1;
	*rung = 0;
	return started < naive->plan->trials;
}

static void
make_plan(HbPlan *plan, int64_t max, int64_t eta, int64_t n)
{
	HbPlanRequest request = {.max_resource = max, .min_resource = 1, .eta = eta, .n_trials = n};
	HbStatus status;

	if (!hb_plan_asha(host, &request, plan, &status))
		printf("# %s\n", status.message);
}

/* What the rule does next, as "3->1" (trial to rung), after the results given as "trial:rung:loss". */
static const char *
next_text(HbAsha *asha, bool apply)
{
	static char text[64];
	HbAshaEvent event = {.kind = HB_ASHA_START};
	HbStatus status;

	if (!hb_asha_choose(asha, &event.number, &event.rung))
		return "nothing";
	snprintf(text, sizeof(text), "%lld->%d", (long long) event.number, event.rung);
	if (apply && !hb_asha_apply(asha, &event, &status))
		return "refused";
	return text;
}

static void
result(HbAsha *asha, int64_t number, int rung, double loss)
{
	HbAshaEvent event = {.kind = HB_ASHA_RESULT, .number = number, .rung = rung, .loss = loss};
	HbStatus status;

	if (!hb_asha_apply(asha, &event, &status))
		printf("# %s\n", status.detail);
}

/* eta 3, rungs at 1, 3 and 9; worked out by hand. */
static void
test_script(void)
{
	HbPlan plan;
	HbStatus status;
	HbAsha *asha;

	make_plan(&plan, 9, 3, 11);
	asha = hb_asha_create(host, &plan, &status);
	is_str(next_text(asha, true), "1->0", "the first trial");
	is_str(next_text(asha, true), "2->0", "nothing to promote: a second");
	result(asha, 1, 0, 0.5);
	result(asha, 2, 0, 0.4);
	is_str(next_text(asha, true), "3->0", "two results: a third of them is none");
	result(asha, 3, 0, 0.6);
	is_str(next_text(asha, true), "2->1", "the best of three is promoted");
	is_str(next_text(asha, true), "4->0", "one of three only");
	result(asha, 4, 0, 0.3);
	is_str(next_text(asha, true), "4->1", "a better one comes: now it is the best of four");
	is_str(next_text(asha, true), "5->0", "of four results one, whoever was promoted before");
	result(asha, 2, 1, 0.35);
	result(asha, 5, 0, 0.9);
	is_str(next_text(asha, true), "6->0", "the best of five was promoted");
	result(asha, 6, 0, 0.7);
	is_str(next_text(asha, true), "7->0", "of six two: both were promoted");
	result(asha, 4, 1, 0.2);
	is_str(next_text(asha, true), "8->0", "two results at rung 1 promote nobody");
	result(asha, 7, 0, 0.8);
	result(asha, 8, 0, 0.95);
	is_str(next_text(asha, true), "9->0", "of eight two");
	result(asha, 9, 0, 0.1);
	is_str(next_text(asha, true), "9->1", "of nine three: 9, 4 and 2");
	result(asha, 9, 1, 0.25);
	is_str(next_text(asha, true), "4->2", "the higher rung first: the best of its three");
	is_str(next_text(asha, true), "10->0", "then a new one");
	result(asha, 10, 0, NAN);
	is_str(next_text(asha, true), "11->0", "NaN counts, and is not promoted");
	is_str(next_text(asha, true), "nothing", "eleven trials, and not one more");
	result(asha, 11, 0, 0.45);
	is_str(next_text(asha, true), "nothing",
		   "fourth of eleven, of which three are promoted: counting the unpromoted alone, 11 would "
		   "be");
	is_int(hb_asha_rank(asha, 11, 0), 4, "its rank");
	is_int(hb_asha_rank(asha, 10, 0), 11, "NaN ranks last");
	hb_asha_release(host, asha);
	hb_plan_release(host, &plan);
}

/* Candidates at two rungs at once: the higher rung comes first, then the better of one rung. */
static void
test_order(void)
{
	static const double at_0[] = {0.9, 0.1, 0.3, 0.8, 0.2, 0.7, 0.6, 0.65, 0.75};
	HbPlan plan;
	HbStatus status;
	HbAsha *asha;

	make_plan(&plan, 9, 3, 20);
	asha = hb_asha_create(host, &plan, &status);
	for (int i = 0; i < 9; i++)
		next_text(asha, true);
	for (int i = 0; i < 9; i++)
		result(asha, i + 1, 0, at_0[i]);
	is_str(next_text(asha, true), "2->1", "nine results at once: the best of the three first");
	is_str(next_text(asha, true), "5->1", "then the second");
	is_str(next_text(asha, true), "3->1", "and the third");
	for (int i = 10; i <= 12; i++)
		next_text(asha, true);
	result(asha, 2, 1, 0.05);
	result(asha, 5, 1, 0.06);
	result(asha, 10, 0, 0.02);
	result(asha, 11, 0, 0.01);
	result(asha, 12, 0, 0.99);
	result(asha, 3, 1, 0.04);
	is_str(next_text(asha, true), "3->2", "the candidate of rung 1 before those of rung 0");
	is_str(next_text(asha, true), "11->1", "then the best of rung 0");
	is_str(next_text(asha, true), "10->1", "and the second best");
	is_str(next_text(asha, true), "13->0", "of twelve four: 11, 10, 2 and 5 are promoted");
	hb_asha_release(host, asha);
	hb_plan_release(host, &plan);
}

/* A study on a clock with workers; events are what its log would hold. */
typedef struct Study
{
	HbPlan plan;
	HbStudyState state;
	HbResult *results;
	HbAshaEvent *events;
	int64_t nevents;
	int64_t spent;
	int workers;
	double failing;
	bool ties;
	uint64_t seed;
	int contradictions;
	int64_t work[64]; /* trial of each worker, 0: free */
	int64_t work_to[64];
	int64_t done_at[64];
	int64_t now;
} Study;

static double
fake(const Study *study, int64_t number, int rung)
{
	double u = hb_random_uniform(study->seed, HB_STREAM_SAMPLE, number, rung);

	if (u < study->failing / 2)
		return NAN;
	return study->ties ? floor(u * 5) : u + 0.5 / (rung + 1);
}

static void
study_open(Study *study, int64_t max, int64_t eta, int64_t n, int workers, uint64_t seed)
{
	memset(study, 0, sizeof(*study));
	make_plan(&study->plan, max, eta, n);
	study->state.plan = &study->plan;
	study->state.ntrials = study->plan.trials;
	study->state.trials = calloc(study->plan.trials, sizeof(HbTrialView));
	study->results = calloc(MAX_EVENTS, sizeof(HbResult));
	study->events = calloc(MAX_EVENTS, sizeof(HbAshaEvent));
	study->state.results = study->results;
	study->workers = workers;
	study->seed = seed;
	for (int64_t i = 0; i < study->plan.trials; i++)
		study->state.trials[i] =
			(HbTrialView){.number = i + 1, .rung = -1, .loss = NAN, .tie_loss = NAN};
}

static void
study_close(Study *study)
{
	asha_scheduler()->close(host, &study->state);
	hb_plan_release(host, &study->plan);
	free(study->state.trials);
	free(study->results);
	free(study->events);
}

static int64_t
duration(const Study *study, int64_t number, int64_t resource)
{
	uint32_t w[4];

	hb_random4(study->seed, HB_STREAM_SAMPLE, number, 1000, w);
	return resource * (1 + w[0] % 5);
}

/* Gives every free worker something to do. */
static void
give(Study *study)
{
	for (int w = 0; w < study->workers; w++)
	{
		HbStage stage;
		HbStatus status;
		HbTrialView *trial;

		if (study->work[w])
			continue;
		if (!asha_scheduler()->next(host, &study->state, &stage, &status))
		{
			printf("# %s\n# %s\n", status.message, status.detail);
			study->contradictions++;
			return;
		}
		if (stage.ntrials == 0)
			return;
		trial = &study->state.trials[stage.numbers[0] - 1];
		study->contradictions += stage.ntrials != 1 || trial->state != HB_TRIAL_RUNNING ||
								 trial->resource != stage.from_resource;
		if (stage.seq)
		{
			study->contradictions +=
				stage.seq != study->nevents + 1 || stage.ndecisions < (stage.from_resource > 0) ||
				(stage.from_resource > 0 &&
				 (stage.decisions[stage.ndecisions - 1].number != trial->number ||
				  stage.decisions[stage.ndecisions - 1].promoted != 1 ||
				  stage.decisions[stage.ndecisions - 1].rung != trial->rung));
			study->events[study->nevents++] = (HbAshaEvent){
				.kind = HB_ASHA_START, .number = trial->number, .rung = trial->rung + 1};
		}
		study->work[w] = trial->number;
		study->work_to[w] = stage.to_resource;
		study->done_at[w] =
			study->now + duration(study, trial->number, stage.to_resource - stage.from_resource);
		study->spent += stage.to_resource - stage.from_resource;
	}
}

/* The next worker is done; false where none works. */
static bool
take(Study *study)
{
	int first = -1;
	HbTrialView *trial;

	for (int w = 0; w < study->workers; w++)
		if (study->work[w] && (first < 0 || study->done_at[w] < study->done_at[first]))
			first = w;
	if (first < 0)
		return false;
	trial = &study->state.trials[study->work[first] - 1];
	study->now = study->done_at[first];
	study->work[first] = 0;
	if (hb_random_uniform(study->seed + 1, HB_STREAM_SAMPLE, trial->number, trial->rung + 1) <
		study->failing)
	{
		trial->state = HB_TRIAL_DIVERGED;
		return true;
	}
	trial->resource = study->work_to[first];
	trial->rung++;
	trial->state = HB_TRIAL_WAITING;
	trial->started = false;
	trial->evaluated = true;
	trial->loss = fake(study, trial->number, trial->rung);
	study->results[study->state.nresults++] =
		(HbResult){.number = trial->number, .rung = trial->rung, .loss = trial->loss};
	study->events[study->nevents++] = (HbAshaEvent){
		.kind = HB_ASHA_RESULT, .number = trial->number, .rung = trial->rung, .loss = trial->loss};
	study->state.last_seq++;
	study->contradictions += study->state.last_seq != study->nevents;
	return true;
}

static void
study_run(Study *study)
{
	do
		give(study);
	while (take(study));
}

/* Decisions in the log against the rule by sorting, all of them. */
static int
differences(const Study *study)
{
	int different = 0;

	for (int64_t i = 0; i < study->nevents; i++)
	{
		Naive naive = {&study->plan, study->events, i};
		int64_t number;
		int rung;

		if (study->events[i].kind == HB_ASHA_START)
			different += !naive_choose(&naive, &number, &rung) ||
						 number != study->events[i].number || rung != study->events[i].rung;
	}
	return different;
}

/* What must be true of every study that ended. */
static int
broken(const Study *study)
{
	const HbPlanBracket *bracket = &study->plan.brackets[0];
	Naive naive = {&study->plan, study->events, study->nevents};
	int64_t number;
	int rung;
	int wrong = naive_choose(&naive, &number, &rung);
	int64_t reached[64] = {0};

	for (int64_t i = 0; i < study->state.ntrials; i++)
	{
		const HbTrialView *trial = &study->state.trials[i];

		wrong += trial->state != HB_TRIAL_STOPPED && trial->state != HB_TRIAL_COMPLETED &&
				 trial->state != HB_TRIAL_DIVERGED;
		wrong += (trial->state == HB_TRIAL_COMPLETED) != (trial->rung == bracket->nrungs - 1);
		for (int r = 0; r <= trial->rung; r++)
			reached[r]++;
	}
	for (int r = 0; study->failing == 0 && r < bracket->nrungs; r++)
		wrong += reached[r] < bracket->rungs[r].trials;
	wrong += study->failing == 0 && study->spent < study->plan.cost;
	wrong += study->spent > study->plan.trials * bracket->rungs[bracket->nrungs - 1].resource;
	return wrong + study->contradictions;
}

static void
test_studies(void)
{
	int wrong = 0;
	int different = 0;
	int refused = 0;
	int64_t decisions = 0;

	for (int i = 0; i < 120; i++)
	{
		uint32_t w[4];
		Study study;
		HbStatus status;

		hb_random4(9, HB_STREAM_SAMPLE, 1, i, w);
		study_open(&study, 1 + w[0] % 100, 2 + w[1] % 4, 1 + w[2] % 90, 1 + w[3] % 9, i);
		study.failing = i % 3 ? 0 : 0.3;
		study.ties = i % 4 == 1;
		if (i % 2)
			asha_scheduler()->open(host, &study.state, &status);
		study_run(&study);
		wrong += broken(&study);
		different += differences(&study);
		refused += !hb_asha_replay(host, &study.plan, study.events, study.nevents, &status);
		decisions += study.nevents - study.state.nresults;
		study_close(&study);
	}
	is_int(wrong, 0, "120 studies: all trials used, every state and bound holds");
	is_int(different, 0, "each of %lld decisions is what sorting the rungs gives",
		   (long long) decisions);
	is_int(refused, 0, "a replay of the log gives the same decisions");
}

static bool
same_study(const Study *a, const Study *b)
{
	if (a->nevents != b->nevents)
		return false;
	for (int64_t i = 0; i < a->nevents; i++)
		if (a->events[i].kind != b->events[i].kind || a->events[i].number != b->events[i].number ||
			a->events[i].rung != b->events[i].rung)
			return false;
	for (int64_t i = 0; i < a->state.ntrials; i++)
		if (a->state.trials[i].state != b->state.trials[i].state ||
			a->state.trials[i].rung != b->state.trials[i].rung)
			return false;
	return true;
}

/* With an index and without, the same. */
static void
test_index(void)
{
	Study with;
	Study without;
	HbStatus status;

	study_open(&with, 81, 3, 128, 4, 5);
	study_open(&without, 81, 3, 128, 4, 5);
	ok(asha_scheduler()->open(host, &with.state, &status), "an index of an empty study");
	study_run(&with);
	study_run(&without);
	ok(same_study(&with, &without), "with an index the decisions are those of the rows alone");
	study_close(&with);
	study_close(&without);
}

/* The supervisor ends: works are lost, rows stay, those at the last rung may or may not be decided. */
static void
interrupt(Study *study, bool forget_completed)
{
	HbStatus status;

	asha_scheduler()->close(host, &study->state);
	memset(study->work, 0, sizeof(study->work));
	for (int64_t i = 0; i < study->state.ntrials; i++)
	{
		HbTrialView *trial = &study->state.trials[i];

		if (trial->state == HB_TRIAL_RUNNING)
			trial->state = HB_TRIAL_WAITING;
		if (forget_completed && trial->state == HB_TRIAL_COMPLETED)
		{
			trial->state = HB_TRIAL_WAITING;
			trial->evaluated = true;
		}
	}
	asha_scheduler()->open(host, &study->state, &status);
}

static void
test_interruptions(void)
{
	int wrong = 0;
	int refused = 0;
	int different = 0;
	Study whole;

	study_open(&whole, 27, 3, 40, 1, 3);
	study_run(&whole);
	for (int stop = 1; stop < 60; stop++)
	{
		Study study;
		HbStatus status;

		/* one worker: the order of results does not depend on what was lost */
		study_open(&study, 27, 3, 40, 1, 3);
		for (int i = 0; i < stop; i++)
		{
			give(&study);
			if (i == stop - 1)
				interrupt(&study, stop % 2);
			else if (!take(&study))
				break;
		}
		study_run(&study);
		different += !same_study(&whole, &study);
		wrong += study.contradictions;
		study_close(&study);

		study_open(&study, 27, 3, 40, 6, stop);
		study.failing = stop % 2 ? 0.2 : 0;
		for (int i = 0; i < 60; i++)
		{
			give(&study);
			if (i % 7 == stop % 7)
				interrupt(&study, i % 2);
			if (!take(&study) && i % 7 != stop % 7)
				break;
		}
		study_run(&study);
		/* work done again costs again, so only the bound on the budget is left out */
		study.spent = study.plan.cost;
		wrong += broken(&study);
		different += differences(&study);
		refused += !hb_asha_replay(host, &study.plan, study.events, study.nevents, &status);
		study_close(&study);
	}
	is_int(different, 0, "interrupted anywhere, decisions are those of the rule");
	is_int(wrong, 0, "lost work is given again, and no trial is lost or taken twice");
	is_int(refused, 0, "and the log is still consistent");
	study_close(&whole);
}

/* Trials that a learning sampler draws only when they start. */
static void
test_drawn_late(void)
{
	Study study;
	HbStage stage;
	HbStatus status;

	study_open(&study, 9, 3, 5, 1, 1);
	study.state.ntrials = 0;
	ok(asha_scheduler()->open(host, &study.state, &status), "a study without trials yet");
	for (int i = 1; i <= 2; i++)
	{
		HbTrialView *trial = &study.state.trials[i - 1];

		asha_scheduler()->next(host, &study.state, &stage, &status);
		ok(stage.ntrials == 1 && stage.numbers[0] == i && stage.from_resource == 0 &&
			   stage.to_resource == 1 && stage.seq == i,
		   "trial %d is named before it is drawn", i);
		trial->state = HB_TRIAL_RUNNING;
		trial->started = true;
		study.state.ntrials = i;
	}
	study_close(&study);
}

static void
test_refused(void)
{
	Study study;
	HbStatus status;
	HbStage stage;
	int64_t first;

	study_open(&study, 27, 3, 40, 3, 2);
	study_run(&study);
	for (int64_t i = 0; i < study.nevents; i++)
		if (study.events[i].kind == HB_ASHA_START && study.events[i].rung == 1)
		{
			HbAshaEvent swapped = study.events[i];

			study.events[i] = study.events[i - 1];
			study.events[i - 1] = swapped;
			break;
		}
	ok(!hb_asha_replay(host, &study.plan, study.events, study.nevents, &status) &&
		   strcmp(status.sqlstate, "XX001") == 0,
	   "a log out of order is refused: %s", status.detail);
	study_close(&study);

	study_open(&study, 27, 3, 40, 3, 2);
	give(&study);
	take(&study);
	first = study.results[0].number;
	study.results[0].number = 39;
	ok(!asha_scheduler()->next(host, &study.state, &stage, &status) &&
		   strcmp(status.sqlstate, "XX001") == 0,
	   "a result without work is reported: %s", status.detail);
	study.results[0].number = first;
	study.results[1] = study.results[0];
	study.state.nresults = 2;
	ok(!asha_scheduler()->next(host, &study.state, &stage, &status), "so are two: %s",
	   status.detail);
	study.state.nresults = 1;
	study.state.trials[30].started = true;
	ok(!asha_scheduler()->next(host, &study.state, &stage, &status),
	   "and a trial that was not the next: %s", status.detail);
	study_close(&study);
}

/* 100,000 trials: the cost of a decision must not grow with their number. */
static void
test_large(void)
{
	HbPlan plan;
	HbStatus status;
	HbAsha *asha;
	int64_t promoted = 0;
	int64_t number;
	int rung;

	make_plan(&plan, 81, 3, 100000);
	asha = hb_asha_create(host, &plan, &status);
	while (hb_asha_choose(asha, &number, &rung))
	{
		HbAshaEvent start = {.kind = HB_ASHA_START, .number = number, .rung = rung};

		promoted += rung > 0;
		hb_asha_apply(asha, &start, &status);
		result(asha, number, rung, hb_random_uniform(1, HB_STREAM_SAMPLE, number, rung));
	}
	ok(promoted >= 33333 + 11111 + 3703 + 1234 && promoted < 60000,
	   "100,000 trials: %lld promotions", (long long) promoted);
	hb_asha_release(host, asha);
	hb_plan_release(host, &plan);
}

int
main(void)
{
	test_script();
	test_order();
	test_studies();
	test_index();
	test_interruptions();
	test_drawn_late();
	test_refused();
	test_large();
	return tap_done();
}
