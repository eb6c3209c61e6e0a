/*
 * cohort.h - a chunk of trials in training: what cohort.c, tile.c, first.c, step.c and evaluate.c share
 */
#ifndef HB_COHORT_H
#define HB_COHORT_H

#include "learn/network.h"

typedef struct HbMember
{
	const HbJobTrial *trial;
	HbTraining training;
	HbNetwork network;
	size_t row; /* of its first unit among all first layers */
	bool
		baseline; /* one layer of classes, the last of them the baseline of its product (HbScores) */
	size_t
		line; /* of its first unit among the rows of w, or where it is a baseline's of contrast_w */
	size_t lines;  /* rows of its product */
	uint64_t step; /* optimizer steps since the trial began */
	bool diverged;
	double epoch_loss; /* sum of this epoch's batch losses */
	double train_loss; /* of the last epoch, in reported units */
	double best_loss;  /* lowest loss of an evaluation so far */
	double validation_loss;
	HbMetrics metrics;
	double cost;
} HbMember;

/* Mini-batches that are gathered and packed, or kept sparse, once for all members. */
typedef struct HbTile
{
	size_t capacity;    /* mini-batches */
	size_t batch;       /* rows of each */
	size_t nbatches;    /* filled */
	size_t *count;      /* rows in each */
	float *rows;        /* [batch][padded inputs], of one that is being packed */
	hb_real **forward;  /* packed, each */
	hb_real **gradient; /* NULL for evaluation */
	size_t plain;       /* gradient's are not packed but rows of this length; 0: they are */
	/* each, instead of all three, where mini-batches are sparse: a row a sample */
	HbSparse *sparse;
	uint32_t *labels; /* [capacity][batch] */
	float *targets;
} HbTile;

typedef struct HbCohort
{
	const HbTrainContext *context;
	const HbJob *job;
	const HbProvider *provider;
	HbArena arena;
	HbEncoder encoder;
	HbTask task;
	double target_scale;
	size_t inputs;
	size_t padded; /* inputs, to a multiple of HB_PAD */
	size_t stride; /* of first-layer weights */
	int nmembers;
	HbMember *members;
	size_t rows; /* first-layer units of all members */
	hb_real *w;  /* [rows][stride]: first layers of all */
	hb_real *b;
	size_t contrast_lines; /* of all members with a baseline */
	hb_real *contrast_w; /* [contrast_lines][stride]: their first layers less the baseline's row */
	hb_real *contrast_b;
	hb_real *state_w[HB_MAX_SLOTS];
	hb_real *state_b[HB_MAX_SLOTS];
	size_t batch_size;
	uint64_t rows_train;
	uint64_t steps_per_epoch;
	size_t group_rows; /* most first-layer rows that go through a mini-batch together */
	hb_real *z0;       /* [rows of the largest group][ld] */
	hb_real *d0; /* of members with hidden layers; the others' gradient takes the place of z0 */
	hb_real *gradient; /* [rows of the largest group][gradient_columns] */
	size_t gradient_columns;
	/* sparse mini-batches: what belongs to one input or sample side by side, the group's lines a row */
	size_t row_values; /* of a sample that may differ from 0; 0: mini-batches are dense */
	hb_real *lines_w;  /* [inputs][lines] */
	hb_real *lines_z;  /* [batch][lines]: pre-activations, then their gradient */
	hb_real *lines_g;  /* [padded][lines]: gradient of lines_w */
	HbUpdate *updates; /* of the members of a group */
	HbTile tile;
	HbWorkspace workspace;
	/* evaluation */
	HbTile evaluation_tile;
	HbWorkspace evaluation_workspace;
	hb_real *evaluation_z0;
} HbCohort;

/* Everything of a job but its epochs; the caller frees the arena, also after a failure. */
extern bool hb_cohort_open(const HbFamily *family, const HbTrainContext *context, const HbJob *job,
						   HbCohort *cohort, HbStatus *status);
/* After a member's weights were set: what its product reads of them. */
extern void hb_member_contrast(HbCohort *cohort, const HbMember *member);

/*
 * Members first..first+count, none diverged, all with a baseline or none: at most group_rows first-layer rows, at
 * least one member.
 */
typedef struct HbGroup
{
	int first;
	int count;
	bool baseline;
	size_t line;
	size_t lines;
} HbGroup;

/* The next group from member first on; false where none is left. */
extern bool hb_next_group(const HbCohort *cohort, int first, HbGroup *group);

extern bool hb_tile_alloc(HbCohort *cohort, size_t capacity, size_t batch, bool training,
						  HbTile *tile, HbStatus *status);
/* Gathers and encodes rows[0..n-1] (at most capacity mini-batches), and packs those that are dense. */
extern void hb_tile_fill(const HbCohort *cohort, const uint32_t *rows, size_t n, size_t following,
						 HbTile *tile);

/* Before the group's first layers go through mini-batches, and after they changed. */
extern void hb_first_begin(const HbCohort *cohort, const HbGroup *group);
/* Z of the group's first layers for mini-batch i. */
extern void hb_first_layer(const HbCohort *cohort, const HbGroup *group, const HbTile *tile,
						   size_t i, size_t ld, hb_real *z0);
/*
 * Columns j..j+count of the gradient of the group's first layers for mini-batch i, given that of Z, to cohort->gradient;
 * columns from 0 on first, before any other product of the cohort's.
 */
extern void hb_first_gradient(const HbCohort *cohort, const HbGroup *group, const hb_real *d,
							  size_t i, size_t j, size_t count);
/* One training step of every live member of the group on mini-batch i. */
extern void hb_group_step(HbCohort *cohort, const HbGroup *group, size_t i);

/*
 * Metrics and the loss itself of all live members on the validation rows; false when stopped.  Between
 * rungs (all false) the study's own metric is enough.
 */
extern bool hb_cohort_evaluate(HbCohort *cohort, bool all, HbStatus *status);

extern bool hb_cohort_tick(const HbCohort *cohort, HbStatus *status);
extern bool hb_cohort_stopped(HbStatus *status);

#endif /* HB_COHORT_H */
