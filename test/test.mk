# make demo and make test: see test/run and test/demo.
