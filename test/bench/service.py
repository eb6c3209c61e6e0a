"""What test/bench/service.sh measures: ask + tell pairs a second from 1 and 8 connections.

A study is filled with finished trials first (hyperband: by its own functions; Optuna: by add_trials), then a fixed
number of pairs is timed, from the first start to the last end of the processes. A pair is: a configuration of two
floats and a category drawn at random, a loss told. Each process makes one pair before the clock starts. Small studies are
made anew for each round, so that they stay small.
"""
import multiprocessing
import os
import statistics
import sys
import time

import psycopg2

try:
    import optuna
    import sqlalchemy

    optuna.logging.set_verbosity(optuna.logging.ERROR)
except ImportError:
    optuna = None

SPACE = ('{"x": {"type": "float", "low": 0, "high": 1, "grid": 1000}, "y": {"type": "float", "low": 1e-5, "high": 1, "log": true, "grid": 1000}, '
         '"kind": ["a", "b", "c"]}')
OPTUNA_URL = "postgresql+psycopg2:///optuna_service"
OPTUNA_MOST = int(os.environ.get("OPTUNA_MOST", 10000))
ROUNDS = int(os.environ.get("ROUNDS", 3))


def connect():
    db = psycopg2.connect(dbname="hyperband_service")
    db.autocommit = True
    return db.cursor()


def hyperband_fill(trials, room, sampler, scheduler):
    sql = connect()
    sql.execute("SELECT hyperband_create_study(%s, %s, %s, max_resource => 9, n_trials => %s)", [SPACE, sampler, scheduler, trials + room])
    study = sql.fetchone()[0]
    drawn = 0
    while drawn < trials:
        sql.execute("SELECT count(hyperband_tell(trial_id, attempt, to_resource, random())), max(trial_id) FROM hyperband_ask(%s, %s)",
                    [study, min(1000, trials - drawn)])
        told = sql.fetchone()[0]
        assert told > 0, "the study ended while it was filled"
        sql.execute("SELECT drawn FROM hyperband.turn WHERE study_id = %s", [study])
        drawn = sql.fetchone()[0]
    sql.execute("ANALYZE")
    return study


def hyperband_pairs(study, pairs, barrier):
    sql = connect()

    def pair():
        while True:
            sql.execute("SELECT trial_id, attempt, config, to_resource FROM hyperband_ask(%s)", [study])
            row = sql.fetchone()
            if row:
                break
        sql.execute("SELECT hyperband_tell(%s, %s, %s, %s)", [row[0], row[1], row[3], row[2]["x"]])

    pair()
    barrier.wait()
    begin = time.monotonic()
    for _ in range(pairs):
        pair()
    return begin, time.monotonic()


def optuna_space():
    return {"x": optuna.distributions.FloatDistribution(0, 1), "y": optuna.distributions.FloatDistribution(1e-5, 1, log=True),
            "kind": optuna.distributions.CategoricalDistribution(["a", "b", "c"])}


def optuna_fill(trials, room, sampler, scheduler):
    space = optuna_space()
    # add_trials commits several times a trial: without waiting for the disk, while it fills
    storage = optuna.storages.RDBStorage(OPTUNA_URL + "?options=-csynchronous_commit%3Doff")
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler())
    study.add_trials([optuna.trial.create_trial(params={"x": i / trials, "y": 0.5, "kind": "a"}, distributions=space, value=i / trials)
                      for i in range(trials)])
    storage.engine.dispose()  # processes inherit no connection
    return study.study_name


def optuna_pairs(name, pairs, barrier):
    study = optuna.load_study(study_name=name, storage=OPTUNA_URL, sampler=optuna.samplers.RandomSampler())
    space = optuna_space()

    def pair():
        trial = study.ask(space)
        study.tell(trial, trial.params["x"])

    pair()
    barrier.wait()
    begin = time.monotonic()
    for _ in range(pairs):
        pair()
    return begin, time.monotonic()


def worker(pairs_of, study, pairs, barrier, results):
    try:
        results.put(pairs_of(study, pairs, barrier))
    except BaseException as error:
        barrier.abort()
        results.put(RuntimeError(repr(error)))  # a driver's own errors cannot be pickled


def timed(pairs_of, study, connections, pairs):
    context = multiprocessing.get_context("fork")  # nobody imports while others are timed
    barrier, results = context.Barrier(connections), context.Queue()
    share = max(1, pairs // connections)
    processes = [context.Process(target=worker, args=(pairs_of, study, share, barrier, results)) for _ in range(connections)]
    for process in processes:
        process.start()
    times = [results.get() for _ in processes]
    for process in processes:
        process.join()
    for error in times:
        if isinstance(error, BaseException):
            raise error
    return share * connections, max(end for _, end in times) - min(begin for begin, _ in times)


class Case:
    """One line of figures. Rounds of all cases take turns, so that what else the machine does meets them alike."""

    studies = {}

    def __init__(self, name, fill, pairs_of, trials, connections, sampler, scheduler, most):
        self.name, self.fill, self.pairs_of, self.trials, self.connections = name, fill, pairs_of, trials, connections
        self.sampler, self.scheduler = sampler, scheduler
        self.pairs = max(48, min(trials, most))
        self.rates = []

    def round(self):
        key = self.name, self.trials  # large studies serve one and eight connections
        if key not in Case.studies or self.trials < 1000:
            Case.studies[key] = self.fill(self.trials, 2 * (self.pairs + 8) * ROUNDS + 1000, self.sampler, self.scheduler)
        done, seconds = timed(self.pairs_of, Case.studies[key], self.connections, self.pairs)
        self.rates.append(done / seconds)

    def rate(self):
        return statistics.median(self.rates)

    def show(self):
        print(f"{self.name:34} {self.trials:7} trials  {self.connections} connections  {len(self.rates)} x {self.pairs:5} pairs  "
              f"{self.rate():9.1f} pairs/s ({min(self.rates):.1f} to {max(self.rates):.1f})", flush=True)


def main(sizes):
    methods = [("random", "full"), ("random", "hyperband")]
    if os.environ.get("METHODS") == "all":
        methods = [(a, b) for a in ("random", "grid", "sobol") for b in ("full", "halving", "hyperband", "asha", "racing")]
    print("client: Python", sys.version.split()[0], "psycopg2", psycopg2.__version__.split()[0],
          f"optuna {optuna.__version__} sqlalchemy {sqlalchemy.__version__}" if optuna else "no optuna")
    ours, theirs = {}, {}
    for trials in sizes:
        for connections in (1, 8):
            for sampler, scheduler in methods:
                ours[sampler, scheduler, trials, connections] = Case(f"hyperband {sampler} x {scheduler}", hyperband_fill, hyperband_pairs,
                                                                     trials, connections, sampler, scheduler, 2000)
            if optuna and trials <= OPTUNA_MOST:
                theirs[trials, connections] = Case("optuna RandomSampler, RDBStorage", optuna_fill, optuna_pairs, trials, connections, None, None, 100)
    for _ in range(ROUNDS):
        for case in [*ours.values(), *theirs.values()]:
            case.round()
    for case in [*ours.values(), *theirs.values()]:
        case.show()
    for (trials, connections), case in theirs.items():
        for sampler, scheduler in methods:
            print(f"{sampler} x {scheduler}, {trials} trials, {connections} connections: "
                  f"{ours[sampler, scheduler, trials, connections].rate() / case.rate():.1f} times optuna's rate")
    for sampler, scheduler in methods:
        for connections in (1, 8):
            first, last = (ours[sampler, scheduler, n, connections].rate() for n in (sizes[0], sizes[-1]))
            print(f"{sampler} x {scheduler}, {connections} connections: a pair at {sizes[-1]} trials costs {first / last:.2f} times that at {sizes[0]}")


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
