/*
 * scheduler.h - who is given more resource next: a pure function of the recorded rows
 *
 * The supervisor keeps an HbStudyState that mirrors the catalog and asks hb_scheduler_next()
 * whenever nothing is outstanding (or, for an asynchronous scheduler, whenever a slot is free).  The
 * same rows give the same answer, so a resumed study goes on exactly where it was.
 *
 * hyperband and full move in lockstep: a stage takes every live trial of every bracket from one
 * resource level to the next level at which any bracket has a rung.  The trials of a stage are cut into
 * cohorts (one batch size) and these into chunks (hb_cut_chunks).  Brackets of different
 * waves (see plan.h) run one after another.  halving and racing are the same with one bracket.
 *
 * Where a sampler learns, or the horizon is infinite, the trials of later brackets do not exist yet: state
 * holds those of the leading brackets.  When next() names no trial to train, either brackets of the plan are still
 * to be drawn (state->ntrials < plan->trials), or the plan can be extended (extend), or the study is finished.
 *
 * asha is asynchronous: next() names one trial at a time, or none for now, and marks it as running.  Nothing
 * running and none named: the study is finished.  Where a sampler learns, the trial named may be number
 * state->ntrials + 1: the caller draws it and appends it, running and started.
 */
#ifndef HB_SCHEDULER_H
#define HB_SCHEDULER_H

#include "tune/plan.h"

typedef enum HbTrialState
{
	HB_TRIAL_WAITING, /* not started, or between two stages */
	HB_TRIAL_RUNNING,
	HB_TRIAL_STOPPED,   /* cut at a rung */
	HB_TRIAL_COMPLETED, /* reached its bracket's last rung */
	HB_TRIAL_DIVERGED,
	HB_TRIAL_FAILED,
	HB_TRIAL_CANCELLED
} HbTrialState;

extern const char *hb_trial_state_name(HbTrialState state);
extern bool hb_trial_state_parse(const char *name, HbTrialState *state);

typedef struct HbTrialView
{
	int64_t number;    /* 1.. */
	int bracket_index; /* in HbPlan.brackets */
	int rung;          /* of the last evaluation; -1 before the first */
	int64_t resource;  /* reached; a trial that diverged or failed keeps where it last stood */
	HbTrialState state;
	double loss;     /* at its last rung; NaN before the first */
	double tie_loss; /* log loss or RMSE there */
	bool evaluated;  /* result of the current rung is in, promotion not decided */
	int64_t batch_size;
	double cost; /* of training on one sample, in floating-point operations */
	/* of its weights and state, in the same: the cost where all inputs of a row are multiplied */
	double size;
	/*
	 * Asynchronous schedulers only: handed out since its last evaluation.  next() sets it; whoever records the result
	 * clears it.  A trial that is started and waits (its worker was lost) is handed out again, before all others and
	 * without a new decision.
	 */
	bool started;
} HbTrialView;

/* A trial's result at a rung.  asha and racing look at all of them, the others at each trial's last. */
typedef struct HbResult
{
	int64_t number;
	int rung;
	double loss; /* as recorded; under racing the mean of all pulls so far */
	double pull; /* racing: the loss of the last pull alone, see hb_racing_pull() */
} HbResult;

struct HbAshaIndex;

/* Neither ended nor cut: it trains or waits for its next rung. */
extern bool hb_trial_is_live(const HbTrialView *trial);

typedef struct HbStudyState
{
	const HbPlan *plan;
	int64_t ntrials;
	HbTrialView *trials; /* by number - 1 */
	/* Every result, in the order in which they were recorded; the lockstep schedulers but racing do without. */
	int64_t nresults;
	const HbResult *results;
	/*
	 * Asynchronous schedulers: the last number given in the study's log.  Each decision takes the next one
	 * (HbStage.seq), and so does each result when it is recorded.
	 */
	int64_t last_seq;
	/* asha: made by open() from the rows, so that a decision takes O(log n); NULL: next() reads the rows each time */
	struct HbAshaIndex *asha;
} HbStudyState;

/* What the supervisor has to record before it starts the stage. */
typedef struct HbDecision
{
	int64_t number;
	int rung;
	int rank;           /* 1 = best of that rung; ties to the lower number; NaN last */
	int promoted;       /* 1, 0, or -1 at a last rung and for the one that is left of a race */
	HbTrialState state; /* the trial's state from now on */
} HbDecision;

typedef struct HbStage
{
	int ndecisions;
	HbDecision *decisions;
	/* trials to train, by number; none and nothing outstanding: the study is finished */
	int ntrials;
	int64_t *numbers;
	int64_t from_resource;
	int64_t to_resource;
	/*
	 * Asynchronous schedulers: the place of this decision in the study's log, to be recorded with the trial's start;
	 * 0 where the trial is handed out again or none is named.
	 */
	int64_t seq;
} HbStage;

typedef struct HbScheduler
{
	const char *name;
	const char *description;
	bool available;    /* false: named in the design, answers 0A000 */
	bool asynchronous; /* asks for a next stage whenever a slot is free */
	/*
	 * The winner is the best trial that completed, not the best of all results: a mean of few pulls is not comparable
	 * with one of many.
	 */
	bool completed_wins;
	bool (*plan)(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status);
	/*
	 * Decides every rung of which all results are in (or whose missing trials have ended), applies the decisions
	 * to state, and names the next stage. Call with nothing outstanding.
	 */
	bool (*next)(const HbHost *host, HbStudyState *state, HbStage *stage, HbStatus *status);
	/*
	 * Appends the next brackets of an infinite horizon to a plan; *extended false: there are n_trials.  NULL: the
	 * scheduler needs max_resource.
	 */
	bool (*extend)(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, bool *extended,
				   HbStatus *status);
	/*
	 * Optional.  Builds what makes next() fast, in memory that must live as long as the state; next() then reads from
	 * state->results only those appended since.  close releases it.
	 */
	bool (*open)(const HbHost *host, HbStudyState *state, HbStatus *status);
	void (*close)(const HbHost *host, HbStudyState *state);
} HbScheduler;

extern const HbScheduler *const hb_schedulers[]; /* NULL-terminated */
extern const HbScheduler *hb_scheduler_find(const char *name, HbStatus *status);

/*
 * Order of a rung, as qsort() wants it for two HbTrialView pointers: lower loss first, without a finite loss last,
 * ties to the lower number.
 */
extern int hb_compare_results(const void *a, const void *b);

/* The rung of the trial's bracket at this resource, -1 where it has none. */
extern int hb_rung_at(const HbPlan *plan, const HbTrialView *trial, int64_t resource);

/*
 * Members of the stage that starts at from_resource as the rows tell after a crash in its middle: the
 * trials that were alive when it began, whatever became of them since. The next() of a lockstep scheduler, called in
 * mid-stage, returns this same list: trials that already stand at to_resource, or ended within the stage, are included,
 * and the caller leaves them out.
 */

typedef struct HbChunk
{
	int64_t batch_size;
	int ntrials;
	int64_t *numbers; /* ascending */
	double cost;
} HbChunk;

/* What a chunk may have of its trials' size and of their cost. */
typedef struct HbChunkLimit
{
	double size;
	double cost;
} HbChunkLimit;

/*
 * Cuts a stage into chunks for so many trainers: trials of one batch size, ascending, together about as dear
 * as a trainer's share of the stage, or as near to the limit as that is below it: chunks are alike by cost, their sizes
 * may differ.  Dearest chunk first.
 */
extern bool
hb_cut_chunks(const HbHost *host, const HbStudyState *state, const HbStage *stage, int trainers,
			  HbChunkLimit limit, HbChunk **chunks, int *nchunks, HbStatus *status);

/* For qsort() and bsearch() of trials' numbers, as a chunk's are ordered. */
extern int hb_compare_numbers(const void *a, const void *b);

/*
 * The winner over all rung evaluations: lowest loss, then lower tie loss, larger resource, lower number; NaN
 * never wins.  Returns true where a beats b.
 */
extern bool hb_result_better(double loss_a, double tie_a, int64_t resource_a, int64_t number_a,
							 double loss_b, double tie_b, int64_t resource_b, int64_t number_b);

#endif /* HB_SCHEDULER_H */
