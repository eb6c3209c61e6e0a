/*
 * test_scheduler.c - whole studies with a made-up loss, undisturbed and stopped at every chunk
 */
#include "tap.h"

#include "core/rng.h"
#include "tune/scheduler.h"

static const HbHost *host = &hb_host_malloc;
static const HbChunkLimit no_limit = {HUGE_VAL, HUGE_VAL};

enum
{
	MAX_RUNGS = 16
};

/* What a simulated study is made of and what happened in it. */
typedef struct Study
{
	const HbScheduler *scheduler;
	HbPlan plan;
	HbStudyState state;
	double diverging; /* share of trials that diverge somewhere, and of losses that are NaN */
	bool ties;
	int64_t epochs;
	HbDecision (*decisions)[MAX_RUNGS]; /* by number - 1 and rung; number 0: none */
	double (*losses)[MAX_RUNGS];
	int contradictions; /* decisions taken again and otherwise */
	int trainers;       /* for whom stages are cut */
	int nchunks;        /* trained so far */
} Study;

static double
fake(const Study *study, int64_t number, int64_t resource)
{
	double u = hb_random_uniform(1, HB_STREAM_SAMPLE, number, (uint32_t) resource);

	if (study->diverging > 0 && u < study->diverging)
		return u < study->diverging / 2 ? NAN : INFINITY;
	return study->ties ? floor(u * 4) : u + 1.0 / resource;
}

static bool
fake_diverges(const Study *study, int64_t number, int64_t resource)
{
	return hb_random_uniform(2, HB_STREAM_SAMPLE, number, (uint32_t) resource) < study->diverging;
}

static void
study_open(Study *study, const char *scheduler, HbPlanRequest request)
{
	HbStatus status;
	int64_t number = 0;

	memset(study, 0, sizeof(*study));
	study->trainers = 2;
	study->scheduler = hb_scheduler_find(scheduler, &status);
	study->scheduler->plan(host, &request, &study->plan, &status);
	study->state.plan = &study->plan;
	study->state.ntrials = study->plan.trials;
	study->state.trials = calloc(study->plan.trials, sizeof(HbTrialView));
	study->decisions = calloc(study->plan.trials, sizeof(*study->decisions));
	study->losses = calloc(study->plan.trials, sizeof(*study->losses));
	for (int b = 0; b < study->plan.nbrackets; b++)
		for (int64_t i = 0; i < study->plan.brackets[b].trials; i++)
		{
			HbTrialView *trial = &study->state.trials[number++];

			trial->number = number;
			trial->bracket_index = b;
			trial->rung = -1;
			trial->loss = trial->tie_loss = NAN;
			trial->batch_size = number % 3 ? 128 : 64;
			trial->cost = trial->size = 30 + number % 4 * 60;
		}
}

static void
study_close(Study *study)
{
	free(study->state.trials);
	free(study->decisions);
	free(study->losses);
}

/* Trains one trial through a stage, as the supervisor records it. */
static void
train(Study *study, HbTrialView *trial, const HbStage *stage)
{
	int rung = hb_rung_at(&study->plan, trial, stage->to_resource);

	study->epochs += stage->to_resource - stage->from_resource;
	if (fake_diverges(study, trial->number, stage->to_resource))
	{
		trial->state = HB_TRIAL_DIVERGED;
		return;
	}
	trial->resource = stage->to_resource;
	trial->state = HB_TRIAL_WAITING;
	if (rung < 0)
		return;
	trial->rung = rung;
	trial->loss = fake(study, trial->number, stage->to_resource);
	trial->evaluated = true;
	study->losses[trial->number - 1][rung] = trial->loss;
}

static bool
is_recorded(const HbTrialView *trial, const HbStage *stage)
{
	return trial->resource >= stage->to_resource ||
		   (trial->state != HB_TRIAL_WAITING && trial->state != HB_TRIAL_RUNNING);
}

static void
run_chunk(Study *study, const HbStage *stage, const HbChunk *chunk)
{
	for (int i = 0; i < chunk->ntrials; i++)
		train(study, &study->state.trials[chunk->numbers[i] - 1], stage);
	study->nchunks++;
}

/* The trials of a stage that are not recorded, cut into chunks. */
static bool
cut_left(const Study *study, const HbStage *stage, HbChunk **chunks, int *nchunks, HbStatus *status)
{
	HbStage left = *stage;

	left.numbers = hb_alloc(host, (stage->ntrials + 1) * sizeof(int64_t));
	left.ntrials = 0;
	for (int i = 0; i < stage->ntrials; i++)
		if (!is_recorded(&study->state.trials[stage->numbers[i] - 1], stage))
			left.numbers[left.ntrials++] = stage->numbers[i];
	return hb_cut_chunks(host, &study->state, &left, study->trainers, no_limit, chunks, nchunks,
						 status);
}

static void
note_decisions(Study *study, const HbStage *stage)
{
	for (int i = 0; i < stage->ndecisions; i++)
	{
		const HbDecision *new = &stage->decisions[i];
		HbDecision *old = &study->decisions[new->number - 1][new->rung];

		study->contradictions +=
			old->number != 0 &&
			(old->rank != new->rank || old->promoted != new->promoted || old->state != new->state);
		*old = *new;
	}
}

/*
 * Runs until so many chunks were trained (or to the end, when it returns true).  A supervisor that begins anew
 * sees trials at their last rung as not yet ranked.
 */
static bool
study_run(Study *study, int until, bool forget_completed)
{
	for (int64_t i = 0; forget_completed && i < study->state.ntrials; i++)
		if (study->state.trials[i].state == HB_TRIAL_COMPLETED)
		{
			study->state.trials[i].state = HB_TRIAL_WAITING;
			study->state.trials[i].evaluated = true;
		}
	for (;;)
	{
		HbStage stage;
		HbStatus status;
		HbChunk *chunks;
		int nchunks;

		if (!study->scheduler->next(host, &study->state, &stage, &status) ||
			!cut_left(study, &stage, &chunks, &nchunks, &status))
		{
			printf("# %s\n# %s\n", status.message, status.detail);
			study->contradictions++;
			return true;
		}
		note_decisions(study, &stage);
		if (stage.ntrials == 0)
			return true;
		for (int i = 0; i < nchunks; i++)
			if (study->nchunks == until)
				return false;
			else
				run_chunk(study, &stage, &chunks[i]);
	}
}

/* Whether each rung of each bracket promoted its best, and as many as the plan says of those that could be. */
static bool
rungs_hold(const Study *study, bool exact)
{
	for (int b = 0; b < study->plan.nbrackets; b++)
	{
		const HbPlanBracket *bracket = &study->plan.brackets[b];

		for (int r = 0; r < bracket->nrungs; r++)
		{
			bool last = r == bracket->nrungs - 1;
			int64_t ranked = 0;
			int64_t finite = 0;
			int64_t promoted = 0;
			double worst_promoted = -INFINITY;
			double best_cut = INFINITY;

			for (int64_t i = bracket->first_number - 1;
				 i < bracket->first_number - 1 + bracket->trials; i++)
			{
				const HbDecision *decision = &study->decisions[i][r];
				double loss = study->losses[i][r];

				if (decision->number == 0)
					continue;
				ranked++;
				finite += isfinite(loss);
				if (last != (decision->promoted == -1) ||
					(last && decision->state != HB_TRIAL_COMPLETED))
					return false;
				if (decision->promoted == 1)
				{
					promoted++;
					if (!isfinite(loss))
						return false;
					worst_promoted = fmax(worst_promoted, loss);
				}
				else if (isfinite(loss))
					best_cut = fmin(best_cut, loss);
			}
			if (exact && ranked != bracket->rungs[r].trials)
				return false;
			if (!last &&
				(worst_promoted > best_cut || promoted != (finite < bracket->rungs[r + 1].trials
															   ? finite
															   : bracket->rungs[r + 1].trials)))
				return false;
		}
	}
	return true;
}

static int
unfinished(const Study *study)
{
	int count = 0;

	for (int64_t i = 0; i < study->state.ntrials; i++)
		count += study->state.trials[i].state == HB_TRIAL_WAITING ||
				 study->state.trials[i].state == HB_TRIAL_RUNNING;
	return count;
}

static bool
same_history(const Study *a, const Study *b)
{
	if (a->epochs != b->epochs)
		return false;
	for (int64_t i = 0; i < a->state.ntrials; i++)
	{
		if (a->state.trials[i].state != b->state.trials[i].state ||
			a->state.trials[i].resource != b->state.trials[i].resource)
			return false;
		for (int r = 0; r < MAX_RUNGS; r++)
			if (a->decisions[i][r].number != b->decisions[i][r].number ||
				a->decisions[i][r].rank != b->decisions[i][r].rank ||
				a->decisions[i][r].promoted != b->decisions[i][r].promoted)
				return false;
	}
	return true;
}

/*
 * The same study stopped after every number of chunks, and one stopped after each chunk; with another number of trainers
 * from then on.
 */
static void
test_stops(const Study *whole, const char *scheduler, HbPlanRequest request, const char *name)
{
	int different = 0;
	Study study;

	for (int stop = 0; stop <= whole->nchunks; stop++)
	{
		study_open(&study, scheduler, request);
		study.diverging = whole->diverging;
		study.ties = whole->ties;
		if (!study_run(&study, stop, false))
		{
			study.trainers = 1 + stop % 4;
			study_run(&study, -1, stop % 2);
		}
		different += !same_history(whole, &study) || study.contradictions != 0;
		study_close(&study);
	}
	is_int(different, 0, "%s: stopped after any of %d chunks, it ends alike", name, whole->nchunks);
	study_open(&study, scheduler, request);
	study.diverging = whole->diverging;
	study.ties = whole->ties;
	for (int stop = 1; !study_run(&study, stop, true); stop++)
		study.trainers = 1 + stop % 4;
	ok(same_history(whole, &study) && study.contradictions == 0,
	   "%s: stopped after every single chunk, it ends alike", name);
	study_close(&study);
}

static void
test_study(const char *scheduler, HbPlanRequest request, double diverging, bool ties,
		   const char *name)
{
	static Study study;

	study_open(&study, scheduler, request);
	study.diverging = diverging;
	study.ties = ties;
	ok(study_run(&study, -1, false), "%s: runs to its end", name);
	is_int(study.contradictions, 0, "%s: without contradiction", name);
	is_int(unfinished(&study), 0, "%s: every trial ended", name);
	if (diverging == 0)
		is_int(study.epochs, study.plan.cost, "%s: costs what the plan says", name);
	ok(rungs_hold(&study, diverging == 0), "%s: every rung promotes its best", name);
	test_stops(&study, scheduler, request, name);
	study_close(&study);
}

static void
test_levels(void)
{
	HbPlanRequest request = {.max_resource = 81, .min_resource = 1, .eta = 3};
	static const int64_t levels[] = {1, 3, 9, 27, 81};
	static const int members[] = {128, 74, 38, 20, 10};
	Study study;

	study_open(&study, "hyperband", request);
	for (int k = 0; k < 5; k++)
	{
		HbStage stage;
		HbStatus status;

		study.scheduler->next(host, &study.state, &stage, &status);
		ok(stage.to_resource == levels[k] && stage.from_resource == (k ? levels[k - 1] : 0),
		   "stage %d ends at %lld", k, (long long) levels[k]);
		is_int(stage.ntrials, members[k], "stage %d has the live trials of all brackets", k);
		for (int i = 0; i < stage.ntrials; i++)
			train(&study, &study.state.trials[stage.numbers[i] - 1], &stage);
	}
	study_close(&study);
}

static void
test_ranks(void)
{
	HbPlanRequest request = {.max_resource = 3, .min_resource = 1, .eta = 3, .n_trials = 3};
	static const double losses[] = {NAN, 0.5, 0.5};
	Study study;
	HbStage stage;
	HbStatus status;

	study_open(&study, "hyperband", request);
	study.scheduler->next(host, &study.state, &stage, &status);
	for (int i = 0; i < 3; i++)
	{
		train(&study, &study.state.trials[i], &stage);
		study.state.trials[i].loss = losses[i];
	}
	study.scheduler->next(host, &study.state, &stage, &status);
	ok(stage.ndecisions == 3 && stage.decisions[0].number == 2 && stage.decisions[0].rank == 1 &&
		   stage.decisions[0].promoted == 1,
	   "a tie goes to the lower number");
	ok(stage.decisions[2].number == 1 && stage.decisions[2].rank == 3 &&
		   stage.decisions[2].promoted == 0 && stage.decisions[2].state == HB_TRIAL_STOPPED,
	   "NaN ranks last");
	ok(stage.ntrials == 1 && stage.numbers[0] == 2 && stage.to_resource == 3, "the winner goes on");
	study_close(&study);

	study_open(&study, "hyperband", request);
	study.scheduler->next(host, &study.state, &stage, &status);
	for (int i = 0; i < 3; i++)
	{
		train(&study, &study.state.trials[i], &stage);
		study.state.trials[i].loss = i ? INFINITY : NAN;
	}
	study.scheduler->next(host, &study.state, &stage, &status);
	ok(stage.ndecisions == 3 && stage.ntrials == 0, "without a finite loss nobody goes on");
	study_close(&study);
}

static void
test_inconsistent(void)
{
	HbPlanRequest request = {.max_resource = 9, .min_resource = 1, .eta = 3};
	Study study;
	HbStage stage;
	HbStatus status;

	study_open(&study, "hyperband", request);
	study.state.trials[3].resource = 5;
	ok(!study.scheduler->next(host, &study.state, &stage, &status) &&
		   strcmp(status.sqlstate, "XX001") == 0,
	   "a trial where no stage leads is reported");
	study_close(&study);
	study_open(&study, "hyperband", request);
	study.state.trials[3].bracket_index = 2;
	ok(!study.scheduler->next(host, &study.state, &stage, &status), "so is one in another bracket");
	study_close(&study);
	study_open(&study, "hyperband", request);
	study.state.ntrials--;
	ok(!study.scheduler->next(host, &study.state, &stage, &status), "and a missing one");
	study_close(&study);
}

/* How many trials are in no chunk or in a wrong one: several, of different batch sizes, or out of order. */
static int
misplaced(const HbStudyState *state, const HbChunk *chunks, int nchunks)
{
	int wrong = 0;
	int members = 0;

	for (int c = 0; c < nchunks; c++)
	{
		double cost = 0;

		for (int i = 0; i < chunks[c].ntrials; i++)
		{
			const HbTrialView *trial = &state->trials[chunks[c].numbers[i] - 1];

			cost += trial->cost;
			wrong += trial->batch_size != chunks[c].batch_size;
			wrong += i > 0 && chunks[c].numbers[i] <= chunks[c].numbers[i - 1];
			for (int d = 0; d < c; d++)
				for (int j = 0; j < chunks[d].ntrials; j++)
					wrong += chunks[d].numbers[j] == trial->number;
		}
		members += chunks[c].ntrials;
		wrong += fabs(cost - chunks[c].cost) > 1e-9 * cost;
		wrong += c > 0 && chunks[c].cost > chunks[c - 1].cost;
	}
	return wrong + (int) (state->ntrials - members);
}

static void
test_chunks(void)
{
	HbPlanRequest request = {.max_resource = 1, .min_resource = 1, .eta = 2, .n_trials = 100};
	Study study;
	HbStage stage;
	HbStatus status;
	HbChunk *chunks;
	int nchunks;
	double total = 0, dearest = 0, first = 0;

	study_open(&study, "full", request);
	study.scheduler->next(host, &study.state, &stage, &status);
	for (int trainers = 1; trainers <= 16; trainers *= 4)
	{
		hb_cut_chunks(host, &study.state, &stage, trainers, no_limit, &chunks, &nchunks, &status);
		is_int(
			misplaced(&study.state, chunks, nchunks), 0,
			"%d trainers: every trial is in one chunk, of its batch size, by number; dearest chunk "
			"first",
			trainers);
	}
	for (int i = 0; i < 100; i++)
	{
		study.state.trials[i].batch_size = 128;
		total += study.state.trials[i].cost;
		dearest = fmax(dearest, study.state.trials[i].cost);
	}
	for (int trainers = 1; trainers <= 16; trainers *= 2)
	{
		hb_cut_chunks(host, &study.state, &stage, trainers, no_limit, &chunks, &nchunks, &status);
		ok(nchunks == trainers && misplaced(&study.state, chunks, nchunks) == 0 &&
			   chunks[0].cost <= total / trainers * 4 / 3 + dearest / 3,
		   "%d trainers: one batch size makes a chunk for each, even as Graham's bound has it",
		   trainers);
	}
	hb_cut_chunks(host, &study.state, &stage, 2, (HbChunkLimit){HUGE_VAL, total / 5}, &chunks,
				  &nchunks, &status);
	ok(nchunks == 6 && misplaced(&study.state, chunks, nchunks) == 0 &&
		   chunks[5].cost > 0.1 * total,
	   "what is too dear is cut again, for both trainers alike");

	for (int i = 0; i < 100; i++)
		study.state.trials[i].cost = 0.1;
	hb_cut_chunks(host, &study.state, &stage, 3, no_limit, &chunks, &nchunks, &status);
	ok(nchunks == 3 && chunks[0].ntrials == 34 && chunks[2].ntrials == 33,
	   "equal trials make equal chunks");
	for (int i = 0; i < 100; i++)
		study.state.trials[i].size = 1000;
	hb_cut_chunks(host, &study.state, &stage, 2, (HbChunkLimit){5000, HUGE_VAL}, &chunks, &nchunks,
				  &status);
	ok(nchunks == 20 && misplaced(&study.state, chunks, nchunks) == 0,
	   "what is too large is cut again, whatever it costs");
	study.state.trials[99].cost = 100;
	hb_cut_chunks(host, &study.state, &stage, 2, (HbChunkLimit){HUGE_VAL, 1}, &chunks, &nchunks,
				  &status);
	ok(chunks[0].ntrials == 1 && chunks[0].numbers[0] == 100 &&
		   misplaced(&study.state, chunks, nchunks) == 0,
	   "a trial dearer than a chunk is one of its own");
	study.state.trials[99].cost = 0.1;
	for (int i = 0; i < 100; i++)
		study.state.trials[i].batch_size = i < 80 ? 128 : 64;
	hb_cut_chunks(host, &study.state, &stage, 2, no_limit, &chunks, &nchunks, &status);
	for (int c = 0; c < nchunks; c += 2)
		first += chunks[c].cost;
	ok(nchunks == 9 && misplaced(&study.state, chunks, nchunks) == 0 && fabs(first - 5) < 1.25,
	   "two batch sizes make smaller chunks, which two trainers can even out");
	stage.ntrials = 2;
	hb_cut_chunks(host, &study.state, &stage, 8, no_limit, &chunks, &nchunks, &status);
	ok(nchunks == 2, "a late stage has a chunk for every trial");
	stage.ntrials = 0;
	ok(hb_cut_chunks(host, &study.state, &stage, 2, no_limit, &chunks, &nchunks, &status) &&
		   nchunks == 0,
	   "nothing to cut");
	study_close(&study);
}

static void
test_winner(void)
{
	ok(hb_result_better(1, 5, 1, 9, 2, 1, 9, 1), "lower loss wins");
	ok(hb_result_better(1, 1, 1, 9, 1, 2, 9, 1), "then lower tie loss");
	ok(hb_result_better(1, 1, 1, 9, 1, NAN, 9, 1), "which NULL never is");
	ok(hb_result_better(1, 1, 9, 9, 1, 1, 3, 1), "then larger resource");
	ok(hb_result_better(1, NAN, 9, 1, 1, NAN, 9, 2), "then lower number");
	ok(!hb_result_better(NAN, 1, 9, 1, 1, 1, 9, 2) && hb_result_better(1, 1, 9, 2, NAN, 1, 9, 1) &&
		   !hb_result_better(NAN, 1, 9, 1, NAN, 1, 9, 2) &&
		   !hb_result_better(-INFINITY, 1, 9, 1, 1, 1, 9, 2),
	   "what is not finite never wins");
}

static void
test_registry(void)
{
	HbStatus status;
	HbTrialState state;
	int wrong = 0;

	hb_status_init(&status);
	ok(!hb_scheduler_find("magic", &status), "an unknown scheduler");
	is_str(status.sqlstate, "22023", "is an invalid parameter");
	is_str(status.message, "unrecognized scheduler \"magic\"", "and named");
	is_str(
		status.hint,
		"Available schedulers are \"full\", \"hyperband\", \"halving\", \"asha\" and \"racing\".",
		"with a hint");
	for (int i = 0; hb_schedulers[i]; i++)
		wrong += hb_scheduler_find(hb_schedulers[i]->name, &status) != hb_schedulers[i] ||
				 !hb_schedulers[i]->plan || !hb_schedulers[i]->next;
	is_int(wrong, 0, "every scheduler is found by its name");
	wrong = 0;
	for (int i = HB_TRIAL_WAITING; i <= HB_TRIAL_CANCELLED; i++)
		wrong += !hb_trial_state_parse(hb_trial_state_name((HbTrialState) i), &state) ||
				 (int) state != i;
	is_int(wrong, 0, "states have names");
	ok(!hb_trial_state_parse("gone", &state), "others do not");
}

int
main(void)
{
	HbPlanRequest plan81 = {.max_resource = 81, .min_resource = 1, .eta = 3};
	HbPlanRequest plan27 = {.max_resource = 27, .min_resource = 1, .eta = 3};
	HbPlanRequest repeated = {.max_resource = 20, .min_resource = 2, .eta = 2, .n_trials = 90};
	HbPlanRequest journal = {.max_resource = 27, .min_resource = 1, .eta = 3, .ceil = true};
	HbPlanRequest one = {.max_resource = 1, .min_resource = 1, .eta = 3};

	HbPlanRequest nine = {.max_resource = 81, .min_resource = 1, .eta = 3, .n_trials = 9};
	HbPlanRequest one_by_one = {.max_resource = 27, .min_resource = 1, .eta = 3, .batch = 1};
	HbPlanRequest batches = {
		.max_resource = 9, .min_resource = 1, .eta = 3, .n_trials = 14, .batch = 4};

	test_levels();
	test_ranks();
	test_study("hyperband", plan81, 0, false, "hyperband 81");
	test_study("hyperband", plan81, 0.15, false, "hyperband 81, diverging trials");
	test_study("hyperband", plan27, 0.6, false, "hyperband 27, most trials diverge");
	test_study("hyperband", plan27, 1, false, "hyperband 27, all trials diverge");
	test_study("hyperband", plan27, 0, true, "hyperband 27, tied losses");
	test_study("hyperband", repeated, 0.1, true, "hyperband 20 by 2, repeated");
	test_study("hyperband", journal, 0, false, "hyperband 27, rounded up");
	test_study("hyperband", one, 0, false, "hyperband 1");
	test_study("halving", plan81, 0, false, "halving 81");
	test_study("halving", nine, 0, false, "halving 81, nine trials");
	test_study("halving", plan27, 0.4, true, "halving 27, diverging trials and tied losses");
	test_study("hyperband", one_by_one, 0.1, false, "hyperband 27, bracket by bracket");
	test_study("full", batches, 0.1, true, "full 9 in batches");
	test_study("full", plan81, 0, false, "full 81");
	test_study("full", plan81, 0.3, false, "full 81, diverging trials");
	test_inconsistent();
	test_chunks();
	test_winner();
	test_registry();
	return tap_done();
}
