"""README's tables of studies from what hpo.sh measured: hpo_table.py HPO.CSV prints Markdown.

A line a table, model, R and precision of ours; figures are medians over the seeds that all peers have.  A cell is wall seconds
(test error).  The last columns say how many times faster ours are:
- hyperband alone: the default method than the fastest peer, with the lowest and highest of the seeds, and by how much its test
  error is above that of the best peer;
- each peer: for each peer the fastest of ours whose test error is no higher than that peer's, the least of these, chosen after
  the fact; strictly, and with one standard error allowed: of the difference of two medians of seeds that are spread like
  these, or of an error on that many test rows where that is more;
- one for all: the fastest of ours than the fastest peer, its test error no higher than any peer's; likewise twice.
"""
import collections
import csv
import math
import statistics
import sys

TASKS = {"fashion_10k": "Fashion-MNIST 10,000", "adult": "adult", "letter": "letter", "synthetic": "synthetic",
         "fashion_60k": "Fashion-MNIST 60,000"}
PEERS = ["scikit-learn halving", "Optuna Hyperband, PyTorch", "random search, PyTorch"]
OURS = ["hyperband", "hyperband, tpe", "hyperband, halving", "hyperband, random search", "hyperband, sobol, halving",
        "hyperband, sobol, asha"]
HEADS = ["task", "R", "seeds", "hyperband", "with tpe", "halving", "random search", "sobol, halving", "sobol, asha", *PEERS, "goal",
         "hyperband alone", "each peer", "one for all"]


def number(value):
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 20 else f"{value:.0f}"


def ratio(value):
    return "–" if value is None else f"{value:.1f}" if value < 20 else f"{value:.0f}"


class Group:
    """What was measured of one table and model at one R."""

    def __init__(self, rows):
        self.rows = int(rows[0]["test_rows"])
        by_method = collections.defaultdict(dict)
        for row in rows:
            # peers print a mean of six digits
            error = round(float(row["test"]) * self.rows) / self.rows
            by_method[row["method"]][row["seed"]] = (float(row["wall"]), error)
        self.seeds = sorted(set.intersection(*(set(by_method[peer]) for peer in PEERS)))
        if not self.seeds:
            return
        self.runs = {method: runs for method, runs in by_method.items() if set(self.seeds) <= set(runs)}
        self.wall = {method: statistics.median(runs[seed][0] for seed in self.seeds) for method, runs in self.runs.items()}
        self.error = {method: statistics.median(runs[seed][1] for seed in self.seeds) for method, runs in self.runs.items()}
        # of a median of n, nearly pi/2 times that of their mean
        n = len(self.seeds)
        self.variance = {method: math.pi / 2 * statistics.variance(runs[seed][1] for seed in self.seeds) / n if n > 1 else 0.0
                         for method, runs in self.runs.items()}

    def as_good(self, ours, peer, slack):
        error = self.error[peer]
        deviation = math.sqrt(max(error * (1 - error) / self.rows, self.variance[ours] + self.variance[peer]))
        return self.error[ours] <= error + slack * deviation + 1e-12

    def each_peer(self, methods, slack):
        least = math.inf
        for peer in PEERS:
            times = [self.wall[peer] / self.wall[ours] for ours in methods if self.as_good(ours, peer, slack)]
            if not times:
                return None
            least = min(least, max(times))
        return least

    def one_for_all(self, methods, slack):
        fastest = min(self.wall[peer] for peer in PEERS)
        return max((fastest / self.wall[ours] for ours in methods if all(self.as_good(ours, peer, slack) for peer in PEERS)), default=None)

    def alone(self, method):
        fastest = min(PEERS, key=self.wall.get)
        by_seed = [self.runs[fastest][seed][0] / self.runs[method][seed][0] for seed in self.seeds]
        worse = self.error[method] - min(self.error[peer] for peer in PEERS)
        return f"{ratio(self.wall[fastest] / self.wall[method])} ({ratio(min(by_seed))}–{ratio(max(by_seed))}), {worse:+.4f}"


def lines(name, model, r, group):
    for suffix in "", ", medium":
        methods = [method + suffix for method in OURS if method + suffix in group.runs]
        if not methods:
            continue
        cells = [f"{name}, {model}{suffix}", r, str(len(group.seeds))]
        cells += [f"{number(group.wall[m + suffix])} ({group.error[m + suffix]:.3f})" if m + suffix in group.runs else "" for m in OURS]
        cells += [f"{number(group.wall[peer])} ({group.error[peer]:.3f})" if not suffix else "" for peer in PEERS]
        cells.append(str(10 if model == "linear" else 2.5 if name.startswith("Fashion") else 9))
        cells.append(group.alone("hyperband" + suffix) if "hyperband" + suffix in group.runs else "")
        cells += [f"{ratio(figure(methods, 0))}, {ratio(figure(methods, 1))}" for figure in (group.each_peer, group.one_for_all)]
        yield cells


def main():
    groups = collections.defaultdict(list)
    with open(sys.argv[1]) as file:
        for row in csv.DictReader(file):
            groups[row["r"], row["task"], row["model"]].append(row)
    print("| " + " | ".join(HEADS) + " |\n" + "| --- " * len(HEADS) + "|")
    for r in sorted({r for r, _, _ in groups}, key=int):
        for task, name in TASKS.items():
            for model in ("linear", "mlp"):
                rows = groups.get((r, task, model))
                group = rows and Group(rows)
                if group and group.seeds:
                    for cells in lines(name, model, r, group):
                        print("| " + " | ".join(cells) + " |")
                elif group:
                    print(f"{name}, {model}, R = {r}: no seed that all peers have", file=sys.stderr)


main()
