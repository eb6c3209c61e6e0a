/*
 * control.h - what the files that act on an existing study share
 */
#ifndef HB_CONTROL_H
#define HB_CONTROL_H

#include "pg.h"

#include "pg/catalog.h"

/* The study; 42704 where there is none or the current user has not the privileges of its owner. */
extern HbStudyRow *hb_visible_study(int64 study_id);
/* The same of a study that was read, or not found (NULL). Outside of catalog scopes, which have another user. */
extern void hb_require_visible(const HbStudyRow *study, int64 study_id);

/*
 * The state as a user sees it, of *study, which is read again where it could have ended meanwhile: queued or
 * running rows of another system and running ones that nobody holds are interrupted.
 */
extern const char *hb_shown_state(HbStudyRow **study);

/* Raises the error that the study failed with; the server log has none that may quote rows. */
extern void hb_raise_recorded(const HbStudyRow *study) __attribute__((noreturn));

/* Errors that depend on rows, such as 22P02: PostgreSQL's messages for them quote values. */
extern bool hb_error_may_quote_rows(int sqlstate);

/* Sleeps before another look, the longer the longer it is since the first, or until the latch is set. Answers no interrupt. */
extern void hb_wait_step(TimestampTz since);

/* Neither queued nor running. */
extern bool hb_state_has_ended(const char *state);

#endif /* HB_CONTROL_H */
