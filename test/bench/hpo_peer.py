"""Tunes a table of the server with scikit-learn or Optuna and PyTorch, as hpo.sh asks, on two cores.

    hpo_peer.py METHOD TASK TARGET MODEL R SEED TRIALS     METHOD: halving, optuna, random

The clock runs from the first byte read from PostgreSQL to the tuned model in memory; imports come before it and the test
error after it.  Prints one line: wall seconds | CPU seconds | best validation error | test error | trials | epochs trained.

Written as well as its author knows how:
- Tables of one fixed width are read by binary COPY straight into numpy; only mixed columns are fetched row by row.
- PyTorch: a process a core with one thread each, which take the next trial when they are through with one; data in one
  tensor; mini-batches are views, or gathered into one buffer where rows are wide; fused optimizers; no DataLoader; nothing
  is copied out of the graph in a step; evaluated where somebody asks: at the end, with Optuna at its rungs.
- Optuna: HyperbandPruner and its TPE sampler, both processes on one journal file.  A pruned trial is not gone on with, so
  nothing is trained twice.  Trials are as many as the Hyperband plan has, under random search as many as
  its resource fully trains.
- scikit-learn: HalvingRandomSearchCV over max_iter, factor 3, one bracket of R candidates, one split of 20 % instead of
  cross-validation, two jobs, scores of the validation rows only.  It trains from scratch at each rung: that is how it works.
  Of its last rung, with one candidate, nothing but the model would be of use, and that is not kept: the best of three at R/3 is
  trained to R instead, on both cores.  Linear models are MLPClassifier without a hidden layer, which takes mini-batches;
  for two classes SGDClassifier, which takes single rows and is the faster one there alone.  Networks stop early where
  their loss no longer falls, as is its default: epochs are counted as asked for.
"""
import glob
import multiprocessing
import os
import sys
import tempfile
import time
import warnings

if sys.argv[1] != "halving":  # joblib gives each of its processes its share of the cores
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
import numpy
import psycopg

CORES = 2
BATCH = 128
SPACE_MLP = {"nesterov": (1e-3, 0.3), "adam": (1e-4, 2e-2)}
SPACE_LINEAR = {"nesterov": (1e-3, 1.0), "adam": (1e-4, 0.1)}


# ---- data ----

def read_binary(cursor, query, record):
    """COPY BINARY of rows of one width into a structured array: a header of 19 bytes, a trailer of 2."""
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
        data = b"".join(copy)
    return numpy.frombuffer(data, record, count=(len(data) - 21) // record.itemsize, offset=19)


def read_images(cursor, table):
    record = numpy.dtype([("head", "V2"), ("ll", ">i4"), ("label", ">i2"), ("pl", ">i4"), ("pixels", "u1", 784)])
    rows = read_binary(cursor, f"SELECT label, pixels FROM {table}", record)
    return rows["pixels"].astype(numpy.float32), rows["label"].astype(numpy.int64)


def read_reals(cursor, table, columns, target):
    width = len(columns)
    record = numpy.dtype([("head", "V2"), ("x", numpy.dtype([("l", ">i4"), ("v", ">f4")]), width), ("yl", ">i4"), ("y", ">i4")])
    rows = read_binary(cursor, "SELECT " + ", ".join(f"{c}::real" for c in columns) + f", {target}::int FROM {table}", record)
    return rows["x"]["v"].astype(numpy.float32), rows["y"].astype(numpy.int64)


def read_mixed(cursor, table, columns, target):
    cursor.execute(f"SELECT {', '.join(columns)}, {target} FROM {table}")
    return list(zip(*cursor.fetchall()))


class Data:
    """A table as arrays; encoders are made of the training part."""

    def __init__(self, cursor, task, target, seed):
        train = f"hpo_bench.{task}_train"
        cursor.execute("SELECT attname, atttypid::regtype::text FROM pg_attribute WHERE attrelid = %s::regclass"
                       " AND attnum > 0 AND attname <> %s ORDER BY attnum", (train, target))
        columns = cursor.fetchall()
        self.names = [name for name, _ in columns]
        self.kind = ("images" if columns[0][1] == "bytea" else
                     "mixed" if any(kind == "text" for _, kind in columns) else "reals")
        self.classes = None
        cursor.execute("SELECT data_type FROM information_schema.columns WHERE table_schema = 'hpo_bench'"
                       " AND table_name = %s AND column_name = %s", (f"{task}_train", target))
        self.text_target = cursor.fetchone()[0] == "text"
        x, y = self.read(cursor, train, target)
        order = numpy.random.default_rng(seed).permutation(len(y))
        held = len(y) // (6 if task == "fashion_10k" else 5)
        self.x, self.y = self.encode(x, fit=order[held:]), y
        self.held, self.used = order[:held], order[held:]

    def read(self, cursor, table, target):
        if self.kind == "images":
            return read_images(cursor, table)
        if self.kind == "reals" and not self.text_target:
            return read_reals(cursor, table, self.names, target)
        *columns, labels = read_mixed(cursor, table, self.names, target)
        if self.classes is None:
            self.classes = {c: i for i, c in enumerate(sorted(set(labels)))}
        return columns, numpy.array([self.classes[c] for c in labels])

    def encode(self, x, fit=None):
        if isinstance(x, numpy.ndarray):
            if fit is not None:
                # images have one mean and one deviation, as in the database
                axis = None if self.kind == "images" else 0
                self.mean, self.deviation = x[fit].mean(axis), x[fit].std(axis) + 1e-9
            return ((x - self.mean) / self.deviation).astype(numpy.float32)
        if fit is not None:
            self.encoders = [self.encoder(column, fit) for column in x]
        return numpy.concatenate([encode(column) for encode, column in zip(self.encoders, x)], axis=1)

    @staticmethod
    def encoder(column, fit):
        if any(isinstance(v, str) for v in column):
            levels = {v: i for i, v in enumerate(sorted({v for v in column if v is not None}))}

            def one_hot(values):
                codes = numpy.array([levels.get(v, len(levels)) for v in values])
                return numpy.eye(len(levels) + 1, dtype=numpy.float32)[codes]
            return one_hot
        known = numpy.array(column, dtype=numpy.float64)[fit]
        mean, deviation = numpy.nanmean(known), numpy.nanstd(known) + 1e-9

        def standardise(values):
            z = (numpy.array(values, dtype=numpy.float64) - mean) / deviation
            return numpy.clip(numpy.nan_to_num(z), -5, 5).astype(numpy.float32)[:, None]
        return standardise


# ---- PyTorch ----

def torch_setup():
    import torch
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return torch


def build(torch, inputs, classes, config):
    layers = []
    for _ in range(config.get("layers", 0)):
        layers += [torch.nn.Linear(inputs, config["units"]), torch.nn.ReLU() if config["activation"] == "relu" else torch.nn.Tanh()]
        inputs = config["units"]
    return torch.nn.Sequential(*layers, torch.nn.Linear(inputs, classes))


def batches(torch, x, y):
    """Narrow rows are put in order once an epoch, so that a batch is a view; wide ones would leave the cache: batch by batch."""
    order = torch.randperm(len(y))
    labels = y[order]
    if x.shape[1] < 256:
        rows = x[order]
        for at in range(0, len(y), BATCH):
            yield rows[at:at + BATCH], labels[at:at + BATCH]
        return
    room = torch.empty(BATCH, x.shape[1])
    for at in range(0, len(y), BATCH):
        part = order[at:at + BATCH]
        yield torch.index_select(x, 0, part, out=room[:len(part)]), labels[at:at + BATCH]


def train(torch, tensors, config, epochs, seed, rungs, report):
    """Epoch after epoch; at rungs report(epoch, error) says whether to go on. Returns the last error, epochs trained, the model."""
    x, y, vx, vy, classes = tensors
    torch.manual_seed(seed)
    model = build(torch, x.shape[1], classes, config)
    if config["optimizer"] == "adam":
        optimizer = torch.optim.Adam(model.parameters(), lr=config["learning_rate"], weight_decay=config["l2"], fused=True)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=config["learning_rate"], momentum=0.9, nesterov=True,
                                    weight_decay=config["l2"], fused=True)
    error = 1.0
    for epoch in range(1, epochs + 1):
        for rows, labels in batches(torch, x, y):
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(rows), labels).backward()
            optimizer.step()
        if epoch not in rungs and epoch < epochs:
            continue
        with torch.no_grad():
            error = (model(vx).argmax(1) != vy).float().mean().item()
        if not report(epoch, error):
            break
    return error, epoch, model


def draw(model, suggest_float, suggest_int, suggest_choice):
    """The search space, which hpo.sh gives to the database as JSON."""
    config = {"optimizer": suggest_choice("optimizer", ["nesterov", "adam"])}
    low, high = (SPACE_MLP if model == "mlp" else SPACE_LINEAR)[config["optimizer"]]
    config["learning_rate"] = suggest_float("learning_rate_" + config["optimizer"], low, high)
    config["l2"] = suggest_float("l2", 1e-7, 1e-3 if model == "mlp" else 0.1)
    if model == "mlp":
        config["layers"] = suggest_int("layers", 1, 2)
        config["units"] = suggest_int("units", 32, 256)
        config["activation"] = suggest_choice("activation", ["relu", "tanh"])
    return config


def random_config(model, rng):
    def logarithmic(name, low, high):
        return float(numpy.exp(rng.uniform(numpy.log(low), numpy.log(high))))
    return draw(model, logarithmic,
                lambda name, low, high: int(rng.integers(low, high + 1)) if high < 16 else int(round(logarithmic(name, low, high))),
                lambda name, choices: choices[rng.integers(len(choices))])


def numbers(counter, trials):
    """Of the trials that both processes share out, one after another."""
    while True:
        with counter.get_lock():
            number = counter.value
            counter.value += 1
        if number >= trials:
            return
        yield number


def random_worker(rank, counter, tensors, model, epochs, trials, seed, answers):
    torch = torch_setup()
    best, spent = (2.0, None, None), 0
    for number in numbers(counter, trials):
        config = random_config(model, numpy.random.default_rng((seed, number)))
        error, trained, net = train(torch, tensors, config, epochs, 1000 * seed + number, (), lambda epoch, error: True)
        spent += trained
        if error < best[0]:
            best = (error, config, net)
    weights = [p.detach().numpy() for p in best[2].parameters()] if best[2] is not None else None
    answers.put((*best[:2], weights, spent))


def optuna_worker(rank, counter, tensors, model, epochs, trials, seed, path, answers):
    import optuna
    torch = torch_setup()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))
    study = optuna.create_study(study_name="hpo", storage=storage, load_if_exists=True, direction="minimize",
                                sampler=optuna.samplers.TPESampler(seed=seed * CORES + rank),
                                pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3))
    best = [2.0, None, None]
    spent = [0]
    rungs = [3 ** k for k in range(20)]

    def objective(trial):
        config = draw(model, lambda name, low, high: trial.suggest_float(name, low, high, log=True),
                      lambda name, low, high: trial.suggest_int(name, low, high, log=high >= 16),
                      trial.suggest_categorical)
        stopped = []

        def report(epoch, error):
            trial.report(error, epoch)
            if trial.should_prune():
                stopped.append(True)
            return not stopped
        error, trained, net = train(torch, tensors, config, epochs, 1000 * seed + trial.number, rungs, report)
        spent[0] += trained
        if error < best[0]:
            best[:] = error, config, [p.detach().numpy().copy() for p in net.parameters()]
        if stopped:
            raise optuna.TrialPruned()
        return error
    for _ in numbers(counter, trials):
        study.optimize(objective, n_trials=1)
    answers.put((*best, spent[0]))


def torch_search(worker, data, model, *arguments):
    """Runs the workers; returns error, epochs and a function that predicts."""
    torch = torch_setup()
    classes = int(data.y.max()) + 1
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    tensors = (x[data.used], y[data.used], x[data.held], y[data.held], classes)
    context = multiprocessing.get_context("fork")
    answers, counter = context.Queue(), context.Value("i", 0)
    workers = [context.Process(target=worker, args=(rank, counter, tensors, model, *arguments, answers)) for rank in range(CORES)]
    for process in workers:
        process.start()
    found = [answers.get() for _ in workers]
    for process in workers:
        process.join()
    error, config, weights, _ = min((f for f in found if f[2] is not None), key=lambda f: f[0])
    net = build(torch, x.shape[1], classes, config)
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), weights):
            parameter.copy_(torch.from_numpy(value))

    def predict(rows):
        with torch.no_grad():
            return net(torch.from_numpy(rows)).argmax(1).numpy()
    return error, sum(f[3] for f in found), predict


# ---- scikit-learn ----

def sklearn_search(data, model, epochs, seed):
    from scipy.stats import loguniform
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import HalvingRandomSearchCV, PredefinedSplit
    from sklearn.neural_network import MLPClassifier
    if model == "mlp" or data.y.max() > 1:
        estimator = MLPClassifier((), batch_size=BATCH, nesterovs_momentum=True, momentum=0.9, random_state=seed)
        units = [int(u) for u in numpy.geomspace(32, 256, 32)]
        # it divides alpha by the rows of a batch
        shared = {"alpha": loguniform(BATCH * 1e-7, BATCH * 0.1)} if model == "linear" else {
            "alpha": loguniform(BATCH * 1e-7, BATCH * 1e-3), "activation": ["relu", "tanh"],
            "hidden_layer_sizes": [(u,) for u in units] + [(u, u) for u in units]}
        rates = SPACE_MLP if model == "mlp" else SPACE_LINEAR
        space = [{"solver": [solver], "learning_rate_init": loguniform(*rates[name]), **shared}
                 for solver, name in (("sgd", "nesterov"), ("adam", "adam"))]
    else:
        # one row a step: rates are those of a mean over 128 rows, divided by sqrt(128)
        estimator = SGDClassifier(loss="log_loss", learning_rate="constant", tol=None, random_state=seed)
        space = {"alpha": loguniform(1e-7, 0.1), "eta0": loguniform(1e-3 / 11.3, 1.0 / 11.3)}
    fold = numpy.full(len(data.y), -1)
    fold[data.held] = 0
    search = HalvingRandomSearchCV(estimator, space, n_candidates=epochs, factor=3, resource="max_iter", min_resources=1,
                                   max_resources=epochs // 3, cv=PredefinedSplit(fold), refit=False, n_jobs=CORES,
                                   random_state=seed, return_train_score=False)
    search.fit(data.x, data.y)
    best = estimator.set_params(**{**search.best_params_, "max_iter": epochs})
    best.fit(data.x[data.used], data.y[data.used])
    trained = sum(n * r for n, r in zip(search.n_candidates_, search.n_resources_)) + epochs
    return 1 - best.score(data.x[data.held], data.y[data.held]), trained, best.predict


def cpu_seconds(backend):
    """Of this process with all its descendants, and of the server's process that reads for it."""
    parent, ticks, own = {}, {}, {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as stat:
                pid, rest = int(path.split("/")[2]), stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        parent[pid], own[pid], ticks[pid] = int(rest[1]), int(rest[11]) + int(rest[12]), sum(map(int, rest[11:15]))

    def ours(pid):
        while pid in parent and pid != os.getpid():
            pid = parent[pid]
        return pid == os.getpid()
    return (own.get(backend, 0) + sum(n for pid, n in ticks.items() if ours(pid))) / os.sysconf("SC_CLK_TCK")


def main():
    method, task, target, model = sys.argv[1:5]
    epochs, seed, trials = int(sys.argv[5]), int(sys.argv[6]), int(sys.argv[7])
    warnings.filterwarnings("ignore")
    if method == "halving":
        import sklearn.base
        from sklearn.experimental import enable_halving_search_cv  # noqa: F401
        import sklearn.linear_model
        import sklearn.model_selection
        import sklearn.neural_network
        # the pool of workers is up, with its imports, before the clock starts
        import joblib
        estimators = [sklearn.neural_network.MLPClassifier(), sklearn.linear_model.SGDClassifier()] * 8 * CORES
        joblib.Parallel(n_jobs=CORES)(joblib.delayed(sklearn.base.clone)(estimator) for estimator in estimators)
    else:
        torch_setup()
    if method == "optuna":
        import optuna  # noqa: F401
    with psycopg.connect("") as connection, connection.cursor() as cursor, tempfile.TemporaryDirectory() as folder:
        backend = connection.info.backend_pid
        cpu, began = cpu_seconds(backend), time.monotonic()
        data = Data(cursor, task, target, seed)
        if method == "halving":
            error, spent, predict = sklearn_search(data, model, epochs, seed)
        elif method == "optuna":
            error, spent, predict = torch_search(optuna_worker, data, model, epochs, trials, seed, folder + "/journal")
        else:
            error, spent, predict = torch_search(random_worker, data, model, epochs, trials, seed)
        wall, cpu = time.monotonic() - began, cpu_seconds(backend) - cpu
        x, y = data.read(cursor, f"hpo_bench.{task}_test", target)
        test = float(numpy.mean(predict(data.encode(x)) != y))
    print(f"{wall:.3f}|{cpu:.2f}|{error:.6f}|{test:.6f}|{trials if method != 'halving' else epochs}|{spent}")


main()
