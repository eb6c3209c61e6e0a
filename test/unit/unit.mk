# Unit tests of everything outside src/pg, built with no server header on the include path.
# Each test/unit/test_*.c is a program of its own that prints TAP (tap.h).  A test named
# test_*_double.c is built with HB_REAL_DOUBLE: learn and the reference provider in double precision.
UNIT_SRC := $(wildcard test/unit/test_*.c)
UNIT_BIN := $(patsubst test/unit/%.c,build/unit/%,$(UNIT_SRC))
UNIT_CFLAGS ?= -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
UNIT_CC ?= $(if $(CC),$(CC),cc)
UNIT_LIB_SRC := $(CORE_SRC) $(COMPUTE_SRC) $(LEARN_SRC) $(TUNE_SRC)
UNIT_OBJ := $(patsubst src/%.c,build/core/%.o,$(UNIT_LIB_SRC))
UNIT_DOUBLE_OBJ := $(patsubst src/%.c,build/double/%.o,$(filter-out src/compute/openblas% $(foreach set,$(KERNEL_SETS),src/compute/%_$(set).c),$(UNIT_LIB_SRC)))
UNIT_HEADERS := $(wildcard src/*/*.h test/unit/*.h)

$(eval $(call compute_objects,build/core/compute,UNIT_CFLAGS,$(UNIT_CC)))

build/core/%.o: src/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) -Isrc -c $< -o $@
build/double/%.o: src/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) -DHB_REAL_DOUBLE -Isrc -c $< -o $@
$(filter %_double,$(UNIT_BIN)): build/unit/test_%_double: test/unit/test_%_double.c $(UNIT_DOUBLE_OBJ) $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) -DHB_REAL_DOUBLE -Isrc -Itest/unit $< $(UNIT_DOUBLE_OBJ) -lxxhash -lm -o $@
$(filter-out %_double,$(UNIT_BIN)): build/unit/test_%: test/unit/test_%.c $(UNIT_OBJ) $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) -Isrc -Itest/unit $< $(UNIT_OBJ) $(OPENBLAS_LIBS) -lxxhash -lm -lpthread -o $@

build/unit/test_subsample: src/trainer/serve.c src/trainer/folds.c src/trainer/evaluate.c

.PHONY: check-core
check-core: $(UNIT_BIN)
	prove $(PROVE_FLAGS) --exec '' $(UNIT_BIN) test/arm64 test/clang
