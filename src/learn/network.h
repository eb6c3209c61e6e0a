/*
 * network.h - what the files of the cohort trainer share
 *
 * linear and mlp are one thing here: a network with 0 to 3 hidden layers.  The trials of a chunk (members)
 * keep their first layers one after another in one array, so that the first product of all of
 * them is a single one; the rest of a member is its own.
 */
#ifndef HB_NETWORK_H
#define HB_NETWORK_H

#include "compute/provider.h"
#include "learn/family.h"

#define HB_MAX_HIDDEN 3
#define HB_MAX_LAYERS (HB_MAX_HIDDEN + 1)
#define HB_MAX_SLOTS 2
#define HB_MAX_UNITS 4096

typedef enum HbLossId
{
	HB_LOSS_CROSS_ENTROPY,
	HB_LOSS_HINGE,
	HB_LOSS_SQUARED,
	HB_LOSS_COUNT
} HbLossId;

/* What prediction has to know. */
typedef struct HbShape
{
	HbTask task;
	HbLossId loss;
	HbActivation activation;
	uint32_t inputs;
	uint32_t outputs;              /* classes; 1 for regression */
	uint32_t layers;               /* hidden layers + 1 */
	uint32_t units[HB_MAX_LAYERS]; /* the last: score units, 1 for hinge on two classes */
} HbShape;

/* ---- loss.c ---- */
typedef struct HbLoss
{
	const char *name;
	HbTask task;
	bool calibrated; /* scores become probabilities */
	double (*sum)(const HbProvider *provider, const HbScores *scores);
} HbLoss;

extern const HbLoss hb_losses[HB_LOSS_COUNT];
extern const char *const hb_loss_names[]; /* NULL-terminated, by HbLossId */
extern HbLossId hb_loss_default(HbTask task);
/* Score units of the last layer. */
extern uint32_t hb_loss_units(HbLossId loss, uint32_t outputs);
/* Z[units][ld] of n samples to out[n][outputs] as predict() promises; z is overwritten. */
extern void hb_loss_scores(const HbProvider *provider, const HbShape *shape, hb_real *z, size_t n,
						   size_t ld, hb_real *scratch, float *out);

/* The same of a softmax, or of what needs none: class c of sample s to out[s * sample + c * class]. */
extern void hb_loss_place(const HbShape *shape, const hb_real *z, size_t n, size_t ld, float *out,
						  size_t sample, size_t class);

/* ---- activation names ---- */
extern const char *const hb_activation_names[]; /* NULL-terminated, by HbActivation */

/* ---- schedule.c ---- */
typedef struct HbSchedule
{
	const char *name;
	bool needs_horizon;
	/* Factor of the learning rate; u = step / horizon before the step, epochs = step / steps per epoch. */
	double (*factor)(double u, double epochs, double decay);
} HbSchedule;

extern const HbSchedule hb_schedules[];
extern const int hb_nschedules;
extern const char *const hb_schedule_names[];

/* ---- optimizer.c ---- */
typedef struct HbTraining HbTraining;

typedef struct HbOptimizer
{
	const char *name;
	HbUpdateRule rule;
	int slots; /* state arrays the size of the weights */
	/* Fills in the coefficients of step t (from 1). */
	void (*prepare)(const HbTraining *training, uint64_t t, HbUpdate *update);
} HbOptimizer;

extern const HbOptimizer hb_optimizers[];
extern const int hb_noptimizers;
extern const char *const hb_optimizer_names[];
/* Everything of an update but its block: rate = learning_rate * factor, step t from 1. */
extern void
hb_optimizer_step(const HbTraining *training, double factor, uint64_t t, HbUpdate *update);

/* A configuration, decoded. */
struct HbTraining
{
	HbShape shape;
	const HbOptimizer *optimizer;
	const HbSchedule *schedule;
	uint32_t batch_size;
	double learning_rate;
	double l2;
	double momentum;
	double beta1;
	double beta2;
	double rho;
	double decay; /* of inverse_time */
	double dropout;
};

/* ---- config.c: the functions that families share ---- */
extern void hb_network_configure(const HbFamily *family, const HbProblem *problem,
								 const double *params, HbTraining *training);
extern double
hb_network_cost(const HbFamily *family, const HbProblem *problem, const double *params);
extern bool hb_network_check(const HbFamily *family, const HbProblem *problem, const double *params,
							 HbMetricId metric, bool infinite_horizon, HbStatus *status);

/* ---- arena.c: memory that is released all at once ---- */
typedef struct HbArena
{
	const HbHost *host;
	void **blocks;
	size_t nblocks;
	size_t capacity;
} HbArena;

extern void hb_arena_init(HbArena *arena, const HbHost *host);
/* Zeroed; NULL with a status. */
extern void *hb_arena_alloc(HbArena *arena, size_t count, size_t size, HbStatus *status);
extern void hb_arena_free(HbArena *arena);

/* ---- layers.c ---- */
typedef struct HbLayer
{
	uint32_t units;
	uint32_t inputs;
	size_t stride;                  /* of w and of its state */
	hb_real *w;                     /* [units][stride] */
	hb_real *b;                     /* [units] */
	hb_real *state_w[HB_MAX_SLOTS]; /* as w; NULL beyond the optimizer's slots */
	hb_real *state_b[HB_MAX_SLOTS];
} HbLayer;

typedef struct HbNetwork
{
	HbShape shape;
	HbLayer layer[HB_MAX_LAYERS];
} HbNetwork;

extern size_t hb_shape_weights(const HbShape *shape); /* weights and biases, unpadded */
/* Units and strides of every layer, no memory yet. */
extern void hb_network_lay_out(HbNetwork *network, const HbShape *shape);
/* Memory for layers from first on. */
extern bool
hb_network_alloc(HbArena *arena, HbNetwork *network, int first, int slots, HbStatus *status);
/* init.c: He or Glorot normal weights, zero biases; without hidden layers zero weights, too. */
extern bool hb_network_init(HbArena *arena, HbNetwork *network, uint64_t seed, uint64_t number,
							HbStatus *status);

/* ---- forward.c ---- */
/* Buffers for one mini-batch of one network at a time. */
typedef struct HbWorkspace
{
	const HbProvider *provider;
	size_t ld;                     /* columns of every activation */
	hb_real *z[HB_MAX_LAYERS];     /* pre-activations, layers 1.. */
	hb_real *a[HB_MAX_LAYERS];     /* activations, where they cannot lie in z */
	hb_real *h[HB_MAX_LAYERS];     /* after dropout */
	uint16_t *kept[HB_MAX_LAYERS]; /* of dropout: a bit an element */
	hb_real *d[HB_MAX_LAYERS];     /* gradients of pre-activations, layers 1.. */
	hb_real *transposed;           /* [batch][units] */
	hb_real *gradient;             /* [units][HB_GRADIENT_COLUMNS] */
	hb_real *scratch;              /* 3 ld */
	hb_real *sums;                 /* [units]: of the rows of a layer's d */
} HbWorkspace;

#define HB_GRADIENT_COLUMNS 64 /* of a weight matrix are computed, then used, at a time */

typedef struct HbDropout
{
	double rate; /* 0: none */
	uint64_t seed;
	uint64_t number; /* trial */
	uint64_t step;
} HbDropout;

/* Room for networks up to these shapes and batches up to batch. */
extern bool hb_workspace_alloc(HbArena *arena, const HbProvider *provider,
							   const HbShape *const *shapes, int nshapes, size_t batch,
							   bool training, HbWorkspace *workspace, HbStatus *status);
/*
 * From the first layer's pre-activations z0 (overwritten) of n samples to the scores, which lie in the
 * workspace or in z0.  active and hidden: where backward finds the activations (NULL for prediction).
 */
typedef struct HbPass
{
	hb_real *z[HB_MAX_LAYERS];
	hb_real *a[HB_MAX_LAYERS]; /* activation */
	hb_real *h[HB_MAX_LAYERS]; /* after dropout: input of the next layer */
} HbPass;

extern hb_real *hb_forward(HbWorkspace *workspace, const HbNetwork *network, size_t n, hb_real *z0,
						   const HbDropout *dropout, HbPass *pass);

/*
 * Turns the gradient d of what layer l (hidden) hands on into that of its pre-activations: elements first..first+count.
 */
extern void hb_activate_back(HbWorkspace *workspace, const HbNetwork *network, uint32_t l,
							 const HbDropout *dropout, const HbPass *pass, hb_real *d, size_t first,
							 size_t count);

/* ---- backward.c ---- */
/*
 * Given the gradient of the scores of the last of several layers in workspace->d[last] and the sums of its rows in
 * workspace->sums, updates all layers but the first and leaves the first one's gradient in d0, its sums in sums.
 */
extern void hb_backward(HbWorkspace *workspace, HbNetwork *network, size_t n, const HbPass *pass,
						const HbDropout *dropout, hb_real *d0, HbUpdate *update);
/* One layer's bias from workspace->sums. */
extern void hb_update_bias(HbWorkspace *workspace, HbLayer *layer, const HbUpdate *update);
/* Points update at columns column.. of a layer's weights. */
extern void hb_update_block(HbLayer *layer, size_t column, HbUpdate *update);

/* ---- checkpoint.c ---- */
typedef struct HbCheckpoint
{
	HbShape shape;
	const unsigned char *weights; /* float32, unaligned: a layer's rows, then its biases */
	const unsigned char *state;   /* NULL in a model; slots times the same */
	HbUpdateRule rule;
	uint32_t slots;
	bool has_progress;
	uint64_t step;
	double best_loss;
} HbCheckpoint;

extern bool
hb_checkpoint_open(const void *bytes, size_t length, HbCheckpoint *checkpoint, HbStatus *status);
extern void hb_checkpoint_read(const HbCheckpoint *checkpoint, HbNetwork *network);
extern bool hb_checkpoint_write(const HbHost *host, const HbNetwork *network,
								const HbOptimizer *optimizer, uint64_t step, double best_loss,
								void **bytes, size_t *length, HbStatus *status);

/* ---- predict.c: shared by families ---- */
extern HbModel *
hb_network_open(const HbHost *host, const void *bytes, size_t length, HbStatus *status);
extern void hb_network_close(HbModel *model);
extern void hb_network_predict(const HbModel *model, const float *inputs, size_t n, size_t stride,
							   float *scores);

/* ---- cohort.c ---- */
extern bool hb_cohort_train(const HbFamily *family, const HbTrainContext *context, const HbJob *job,
							HbJobResult *result, HbStatus *status);

#endif /* HB_NETWORK_H */
