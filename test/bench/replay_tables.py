# The recorded learning curves that test/bench/replay.py tunes on: reading, search spaces, looking a loss up.
#
# A proposal between the table's configurations takes the nearest one: Euclidean distance in the space scaled to
# [0, 1] a parameter (logarithmic where the parameter is searched so, 1 for another category).  Spaces are those
# that the tables were drawn from; Adam's betas are searched as 1 - beta, which is how TaskSet drew them.
import csv
import gzip
import json
import math
import os

import numpy as np

csv.field_size_limit(1 << 30)


def log(low, high, **more):
    return dict(type="float", low=low, high=high, log=True, **more)


def log_int(low, high):
    return dict(type="int", low=low, high=high, log=True)


SPACES = {
    "taskset": {
        "learning_rate": log(1e-8, 10), "one_minus_beta1": log(1e-4, 1), "one_minus_beta2": log(1e-6, 1),
        "epsilon": log(1e-10, 1e3), "l1": log(1e-8, 10), "l2": log(1e-8, 10),
        "linear_decay": log(1e-7, 1e-4), "exponential_decay": log(1e-6, 1e-3)},
    "xgb_mnist_rows": {
        "learning_rate": log(1e-6, 1), "min_child_weight": log(1e-6, 32),
        "max_depth": log_int(2, 32), "n_estimators": log_int(2, 256)},
    "xgb_rounds": {
        "eta": log(1e-3, 1), "max_depth": dict(type="int", low=1, high=12), "min_child_weight": log(0.1, 100),
        "subsample": dict(type="float", low=0.2, high=1), "colsample_bytree": dict(type="float", low=0.2, high=1),
        "reg_lambda": log(1e-3, 1e3), "reg_alpha": log(1e-3, 1e3), "gamma": log(1e-3, 10)},
    # Half of the table has no second layer: any hidden2 below 8 stands for none.
    "mlp_sgd": {
        "learning_rate": log(1e-4, 1), "momentum": dict(type="float", low=0, high=1), "batch_size": log_int(32, 512),
        "hidden1": log_int(8, 128), "hidden2": log_int(1, 128), "l2": log(1e-7, 0.1),
        "lr_decay": dict(type="float", low=0.9, high=1), "init_scale": log(0.1, 5),
        "activation": dict(type="categorical", choices=["relu", "tanh"])},
}
# bench: (file, R in units of the resource, smallest resource).  Brackets start at s = min(4, floor(log3 R)).
TABLES = {"taskset": ("taskset", 50, 1), "xgb_mnist_rows": ("xgb_mnist_rows", 81, 1),
          "xgb_rounds": ("xgb_rounds_adult", 243, 3), "mlp_sgd": ("mlp_sgd_letter", 81, 1), "lcdb11": ("lcdb11", 27, 3)}
# 28 learners on 131 data sets: a task of which every seed takes another data set.  Tables that begin above the smallest
# resource are left out.
ALGORITHM_CHOICE = "lcdb11"
NO_LAYER = math.sqrt(8)


def scaled(spec, value):
    low, high = spec["low"], spec["high"]
    if spec.get("log"):
        return (math.log(max(value, low * 1e-3)) - math.log(low)) / (math.log(high) - math.log(low))
    return (value - low) / (high - low)


def array(text):
    """A PostgreSQL array of real: NULL and what is not finite become NaN."""
    values = [float("nan") if v in ("NULL", "") else float(v) for v in text.strip("{}").split(",")]
    return np.array([v if math.isfinite(v) else float("nan") for v in values])


class Task:
    def __init__(self, bench, task, budgets, params, curves):
        self.bench, self.name = bench, task
        _, self.R, self.min_resource = TABLES[bench]
        self.space = SPACES.get(bench) or {"learner": dict(type="categorical", choices=[p["learner"] for p in params])}
        self.steps = [self.R]
        r = self.min_resource
        while r < self.R:
            self.steps.insert(-1, r)
            r *= 3
        self.numeric = [n for n, s in self.space.items() if s["type"] != "categorical"]
        self.category = [n for n, s in self.space.items() if s["type"] == "categorical"]
        self.points = np.array([self.coordinates(self.translate(p)) for p in params])
        budgets = np.array(budgets, float)
        unit = budgets[-1] / self.R
        # losses[configuration][resource]: at the table's budget nearest on a logarithmic scale.
        columns = [int(np.argmin(np.abs(np.log(np.maximum(budgets, 1e-9)) - math.log(r * unit)))) for r in range(1, self.R + 1)]
        self.losses = np.full((len(curves), self.R + 1), np.nan)
        self.losses[:, 1:] = np.array(curves)[:, columns]
        self.final = self.losses[:, self.R]
        self.best, self.worst = np.nanmin(self.final), np.nanmax(self.final)

    @staticmethod
    def translate(params):
        out = dict(params)
        for beta in ("beta1", "beta2"):
            if beta in out:
                out["one_minus_" + beta] = 1 - out.pop(beta)
        return out

    def at(self, seed):
        return self

    def coordinates(self, config):
        out = []
        for name in self.numeric:
            value = config[name]
            if name == "hidden2" and value < 8:
                value = NO_LAYER
            out.append(scaled(self.space[name], value))
        for name in self.category:
            # Two coordinates of sqrt(1/2): another category is at distance 1.
            out += [math.sqrt(0.5) * (config[name] == c) for c in self.space[name]["choices"]]
        return out

    def nearest(self, config):
        if "row" in config:
            return int(config["row"])
        difference = self.points - np.array(self.coordinates(config))
        return int(np.argmin(np.einsum("ij,ij->i", difference, difference)))

    def regret(self, row):
        """Of the chosen configuration, trained fully; one that diverges there counts as the table's worst."""
        value = self.final[row]
        return (value if math.isfinite(value) else self.worst) - self.best


class DataSets:
    """Tasks of which each seed takes one."""

    def __init__(self, bench, name, members):
        self.bench, self.name, self.members = bench, name, members
        self.points = members[0].points

    def at(self, seed):
        return self.members[(seed - 1) % len(self.members)]


def read(folder, name):
    with gzip.open(os.path.join(folder, "lc", name + ".csv.gz"), "rt") as file:
        yield from csv.DictReader(file)


def tasks(folder):
    described = {(t["bench"], t["task"]): array(t["budgets"]) for t in read(folder, "tasks") if t["bench"] in TABLES}
    out = []
    for bench, (file, _, _) in TABLES.items():
        params = {int(c["config_id"]): json.loads(c["params"]) for c in read(folder, file + "_configs")}
        curves = {}
        for c in read(folder, file + "_curves"):
            curves.setdefault(c["task"], {})[int(c["config_id"])] = array(c["val"])
        members = []
        for task in sorted(curves):
            ids, budgets = sorted(curves[task]), described[bench, task]
            if bench == ALGORITHM_CHOICE:
                _, most, least = TABLES[bench]
                if budgets[0] > budgets[-1] * least / most:
                    continue
                # Curves end where the smallest data of a split did: what lies beyond is not measured.
                curves[task] = {i: np.pad(c, (0, max(0, len(budgets) - len(c))), constant_values=np.nan)[:len(budgets)] for i, c in curves[task].items()}
            members.append(Task(bench, task, budgets, [params[i] for i in ids], [curves[task][i] for i in ids]))
        out += [DataSets(bench, "131 data sets", members)] if bench == ALGORITHM_CHOICE else members
    return out
