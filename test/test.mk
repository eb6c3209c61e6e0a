# make demo and make test install what is missing first, so they work before PGXS is there.
.PHONY: demo test
demo:
	@test/demo/demo.sh
test:
	@test/run
