/*
 * external.h - studies whose trials somebody else trains: outside workers (ask and tell) and SQL functions
 *
 *   external_study.c   the arguments of hyperband_create_study and hyperband_minimize
 *   external.c         hyperband_ask, hyperband_tell
 *   external_turn.c    what is handed out next, what becomes of a result: one decision at a time, under the study's lock
 *   external_rung.c    barriers: who is promoted
 *   external_draw.c    new trials
 *   catalog_turn.c     the rows that every ask and tell reads and writes
 *   catalog_external.c the other statements on the tables they use
 *   minimize.c         a SQL function as the objective: the supervisor's side
 *   minimize_worker.c  the background worker that evaluates it
 *
 * What an ask or a tell reads and writes does not grow with the number of trials: counters live in rows, waiting
 * trials in a queue, and only the decision of a rung looks at the trials of its bracket.
 */
#ifndef HB_EXTERNAL_H
#define HB_EXTERNAL_H

#include "pg.h"

#include "pg/catalog.h"
#include "pg/options.h"
#include "tune/sampler.h"
#include "tune/scheduler.h"
#include "tune/space.h"

/* What never changes about a study, kept for the session. */
typedef struct HbExternal
{
	int64 study_id;
	TimestampTz created_at; /* an id that was given again after DROP EXTENSION is another study */
	Oid owner;
	bool function; /* kind: function, else external */
	bool maximize;
	int64 lease; /* microseconds; 0: none, session locks decide */
	uint64 seed;
	HbPlanRequest request;
	HbPlan plan; /* the first rounds of it, on an infinite horizon */
	const HbScheduler *scheduler;
	const HbSampler *sampler;
	HbSpace *space;
	bool asha;
	bool racing;
	bool pinned;       /* never forgotten to make room: an evaluator's own */
	bool sequential;   /* the sampler learns, and from the waves of brackets before alone */
	bool from_scratch; /* a promoted trial is trained anew, not on from where it stands */
	HbSamplerMemo memo;
	struct HbWarm *warm; /* another study that this one goes on from; NULL: none */
	int64 warm_trials;   /* so many trials take its best configurations */
	MemoryContext context;
	struct HbExternal *next;
} HbExternal;

/* The study's counters, table turn, and what else is needed of its row. */
typedef struct HbTurn
{
	char *state;
	TimestampTz created_at;
	int64 system_identifier;
	TimestampTz deadline; /* 0: none */
	int64 drawn;
	bool exhausted;
	int open_brackets;
	int outstanding;
	int64 head;
	int64 tail;
	int seq;
	TimestampTz checked_at;
} HbTurn;

/* A trial as a worker is given it. */
typedef struct HbHandout
{
	int64 trial_id;
	int attempt;
	Jsonb *config;
	int rung; /* that the result is for */
	int64 from_resource;
	int64 to_resource;
} HbHandout;

/* A trial that somebody tells about. */
typedef struct HbToldTrial
{
	int64 study_id;
	int64 number;
	int bracket;
	HbTrialState state;
	int attempt;
	int last_rung; /* of its last result; -1: none */
	int64 resource;
	bool handed_out;
	/* where it is */
	int rung;
	int64 from_resource;
	int64 to_resource;
	bool lost; /* its worker was given up: it is in the queue */
	int losses;
	double seconds;
} HbToldTrial;

/* A result of a trial for a sampler or a scheduler. */
typedef struct HbRecorded
{
	int64 number;
	int rung;
	int64 resource;
	double loss;
} HbRecorded;

/* One place of an order: a loss and its trial. */
typedef struct HbPlace
{
	double loss;
	int64 trial_id; /* 0: none */
} HbPlace;

/* A rung's row. */
typedef struct HbRungRow
{
	int trials; /* -1: not known yet */
	int results;
	int ended;
	/* asha: the last of the best results/eta; all before open are promoted */
	HbPlace cut;
	HbPlace open;
} HbRungRow;

/* ---- catalog_turn.c, catalog_external.c: inside a catalog scope; they see what this transaction wrote ---- */

extern void hb_turn_insert(int64 study_id);
extern void hb_external_start(int64 study_id); /* an external study runs from its beginning */
extern bool hb_turn_get(int64 study_id, HbTurn *turn);
extern void hb_turn_set(int64 study_id, const HbTurn *turn);
extern int64 hb_trial_study(int64 trial_id); /* 0: no such trial */
extern bool hb_told_get(int64 trial_id, HbToldTrial *trial);

extern void hb_bracket_start(int64 study_id, const HbPlanBracket *bracket);
extern void hb_bracket_cut(int64 study_id, int bracket, int trials);
/* seq: place in the log of asha; 0: none. */
extern int64 hb_trial_draw(int64 study_id, int64 number, int bracket, Jsonb *config, int seq);
extern void hb_handout_insert(int64 study_id, const HbHandout *handout, int64 worker, int64 lease);
/* Raises the attempt, marks the trial as running; returns the new attempt and the configuration. */
extern void hb_trial_hand_again(HbHandout *handout);
extern void hb_handout_take(const HbHandout *handout, int64 worker, int64 lease);
extern void hb_handout_delete(int64 trial_id);
extern void hb_lease_renew(int64 trial_id, int64 lease);
/* Nobody has a trial any more, and none waits. */
extern void hb_handouts_clear(int64 study_id);

extern void hb_queue_push(int64 study_id, int64 place, int64 trial_id);
/* The first place from head on, and its trial, taken out; 0: the queue is empty. */
extern int64 hb_queue_pop(int64 study_id, int64 head, int64 *place);
extern void hb_queue_remove(int64 study_id, int64 head, int64 trial_id);

/* Losses so far do not count: somebody has looked at the study and goes on with it. */
extern void hb_handouts_forgive(int64 study_id);
extern int64 *hb_handout_workers(int64 study_id, int *n);
/*
 * Takes from a worker what it has, or with worker 0 from all whose lease is over, or with all from everybody.  The
 * rows stay, with no worker and the loss counted; returns the trials and how often each was lost.
 */
extern int64 *hb_handouts_lose(int64 study_id, int64 worker, bool all, int **losses, int *n);

extern bool hb_result_get(int64 trial_id, int64 resource, double *loss, Jsonb **metrics);
extern bool hb_point_get(int64 trial_id, int64 resource, double *value);
extern void hb_point_insert(int64 study_id, int64 trial_id, int64 resource, double loss,
							double value, double seconds);
/* A result at to_resource: evaluation and curve have it, the trial is in this state, and the hand-out is over. */
extern void hb_result_record(const HbToldTrial *trial, int64 trial_id, double loss, double value,
							 Jsonb *metrics, const char *state, int seq);
extern void hb_trial_end(int64 trial_id, const char *state, const HbStatus *error);
/* loss NaN: only the resource counts. */
extern void hb_study_gain(int64 study_id, int64 gained, int64 trial_id, double loss);
/* By the winner's rule, or the best completed trial alone; false: there is none. */
extern bool hb_study_choose_best(int64 study_id, bool completed);
/* An error that a trial of the study failed with; false: none failed. */
extern bool hb_study_failure(int64 study_id, HbStatus *error);

extern void hb_rung_get(int64 study_id, int bracket, int rung, HbRungRow *row);
/* row: as it is then. */
extern void
hb_rung_add(int64 study_id, int bracket, int rung, int results, int ended, HbRungRow *row);
extern void hb_rung_expect(int64 study_id, int bracket, int rung, int trials);

/* Trials of numbers first..last by number; ids, states, rungs, resources, losses at their last rung. */
extern HbTrialRow *hb_trials_between(int64 study_id, int64 first, int64 last, int *n);
extern HbRecorded *hb_results_between(int64 study_id, int64 first, int64 last, int *n);
extern void hb_decided(int n, const int64 *trial_ids, int rung, const int64 *ranks,
					   const int64 *promoted, const int64 *completed, int seq);

/* asha's orders; each is one step in an index. */
extern HbPlace hb_place_first(int64 study_id, int rung);
extern HbPlace hb_place_before(int64 study_id, int rung, HbPlace place);
extern HbPlace hb_place_after(int64 study_id, int rung, HbPlace place);
extern void hb_rung_cut(int64 study_id, int rung, HbPlace cut, HbPlace open);
extern bool hb_asha_candidate(int64 study_id, int last_rung, int64 *trial_id, int *rung);
extern void hb_asha_promote(int64 study_id, int64 trial_id, int rung, int seq);
extern void hb_asha_close_study(int64 study_id, int last_rung);

extern bool hb_config_drawn(int64 study_id, Jsonb *config);
/* Observations of trials numbered up to last, ascending by (number, resource); failed ones carry NaN. */
extern HbObservation *hb_observations_get(int64 study_id, int64 last, int *n);
/* Of all trials: results at a rung of asha's or above, and failures above the resource of the rung before it. */
extern HbObservation *hb_observations_above(int64 study_id, int rung, int64 reached, int *n);
/* Configurations of trials numbered above after, all of them or those without a result, by number. */
extern const HbJson **hb_pending_get(int64 study_id, int64 after, bool evaluated, int *n);

/* Points of all recorded curves by number and resource; hyperband_simulate. Returns how many. */
extern int64 hb_curves_get(int64 study_id, int64 **numbers, int64 **resources, double **losses);

/* ---- external_study.c ---- */

/*
 * The study as this session remembers it; NULL where there is none or the current user has not its owner's
 * privileges.  55000 for a study of kind table.  Not in a catalog scope.
 */
extern HbExternal *hb_external_open(int64 study_id);
extern void hb_external_forget(HbExternal *study);
/* Whether more of this resource means to train anew: on more rows, or with more features. */
extern bool hb_resource_from_scratch(const char *resource);

/* ---- external_draw.c ---- */

/* A new trial, inserted; false: none now. Sets turn->exhausted where the sampler has none left. */
extern bool hb_external_draw(HbExternal *study, HbTurn *turn, HbHandout *handout);
/* The bracket of a trial number, NULL beyond the plan's end; extends an infinite plan. */
extern const HbPlanBracket *hb_external_bracket(HbExternal *study, int64 number);

/* ---- external_rung.c ---- */

/* A trial's result at a rung, or without evaluated its end on the way there: decides what it completes. */
extern void hb_rung_arrived(HbExternal *study, HbTurn *turn, const HbPlanBracket *bracket, int rung,
							HbPlace place, bool evaluated);
/* The bracket has only so many trials, since the sampler has no more: its first rung may be complete. */
extern void
hb_bracket_cut_short(HbExternal *study, HbTurn *turn, const HbPlanBracket *bracket, int trials);
/* Whether nothing is left to do. */
extern bool hb_external_complete(HbExternal *study, HbTurn *turn);
/* done, or failed where no trial has a result. */
extern void hb_external_finish(HbExternal *study, HbTurn *turn, bool out_of_time);

/* ---- external_turn.c: each is called in a catalog scope ---- */

/*
 * Takes the lock under which a study's turn is read and written until the transaction ends, and reads the turn.  False:
 * the study is gone, or its id means another by now.
 */
extern bool hb_turn_begin(HbExternal *study, HbTurn *turn);
extern void hb_turn_end(HbExternal *study, HbTurn *turn);
/* At most n trials for a worker of a running study. */
extern int hb_turn_ask(HbExternal *study, HbTurn *turn, int64 worker, int n, HbHandout *handouts);
/* value: in the study's own direction. */
extern void hb_turn_tell(HbExternal *study, HbTurn *turn, int64 trial_id, int attempt,
						 int64 resource, double value, Jsonb *metrics);
/* The evaluation raised an error: the trial fails for good. */
extern void
hb_turn_fail(HbExternal *study, HbTurn *turn, int64 trial_id, int attempt, const HbStatus *error);
/* Takes from a worker, or with worker 0 from all of them, what they have. */
extern void hb_turn_recover(HbExternal *study, HbTurn *turn, int64 worker);

/* ---- locks.c ---- */

/* This session's number among workers, whose lock it holds from now on. */
extern int64 hb_worker_self(void);
extern bool hb_worker_is_alive(int64 worker);
extern void hb_lock_turn(int64 study_id);
extern bool hb_holds_turn(int64 study_id);

/* ---- minimize.c ---- */

/* Runs a study of kind function, which this process has locked and marked running. Raises what fails it. */
extern void hb_run_function_study(HbStudyRow *study);
/* Ends the workers; after the study's end and after an error. */
extern void hb_function_cleanup(void);
/* The process found no worker slot for its study's workers, queued the study again, and is to end. */
extern bool hb_supervisor_starves;

/* The objective by oid or text; 42883, 42804 and 42501. */
extern Oid hb_objective_check(Oid function, const char *text, Oid role);
extern char *hb_objective_name(Oid function);

typedef struct HbEvaluatorExtra
{
	Oid database;
	Oid owner;
	int64 study_id;
	int32 worker; /* from 1 */
} HbEvaluatorExtra;

extern PGDLLEXPORT void hyperband_evaluator_main(Datum main_arg);

#endif /* HB_EXTERNAL_H */
