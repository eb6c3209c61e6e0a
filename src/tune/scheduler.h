/*
 * scheduler.h - who is given more resource next: a pure function of the recorded rows
 *
 * The supervisor keeps an HbStudyState that mirrors the catalog and asks hb_scheduler_next()
 * whenever nothing is outstanding (or, for an asynchronous scheduler, whenever a slot is free).  The
 * same rows give the same answer, so a resumed study goes on exactly where it was.
 *
 * hyperband and full move in lockstep: a stage takes every live trial of every bracket from one
 * resource level to the next level at which any bracket has a rung.  The trials of a stage are cut into
 * cohorts (one batch size) and chunks (hb_cut_chunks) that depend on the stage alone.
 */
#ifndef HB_SCHEDULER_H
#define HB_SCHEDULER_H

#include "tune/plan.h"

typedef enum HbTrialState
{
	HB_TRIAL_WAITING,	/* not started, or between two stages */
	HB_TRIAL_RUNNING,
	HB_TRIAL_STOPPED,	/* cut at a rung */
	HB_TRIAL_COMPLETED, /* reached its bracket's last rung */
	HB_TRIAL_DIVERGED,
	HB_TRIAL_FAILED,
	HB_TRIAL_CANCELLED
} HbTrialState;

extern const char *hb_trial_state_name(HbTrialState state);
extern bool hb_trial_state_parse(const char *name, HbTrialState *state);

typedef struct HbTrialView
{
	int64_t number;	  /* 1.. */
	int bracket_index; /* in HbPlan.brackets */
	int rung;		  /* of the last evaluation; -1 before the first */
	int64_t resource; /* reached; a trial that diverged or failed keeps where it last stood */
	HbTrialState state;
	double loss;	  /* at its last rung; NaN before the first */
	double tie_loss;  /* log loss or MSE there */
	bool evaluated;	  /* result of the current rung is in, promotion not decided */
	int64_t batch_size;
	double width;	  /* first-layer rows */
	double cost;	  /* work of one unit of resource, any unit */
} HbTrialView;

typedef struct HbStudyState
{
	const HbPlan *plan;
	int64_t ntrials;
	HbTrialView *trials; /* by number - 1 */
} HbStudyState;

/* What the supervisor has to record before it starts the stage. */
typedef struct HbDecision
{
	int64_t number;
	int rung;
	int rank;		 /* 1 = best of that rung; ties to the lower number; NaN last */
	int promoted;	 /* 1, 0, or -1 at a last rung */
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
} HbStage;

typedef struct HbScheduler
{
	const char *name;
	const char *description;
	bool available;	   /* false: named in the design, answers 0A000 */
	bool asynchronous; /* asks for a next stage whenever a slot is free */
	bool (*plan)(const HbHost *host, const HbPlanRequest *request, HbPlan *plan, HbStatus *status);
	/*
	 * Decides every rung of which all results are in (or whose missing trials have ended), applies the decisions
	 * to state, and names the next stage. Call with nothing outstanding.
	 */
	bool (*next)(const HbHost *host, HbStudyState *state, HbStage *stage, HbStatus *status);
} HbScheduler;

extern const HbScheduler *const hb_schedulers[]; /* NULL-terminated */
extern const HbScheduler *hb_scheduler_find(const char *name, HbStatus *status);

/* The rung of the trial's bracket at this resource, -1 where it has none. */
extern int hb_rung_at(const HbPlan *plan, const HbTrialView *trial, int64_t resource);

/*
 * Members of the stage that starts at from_resource as the rows tell after a crash in its middle: the
 * trials that were alive when it began, whatever became of them since. Chunks must be cut from
 * these, so that they have the shape they had before. The next() of a lockstep scheduler, called in mid-stage,
 * returns this same list: trials that already stand at to_resource, or ended within the stage, are included,
 * and the caller leaves out chunks all of whose trials are recorded (a chunk is recorded in one transaction).
 */

typedef struct HbChunk
{
	int64_t batch_size;
	int ntrials;
	int64_t *numbers; /* ascending */
	double cost;
} HbChunk;

/*
 * Cuts a stage into chunks: trials grouped by batch size, in order of number, each chunk at most 256
 * first-layer rows and at most an eighth of its cohort's cost (never less than one trial). Dearest chunk first.
 */
extern bool hb_cut_chunks(const HbHost *host, const HbStudyState *state, const HbStage *stage,
						  HbChunk **chunks, int *nchunks, HbStatus *status);

/*
 * The winner over all rung evaluations: lowest loss, then lower tie loss, larger resource, lower number; NaN
 * never wins.  Returns true where a beats b.
 */
extern bool hb_result_better(double loss_a, double tie_a, int64_t resource_a, int64_t number_a,
							 double loss_b, double tie_b, int64_t resource_b, int64_t number_b);

#endif /* HB_SCHEDULER_H */
