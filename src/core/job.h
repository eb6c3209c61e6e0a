/*
 * job.h - what the supervisor asks of a trainer and what comes back
 *
 * A TRAIN job is one chunk of a cohort: trials of one batch size that go from one resource level to the
 * next together.  An EVALUATE job computes the metrics of one model on a part of the data set, for the
 * model now current (whose encoder may differ) and for the test rows.
 */
#ifndef HB_JOB_H
#define HB_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/dataset.h"
#include "core/metrics.h"
#include "core/param.h"
#include "core/wire.h"

typedef struct HbHello
{
	uint32_t version; /* HB_WIRE_VERSION */
	uint32_t pid;
	char provider[32]; /* "openblas" */
	char kernel[64];   /* what was chosen at run time, "avx512" */
	char blas[128];    /* the library's own version string */
} HbHello;

typedef enum HbJobKind
{
	HB_JOB_TRAIN = 1,
	HB_JOB_EVALUATE = 2
} HbJobKind;

typedef struct HbJobTrial
{
	uint64_t number;              /* the trial's number in the study, keys its random streams */
	double params[HB_MAX_PARAMS]; /* in the order of the family's declarations; NaN: inactive;
									 * categorical: index of the choice */
	const void *state;            /* checkpoint at from_resource; NULL at 0 */
	uint64_t state_bytes;
} HbJobTrial;

typedef struct HbJob
{
	uint64_t id;
	uint32_t kind; /* HbJobKind */
	char family[64];
	uint32_t metric; /* HbMetricId */
	uint64_t seed;
	uint32_t nparams;
	/* TRAIN */
	uint32_t from_resource; /* epochs already trained */
	uint32_t to_resource;
	uint32_t max_resource; /* horizon of the schedules; 0: infinite */
	uint32_t curve_points; /* 0: every epoch to 9, then every third; and always at to_resource */
	uint32_t want_state;   /* send the checkpoint back */
	uint64_t rows;         /* train on the first so many training rows; 0: all */
	/*
	 * Cross-validation in place of the validation rows: the training rows fall into so many folds, by their position modulo
	 * folds, where rows of equal features have one position; pulls first_fold..last_fold-1 train on all others from scratch
	 * and are evaluated on the fold.  The result has the mean of the pulls. 0: none.
	 */
	uint32_t folds;
	uint32_t first_fold;
	uint32_t last_fold;
	uint32_t ntrials;
	HbJobTrial *trials;
	/* EVALUATE */
	uint32_t part; /* HbPart */
	const void *model;
	uint64_t model_bytes;
	HbEncoder encoder; /* ncolumns = 0: the data set's own */
	uint32_t nclasses;
	const uint32_t *
		class_map; /* nclasses entries: the model's output for each class of the data set; NULL: same */
	double
		target_mean; /* regression: of the model's own training, turns its output into the unit */
	double target_scale;
} HbJob;

typedef struct HbCurvePoint
{
	uint64_t job_id;
	uint64_t trial; /* number */
	uint32_t resource;
	double train_loss;      /* mean batch loss before the update, without l2 */
	double validation_loss; /* the same loss on the validation rows; NaN: not evaluated here */
	double metric_value;    /* NaN: not evaluated here */
	double elapsed;         /* seconds since the job began */
} HbCurvePoint;

typedef enum HbTrialOutcome
{
	HB_OUTCOME_TRAINED = 1,
	HB_OUTCOME_DIVERGED = 2
} HbTrialOutcome;

typedef struct HbTrialResult
{
	uint64_t number;
	uint32_t outcome;
	uint32_t resource; /* reached; from_resource where it diverged */
	double loss;       /* hb_metric_loss(); NaN where it diverged */
	double train_loss;
	double validation_loss; /* log loss or mean squared error: breaks ties between winners */
	double seconds;         /* this trial's share of the job's CPU time */
	HbMetrics metrics;
	const void *state; /* checkpoint at to_resource, NULL unless wanted and trained */
	uint64_t state_bytes;
} HbTrialResult;

typedef struct HbJobResult
{
	uint64_t job_id;
	uint32_t ntrials;
	HbTrialResult *trials; /* in the order of the job; EVALUATE: one entry, its metrics */
	double cpu_seconds;
} HbJobResult;

/*
 * Whether a curve point at this resource carries validation figures: up to 9 every one, then every
 * third, or with points > 0 about that many, evenly spaced; always at the end of a job.
 */
extern bool hb_curve_wants_validation(uint32_t resource, uint32_t to_resource,
									  uint32_t max_resource, uint32_t points);

/* Packers append one whole frame; unpackers take a payload, allocate arrays from host and keep views
 * into the payload for blobs, and refuse what is malformed with 08P01. */
extern void hb_pack_hello(HbWriter *writer, const HbHello *hello);
extern bool hb_unpack_hello(const void *payload, size_t length, HbHello *hello, HbStatus *status);
extern void hb_pack_job(HbWriter *writer, const HbJob *job);
extern bool
hb_unpack_job(const HbHost *host, const void *payload, size_t length, HbJob *job, HbStatus *status);
extern void hb_pack_curve(HbWriter *writer, const HbCurvePoint *point);
extern bool
hb_unpack_curve(const void *payload, size_t length, HbCurvePoint *point, HbStatus *status);
extern void hb_pack_result(HbWriter *writer, const HbJobResult *result);
extern bool hb_unpack_result(const HbHost *host, const void *payload, size_t length,
							 HbJobResult *result, HbStatus *status);
/* Release what an unpacker allocated; the views into the payload are the caller's. */
extern void hb_job_release(const HbHost *host, HbJob *job);
extern void hb_result_release(const HbHost *host, HbJobResult *result);
extern void hb_pack_failure(HbWriter *writer, uint64_t job_id, const HbStatus *failure);
extern bool hb_unpack_failure(const void *payload, size_t length, uint64_t *job_id,
							  HbStatus *failure, HbStatus *status);
extern void hb_pack_heartbeat(HbWriter *writer, uint64_t job_id);
extern bool
hb_unpack_heartbeat(const void *payload, size_t length, uint64_t *job_id, HbStatus *status);

#endif /* HB_JOB_H */
