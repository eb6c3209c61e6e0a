/*
 * run.h - one study while a supervisor runs it
 *
 *   supervisor.c  the worker: queue, locks, what becomes of an error
 *   run.c         a study from queued to finished: load, stages
 *   run_plan.c    its plan and its trials: those recorded, and new ones, drawn when their turn comes
 *   run_async.c   a study whose scheduler does not wait for whole rungs
 *   run_warm.c    what another study found out, for a warm start
 *   train.c       a chunk of a stage: its job, its results
 *   record.c      what happened to the trials, until it is written; which checkpoints stay
 *   loop.c        the event loop: works to slots, frames back, lost trainers, time limit
 *   finish.c      winner, test figures, comparison with the current model, new version
 *
 * HbRun mirrors the catalog's rows. Whatever changes is written first to the catalog or together with it, so
 * that a supervisor that starts later from the rows alone goes on at the same place.
 */
#ifndef HB_RUN_H
#define HB_RUN_H

#include "pg.h"

#include "learn/family.h"
#include "pg/catalog.h"
#include "pg/load.h"
#include "pg/options.h"
#include "pg/slot.h"
#include "tune/sampler.h"
#include "tune/scheduler.h"

/* What study.versions records of this library; the control file's default_version. */
#define HB_VERSION "1.0"

typedef enum HbWorkState
{
	HB_WORK_PENDING,
	HB_WORK_RUNNING,
	HB_WORK_DONE
} HbWorkState;

/* One job for a slot, and what became of it. */
typedef struct HbWork
{
	HbWorkState state;
	int lost; /* attempts that ended with the trainer's loss */
	/* TRAIN: a chunk of a stage */
	const HbChunk *chunk;
	const HbStage *stage;
	/* of an asynchronous study: what chunk and stage lie in */
	MemoryContext context;
	/* any other job: complete but for its id, and its outcome */
	HbJob *job;
	HbMetrics metrics;
	void *trained; /* the checkpoint that it asked for; NULL: diverged */
	size_t trained_bytes;
	HbStatus failure; /* sqlstate is set where it failed */
} HbWork;

/* The best evaluation so far; number 0: none. */
typedef struct HbIncumbent
{
	int64 number;
	int64 resource;
	double loss;
	double tie_loss;
} HbIncumbent;

/* A checkpoint that is in memory alone. */
typedef struct HbHeld
{
	void *state; /* NULL: none */
	size_t bytes;
} HbHeld;

typedef struct HbRun
{
	MemoryContext context;       /* lives as long as the run */
	MemoryContext stage_context; /* reset at each stage */
	MemoryContext scratch;       /* reset at each turn of the loop */
	HbStudyRow *study;
	HbOptions options;
	const HbFamily *family;
	const HbScheduler *scheduler;
	const HbSampler *sampler;
	HbLoadResult *data;
	HbProblem problem;
	HbMetricId metric;
	HbTrainerSpec spec;
	TimestampTz started;
	TimestampTz deadline; /* 0: no time limit */
	int load_timer;       /* TimeoutId: interrupts the reading of the data at the deadline */

	/* what a unit of resource is */
	bool by_rows;
	bool by_folds;
	bool from_scratch;   /* a rung's training does not go on from a checkpoint */
	bool completed_wins; /* see HbScheduler */
	int64 epochs;        /* of each training, where from_scratch */

	HbPlanRequest request;
	HbPlan plan;
	HbSpace *space;
	HbSamplerMemo memo;
	struct HbWarm *warm; /* NULL: not read yet, or there is none */
	struct HTAB *seen;   /* digests of the configurations drawn so far */
	int capacity;        /* of the arrays by number */
	int ntrials;
	HbTrialRow *rows; /* by number - 1: ids and attempts */
	double (*params)[HB_MAX_PARAMS];
	HbStudyState state;
	HbIncumbent best;
	HbStatus last_failure; /* why the last trial failed */
	HbMetrics *metrics;    /* folds, by number - 1: means of the pulls so far */
	HbStage stage;
	HbResult *results; /* state.results, where the scheduler looks at them */
	int64 results_capacity;

	/* curve points that wait to be committed */
	int npoints;
	int points_capacity;
	HbCurvePoint *points;
	int64 *point_ids;

	/* what else waits (record.c), and the checkpoints */
	struct HbEvent *events;
	int nevents;
	int events_capacity;
	MemoryContext held_context; /* reset when it is written */
	TimestampTz flushed;        /* when something was written last */
	HbHeld *held;               /* by number - 1: at the trial's resource */
	size_t held_bytes;
	int64 *stored; /* by number - 1: the resource of the trial's checkpoint in the catalog, or 0 */
	HbHeld best_held; /* the incumbent's, maybe its trial's own */
	int64 best_held_number;
	HbIncumbent best_stored; /* the incumbent's checkpoint in the catalog is this one's */

	/* what has been trained since this process took the study up */
	int64 chunks;
	double passes; /* over the training rows */
	double trainer_seconds;
	/* of that the stages with few trials, by the clock and by the trainers' */
	double late_seconds;
	double late_trainer_seconds;

	uint64 next_job;
	int failed_starts; /* trainers in a row that ended before HELLO */
	int failed_alone;  /* works that failed since the last result */
	int64 slot_retry;  /* no trainer slot was free: hb_monotonic() when to try again */
	/* no trainer at all for want of a slot: hb_monotonic() when that was seen last; 0: it has one */
	int64 starved;
	bool versions_stored;
} HbRun;

/* A transaction of the supervisor; ends the process quietly where the extension was dropped. */
typedef struct HbTransaction
{
	HbCatalogScope scope;
	MemoryContext context;
} HbTransaction;

extern void hb_transaction_begin(HbTransaction *transaction);
extern void hb_transaction_commit(HbTransaction *transaction);
/* Without waiting for the disk: for what a run that goes on after a crash of the server writes again alike. */
extern void hb_transaction_commit_lazily(HbTransaction *transaction);

/* run.c: runs the study, which this process has locked and marked running, to its end. Raises what fails it. */
extern void hb_run_study(HbStudyRow *study);

/* Kills the trainers and releases all that the run holds; after its end and after an error. */
extern void hb_run_cleanup(void);

/* Raises 57014 where somebody has asked to cancel; inside a transaction. */
extern void hb_run_check_cancel(HbRun *run);
/* The same in a transaction of its own; takes back a pending SIGINT. */
extern void hb_run_look(HbRun *run);
/* 42704 where the role was dropped; call in a transaction. */
extern void hb_check_owner_exists(Oid owner);
/* run_plan.c: tells configurations apart; and an empty set of such digests. */
extern uint64 hb_config_digest(Jsonb *config);
extern struct HTAB *hb_digests_create(MemoryContext context);
/* In a transaction of its own: raises 42704 where the owner is gone, and ends the process where the extension is. */
extern void hb_run_look_around(const HbRun *run);

/* run.c: writes down what a stage decided before anything is trained on its account. */
extern void hb_run_decide(HbRun *run, const HbStage *stage);

/* run_plan.c: the plan, the recorded trials, and the first ones where none are recorded. */
extern void hb_run_plan(HbRun *run);

/* XX001 study 7 is damaged; the detail is a sentence. */
extern void hb_study_damaged(int64 study_id, const char *detail);
/* XX001 where a row of hyperband.study lacks what its kind needs (study_check.c). */
extern void hb_study_check(const HbStudyRow *study);
/* XX001 where rows of the catalog are not such as a study of this plan writes (study_check.c). */
extern void hb_run_check_view(const HbRun *run, const HbTrialView *view);
extern void hb_run_check_results(const HbRun *run);
/* The trials of the next brackets, drawn and stored; false: the plan has come to its end. */
extern bool hb_run_draw_next(HbRun *run);
/* The next trial alone, drawn and stored, running, its start at this place of the study's log. */
extern void hb_run_draw_started(HbRun *run, int64 seq);
/* Adds a result to those that the scheduler sees. */
extern void hb_run_add_result(HbRun *run, const HbResult *result);

/* run_async.c: all of an asynchronous study; false: the time limit came first. */
extern bool hb_run_asynchronous(HbRun *run);

/* run_warm.c: another study, best configurations first. */
typedef struct HbWarm
{
	int nconfigs;
	HbJson **configs; /* in this study's space, best first */
	int nobservations;
	HbObservation *observations; /* numbers below 1; none where the spaces differ in name or type */
} HbWarm;

/* The other study as it was when this one was made. */
typedef struct HbWarmSource
{
	char *metric;
	char *direction;
	Jsonb *search_space;
	bool means; /* losses are means of so many folds or pulls: those of as many compare */
	int n;
	HbObservation *observations; /* ascending by (number, resource) */
	double *ties;                /* of each, what breaks ties between equal losses; NaN: unknown */
} HbWarmSource;

/* catalog_warm.c, in a catalog scope: keeps what the other study found out; false: it is gone. */
extern bool hb_warm_take(int64 study_id, int64 from);
/* What was kept; false: nothing. */
extern bool hb_warm_source_get(int64 study_id, HbWarmSource *source);

/* In run->context; needs run->space. */
extern HbWarm *hb_warm_read(const HbRun *run);
/* The same for a study that others train, in CurrentMemoryContext and a transaction of the caller's. */
extern HbWarm *hb_warm_read_for(const HbSpace *space, const HbStudyRow *study);
/* When a study is made, in its catalog scope: keeps what study id found out. 42704 where it is gone; 0: there is none. */
extern void hb_warm_keep(int64 study_id, int64 id);
/* The study of a warm start must have ended, so that the same call gives the same trials: 42704, 55000. 0: there is none. */
extern void hb_warm_check(int64 id);

/* train.c: sends the chunk's job to the slot. */
extern void hb_train_send(HbRun *run, HbWork *work, HbSlot *slot);
/* False with 08P01 where the result does not answer the job. */
extern bool hb_train_record(HbRun *run, HbWork *work, HbJobResult *result, HbStatus *status);
/* How often a cohort of this stage goes over all training rows; of folds, each leaves out its part. */
extern double hb_train_passes(const HbRun *run, const HbStage *stage);
/* The trainer was lost: the trials wait again. */
extern void hb_train_lost(HbRun *run, HbWork *work);
/* The trials that are left in two chunks, which last as long as the stage; NULL: there is one. */
extern HbChunk *hb_train_halves(HbRun *run, const HbWork *work);
/* The trials end as failed. */
extern void hb_train_fail(HbRun *run, HbWork *work, const HbStatus *failure);
/* Whether the trial has its result at the end of the stage, or has ended. */
extern bool hb_train_recorded(const HbRun *run, const HbStage *stage, int64 number);
/* False: the point is not of this work. */
extern bool hb_curve_add(HbRun *run, const HbWork *work, HbCurvePoint *point);

/*
 * record.c: what happened, in its order; written by the next flush.  numbers are the trials'.  With results come the trials'
 * states; run->state and run->best have the results already.
 */
extern void hb_record_start(HbRun *run, const int64 *numbers, int n);
extern void
hb_record_results(HbRun *run, const int64 *numbers, const HbTrialRecord *records, int n);
extern void hb_record_failure(HbRun *run, const int64 *numbers, int n, const HbStatus *failure);
/* started: asha, the trial that the decision starts, 0 for none; seq: see hb_decisions_store(). */
extern void
hb_record_decisions(HbRun *run, const HbDecision *decisions, int n, int64 started, int64 seq);
/* Writes all that waits, in one transaction; where it is time (turn). */
extern void hb_record_flush(HbRun *run);
extern void hb_record_turn(HbRun *run);
/* ms until it is time, or at_most */
extern long hb_record_wait(const HbRun *run, long at_most);

/*
 * loop.c: runs all works that are not done; refill (or NULL) is asked to give each that is done something new.  False:
 * limited, and the time limit came first; no trainer is busy then.
 */
typedef bool (*HbRefill)(HbRun *run, HbWork *work);
extern bool hb_loop(HbRun *run, HbWork *works, int nworks, HbRefill refill, bool limited);
/* Forgets the loop's WaitEventSet; after an error. */
extern void hb_loop_reset(void);

/* finish.c: after the last stage or at the time limit. Raises 22000 or 57014 where no trial has a result. */
#define HB_TIME_LIMIT_MESSAGE "study reached its time limit before its first result"
#define HB_ALL_FAILED_DETAIL                                                                       \
	"All trials of the study failed; this is the error of one of them, hyperband.trial has all."
/* Raised as 57014, too: run.c. */
#define HB_TIME_LIMIT_LOADING "study reached its time limit while its data was read"
extern void hb_finish(HbRun *run, bool out_of_time);

/* When a time_limit that began to count at started is over. 0: none, or one beyond what a timestamp can say. Months are
 * refused when the study is made. */
extern TimestampTz hb_run_deadline(const Interval *limit, TimestampTz started);

#endif /* HB_RUN_H */
