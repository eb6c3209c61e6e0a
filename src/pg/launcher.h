/*
 * launcher.h - what starts by itself when the server does, where the library is in shared_preload_libraries
 */
#ifndef HB_LAUNCHER_H
#define HB_LAUNCHER_H

#include "pg.h"

/* From _PG_init; does nothing unless the postmaster is loading the library, or under pg_upgrade. */
extern void hb_launcher_register(void);

/* Main functions of the two workers. */
extern PGDLLEXPORT void hyperband_launcher_main(Datum main_arg);
extern PGDLLEXPORT void hyperband_visitor_main(Datum main_arg); /* a database's OID */

#endif /* HB_LAUNCHER_H */
