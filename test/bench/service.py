"""What test/bench/service.sh measures: ask + tell pairs a second from 1 and 8 connections.

A study is filled with finished trials first (hyperband: by its own functions; Optuna: by copies of a trial that it wrote
itself), then a number of pairs is timed, from the first start to the last end of the processes.  A pair is: a loss told,
and a configuration of two floats and a category asked for.  Each process makes ten pairs before the clock starts.  Small
studies are made anew for each round, so that they stay small.  Beside the wall clock the processor time of the
connections' server processes is taken, which other work on the machine disturbs less: ratios are of that.
"""
import multiprocessing
import os
import re
import statistics
import sys
import time

import psycopg2

import goal

try:
    import optuna
    import sqlalchemy

    optuna.logging.set_verbosity(optuna.logging.ERROR)
except ImportError:
    optuna = None

SPACE = ('{"x": {"type": "float", "low": 0, "high": 1, "grid": 1000}, "y": {"type": "float", "low": 1e-5, "high": 1, "log": true, "grid": 1000}, '
         '"kind": ["a", "b", "c"]}')
OPTUNA_URL = "postgresql+psycopg2:///optuna_service"
OPTUNA_SIZES = [int(size) for size in os.environ.get("OPTUNA", "10000").split()]
ROUNDS = int(os.environ.get("ROUNDS", 3))
PAIRS = int(os.environ.get("PAIRS", 2000))
SAMPLERS = ("random", "grid", "sobol")
SCHEDULERS = ("full", "halving", "hyperband", "asha", "racing")
WARM_UP = 10


def connect():
    db = psycopg2.connect(dbname="hyperband_service")
    db.autocommit = True
    return db.cursor()


def processor_seconds(pid):
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e9


def hyperband_fill(trials, room, sampler, scheduler):
    sql = connect()
    sql.execute("SELECT hyperband_create_study(%s, %s, %s, max_resource => 9, n_trials => %s)", [SPACE, sampler, scheduler, trials + room])
    study = sql.fetchone()[0]
    drawn = 0
    while drawn < trials:
        sql.execute("SELECT count(hyperband_tell(trial_id, attempt, to_resource, random())), max(trial_id) FROM hyperband_ask(%s, %s)",
                    [study, min(100, trials - drawn)])
        told = sql.fetchone()[0]
        assert told > 0, "the study ended while it was filled"
        sql.execute("SELECT drawn FROM hyperband.turn WHERE study_id = %s", [study])
        drawn = sql.fetchone()[0]
    sql.connection.close()
    return study


class Worker:
    """Tells a result and asks for the next trial in one transaction, as a worker's loop does."""

    def __init__(self, study):
        self.sql, self.study = connect(), study
        self.sql.execute("PREPARE ask (bigint) AS SELECT trial_id, attempt, config, to_resource FROM hyperband_ask($1)")
        self.sql.execute("PREPARE tell (bigint, int, int, float8) AS SELECT hyperband_tell($1, $2, $3, $4)")
        self.ask()

    def ask(self):
        """Until there is something to do: others' results may be awaited."""
        self.row = None
        while not self.row:
            self.sql.execute("EXECUTE ask (%s)", [self.study])
            self.row = self.sql.fetchone()

    def told(self):
        trial, attempt, config, resource = self.row
        return [trial, attempt, resource, config["x"]]

    def pair(self):
        self.sql.execute("EXECUTE tell (%s, %s, %s, %s); EXECUTE ask (%s)", [*self.told(), self.study])
        self.row = self.sql.fetchone()
        if not self.row:
            self.ask()

    def end(self):
        self.sql.execute("EXECUTE tell (%s, %s, %s, %s)", self.told())


class PlainWorker(Worker):
    """Asks and tells in transactions of their own, statements as text: what a caller writes first."""

    def pair(self):
        self.sql.execute("SELECT hyperband_tell(%s, %s, %s, %s)", self.told())
        self.row = None
        while not self.row:
            self.sql.execute("SELECT trial_id, attempt, config, to_resource FROM hyperband_ask(%s)", [self.study])
            self.row = self.sql.fetchone()


class BatchWorker(Worker):
    """Evaluates BATCH trials between two transactions, as a worker with a model to train on each core does."""

    BATCH = 10

    def __init__(self, study):
        self.sql, self.study = connect(), study
        self.sql.execute("PREPARE ask (bigint) AS SELECT trial_id, attempt, config, to_resource FROM hyperband_ask($1, %s)", [self.BATCH])
        self.sql.execute("PREPARE tell (bigint[], int[], int[], float8[]) AS SELECT count(hyperband_tell(trial, attempt, resource, loss)) "
                         "FROM unnest($1, $2, $3, $4) AS told (trial, attempt, resource, loss)")
        self.done = 0
        self.ask()

    def ask(self):
        self.rows = []
        while not self.rows:
            self.sql.execute("EXECUTE ask (%s)", [self.study])
            self.rows = self.sql.fetchall()

    def told(self):
        trials, attempts, configs, resources = zip(*self.rows)
        return [list(trials), list(attempts), list(resources), [config["x"] for config in configs]]

    def pair(self):
        """One of the batch; the last one goes to the server with the others."""
        self.done += 1
        if self.done < len(self.rows):
            return
        self.done = 0
        self.sql.execute("EXECUTE tell (%s, %s, %s, %s); EXECUTE ask (%s)", [*self.told(), self.study])
        self.rows = self.sql.fetchall()
        if not self.rows:
            self.ask()


def batch_pairs(study, pairs, barrier):
    return hyperband_pairs(study, pairs, barrier, BatchWorker)


def plain_pairs(study, pairs, barrier):
    return hyperband_pairs(study, pairs, barrier, PlainWorker)


def hyperband_pairs(study, pairs, barrier, kind=Worker):
    worker = kind(study)
    pid = worker.sql.connection.get_backend_pid()
    for _ in range(WARM_UP):
        worker.pair()
    barrier.wait()
    before, begin = processor_seconds(pid), time.monotonic()
    for _ in range(pairs):
        worker.pair()
    end, after = time.monotonic(), processor_seconds(pid)
    worker.end()
    return begin, end, after - before


def optuna_space():
    return {"x": optuna.distributions.FloatDistribution(0, 1), "y": optuna.distributions.FloatDistribution(1e-5, 1, log=True),
            "kind": optuna.distributions.CategoricalDistribution(["a", "b", "c"])}


# add_trials takes minutes for many: these are the rows that it writes, with values and numbers of their own.
OPTUNA_COPIES = """
CREATE TEMP TABLE copies AS SELECT nextval(pg_get_serial_sequence('trials', 'trial_id'))::int AS trial_id, n, t.trial_id AS template
    FROM trials t, generate_series(1, %(copies)s) n WHERE t.study_id = %(study)s AND t.number = 0;
INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)
    SELECT c.trial_id, c.n, t.study_id, t.state, t.datetime_start, t.datetime_complete FROM copies c JOIN trials t ON t.trial_id = c.template;
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT c.trial_id, p.param_name, p.param_value, p.distribution_json FROM copies c JOIN trial_params p ON p.trial_id = c.template;
INSERT INTO trial_values (trial_id, objective, value, value_type)
    SELECT c.trial_id, v.objective, random(), v.value_type FROM copies c JOIN trial_values v ON v.trial_id = c.template;
DROP TABLE copies;
"""


def optuna_fill(trials, room, sampler, scheduler):
    storage = optuna.storages.RDBStorage(OPTUNA_URL)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler())
    study.add_trial(optuna.trial.create_trial(params={"x": 0.5, "y": 0.5, "kind": "a"}, distributions=optuna_space(), value=0.5))
    storage.engine.dispose()  # processes inherit no connection
    db = psycopg2.connect(dbname="optuna_service")
    db.cursor().execute(OPTUNA_COPIES, {"copies": trials - 1, "study": study._study_id})
    db.commit()
    db.autocommit = True
    db.cursor().execute("ANALYZE")
    db.close()
    assert len(optuna.load_study(study_name=study.study_name, storage=OPTUNA_URL).get_trials(deepcopy=False)) == trials
    return study.study_name


def optuna_pairs(name, pairs, barrier):
    storage = optuna.storages.RDBStorage(OPTUNA_URL)
    study = optuna.load_study(study_name=name, storage=storage, sampler=optuna.samplers.RandomSampler())
    space = optuna_space()
    with storage.engine.connect() as connection:  # the pool's only one, which pairs use again
        pid = connection.connection.dbapi_connection.get_backend_pid()

    def pair():
        trial = study.ask(space)
        study.tell(trial, trial.params["x"])

    for _ in range(WARM_UP):
        pair()
    barrier.wait()
    before, begin = processor_seconds(pid), time.monotonic()
    for _ in range(pairs):
        pair()
    return begin, time.monotonic(), processor_seconds(pid) - before


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
    done = share * connections
    return done / (max(end for _, end, _ in times) - min(begin for begin, _, _ in times)), sum(cpu for _, _, cpu in times) / done


class Case:
    """One line of figures. Rounds of all cases take turns, so that what else the machine does meets them alike."""

    studies = {}

    def __init__(self, name, fill, pairs_of, trials, connections, sampler, scheduler, most):
        self.name, self.fill, self.pairs_of, self.trials, self.connections = name, fill, pairs_of, trials, connections
        self.sampler, self.scheduler = sampler, scheduler
        self.pairs = max(48, min(trials, most))
        self.rates, self.costs = [], []

    def prepare(self):
        key = self.name, self.trials  # large studies serve one and eight connections
        if key not in Case.studies or self.trials < 1000:
            Case.studies[key] = self.fill(self.trials, 2 * (self.pairs + 8 * (WARM_UP + 1)) * ROUNDS + 1000, self.sampler, self.scheduler)
        return Case.studies[key]

    def round(self):
        rate, cost = timed(self.pairs_of, self.prepare(), self.connections, self.pairs)
        self.rates.append(rate)
        self.costs.append(cost)

    def rate(self):
        return statistics.median(self.rates)

    def cost(self):
        return statistics.median(self.costs)

    def show(self):
        print(f"{self.name:34} {self.trials:7} trials  {self.connections} connections  {len(self.rates)} x {self.pairs:5} pairs  "
              f"{self.rate():9.1f} pairs/s ({min(self.rates):.1f} to {max(self.rates):.1f})  {1000 * self.cost():7.3f} ms of server CPU a pair", flush=True)


def verdict(met, text):
    print(f"  {'met' if met else 'not met':8} {text}", flush=True)


def cost_of(case):
    """Where a pair's time goes, as far as it is known: the server's part, the rest being the client's and the waiting."""
    return (f"{1000 * case.cost():.3f} ms of server CPU of the {1000 * case.connections / case.rate():.3f} ms that a pair takes one of "
            f"{case.connections} connections")


def growth(ours, methods, sizes):
    """Goal: a pair in a large study costs at most twice what it costs in a small one."""
    if len(sizes) < 2:
        return
    print(f"\nExpected: a pair at {sizes[-1]} trials costs at most 2 times the server CPU of one at {sizes[0]} (in brackets: wall clock)")
    for method in methods:
        for connections in (1, 8):
            first, last = (ours[(*method, size, connections)] for size in (sizes[0], sizes[-1]))
            ratio = last.cost() / first.cost()
            verdict(ratio <= 2, f"{' x '.join(method)}, {connections} connections: {ratio:.2f} ({first.rate() / last.rate():.2f})")
            goal.most(f"{' x '.join(method)}, {connections} connections: server CPU of a pair at {sizes[-1]} trials in that at {sizes[0]}", 2, ratio,
                      " times", f"{1000 * last.cost():.3f} ms against {1000 * first.cost():.3f} ms; by the clock {first.rate() / last.rate():.2f} times")


def beside(ours, theirs, methods, how):
    """Goal: 50 times Optuna's rate."""
    for (trials, connections), case in theirs.items():
        print(f"\nExpected: at {trials} trials, {connections} connections, at least 50 times Optuna's rate ({how})")
        for method in methods:
            if (*method, trials, connections) in ours:
                mine = ours[(*method, trials, connections)]
                ratio = mine.rate() / case.rate()
                verdict(ratio >= 50, f"{' x '.join(method)}: {ratio:.1f} times the rate, {case.cost() / max(mine.cost(), 1e-9):.1f} times fewer seconds of server CPU")
                goal.least(f"{' x '.join(method)}, {trials} trials, {connections} connections: pairs a second in Optuna's, {how}", 50, ratio, " times",
                           f"{cost_of(mine)}; Optuna {cost_of(case)}", digits=1)


def main(sizes):
    wanted = re.compile(os.environ.get("METHODS", ""))
    methods = [(a, b) for a in SAMPLERS for b in SCHEDULERS if wanted.match(f"{a} x {b}")]
    if not methods:
        sys.exit(f"METHODS matches no combination: {wanted.pattern}")
    print("client: Python", sys.version.split()[0], "psycopg2", psycopg2.__version__.split()[0],
          f"optuna {optuna.__version__} sqlalchemy {sqlalchemy.__version__}" if optuna else "no optuna", flush=True)
    ours, plain, batch, theirs = {}, {}, {}, {}
    for trials in sizes:
        for connections in (1, 8):
            for sampler, scheduler in methods:
                ours[sampler, scheduler, trials, connections] = Case(f"hyperband {sampler} x {scheduler}", hyperband_fill, hyperband_pairs,
                                                                     trials, connections, sampler, scheduler, PAIRS)
                if optuna and trials in OPTUNA_SIZES:
                    for cases, name, pairs_of in (plain, "plain", plain_pairs), (batch, f"{BatchWorker.BATCH} at a time", batch_pairs):
                        cases[sampler, scheduler, trials, connections] = Case(f"{name} {sampler} x {scheduler}", hyperband_fill, pairs_of,
                                                                              trials, connections, sampler, scheduler, PAIRS)
    for trials in OPTUNA_SIZES if optuna else []:
        for connections in (1, 8):
            theirs[trials, connections] = Case("optuna RandomSampler, RDBStorage", optuna_fill, optuna_pairs, trials, connections, None, None, min(100, PAIRS))
    cases = [*ours.values(), *plain.values(), *batch.values(), *theirs.values()]
    with multiprocessing.get_context("fork").Pool(2) as pool:  # filling takes longest
        large = {(case.name, case.trials): case for case in [*ours.values(), *plain.values(), *batch.values()] if case.trials >= 1000}
        filled = pool.map(fill, [(case.trials, 2 * (case.pairs + 8 * (WARM_UP + 1)) * ROUNDS + 1000, case.sampler, case.scheduler) for case in large.values()], 1)
        Case.studies.update(zip(large, filled))
    connect().execute("VACUUM ANALYZE")
    for _ in range(ROUNDS):
        for case in cases:
            case.round()
    for case in cases:
        case.show()
    growth(ours, methods, sizes)
    beside(ours, theirs, methods, "prepared statements, tell and the next ask in one transaction")
    beside(batch, theirs, methods, f"{BatchWorker.BATCH} results told and {BatchWorker.BATCH} trials asked for in one transaction")
    beside(plain, theirs, methods, "each statement as text, in a transaction of its own")
    goal.show()


def fill(arguments):
    return hyperband_fill(*arguments)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
