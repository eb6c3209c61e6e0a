"""Runs the cohort benchmark: what one core trains beside other libraries, sgemm, and itself in other shapes.

    cohort.py DRIVER FOLDER short|full|REPETITIONS     (short: 1 repetition, full: 5)

A trial-sample is one training row seen by one trial.  Each repetition runs every side once, one after the
other, so that a change of the machine's speed hits all of them; figures are medians of CPU seconds, children
counted.  Where PGHOST names a server with the extension, two trainers are compared with one by wall time.
The status is 1 where the losses of ours and a peer's differ: a missed goal stands in the table.
"""
import json
import os
import platform
import statistics
import subprocess
import sys
import time

TOLERANCE = 1e-3  # of the losses of the last epoch
PEERS = 3  # trials that a peer trains
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


def against_peers(bench):
    """Every work beside scikit-learn, PyTorch and sgemm; false where losses differ."""
    print("\nTrial-samples a CPU second against the better library; sgemm: 1024 x 1024 x 1024 by OpenBLAS in the same run, "
          "of which the products' operations are a share.\n")
    line("work", "cohort", "ns", "scikit-learn ns", "PyTorch ns", "times the better", "goal", "", "GFLOP/s",
         "% of sgemm", "goal", "", "losses apart")
    line(*["---"] * 13)
    agree, notes = True, set()
    for name, (rows, inputs, units, classes, trials, goal, measured) in WORKS.items():
        seconds = {"ours": [], "sklearn": [], "torch": []}
        sgemm, apart = [], 0.0
        bench.ours(name, "--dump", bench.folder, trials=PEERS)
        for _ in range(bench.repetitions):
            sgemm.append(bench.run([bench.driver, "--sgemm", "1024"]))
            ours = bench.ours(name)
            # the peers' trials: rates depend on how many there are
            same = bench.ours(name, trials=PEERS)["losses"]
            seconds["ours"].append(ours["seconds"] / (trials * ours["rows"]))
            for library in ("sklearn", "torch"):
                theirs = bench.peer(library, name)
                seconds[library].append(theirs["seconds"] / (PEERS * theirs["rows"]))
                apart = max([apart] + [abs(a[-1] - b[-1]) for a, b in zip(same, theirs["losses"])])
                notes.add(theirs["provider"])
        cost = {side: statistics.median(values) for side, values in seconds.items()}
        ratio = min(cost["sklearn"], cost["torch"]) / cost["ours"]
        rate = operations(inputs, units, classes)[1] / cost["ours"]
        share = 100 * rate / statistics.median(x["flops"] for x in sgemm)
        agree = agree and apart <= TOLERANCE
        line(name, trials, *(f"{1e9 * cost[side]:.1f}" for side in ("ours", "sklearn", "torch")), f"{ratio:.1f}", goal,
             judge(ratio, goal), f"{rate / 1e9:.1f}", f"{share:.0f}", 85 if measured else "",
             judge(share, 85 if measured else None), f"{apart:.0e}")
        notes.add(f"ours {ours['provider']}")
        notes.add(sgemm[0]["provider"])
    print(f"\n{', '.join(sorted(notes))}; {PEERS} trials of each work were trained by the peers, "
          f"one epoch from the same weights over the same batches (losses may differ by {TOLERANCE}).")
    return agree


def ratios(bench, pairs):
    """pairs: what, how much of it there is, the goal, whether it is the least; two ways to get a cost."""
    print("\nThe same cohort in other shapes, CPU seconds a trial-sample.\n")
    line("work", "measured", "times", "goal", "")
    line(*["---"] * 5)
    for work, what, goal, least, one, other, value in pairs:
        first, second = [], []
        for _ in range(bench.repetitions):
            first.append(one())
            second.append(other())
        result = value(statistics.median(first), statistics.median(second))
        line(work, what, f"{result:.2f}", ("at least " if least else "at most ") + str(goal), judge(result, goal, least))


def variants(bench):
    pairs = []
    for name, (rows, inputs, units, classes, trials, *_) in WORKS.items():
        trials = trials if rows or not units else 9

        def plain(name=name, trials=trials):
            return bench.rate(name, trials=trials)

        for optimizer in ("adam", "rmsprop"):
            pairs.append((name, f"cost of {optimizer} in that of SGD with momentum", 1.2, False, plain,
                          lambda n=name, t=trials, o=optimizer: bench.rate(n, "--optimizer", o, trials=t),
                          lambda a, b: b / a))
        if units:
            pairs.append((name, "cost with dropout 0.3 in that without", 1.15, False, plain,
                          lambda n=name, t=trials: bench.rate(n, "--dropout", 0.3, trials=t), lambda a, b: b / a))
            pairs.append((name, "24 widths from 16 to 256: one at a time in a cohort", 1.2, True,
                          lambda n=name: bench.rate(n, "--units", 256, "--narrow", 16, trials=24),
                          lambda n=name: bench.rate(n, "--units", 256, "--narrow", 16, "--alone", 1, trials=24),
                          lambda a, b: b / a))
        forward, total = operations(inputs, units, classes)
        validation = int(VALIDATION * (min(rows, VARIANT_ROWS) or 60000))
        pairs.append((name, "evaluation (two curve points, one rung) in its share of the operations", 1.2, False,
                      lambda n=name, t=trials: bench.rate(n, "--epochs", 3, trials=t),
                      lambda n=name, t=trials, v=validation: bench.rate(n, "--epochs", 3, "--validation", v, trials=t),
                      lambda a, b, share=VALIDATION * forward / total: (b / a - 1) / share))
    return pairs


def tune(trainers):
    """Wall seconds of a study."""
    query = ("SELECT hyperband_tune('cohort_bench.rows', 'label', model => 'mlp', name => 'cohort bench', "
             "scheduler => 'full', max_resource => 6, n_trials => 54, seed => 1, trainers => %d, search_space => "
             "'{\"units\": 128, \"layers\": 1, \"optimizer\": \"momentum\", \"batch_size\": 128}')" % trainers)
    quiet = dict(os.environ, PGOPTIONS="-c client_min_messages=warning")
    sql = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1"]
    began = time.time()
    study = subprocess.run(sql + ["-c", query], env=quiet, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(sql + ["-c", f"SELECT hyperband_wait({study})"], check=True, capture_output=True)
    wall = time.time() - began
    subprocess.run(sql + ["-c", f"SELECT hyperband_drop({study})"], check=True, capture_output=True)
    return wall


def two_trainers(bench):
    print("\nTwo trainers against one in the database (54 networks 30-128-5, 6 epochs of 100,000 rows), wall time.\n")
    if not os.environ.get("PGHOST"):
        print("Skipped: PGHOST names no server with the extension.")
        return
    if (os.cpu_count() or 1) < 2:
        print("Skipped: one core.")
        return
    script = """
        DROP SCHEMA IF EXISTS cohort_bench CASCADE; CREATE SCHEMA cohort_bench;
        CREATE EXTENSION IF NOT EXISTS hyperband;
        SELECT setseed(0.5);
        CREATE TABLE cohort_bench.rows AS SELECT (x[1] + x[2] > 1)::int::text AS label, x FROM (
            SELECT array_agg(random()::real) AS x FROM generate_series(1, 100000) AS r, generate_series(1, 30) AS c
            GROUP BY r) AS t;"""
    quiet = dict(os.environ, PGOPTIONS="-c client_min_messages=warning")
    psql = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1"]
    subprocess.run(psql, input=script, env=quiet, check=True, text=True, stdout=subprocess.DEVNULL)
    busy = os.getloadavg()[0]
    one, two = [], []
    for _ in range(bench.repetitions):
        one.append(tune(1))
        two.append(tune(2))
    ratio = statistics.median(one) / statistics.median(two)
    subprocess.run(psql + ["-c", "DROP SCHEMA cohort_bench CASCADE"], env=quiet, check=True)
    line("one trainer s", "two trainers s", "times", "goal", "")
    line(*["---"] * 5)
    line(f"{statistics.median(one):.1f}", f"{statistics.median(two):.1f}", f"{ratio:.2f}", 1.8, judge(ratio, 1.8))
    print(f"\nThe load average before was {busy:.1f}: the figure means something where nothing else was running.")


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if "model name" in line), "unknown")


def main():
    mode = sys.argv[3] if len(sys.argv) > 3 else "full"
    bench = Bench(sys.argv[1], sys.argv[2], {"short": 1, "full": 5}.get(mode) or int(mode))
    print(f"{processor()}, {os.cpu_count()} CPUs, {platform.platform()}, Python {platform.python_version()}; load average "
          f"{os.getloadavg()[0]:.1f}; medians of {bench.repetitions}; one core, batch 128, SGD with momentum 0.9.")
    agree = against_peers(bench)
    ratios(bench, variants(bench))
    two_trainers(bench)
    sys.exit(0 if agree else 1)


main()
