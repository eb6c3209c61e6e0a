# make demo and make test install what is missing first, so they work before PGXS is there.
.PHONY: demo test test-long
demo:
	@test/demo/demo.sh
test:
	@test/run
# Some hours: 500 faults, an hour of each fuzzer, 100,000 statements of sqlsmith.
test-long:
	@test/long
