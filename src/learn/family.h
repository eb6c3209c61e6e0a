/*
 * family.h - a model family: its hyperparameters and how it trains and predicts
 *
 * Families are static const structs, listed in one registry (registry.c).  A new family is a new
 * file and a line there.  The declarations in params are the only place that says which
 * hyperparameters exist, their ranges, conditions and defaults.
 */
#ifndef HB_FAMILY_H
#define HB_FAMILY_H

#include "core/dataset.h"
#include "core/host.h"
#include "core/job.h"
#include "core/json.h"
#include "core/metrics.h"
#include "core/param.h"
#include "core/status.h"

struct HbProvider;

/* What training may use; the callbacks return false to stop the job (the supervisor is gone). */
typedef struct HbTrainContext
{
	const HbHost *host;
	const struct HbProvider *provider;
	const HbDataset *dataset;
	void *callback_context;
	bool (*curve)(void *context, const HbCurvePoint *point);
	bool (*tick)(void *context); /* called at least every few milliseconds of work */
} HbTrainContext;

/* The shape of the problem, for defaults and costs. */
typedef struct HbProblem
{
	HbTask task;
	uint32_t inputs;
	uint32_t outputs;    /* classes; 1 for regression */
	uint64_t rows_train; /* 0: not known yet */
	uint32_t
		row_values; /* inputs of a row but the zeros of categories (hb_sparse_row_values); 0: all */
} HbProblem;

typedef struct HbModel HbModel; /* decoded weights that can predict; opaque to callers */

typedef struct HbFamily HbFamily;
struct HbFamily
{
	const char *name;
	const char *description;
	const HbParamDecl *params;
	int nparams;

	/* Floating-point operations to train one sample once, and what else takes as long: what chunks balance. */
	double (*cost)(const HbFamily *family, const HbProblem *problem, const double *params);
	/* Rejects combinations with 22023 or 0A000: hinge on regression, cosine without a horizon,
	 * log_loss of hinge. */
	bool (*check)(const HbFamily *family, const HbProblem *problem, const double *params,
				  HbMetricId metric, bool infinite_horizon, HbStatus *status);
	bool (*train)(const HbFamily *family, const HbTrainContext *context, const HbJob *job,
				  HbJobResult *result, HbStatus *status);
	/* Decodes a checkpoint or a model into memory of its own; XX001 where its length, version or checksum is wrong. */
	HbModel *(*open)(const HbHost *host, const void *bytes, size_t length, HbStatus *status);
	void (*close)(HbModel *model);
	/* inputs[n][stride] to scores[n][outputs]: probabilities, or raw scores when not calibrated (hinge), or the
	 * standardised prediction. Plain C: it runs in ordinary backends. */
	void (*predict)(const HbModel *model, const float *inputs, size_t n, size_t stride,
					float *scores);
};

/* What an open model says of itself. */
typedef struct HbModelInfo
{
	uint32_t inputs;
	uint32_t outputs;
	HbTask task;
	bool calibrated; /* false: hinge */
} HbModelInfo;

extern void hb_model_info(const HbModel *model, HbModelInfo *info);

/* NULL-terminated; the first is the default of hyperband_tune (mlp). */
extern const HbFamily *const hb_families[];
extern const HbFamily *hb_family_find(const char *name); /* NULL where there is none */
extern int hb_family_param_index(const HbFamily *family, const char *name); /* -1 */

/* A checkpoint without optimizer state, for the model table. Allocated from host. */
extern bool hb_checkpoint_to_model(const HbHost *host, const void *bytes, size_t length, void **out,
								   size_t *out_length, HbStatus *status);

/* Length, version and checksum of a checkpoint or model; XX001 where they are wrong. */
extern bool hb_checkpoint_check(const void *bytes, size_t length, HbStatus *status);

/*
 * The family's own search space in the grammar of search spaces (batch_size is a fixed parameter in it, capped by
 * hb_default_batch_size once the rows are known), and the value that a parameter takes where the
 * search space does not name it: the default of its first matching case, NaN where inactive.
 */
extern HbJson *
hb_family_default_space(const HbHost *host, const HbFamily *family, const HbProblem *problem);

/* 128, at most max(16, n/20) as a power of two. */
extern uint32_t hb_default_batch_size(uint64_t rows_train);

/*
 * A configuration (JSON object of parameter values) to the dense vector that trainers take. Absent parameters
 * get their defaults; unknown names, wrong types and values outside the legal range are 22023.
 */
extern bool hb_family_resolve(const HbFamily *family, const HbProblem *problem,
							  const HbJson *config, double params[HB_MAX_PARAMS], HbStatus *status);

/* Checks one value, or both ends of a range, that a search space may give to a parameter; 22023. An unknown name
 * reads: unrecognized search space parameter "lrr"; HINT lists the family's parameters. */
extern bool hb_family_check_value(const HbFamily *family, const char *name, const HbJson *value,
								  HbStatus *status);
extern bool hb_family_check_range(const HbFamily *family, const char *name, bool integer,
								  double low, double high, HbStatus *status);

#endif /* HB_FAMILY_H */
