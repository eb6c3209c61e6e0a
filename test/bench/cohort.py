"""Runs the cohort benchmark: what one core trains beside other libraries, sgemm, and itself in other shapes.

    cohort.py DRIVER FOLDER short|full|REPETITIONS     (short: 1 repetition, full: 5)

A trial-sample is one training row seen by one trial.  Each repetition runs every side once, one after the
other, so that a change of the machine's speed hits all of them; figures are medians of CPU seconds, children
counted: of at least 3 repetitions beside the peers.  Where PGHOST names a server with the extension, two trainers
are compared with one by wall time; HB_LOG names its log, which says how busy they were.  Without scikit-learn or
PyTorch what compares with them is not measured.  A missed goal stands beside its profile: the driver's operations
by the clock, in groups.  The status is 1 where the losses of ours and a peer's differ, or ours with zeros left out
and multiplied.
"""
import importlib.util
import itertools
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import time

import goal as goals

TOLERANCE = 1e-3  # of the losses of the last epoch
PEERS = 3  # trials that a peer trains
LIBRARIES = {library: importlib.util.find_spec(module) is not None for library, module in
             (("sklearn", "sklearn"), ("torch", "torch"), ("torch_bf16", "torch"))}
VARIANT_ROWS = 200000  # of a synthetic table, where the same work is done in other shapes
VALIDATION = 0.2  # validation rows a training row, where evaluation is measured

# name: rows (0: all images), inputs, units, classes, trials, goal against the peers, whether sgemm is the measure
WORKS = {
    "softmax 784-10": (0, 784, 0, 10, 81, 8, True),
    "softmax 30-5": (1000000, 30, 0, 5, 81, 90, False),
    "network 784-128-10": (0, 784, 128, 10, 27, 1.8, True),
    "network 30-128-5": (200000, 30, 128, 5, 27, 9, False),
}


class Bench:
    def __init__(self, driver, folder, repetitions):
        self.driver, self.folder, self.repetitions = driver, folder, repetitions
        self.here = os.path.dirname(os.path.abspath(__file__))
        self.environment = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

    def run(self, command):
        done = subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])

    def source(self, rows, inputs, classes):
        if rows:
            return ["--synthetic", f"{rows},{inputs},{classes}"]
        return ["--images", self.folder + "/train-images", "--labels", self.folder + "/train-labels"]

    def ours(self, name, *options, trials=None, most=None):
        rows, inputs, units, classes, cohort = WORKS[name][:5]
        return self.run([self.driver] + self.source(min(rows, most or rows), inputs, classes) +
                        ["--units", str(units), "--trials", str(trials or cohort)] + [str(x) for x in options])

    def rate(self, *arguments, trials):
        """CPU seconds a trial-sample."""
        result = self.ours(*arguments, trials=trials, most=VARIANT_ROWS)
        return result["seconds"] / (trials * result["rows"] * result["epochs"])

    def profile(self, name, *options, trials=None, most=None):
        """Nanoseconds of CPU time a trial-sample: all, and of it each group of operations, in which the clock divides it."""
        result = self.ours(name, *options, "--profile", 1, trials=trials, most=most)
        samples = (trials or WORKS[name][4]) * result["rows"] * result["epochs"]
        scale = 1e9 * result["seconds"] / result["profile"]["all"] / samples
        return {group: scale * seconds for group, seconds in result["profile"].items()}

    def peer(self, library, name):
        _, inputs, units, classes = WORKS[name][:4]
        return self.run([sys.executable, self.here + "/cohort_peer.py", library, self.folder] +
                        [str(x) for x in (inputs, units, classes, PEERS, 1, 128)])


def operations(inputs, units, classes):
    """Floating-point operations of the products a trial-sample: forward, and all of them."""
    forward = 2 * (inputs * units + units * classes if units else inputs * classes)
    return forward, 2 * forward + 2 * units * classes


def line(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def judge(value, goal, least=True):
    return "" if goal is None else "met" if (value >= goal if least else value <= goal) else "missed"


def parts(profile):
    """products 12.3 (70 %), ..., reading rows and the rest 1.2 (7 %)"""
    rest = profile["all"] - sum(value for group, value in profile.items() if group != "all")
    groups = {**{group: value for group, value in profile.items() if group != "all"}, "reading rows and the rest": rest}
    return ", ".join(f"{group} {value:.1f} ({value / profile['all']:.0%})" for group, value in groups.items() if value >= 0.005 * profile["all"])


def shown(value):
    return "" if math.isnan(value) else f"{value:.1f}"


def against_peers(bench):
    """Every work beside scikit-learn, PyTorch and sgemm; false where losses differ."""
    print("\nTrial-samples a CPU second against the better library; sgemm: 1024 x 1024 x 1024 by OpenBLAS in the same run, "
          "of which the products' operations with precision highest, float32 as sgemm, are a share.\n")
    line("work", "cohort", "ns", "float32 ns", "medium ns", "scikit-learn ns", "PyTorch ns", "PyTorch, bfloat16 ns", "times the better", "goal", "",
         "with medium", "", "float32 GFLOP/s", "% of sgemm", "goal", "", "losses apart", "with medium")
    line(*["---"] * 19)
    agree, notes, profiles = True, set(), []
    libraries = [library for library, there in LIBRARIES.items() if there]
    complete = len(libraries) == len(LIBRARIES)
    for name, (rows, inputs, units, classes, trials, goal, measured) in WORKS.items():
        seconds = {"ours": [], "float32": [], "medium": [], "sklearn": [], "torch": [], "torch_bf16": []}
        sgemm, apart, apart_medium = [], 0.0, 0.0
        bench.ours(name, "--dump", bench.folder, trials=PEERS)
        for repetition in range(max(3, bench.repetitions)):
            sgemm.append(bench.run([bench.driver, "--sgemm", "1024"]))
            ours = bench.ours(name)
            for side, precision in (("float32", "highest"), ("medium", "medium")):
                seconds[side].append(bench.ours(name, "--precision", precision)["seconds"] / (trials * ours["rows"]))
            # the peers' trials: rates depend on how many there are
            same = bench.ours(name, trials=PEERS)["losses"]
            medium = bench.ours(name, "--precision", "medium", trials=PEERS)
            seconds["ours"].append(ours["seconds"] / (trials * ours["rows"]))
            for library in libraries:
                if library == "torch_bf16" and repetition > 0:
                    continue  # never the better one
                theirs = bench.peer(library, name)
                seconds[library].append(theirs["seconds"] / (PEERS * theirs["rows"]))
                if library != "torch_bf16":
                    apart, apart_medium = (max([worst] + [abs(a[-1] - b[-1]) for a, b in zip(losses, theirs["losses"])])
                                           for worst, losses in ((apart, same), (apart_medium, medium["losses"])))
                notes.add(theirs["provider"])
        cost = {side: statistics.median(values) if values else math.nan for side, values in seconds.items()}
        best = min(cost[library] for library in LIBRARIES) if complete else math.nan
        ratio, ratio_medium = best / cost["ours"], best / cost["medium"]
        rate = operations(inputs, units, classes)[1] / cost["float32"]  # as sgemm: the same precision
        share = 100 * rate / statistics.median(x["flops"] for x in sgemm)
        agree = agree and max(apart, apart_medium) <= TOLERANCE
        profile = bench.profile(name)
        at_best = 1e9 * operations(inputs, units, classes)[1] / statistics.median(x["flops"] for x in sgemm)

        def why(profile, at_best=at_best, inputs=inputs, units=units, classes=classes):
            alone = operations(inputs, units, classes)[1] / profile["products"]
            return (f"products alone take {profile['products']:.1f} of {profile['all']:.1f} ns ({alone:.1f} GFLOP/s; at sgemm's rate they would take "
                    f"{at_best:.1f}): " + parts(profile))

        profiles.append((name, profile["all"], parts(profile)))
        what = f"{name}, cohort of {trials}: trial-samples a CPU second in the better library's"
        if complete:
            goals.least(what, goal, ratio, " times", why(profile), digits=1)
        else:
            goals.goal(what, f"at least {goal} times", "", None, "no interpreter with scikit-learn and PyTorch (set PYTHON)")
        if complete and medium["provider"] != ours["provider"]:
            goals.least(f"{name}, cohort of {trials}: the same with precision medium", goal, ratio_medium, " times",
                        why(bench.profile(name, "--precision", "medium")), digits=1)
        elif medium["provider"] != ours["provider"]:
            goals.goal(f"{name}, cohort of {trials}: the same with precision medium", f"at least {goal} times", "", None, "as before")
        if measured:
            exact = bench.profile(name, "--precision", "highest")
            goals.least(f"{name}, cohort of {trials}: FLOP/s of the products' operations in sgemm's, float32 both", 85, share, " %", why(exact), digits=1)
        line(name, trials, *(shown(1e9 * cost[side]) for side in ("ours", "float32", "medium", "sklearn", "torch", "torch_bf16")), shown(ratio), goal,
             judge(ratio, goal) if complete else "", shown(ratio_medium), judge(ratio_medium, goal) if complete else "", f"{rate / 1e9:.1f}", f"{share:.0f}", 85 if measured else "",
             judge(share, 85 if measured else None), *((f"{apart:.0e}", f"{apart_medium:.0e}") if libraries else ("", "")))
        notes.update((f"ours {ours['provider']}", f"with medium {medium['provider']}"))
        notes.add(sgemm[0]["provider"])
    print(f"\n{', '.join(sorted(notes))}; {PEERS} trials of each work were trained by the peers, "
          f"one epoch from the same weights over the same batches (losses may differ by {TOLERANCE}; PyTorch's in bfloat16 are not compared, "
          "and it is measured once). "
          "float32: ours with precision highest; medium: with precision medium." if libraries else f"\n{', '.join(sorted(notes))}; no peers here.")
    print("\nWhere the time goes, nanoseconds of CPU time a trial-sample, one run each.\n")
    line("work", "ns", "of it")
    line(*["---"] * 3)
    for name, total, text in profiles:
        line(name, f"{total:.1f}", text)
    goals.show()
    return agree


def ratios(bench, pairs):
    """
    pairs: work, what, the goal, whether it is the least, trials, options of the driver for one cohort and for another, and
    what is made of their costs.
    """
    print("\nThe same cohort in other shapes, CPU seconds a trial-sample.\n")
    line("work", "measured", "times", "goal", "")
    line(*["---"] * 5)
    for work, what, goal, least, trials, one, other, value in pairs:
        first, second = [], []
        for _ in range(max(3, bench.repetitions) if "--validation" in other else bench.repetitions):
            first.append(bench.rate(work, *one, trials=trials))
            second.append(bench.rate(work, *other, trials=trials))
        result = value(statistics.median(first), statistics.median(second))
        wanted = ("at least " if least else "at most ") + str(goal)
        if result <= 0:  # a difference that the machine's noise hides
            line(work, what, f"{result:.2f}", wanted, "not measured")
            goals.goal(f"{work}: {what}", f"{wanted} times", "", None, f"the noise of {len(first)} runs is more: {result:.2f}")
            continue
        line(work, what, f"{result:.2f}", wanted, judge(result, goal, least))

        def why(work=work, trials=trials, one=one, other=other):
            before, after = (bench.profile(work, *options, trials=trials, most=VARIANT_ROWS) for options in (one, other))
            return f"ns: {parts(before)}, in all {before['all']:.1f}; then {parts(after)}, in all {after['all']:.1f}"

        (goals.least if least else goals.most)(f"{work}: {what}", goal, result, " times", why)
    goals.show()


def variants(bench):
    pairs = []
    for name, (rows, inputs, units, classes, trials, *_) in WORKS.items():
        trials = trials if rows or not units else 9
        for optimizer in ("adam", "rmsprop"):
            pairs.append((name, f"cost of {optimizer} in that of SGD with momentum", 1.2, False, trials, [], ["--optimizer", optimizer],
                          lambda a, b: b / a))
        if units:
            pairs.append((name, "cost with dropout 0.3 in that without", 1.15, False, trials, [], ["--dropout", 0.3], lambda a, b: b / a))
            mixed = ["--units", 256, "--narrow", 16]
            pairs.append((name, "24 widths from 16 to 256: one at a time in a cohort", 1.2, True, 24, mixed, mixed + ["--alone", 1],
                          lambda a, b: b / a))
        forward, total = operations(inputs, units, classes)
        validation = int(VALIDATION * (min(rows, VARIANT_ROWS) or 60000))
        pairs.append((name, "evaluation (of three epochs, of which the last is a rung) in its share of the operations", 1.2, False, trials, ["--epochs", 3],
                      ["--epochs", 3, "--validation", validation], lambda a, b, share=VALIDATION * forward / total: (b / a - 1) / share))
    return pairs


# Tables of a number and 8 categories of so many levels, two classes, whose zeros are left out: units, trials, batch size
LEVELS = (12, 100)
CATEGORY_WORKS = {"logistic regressions": (0, 81, 128), "in batches of 8": (0, 81, 8), "one logistic regression": (0, 1, 128),
                  "networks of 128 units": (128, 27, 128)}
CATEGORY_PROVIDERS = ("amx", "bf16", "avx512", "avx2")


def categories(bench):
    """False where leaving zeros out gives other losses."""
    print("\nRows that are mostly zeros of categories (10 of their inputs may differ from 0): nanoseconds of CPU time a trial-sample.\n")
    line("levels", "work", "trials", "provider", "zeros left out", "zeros multiplied", "times", "losses apart")
    line(*["---"] * 8)
    agree = True
    for levels in LEVELS:
        for (name, (units, trials, batch)), provider in itertools.product(CATEGORY_WORKS.items(), CATEGORY_PROVIDERS):
            sides, losses = {0: [], 1: []}, {}
            try:
                for _ in range(bench.repetitions):
                    for dense, seconds in sides.items():
                        result = bench.run([bench.driver, "--categories", f"50000,8,{levels},2", "--units", str(units), "--trials", str(trials),
                                            "--provider", provider, "--dense", str(dense), "--batch", str(batch)])
                        seconds.append(1e9 * result["seconds"] / (trials * result["rows"]))
                        losses[dense] = result["losses"]
            except subprocess.CalledProcessError as error:
                if "no such provider" not in error.stderr:
                    raise
                continue
            fast, slow = (statistics.median(seconds) for seconds in sides.values())
            apart = max(abs(a[-1] - b[-1]) for a, b in zip(losses[0], losses[1]))
            # products of bfloat16 numbers are float32's where zeros are left out, and linear models of two classes do without them
            agree = agree and apart <= (TOLERANCE if provider in ("amx", "bf16") and units else 0)
            line(levels, name, trials, provider, f"{fast:.1f}", f"{slow:.1f}", f"{slow / fast:.1f}", f"{apart:.0e}")
    return agree


# Studies of two trainers and of one. name: table, model, trials, epochs, search space
STUDIES = {
    "81 softmax 784-10, 4 epochs of 48,000 images": ("images", "linear", 81, 4, ""),
    "27 networks 30-128-5, 8 epochs of 80,000 rows": ("narrow", "mlp", 27, 8, '"units": 128, "layers": 1, '),
    "81 softmax 30-5, 100 epochs of 80,000 rows": ("narrow", "linear", 81, 100, ""),
    "27 networks 784-128-10, 4 epochs of 48,000 images": ("images", "mlp", 27, 4, '"units": 128, "layers": 1, '),
    "24 networks of 16 to 256 units, 30 inputs, 8 epochs of 80,000 rows": (
        "narrow", "mlp", 24, 8, '"units": {"type": "int", "low": 16, "high": 256, "log": true}, "layers": 1, '),
    "24 networks of 16 to 256 units, 784 inputs, 3 epochs of 48,000 images": (
        "images", "mlp", 24, 3, '"units": {"type": "int", "low": 16, "high": 256, "log": true}, "layers": 1, '),
}
SHORT_STUDIES = 2


def logged(study):
    """What the server's log says of a study: trainers' CPU seconds, seconds of training; None where it cannot be read."""
    try:
        with open(os.environ.get("HB_LOG", "")) as file:
            said = re.findall(rf"study {study} trained .* ([0-9.]+) s of trainers' CPU time in ([0-9.]+) s", file.read())
            return tuple(map(float, said[-1])) if said else None
    except OSError:
        return None


def tune(work, trainers):
    """Wall seconds of a study, and what the log says of it."""
    table, model, trials, epochs, space = STUDIES[work]
    query = (f"SELECT hyperband_tune('cohort_bench.{table}', 'label', model => '{model}', name => 'cohort bench', scheduler => 'full', "
             f"max_resource => {epochs}, n_trials => {trials}, seed => 1, trainers => {trainers}, search_space => "
             f"'{{{space}\"optimizer\": \"momentum\", \"batch_size\": 128}}')")
    quiet = dict(os.environ, PGOPTIONS="-c client_min_messages=warning")
    sql = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
    began = time.time()
    study = subprocess.run(sql + ["-c", query], env=quiet, check=True, capture_output=True, text=True).stdout.strip()
    state = subprocess.run(sql + ["-c", f"SELECT hyperband_wait({study})"], check=True, capture_output=True, text=True).stdout.strip()
    wall = time.time() - began
    if state != "done":
        sys.exit(f"the study of {work} is {state}")
    subprocess.run(sql + ["-c", f"SELECT hyperband_drop({study}), hyperband_drop_model('cohort bench')"], check=True, capture_output=True)
    return wall, logged(study)


def explain(one, two):
    """Why two trainers are not twice as fast as one; one, two: wall seconds and the log's figures."""
    if not one[1] or not two[1]:
        return "HB_LOG names no log that says how busy they were"
    return (f"with two {two[0] - two[1][1]:.2f} of {two[0]:.2f} s are launching and reading the table; of the rest trainers compute "
            f"{two[1][0] / (2 * two[1][1]):.0%} of their time (one alone {one[1][0] / one[1][1]:.0%}), and the same work takes two "
            f"{two[1][0] / one[1][0]:.2f} times the CPU time")


def two_trainers(bench, short):
    print("\nTwo trainers against one in the database, wall time of a study, call to return.\n")
    if not os.environ.get("PGHOST"):
        print("Skipped: PGHOST names no server with the extension.")
        return
    if (os.cpu_count() or 1) < 2:
        print("Skipped: one core.")
        return
    script = f"""
        DROP SCHEMA IF EXISTS cohort_bench CASCADE; CREATE SCHEMA cohort_bench;
        CREATE EXTENSION IF NOT EXISTS hyperband;
        SELECT setseed(0.5);
        CREATE TABLE cohort_bench.narrow AS SELECT least(4, floor(2.5 * (x[1] + x[2])))::int::text AS label, x FROM (
            SELECT array_agg(random()::real) AS x FROM generate_series(1, 100000) AS r, generate_series(1, 30) AS c
            GROUP BY r) AS t;
        CREATE TABLE cohort_bench.images AS SELECT get_byte(labels, 8 + i)::text AS label, substring(images FROM 17 + 784 * i FOR 784) AS pixels
            FROM (SELECT pg_read_binary_file('{bench.folder}/train-images') AS images, pg_read_binary_file('{bench.folder}/train-labels') AS labels OFFSET 0) AS f,
            generate_series(0, 59999) AS i;"""
    quiet = dict(os.environ, PGOPTIONS="-c client_min_messages=warning")
    psql = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(psql, input=script, env=quiet, check=True, text=True, stdout=subprocess.DEVNULL)
    busy = os.getloadavg()[0]
    line("study", "one trainer s", "two trainers s", "times", "goal", "")
    line(*["---"] * 6)
    for work in list(STUDIES)[:SHORT_STUDIES if short else None]:
        one, two = [], []
        for _ in range(bench.repetitions):
            one.append(tune(work, 1))
            two.append(tune(work, 2))
        before, after = (statistics.median(wall for wall, _ in runs) for runs in (one, two))
        line(work, f"{before:.1f}", f"{after:.1f}", f"{before / after:.2f}", 1.8, judge(before / after, 1.8))
        goals.least(f"{work}: two trainers on two cores in one, wall time", 1.8, before / after, " times", explain(min(one), min(two)))
    subprocess.run(psql + ["-c", "DROP SCHEMA cohort_bench CASCADE"], env=quiet, check=True)
    print(f"\nThe load average before was {busy:.1f}: the figures mean something where nothing else was running.")


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if "model name" in line), "unknown")


def main():
    mode = sys.argv[3] if len(sys.argv) > 3 else "full"
    bench = Bench(sys.argv[1], sys.argv[2], {"short": 1, "full": 5}.get(mode) or int(mode))
    print(f"{processor()}, {os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}; load average "
          f"{os.getloadavg()[0]:.1f}; medians of {bench.repetitions}, beside the peers and of "
          f"evaluation of {max(3, bench.repetitions)}; one core, batch 128, SGD with momentum 0.9.")
    agree = against_peers(bench)
    ratios(bench, variants(bench))
    agree = categories(bench) and agree
    two_trainers(bench, mode != "full")
    goals.show()
    sys.exit(0 if agree else 1)


main()
