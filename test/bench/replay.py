# Replays recorded learning curves: every sampler x scheduler of hyperband, and Optuna, on the same tables.
#
#   replay.py DATA_FOLDER SEEDS RESULTS      started by replay.sh, which says what the environment may set
#
# The loss told is the table's at the resource reached; a run costs what it adds to a trial's resource (runs are
# resumed).  After 10 and 30 full trainings the configuration with the lowest loss seen so far at any rung is chosen;
# its regret is its loss when fully trained minus the table's best (simple regret; Li et al. 2018, section 4).
import csv
import json
import math
import multiprocessing
import os
import re
import sys
import time

import psycopg

from replay_tables import DataSets, tasks

BUDGETS = (10, 30)
SAMPLERS = ("random", "grid", "sobol", "tpe", "gp")
SCHEDULERS = ("full", "halving", "hyperband", "asha")
MODELS = ("tpe", "gp", "Optuna TPE")
TABLES_OWN = [("table", "full"), ("table", "hyperband")]


class Ledger:
    """What has been spent, and the best seen so far."""

    def __init__(self, task):
        self.task, self.spent, self.events = task, 0, []

    def run(self, config, start, stop):
        row = self.task.nearest(config)
        loss = float(self.task.losses[row, stop])
        self.spent += stop - start
        self.events.append((self.spent, loss, row))
        return loss

    def over(self, budget):
        return self.spent >= budget * self.task.R

    def regret(self, budget):
        seen = [(loss, spent, row) for spent, loss, row in self.events if spent <= budget * self.task.R and math.isfinite(loss)]
        return self.task.regret(min(seen)[2]) if seen else self.task.worst - self.task.best


def create(db, task, space, sampler, scheduler, n_trials, seed):
    return db.execute(
        "SELECT hyperband_create_study(%s::text::jsonb, %s, %s, %s, %s, 3, n_trials => %s, seed => %s)",
        (json.dumps(space), sampler, scheduler, task.R, task.min_resource, n_trials, seed)).fetchone()[0]


def drop(db, study):
    db.execute("SELECT hyperband_cancel(%s)", (study,))
    db.execute("SELECT hyperband_drop(%s)", (study,))


halving_sizes = {}


def halving_size(db, task, budget):
    """The largest number of configurations whose halving costs no more than the budget, as the extension plans it."""
    low, high = 1, min(100 * budget, trials(task, task.space, "halving")) + 1
    key = task.R, task.min_resource, budget, high
    if key not in halving_sizes:
        while high - low > 1:
            n = (low + high) // 2
            study = create(db, task, task.space, "random", "halving", n, 0)
            planned = db.execute("SELECT resource_planned FROM hyperband.study WHERE study_id = %s", (study,)).fetchone()[0]
            drop(db, study)
            low, high = (n, high) if planned <= budget * task.R else (low, n)
        halving_sizes[key] = low
    return halving_sizes[key]


def ask_and_tell(db, task, space, sampler, scheduler, n_trials, seed, budget, at_once=None):
    ledger = Ledger(task)
    study = create(db, task, space, sampler, scheduler, n_trials, seed)
    # halving may be asked for together, as replay_minimize.py checks: its one bracket is drawn before the first result
    # counts, and a rung begins when the one before has ended.  hyperband of a sampler that does not learn would begin
    # all its brackets at once, and asha's history is that of its workers.
    at_once = at_once or (64 if scheduler == "halving" else 1)
    while not ledger.over(budget):
        asked = db.execute("SELECT trial_id, attempt, config, from_resource, to_resource FROM hyperband_ask(%s, %s)",
                           (study, at_once)).fetchall()
        if not asked:
            break
        told = [(trial, attempt, stop, ledger.run(config, start, stop)) for trial, attempt, config, start, stop in asked]
        db.execute("SELECT hyperband_tell(t, a, r, l) FROM unnest(%s::bigint[], %s::int[], %s::int[], %s::float8[]) AS u(t, a, r, l)",
                   [list(column) for column in zip(*told)])
    ledger.drawn = db.execute("SELECT count(*) FROM hyperband.trial WHERE study_id = %s", (study,)).fetchone()[0]
    drop(db, study)
    return ledger


def ours(db, task, sampler, scheduler, seed):
    space = task.space
    if sampler == "table":
        sampler, space = "random", {"row": dict(type="categorical", choices=list(range(len(task.points))))}
    if scheduler == "halving":
        # A bracket is made for one budget: a run for each.
        return [ask_and_tell(db, task, space, sampler, scheduler, halving_size(db, task, b), seed, b).regret(b) for b in BUDGETS]
    ledger = ask_and_tell(db, task, space, sampler, scheduler, trials(task, space, scheduler), seed, BUDGETS[-1])
    return [ledger.regret(b) for b in BUDGETS]


def trials(task, space, scheduler):
    """More than the budget can pay for, but for a space that has fewer configurations."""
    only = [len(spec["choices"]) for spec in space.values()] if len(space) == 1 else [900]
    return min(only[0], {"full": BUDGETS[-1]}.get(scheduler, 900))


def suggest(trial, space):
    config = {}
    for name, spec in space.items():
        if spec["type"] == "categorical":
            config[name] = trial.suggest_categorical(name, spec["choices"])
        else:
            draw = trial.suggest_int if spec["type"] == "int" else trial.suggest_float
            config[name] = draw(name, spec["low"], spec["high"], log=spec.get("log", False))
    return config


def optuna_run(task, sampler, scheduler, seed):
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {"Optuna TPE": optuna.samplers.TPESampler, "Optuna random": optuna.samplers.RandomSampler}
    pruners = {
        "HyperbandPruner": lambda: optuna.pruners.HyperbandPruner(task.min_resource, task.R, 3),
        "SuccessiveHalvingPruner": lambda: optuna.pruners.SuccessiveHalvingPruner(task.min_resource, 3),
        "no pruner": optuna.pruners.NopPruner}
    study = optuna.create_study(study_name=str(seed), sampler=samplers[sampler](seed=seed), pruner=pruners[scheduler]())
    ledger = Ledger(task)
    steps = task.steps if scheduler != "no pruner" else [task.R]
    while not ledger.over(BUDGETS[-1]):
        trial, start = study.ask(), 0
        config = suggest(trial, task.space)
        for stop in steps:
            loss = ledger.run(config, start, stop)
            trial.report(loss, stop)
            start = stop
            if not math.isfinite(loss) or trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, loss)
    return [ledger.regret(b) for b in BUDGETS]


def wanted():
    """The combinations, those without a model first."""
    all_of_them = [(s, c) for s in SAMPLERS for c in SCHEDULERS] + TABLES_OWN
    all_of_them += [("Optuna random", "SuccessiveHalvingPruner"), ("Optuna TPE", "HyperbandPruner")]
    all_of_them += [("Optuna random", "HyperbandPruner"), ("Optuna TPE", "SuccessiveHalvingPruner"), ("Optuna TPE", "no pruner")]
    only = os.environ.get("ONLY")
    return [m for m in all_of_them if only is None or re.search(only, " x ".join(m))]


def work(part, parts, folder, seeds, done, deadline, results, lock):
    db = psycopg.connect("", autocommit=True, prepare_threshold=2)
    db.execute("SET client_min_messages = warning")
    every = tasks(folder)
    # Those without a model first: they are cheap.
    groups = [[m for m in wanted() if (m[0] in MODELS) == model] for model in (False, True)]
    jobs = [(t, m, s) for g in groups for s in range(1, seeds + 1) for m in g for t in every]
    number = {id(t): i for i, t in enumerate(every)}
    only = os.environ.get("TASKS")
    jobs = [job for job in jobs if only is None or re.search(only, f"{job[0].bench} {job[0].name}")]
    for task, (sampler, scheduler), seed in jobs[part::parts]:
        if time.time() > deadline:
            break
        key = task.bench, task.name, sampler, scheduler, str(seed)
        if key in done:
            continue
        if isinstance(task, DataSets) and sampler == "table":
            continue  # its space is the table
        began = time.time()
        # Tasks share a space: each draws from seeds of its own.
        draw = 100 * seed + number[id(task)]
        one = task.at(seed)
        run = optuna_run(one, sampler, scheduler, draw) if sampler.startswith("Optuna") else ours(db, one, sampler, scheduler, draw)
        with lock, open(results, "a", newline="") as file:
            csv.writer(file).writerow([*key, *("%.6g" % r for r in run), "%.3f" % (time.time() - began)])
    db.close()


def main():
    folder, seeds, results = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    parts = int(os.environ.get("JOBS", "2"))
    deadline = time.time() + float(os.environ.get("LIMIT", "1e9"))
    done = set()
    if os.path.exists(results):
        with open(results, newline="") as file:
            done = {tuple(line[:5]) for line in csv.reader(file)}
    lock = multiprocessing.Lock()
    workers = [multiprocessing.Process(target=work, args=(p, parts, folder, seeds, done, deadline, results, lock)) for p in range(parts)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    if any(w.exitcode for w in workers):
        sys.exit(1)


if __name__ == "__main__":
    main()
