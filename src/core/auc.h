/*
 * auc.h - the area under the ROC curve: P(s+ > s-) + P(s+ = s-) / 2 (Mann and Whitney)
 */
#ifndef HB_AUC_H
#define HB_AUC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/host.h"
#include "core/status.h"

/*
 * scores: [outputs][n], class by class, none NaN; labels: below outputs; weight: NULL or n row weights.  Two classes: by the
 * second's score, uncalibrated by the difference; more: mean of one versus rest over the classes present.  *result is
 * NaN where there is but one class.  Fails where memory does.
 */
extern bool
hb_auc(const HbHost *host, const float *scores, const uint32_t *labels, const float *weight,
	   size_t n, uint32_t outputs, bool calibrated, double *result, HbStatus *status);

#endif /* HB_AUC_H */
