/*
 * pg.h - what the files of src/pg share: settings, locks, error conversion, small helpers
 */
#ifndef HB_PG_H
#define HB_PG_H

#include "compat.h"

#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "core/host.h"
#include "core/json.h"
#include "core/status.h"

#if SIZEOF_VOID_P < 8
#error "hyperband needs a 64-bit server"
#endif

#define HB_MAX_TRAINERS 1024 /* the most that hyperband.max_trainers can be */

/* module.c: settings, one table there. */
extern int hb_guc_trainers;        /* hyperband.trainers */
extern int hb_guc_device;          /* hyperband.device: HbDevice */
extern int hb_guc_max_trainers;    /* hyperband.max_trainers */
extern int hb_guc_max_studies;     /* hyperband.max_studies */
extern int hb_guc_max_data_memory; /* hyperband.max_data_memory, kB */
extern int hb_guc_trainer_memory;  /* hyperband.trainer_memory, kB */
extern int hb_guc_max_categories;  /* hyperband.max_categories */
extern int hb_guc_curve_flush;     /* hyperband.curve_flush, ms */

typedef enum HbDevice
{
	HB_DEVICE_AUTO,
	HB_DEVICE_CPU,
	HB_DEVICE_CUDA
} HbDevice;

extern const char *hb_device_name(int device);
extern bool hb_device_parse(const char *name, int *device);

/*
 * module.c: the user's hyperband.* settings as a jsonb object of texts for study.settings, and back into this process (the
 * supervisor, outside a transaction or in one that commits).
 */
extern Jsonb *hb_settings_capture(void);
extern void hb_settings_apply(Jsonb *settings);
/* module.c: reads the configuration files again where a signal asked for it. */
extern void hb_heed_reload(void);

/* module.c: whether hyperband.fault is "point:action"; always false unless built with -DHB_TESTING. */
extern bool hb_fault(const char *point, const char *action);

/* module.c: a host that allocates in CurrentMemoryContext (NULL instead of an error). */
extern const HbHost hb_host_pg;

/* module.c: raises the recorded status at ERROR with its SQLSTATE, detail and hint. */
extern void hb_raise(const HbStatus *status) __attribute__((noreturn));

/* json.c: jsonb to a tree in CurrentMemoryContext and back. */
extern HbJson *hb_json_from_jsonb(Jsonb *jsonb);
extern Jsonb *hb_json_to_jsonb(const HbJson *json);
extern char *hb_json_to_text(const HbJson *json); /* as jsonb prints it */

/* locks.c: session locks with advisory tags whose fourth field SQL cannot reach. All are released at process end. */
extern bool hb_lock_study(int64 study_id); /* exclusively; false: another process holds it */
extern void hb_unlock_study(int64 study_id);
extern bool hb_study_is_held(int64 study_id); /* by a live supervisor */
extern pid_t hb_study_holder(int64 study_id); /* 0: nobody */
extern int hb_acquire_study_slot(void); /* 1..hyperband.max_studies of the cluster; 0: none free */
extern void hb_release_study_slot(int slot);
extern int hb_acquire_trainer_slot(void); /* 1..hyperband.max_trainers; 0: none free */
extern void hb_release_trainer_slot(int slot);
extern bool hb_lock_handover(bool wait); /* of this database, see launch.h */
extern void hb_unlock_handover(void);

#endif /* HB_PG_H */
