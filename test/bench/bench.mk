# The drivers of test/bench, built on demand with the flags of the shipped objects.
build/bench/cohort_bench: test/bench/cohort_bench.c $(filter-out src/trainer/%,$(TRAINER_OBJS)) $(wildcard src/*/*.h test/unit/*.h)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -Wall -Isrc -Itest/unit $< $(filter-out src/trainer/%,$(TRAINER_OBJS)) $(OPENBLAS_LIBS) -lxxhash -lm -lpthread -o $@

# make bench [FULL=1] [PYTHON=interpreter with peers] [DATA=folder of real tables]
.PHONY: bench
bench:
	@PYTHON='$(BENCH_PYTHON)' DATA='$(BENCH_DATA)' test/bench/run $(if $(FULL),full)
