/*
 * module.c - what the library does when a session loads it: settings, host interface, errors
 *
 * The settings are one table; each has its unit and the context that may change it.  Loading needs no
 * shared_preload_libraries: a supervisor is a dynamic background worker.  In it, the launcher is registered as well.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "pg.h"

#include <limits.h>
#include <sched.h>
#include <unistd.h>

#include "launch.h"
#include "launcher.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

int hb_guc_trainers;
int hb_guc_device;
int hb_guc_max_trainers;
int hb_guc_max_studies;
int hb_guc_max_data_memory;
int hb_guc_trainer_memory;
int hb_guc_max_categories;
int hb_guc_curve_flush;
static char *hb_guc_fault;

#define HB_MAX_STUDIES 1024

static const struct config_enum_entry device_options[] = {{"auto", HB_DEVICE_AUTO, false},
														  {"cpu", HB_DEVICE_CPU, false},
														  {"cuda", HB_DEVICE_CUDA, false},
														  {NULL, 0, false}};

typedef enum SettingType
{
	SETTING_INT,
	SETTING_ENUM,
	SETTING_STRING
} SettingType;

typedef struct Setting
{
	const char *name;
	SettingType type;
	GucContext context;
	int flags; /* unit */
	void *variable;
	int boot;
	int (*computed_boot)(void); /* where the default depends on the machine */
	int min;
	int max;
	const char *summary;
	const char *detail;
} Setting;

/* Processors that this process may run on: a container may hold fewer than the machine has. */
static int
processors(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return Min(Max(CPU_COUNT(&set), 1), HB_MAX_TRAINERS);
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : (int) Min(online, HB_MAX_TRAINERS);
}

static int
default_trainers(void)
{
	return Min(processors(), 4);
}

/* A quarter of the machine's memory, in kB. */
static int
default_data_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_size = sysconf(_SC_PAGESIZE);
	double quarter;

	if (pages <= 0 || page_size <= 0)
		return 1024 * 1024;
	quarter = (double) pages * (double) page_size / 4.0 / 1024.0;
	return quarter >= (double) MAX_KILOBYTES ? MAX_KILOBYTES : (int) quarter;
}

static const Setting settings[] = {
	{"hyperband.trainers", SETTING_INT, PGC_USERSET, 0, &hb_guc_trainers, 0, default_trainers, 1,
	 HB_MAX_TRAINERS, "Sets the number of trainer processes of a study.",
	 "More than hyperband.max_trainers are capped."},
	{"hyperband.device", SETTING_ENUM, PGC_USERSET, 0, &hb_guc_device, HB_DEVICE_AUTO, NULL, 0, 0,
	 "Sets the device that trainers compute on.", NULL},
	{"hyperband.max_trainers", SETTING_INT, PGC_SIGHUP, 0, &hb_guc_max_trainers, 0, processors, 1,
	 HB_MAX_TRAINERS, "Sets the maximum number of trainer processes of all studies together.",
	 NULL},
	{"hyperband.max_studies", SETTING_INT, PGC_SIGHUP, 0, &hb_guc_max_studies, 4, NULL, 1,
	 HB_MAX_STUDIES, "Sets the maximum number of studies that run at once.",
	 "Further studies wait in a queue."},
	{"hyperband.max_data_memory", SETTING_INT, PGC_SIGHUP, GUC_UNIT_KB, &hb_guc_max_data_memory, 0,
	 default_data_memory, 1024, MAX_KILOBYTES,
	 "Sets the maximum memory for the data set of one study.", NULL},
	{"hyperband.trainer_memory", SETTING_INT, PGC_SIGHUP, GUC_UNIT_KB, &hb_guc_trainer_memory,
	 4 * 1024 * 1024, NULL, 64 * 1024, MAX_KILOBYTES,
	 "Sets the maximum address space of a trainer process beyond the data set.", NULL},
	{"hyperband.max_categories", SETTING_INT, PGC_USERSET, 0, &hb_guc_max_categories, 1000, NULL, 2,
	 1000000, "Sets the most distinct values a category column may have in a strict study.",
	 "Without option strict the 255 most frequent values are kept and the rest is one category."},
	{"hyperband.curve_flush", SETTING_INT, PGC_USERSET, GUC_UNIT_MS, &hb_guc_curve_flush, 1000,
	 NULL, 0, 3600 * 1000, "Sets how often points of loss curves are committed, and results.",
	 "Results wait for a second at most.  Zero commits each as it comes."},
	{"hyperband.fault", SETTING_STRING, PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
	 &hb_guc_fault, 0, NULL, 0, 0, "Injects a fault, as point:action, for tests of the extension.",
	 NULL}};

static bool
check_fault(char **newval, void **extra, GucSource source)
{
#ifndef HB_TESTING
	if (*newval != NULL && **newval != '\0')
	{
		GUC_check_errdetail("This build of the extension injects no faults.");
		return false;
	}
#endif
	return true;
}

bool
hb_fault(const char *point, const char *action)
{
#ifdef HB_TESTING
	size_t length = strlen(point);

	return hb_guc_fault != NULL && strncmp(hb_guc_fault, point, length) == 0 &&
		   hb_guc_fault[length] == ':' && strcmp(hb_guc_fault + length + 1, action) == 0;
#else
	return false;
#endif
}

static void
define_setting(const Setting *setting)
{
	int boot = setting->computed_boot != NULL ? setting->computed_boot() : setting->boot;

	switch (setting->type)
	{
		case SETTING_INT:
			DefineCustomIntVariable(setting->name, setting->summary, setting->detail,
									(int *) setting->variable, Max(boot, setting->min),
									setting->min, setting->max, setting->context, setting->flags,
									NULL, NULL, NULL);
			break;
		case SETTING_ENUM:
			DefineCustomEnumVariable(setting->name, setting->summary, setting->detail,
									 (int *) setting->variable, boot, device_options,
									 setting->context, setting->flags, NULL, NULL, NULL);
			break;
		case SETTING_STRING:
			DefineCustomStringVariable(setting->name, setting->summary, setting->detail,
									   (char **) setting->variable, "", setting->context,
									   setting->flags, check_fault, NULL, NULL);
			break;
	}
}

void
_PG_init(void)
{
	int i;

	for (i = 0; i < lengthof(settings); i++)
		define_setting(&settings[i]);
	MarkGUCPrefixReserved("hyperband");
	hb_launch_init();
	hb_launcher_register();
}

static JsonbValue
string_value(const char *text)
{
	JsonbValue value;

	value.type = jbvString;
	value.val.string.val = (char *) text;
	value.val.string.len = strlen(text);
	return value;
}

Jsonb *
hb_settings_capture(void)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;
	int i;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (i = 0; i < lengthof(settings); i++)
	{
		JsonbValue key;
		JsonbValue value;

		if (settings[i].context != PGC_USERSET)
			continue;
		key = string_value(settings[i].name);
		/* copied at once: the text of a number lives in a static buffer */
		value = string_value(pstrdup(GetConfigOption(settings[i].name, false, false)));
		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object);
}

/* A value that is no longer legal is a WARNING in the log and leaves the setting as it was. */
void
hb_settings_apply(Jsonb *jsonb)
{
	int i;

	if (jsonb == NULL || !JB_ROOT_IS_OBJECT(jsonb))
		return;
	for (i = 0; i < lengthof(settings); i++)
	{
		JsonbValue buffer;
		JsonbValue *value;
		char *text;

		if (settings[i].context != PGC_USERSET)
			continue;
		value = getKeyJsonValueFromContainer(&jsonb->root, settings[i].name,
											 strlen(settings[i].name), &buffer);
		if (value == NULL || value->type != jbvString)
			continue;
		text = pnstrdup(value->val.string.val, value->val.string.len);
		(void) set_config_option(settings[i].name, text, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SET,
								 true, WARNING, false);
		pfree(text);
	}
}

const char *
hb_device_name(int device)
{
	const struct config_enum_entry *entry;

	for (entry = device_options; entry->name != NULL; entry++)
		if (entry->val == device)
			return entry->name;
	return "auto";
}

bool
hb_device_parse(const char *name, int *device)
{
	const struct config_enum_entry *entry;

	for (entry = device_options; entry->name != NULL; entry++)
	{
		if (strcmp(entry->name, name) == 0)
		{
			*device = entry->val;
			return true;
		}
	}
	return false;
}

#define HOST_ALIGNMENT 64

/* palloc aligns to 8 bytes only: the block's own address is kept just before the aligned part. */
static void *
host_alloc(void *context, size_t size)
{
	char *block;
	char *aligned;

	if (size > MaxAllocHugeSize - HOST_ALIGNMENT - sizeof(char *))
		return NULL;
	block = MemoryContextAllocExtended(CurrentMemoryContext, size + HOST_ALIGNMENT + sizeof(char *),
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
	if (block == NULL)
		return NULL;
	aligned = (char *) TYPEALIGN(HOST_ALIGNMENT, block + sizeof(char *));
	memcpy(aligned - sizeof(char *), &block, sizeof(char *));
	return aligned;
}

static void
host_release(void *context, void *pointer)
{
	char *block;

	memcpy(&block, (char *) pointer - sizeof(char *), sizeof(char *));
	pfree(block);
}

static bool
host_interrupted(void *context)
{
	return InterruptPending && (QueryCancelPending || ProcDiePending);
}

void
hb_heed_reload(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

const HbHost hb_host_pg = {host_alloc, host_release, host_interrupted, NULL};

void
hb_raise(const HbStatus *status)
{
	int code = ERRCODE_INTERNAL_ERROR;

	/* a computation that stopped because of a cancel request reports the cancel */
	CHECK_FOR_INTERRUPTS();
	if (strlen(status->sqlstate) == 5)
		code = MAKE_SQLSTATE(status->sqlstate[0], status->sqlstate[1], status->sqlstate[2],
							 status->sqlstate[3], status->sqlstate[4]);
	ereport(ERROR, (errcode(code), errmsg_internal("%s", status->message),
					status->detail[0] ? errdetail_internal("%s", status->detail) : 0,
					status->hint[0] ? errhint("%s", status->hint) : 0));
	pg_unreachable();
}
