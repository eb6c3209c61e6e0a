"""Ours beside the peers, from what hpo.sh measured: hpo_table.py HPO.CSV prints README's tables; hpo.sh's goals import it.

A line a table, model, R and precision of ours; figures are medians over the seeds that all peers have.  A cell is wall seconds
(test error).  The last columns say how many times faster ours are:
- hyperband alone: the default method than the fastest peer, with the lowest and highest of the seeds, and by how much its test
  error is above that of the best peer;
- each peer: for each peer the fastest of ours whose test error is no higher than that peer's, the least of these, chosen after
  the fact, bold where it is below the goal; strictly, and with one standard error allowed: of the difference of two medians of
  seeds that are spread like these, or of an error on that many test rows where that is more;
- one for all: the fastest of ours than the fastest peer, its test error no higher than any peer's; likewise twice.
"""
import collections
import csv
import math
import statistics
import sys

TASKS = {"fashion_10k": "Fashion-MNIST 10,000", "adult": "adult", "letter": "letter", "synthetic": "synthetic",
         "digits": "digits", "fashion_60k": "Fashion-MNIST 60,000"}
PEERS = ["scikit-learn halving", "Optuna Hyperband, PyTorch", "random search, PyTorch"]
OURS = ["hyperband", "hyperband, tpe", "hyperband, halving", "hyperband, random search", "hyperband, sobol, halving",
        "hyperband, sobol, asha"]
HEADS = ["task", "R", "seeds", "hyperband", "with tpe", "halving", "random search", "sobol, halving", "sobol, asha", *PEERS, "goal",
         "hyperband alone", "each peer", "one for all"]


def number(value):
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 20 else f"{value:.0f}"


def ratio(value, goal=0):
    """With as many digits as tell on which side of the goal it is."""
    text = "–" if not value else f"{value:.1f}" if value < 20 else f"{value:.0f}"
    return f"{value:.2f}" if value and value < goal <= float(text) else text


def bold_if_missed(value, goal):
    return ratio(value, goal) if value >= goal else f"**{ratio(value, goal)}**"


class Group:
    """What was measured of one table and model at one R."""

    def __init__(self, task, model, r, rows):
        self.task, self.model, self.r = task, model, r
        self.rows = int(rows[0]["test_rows"])
        self.goal = 10 if model == "linear" else 2.5 if task.startswith("fashion") else 9
        by_method = collections.defaultdict(dict)
        for row in rows:
            # peers print a mean of six digits
            error = round(float(row["test"]) * self.rows) / self.rows
            by_method[row["method"]][row["seed"]] = (float(row["wall"]), error, float(row["cpu"]), float(row["epochs"]))
        self.seeds = sorted(set.intersection(*(set(by_method[peer]) for peer in PEERS)))
        if not self.seeds:
            return
        self.runs = {method: runs for method, runs in by_method.items() if set(self.seeds) <= set(runs)}
        self.wall, self.error, self.cpu, self.epochs = (
            {method: statistics.median(runs[seed][n] for seed in self.seeds) for method, runs in self.runs.items()} for n in range(4))
        # of a median of n, nearly pi/2 times that of their mean
        n = len(self.seeds)
        self.variance = {method: math.pi / 2 * statistics.variance(runs[seed][1] for seed in self.seeds) / n if n > 1 else 0.0
                         for method, runs in self.runs.items()}

    def as_good(self, ours, peer, slack):
        error = self.error[peer]
        deviation = math.sqrt(max(error * (1 - error) / self.rows, self.variance[ours] + self.variance[peer]))
        return self.error[ours] <= error + slack * deviation + 1e-12

    def faster(self, ours, peer):
        return self.wall[peer] / self.wall[ours]

    def fastest_peer(self):
        return min(PEERS, key=self.wall.get)

    def each_peer(self, methods, slack):
        """(times faster, ours, peer) of the peer beside which the fastest that is as good gains least; None for ours where none is."""
        pairs = []
        for peer in PEERS:
            as_good = [(self.faster(ours, peer), ours, peer) for ours in methods if self.as_good(ours, peer, slack)]
            pairs.append(max(as_good, default=(0.0, None, peer)))
        return min(pairs, key=lambda pair: pair[0])

    def one_for_all(self, methods, slack):
        """(times faster than the fastest peer, ours) of the fastest that is as good as all; None for ours where none is."""
        return max(((self.faster(ours, self.fastest_peer()), ours) for ours in methods
                    if all(self.as_good(ours, peer, slack) for peer in PEERS)), default=(0.0, None))

    def alone(self, method):
        fastest = self.fastest_peer()
        by_seed = [self.runs[fastest][seed][0] / self.runs[method][seed][0] for seed in self.seeds]
        worse = self.error[method] - min(self.error[peer] for peer in PEERS)
        return f"{ratio(self.faster(method, fastest))} ({ratio(min(by_seed))}–{ratio(max(by_seed))}), {worse:+.4f}"


    def precisions(self):
        """Pairs of the suffix of a precision and the methods of ours that were measured with it."""
        for suffix in "", ", medium":
            methods = [method + suffix for method in OURS if method + suffix in self.runs]
            if methods:
                yield suffix, methods


def lines(group):
    for suffix, methods in group.precisions():
        cells = [f"{TASKS[group.task]}, {group.model}{suffix}", group.r, str(len(group.seeds))]
        cells += [f"{number(group.wall[m + suffix])} ({group.error[m + suffix]:.3f})" if m + suffix in group.runs else "" for m in OURS]
        cells += [f"{number(group.wall[peer])} ({group.error[peer]:.3f})" if not suffix else "" for peer in PEERS]
        cells.append(str(group.goal))
        cells.append(group.alone("hyperband" + suffix) if "hyperband" + suffix in group.runs else "")
        cells.append(", ".join(bold_if_missed(group.each_peer(methods, slack)[0], group.goal) for slack in (0, 1)))
        cells.append(", ".join(ratio(group.one_for_all(methods, slack)[0], group.goal) for slack in (0, 1)))
        yield cells


def show(cells):
    print("| " + " | ".join(cells) + " |")


def heads(cells):
    show(cells)
    show(["---"] * len(cells))


def read(path):
    """The groups that hpo.csv holds; seeds are empty where none has all peers, and nothing but these is known then."""
    rows = collections.defaultdict(list)
    with open(path) as file:
        for row in csv.DictReader(file):
            rows[row["r"], row["task"], row["model"]].append(row)
    for r in sorted({r for r, _, _ in rows}, key=int):
        for task in TASKS:
            for model in "linear", "mlp":
                if (r, task, model) in rows:
                    yield Group(task, model, r, rows[r, task, model])


def main():
    heads(HEADS)
    for group in read(sys.argv[1]):
        if not group.seeds:
            print(f"{TASKS[group.task]}, {group.model}, R = {group.r}: no seed that all peers have", file=sys.stderr)
            continue
        for cells in lines(group):
            show(cells)


if __name__ == "__main__":
    main()
