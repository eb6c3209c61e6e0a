# Machines that try to break what lies outside src/pg.
#
#   make check-sanitize   the unit tests under AddressSanitizer and UBSan (gcc)
#   make fuzz             build/fuzz/fuzz_*: libFuzzer targets (clang), run by test/fuzz/fuzz.sh
#
# The first finding ends a program.  Seeds in test/fuzz/seeds/TARGET are inputs that once broke something, and good ones.
SANITIZERS := address,undefined
SANITIZE_CC ?= gcc
FUZZ_CC ?= clang-14
SANITIZE_WARNINGS := -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare
SANITIZE_CFLAGS = -std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=$(SANITIZERS) -fno-sanitize-recover=all $(SANITIZE_WARNINGS)
FUZZ_CFLAGS = $(SANITIZE_CFLAGS) -fsanitize=fuzzer-no-link

SANITIZE_OBJ := $(patsubst src/%.c,build/sanitize/core/%.o,$(UNIT_LIB_SRC))
SANITIZE_DOUBLE_OBJ := $(patsubst build/double/%.o,build/sanitize/double/%.o,$(UNIT_DOUBLE_OBJ))
SANITIZE_BIN := $(patsubst test/unit/%.c,build/sanitize/unit/%,$(UNIT_SRC))
FUZZ_OBJ := $(patsubst src/%.c,build/fuzz/core/%.o,$(UNIT_LIB_SRC))
FUZZ_BIN := $(patsubst test/fuzz/%.c,build/fuzz/%,$(wildcard test/fuzz/fuzz_*.c))

$(eval $(call compute_objects,build/sanitize/core/compute,SANITIZE_CFLAGS,$(SANITIZE_CC)))
$(eval $(call compute_objects,build/fuzz/core/compute,SANITIZE_CFLAGS,$(FUZZ_CC)))

build/sanitize/core/%.o: src/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(SANITIZE_CC) $(SANITIZE_CFLAGS) -Isrc -c $< -o $@
build/sanitize/double/%.o: src/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(SANITIZE_CC) $(SANITIZE_CFLAGS) -DHB_REAL_DOUBLE -Isrc -c $< -o $@
$(filter %_double,$(SANITIZE_BIN)): build/sanitize/unit/%: test/unit/%.c $(SANITIZE_DOUBLE_OBJ) $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(SANITIZE_CC) $(SANITIZE_CFLAGS) -DHB_REAL_DOUBLE -Isrc -Itest/unit $< $(SANITIZE_DOUBLE_OBJ) -lxxhash -lm -o $@
$(filter-out %_double,$(SANITIZE_BIN)): build/sanitize/unit/%: test/unit/%.c $(SANITIZE_OBJ) $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(SANITIZE_CC) $(SANITIZE_CFLAGS) -Isrc -Itest/unit $< $(SANITIZE_OBJ) $(OPENBLAS_LIBS) -lxxhash -lm -lpthread -o $@
build/fuzz/core/%.o: src/%.c $(UNIT_HEADERS)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -Isrc -c $< -o $@
$(FUZZ_BIN): build/fuzz/%: test/fuzz/%.c $(FUZZ_OBJ) $(UNIT_HEADERS) $(wildcard test/fuzz/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(SANITIZE_CFLAGS) -fsanitize=fuzzer -Isrc -Itest/unit $< $(FUZZ_OBJ) $(OPENBLAS_LIBS) -lxxhash -lm -lpthread -o $@

# Unit tests free nothing at their end, so leaks are not looked for.
.PHONY: check-sanitize fuzz
check-sanitize: $(SANITIZE_BIN)
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 prove $(PROVE_FLAGS) --exec '' $(SANITIZE_BIN)
fuzz: $(FUZZ_BIN)
