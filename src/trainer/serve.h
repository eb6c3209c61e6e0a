/*
 * serve.h - the trainer's end of the protocol: jobs in, curves and results out
 */
#ifndef HB_SERVE_H
#define HB_SERVE_H

#include "compute/provider.h"
#include "core/job.h"
#include "learn/family.h"

typedef struct HbServer
{
	int fd;
	const HbProvider *provider;
	const HbDataset *dataset;
	HbHost host;
	uint64_t job_id;  /* of the job at work */
	double last_beat; /* monotonic seconds of the last frame sent */
} HbServer;

extern void
hb_server_init(HbServer *server, int fd, const HbProvider *provider, const HbDataset *dataset);
extern void hb_server_hello(HbServer *server);

/* Reads one job, runs it and answers. Ends the process at end of file. */
extern void hb_server_turn(HbServer *server);

/* evaluate.c: the metrics of job->model on job->part; result has one entry. */
extern bool hb_evaluate(HbServer *server, const HbJob *job, HbJobResult *result, HbStatus *status);

/* folds.c: a TRAIN job with folds; context's data set and curve callback are replaced. */
extern bool hb_train_folds(HbServer *server, const HbFamily *family, HbTrainContext *context,
						   const HbJob *job, HbJobResult *result, HbStatus *status);

/* Callback for long work: HEARTBEAT once a second. False never: at end of file the process ends. */
extern bool hb_server_tick(void *context);

#endif /* HB_SERVE_H */
