# hyperband: hyperparameter tuning inside PostgreSQL
#
#   make, make install, make installcheck   as in any PGXS extension
#   make demo        install what is missing, tune real tables in a private cluster, show what happened
#   make test        install what is missing, run every test in private clusters
#   make test-long   hundreds of faults, hours of fuzzing, sqlsmith
#   make bench       short benchmarks in a private cluster, to build/bench; FULL=1 all of them
#   make check-core  unit tests of core, compute, learn and tune, without a server header
#
# PGXS builds one of MODULE_big and PROGRAM: the library is its, the trainer has a rule of its own.

# make bench PYTHON=interpreter DATA=folder, before these names get another meaning below
BENCH_PYTHON := $(PYTHON)
BENCH_DATA := $(DATA)

EXTENSION = hyperband
MODULE_big = hyperband
DATA = $(wildcard sql/hyperband--*.sql)

# The server's library never links or loads BLAS: the reference provider alone serves prediction.
CORE_SRC := $(wildcard src/core/*.c)
COMPUTE_SRC := $(wildcard src/compute/*.c)
LEARN_SRC := $(wildcard src/learn/*.c)
TUNE_SRC := $(wildcard src/tune/*.c)
TRAINER_SRC := $(wildcard src/trainer/*.c)
PG_SRC := $(wildcard src/pg/*.c)
SERVER_COMPUTE_SRC := $(filter-out src/compute/openblas% src/compute/cuda%,$(COMPUTE_SRC))

OBJS = $(patsubst %.c,%.o,$(CORE_SRC) $(SERVER_COMPUTE_SRC) $(LEARN_SRC) $(TUNE_SRC) $(PG_SRC))
TRAINER_OBJS = $(patsubst %.c,%.o,$(CORE_SRC) $(COMPUTE_SRC) $(LEARN_SRC) $(TRAINER_SRC))
TRAINER = hyperband_trainer

PG_CPPFLAGS = -Isrc
PG_CFLAGS = -O3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
# PostgreSQL 15's own headers declare variables in the middle of blocks only by accident; ours do on purpose.
PG_CFLAGS += -Wno-declaration-after-statement
# The server was built with gcc: clang warns of options and attributes in its flags and headers that it does not know.
ifneq ($(findstring clang,$(CC)),)
PG_CFLAGS += -Wno-unknown-warning-option -Wno-ignored-attributes -Wno-ignored-optimization-argument
endif
SHLIB_LINK = -lxxhash -lm

REGRESS = $(patsubst sql/%.sql,%,$(sort $(filter-out sql/hyperband--%,$(wildcard sql/*.sql))))
REGRESS_OPTS = --load-extension=hyperband

EXTRA_CLEAN = $(TRAINER) build $(TRAINER_OBJS)

# Bitcode would be built from flags that differ a file; nothing here gains from inlining into queries.
override with_llvm := no

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)

all: $(TRAINER)

install: install-trainer
installdirs: installdirs-trainer
uninstall: uninstall-trainer

.PHONY: install-trainer installdirs-trainer uninstall-trainer
installdirs-trainer:
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
install-trainer: $(TRAINER) installdirs-trainer
	$(INSTALL_PROGRAM) $(TRAINER) '$(DESTDIR)$(pkglibdir)/$(TRAINER)'
uninstall-trainer:
	rm -f '$(DESTDIR)$(pkglibdir)/$(TRAINER)'
else
all install installcheck:
	@echo 'pg_config not found: install postgresql-server-dev-15, or run test/install-deps' >&2; exit 1
endif

# A square root that sets errno keeps loops from being vectorised; comparisons that may trap, and a path of its own for
# arguments that were cut to a range (gcc), make them twice as long.  None of the three changes a result.
compute_flags = -fno-math-errno -fno-trapping-math $(shell $(1) -fno-thread-jumps -E -x c /dev/null >/dev/null 2>&1 && echo -fno-thread-jumps)
# Kernels for one instruction set each, src/compute/NAME_SET.c with FLAGS_SET; which one runs is decided at run time.
KERNEL_SETS := avx2 avx512 vbmi amx bf16
ifeq ($(shell uname -m),x86_64)
FLAGS_avx2 := -mavx2 -mfma
FLAGS_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
FLAGS_vbmi := $(FLAGS_avx512) -mavx512vbmi
# Compilers before gcc 11 know no AMX, those before gcc 10 no BF16: then its provider is never available.
FLAGS_amx := $(FLAGS_avx512) $(shell $(CC) -mamx-tile -mamx-bf16 -E -x c /dev/null >/dev/null 2>&1 && echo -mamx-tile -mamx-bf16)
FLAGS_bf16 := $(FLAGS_avx512) $(shell $(CC) -mavx512bf16 -E -x c /dev/null >/dev/null 2>&1 && echo -mavx512bf16)
endif
# compute_objects FOLDER,VARIABLE,COMPILER: adds to VARIABLE, for the objects in FOLDER, what is said above; every build of
# src/compute calls it.
define compute_objects
$(1)/%.o: $(2) += $(call compute_flags,$(3))
$(foreach set,$(KERNEL_SETS),$(1)/%_$(set).o: $(2) += $(FLAGS_$(set))
)
endef
$(eval $(call compute_objects,src/compute,CFLAGS,$(CC)))

OPENBLAS_LIBS ?= $(shell pkg-config --libs openblas 2>/dev/null || echo -lopenblas)

$(TRAINER): $(TRAINER_OBJS)
	$(CC) $(CFLAGS) $(TRAINER_OBJS) $(LDFLAGS) $(OPENBLAS_LIBS) -lxxhash -lm -lpthread -o $@

# Headers are few: rebuild everything when one changes.
$(OBJS) $(TRAINER_OBJS): $(wildcard src/*/*.h)

include test/unit/unit.mk
include test/fuzz/fuzz.mk
include test/bench/bench.mk
include test/test.mk
