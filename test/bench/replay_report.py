# The tables of replay.py's results: regret a task (median and quartiles), and average ranks.
#
#   replay_report.py RESULTS [README of the data folder, for its yardsticks]
#
# A combination's rank on a task is the rank that it expects against all others when each draws one of its seeds:
# 1 + sum over the others of P(other is better) + P(tie) / 2, so unequal numbers of seeds compare fairly.  Where each
# seed has a data set of its own, runs of the same seed are compared.
import csv
import sys

import numpy as np

from replay_tables import ALGORITHM_CHOICE

BUDGETS = (10, 30)


def read(path):
    runs = {}
    with open(path, newline="") as file:
        for bench, task, sampler, scheduler, seed, *values in csv.reader(file):
            runs.setdefault((sampler, scheduler), {}).setdefault((bench, task), {})[int(seed)] = [float(v) for v in values]
    for by_task in runs.values():
        for task, seeds in by_task.items():
            # Without pairs: rows in order of the seeds; with them: a row for every seed, NaN where it has not run.
            paired = task[0] == ALGORITHM_CHOICE
            numbers = range(1, max(seeds) + 1) if paired else sorted(seeds)
            by_task[task] = np.array([seeds.get(s, [np.nan] * 3) for s in numbers])
    return runs


def better(a, b, task):
    """P(a < b) + P(a = b) / 2 over all pairs of seeds."""
    if task[0] == ALGORITHM_CHOICE:
        n = min(len(a), len(b))
        difference = a[:n] - b[:n]
        difference = difference[~np.isnan(difference)]
        if not len(difference):
            return 0.5
    else:
        difference = a[:, None] - b[None, :]
    return float((difference < 0).mean() + 0.5 * (difference == 0).mean())


def quartiles(values):
    return np.nanpercentile(values, [25, 50, 75])


def median(values):
    return quartiles(values)[1]


def seeds_of(values):
    return int((~np.isnan(values[:, 0])).sum())


def ranks(runs, methods, tasks, column):
    out = {m: [] for m in methods}
    for t in tasks:
        for m in methods:
            out[m].append(1 + sum(better(runs[o][t][:, column], runs[m][t][:, column], t) for o in methods if o != m))
    return out


def title(method):
    return "table's own x " + method[1] if method[0] == "table" else " x ".join(method)


def yardsticks(path):
    out = {}
    with open(path) as file:
        for line in file:
            cells = [c.strip() for c in line.strip().strip("|").split("|")]
            if len(cells) == 7 and " " in cells[0] and cells[1].replace(".", "").isdigit():
                out[tuple(cells[0].split(" "))] = [float(c) for c in cells[3:]]
    return out


def by_task(runs, methods, tasks):
    for column, budget in enumerate(BUDGETS):
        for t in tasks:
            print(f"\n{' '.join(t)}, {budget} full trainings: regret (lower quartile, median, upper quartile; seeds)")
            reference = runs.get(("random", "full"), {}).get(t)
            for m in [m for m in methods if t in runs[m]]:
                low, middle, high = quartiles(runs[m][t][:, column])
                beside = "" if reference is None else f"  beats random x full {better(runs[m][t][:, column], reference[:, column], t):4.0%}"
                print(f"  {title(m):42s} {low:8.4f} {middle:8.4f} {high:8.4f}  {seeds_of(runs[m][t]):4d}{beside}")


def medians(runs, methods, tasks):
    for column, budget in enumerate(BUDGETS):
        print(f"\nMedian regret, {budget} full trainings")
        for i, t in enumerate(tasks):
            print(f"  ({i + 1}) {' '.join(t)}")
        print("  " + " " * 42 + "".join(f"     ({i + 1})" for i in range(len(tasks))))
        for m in methods:
            print(f"  {title(m):42s}" + "".join(f" {median(runs[m][t][:, column]):7.4f}" for t in tasks))


def overall(runs, methods, tasks):
    found = [ranks(runs, methods, tasks, column) for column in range(len(BUDGETS))]
    mean = [{m: float(np.mean(r[m])) for m in methods} for r in found]
    print(f"\nAverage rank among {len(methods)} over {len(tasks)} tasks (1 is best), and time of a run")
    print("  " + " " * 42 + "".join(f" {b:6d}" for b in BUDGETS) + "  seeds  seconds")
    for m in sorted(methods, key=lambda m: mean[-1][m]):
        seeds = min(seeds_of(runs[m][t]) for t in tasks)
        seconds = median(np.concatenate([runs[m][t][:, -1] for t in tasks]))
        print(f"  {title(m):42s}" + "".join(f" {r[m]:6.2f}" for r in mean) + f" {seeds:6d} {seconds:8.2f}")
    return mean


def held(name, verdict, text):
    print(f"  {'met' if verdict else 'not met':8s} {name}: {text}")


def expectations(runs, methods, tasks, mean):
    print("\nWhat was expected, by average rank; tasks are numbered as above")
    for column, budget in enumerate(BUDGETS):
        r = mean[column]

        def compare(a, b, name=None):
            if a in r and b in r:
                against = [t for t in tasks if better(runs[a][t][:, column], runs[b][t][:, column], t) < 0.5]
                text = f"rank {r[a]:.2f} and {r[b]:.2f}"
                text += "; the other way on " + " ".join(f"({tasks.index(t) + 1})" for t in against) if against else "; on every task"
                held(f"{title(a)} at least as good as {title(b)}, {budget}", r[a] <= r[b], text)

        compare(("tpe", "hyperband"), ("random", "hyperband"))
        if budget == 30:
            compare(("tpe", "full"), ("random", "full"))
            compare(("gp", "full"), ("random", "full"))
        compare(("random", "hyperband"), ("random", "full"))
        adult, full, early = ("xgb_rounds", "adult"), ("random", "full"), ("random", "hyperband")
        if budget == 30 and adult in tasks and full in r and early in r:
            wins = better(runs[full][adult][:, column], runs[early][adult][:, column], adult)
            held("on xgb_rounds adult random x full beats random x hyperband, 30", wins > 0.5, f"in {wins:.0%} of pairs of seeds")
        for s in ("random", "grid", "sobol", "tpe", "gp"):
            a, h = (s, "asha"), (s, "hyperband")
            if a in r and h in r:
                worse = [t for t in tasks if median(runs[a][t][:, column]) > median(runs[h][t][:, column]) + 0.002]
                held(f"{s} x asha no worse than {s} x hyperband by half a rank, {budget}", r[a] <= r[h] + 0.5,
                     f"rank {r[a]:.2f} and {r[h]:.2f}; median worse by more than 0.002 on "
                     + (" ".join(f"({tasks.index(t) + 1})" for t in worse) or "no task"))
        optuna = [m for m in methods if m[0].startswith("Optuna")]
        own = [m for m in methods if not m[0].startswith("Optuna") and m[0] != "table"]
        if optuna and own:
            a, b = min(own, key=r.get), min(optuna, key=r.get)
            compare(a, b)
            for o in optuna:
                for m in (("tpe", "hyperband"), ("gp", "hyperband")):
                    compare(m, o)
    optuna = [m for m in methods if m[0].startswith("Optuna")]
    if optuna:
        ahead = [m for m in methods if m not in optuna and all(r[m] < min(r[o] for o in optuna) for r in mean)]
        held("a combination is ahead of every Optuna combination at both budgets", ahead, ", ".join(map(title, ahead)) or "none")


def beside_yardsticks(runs, tasks, yard):
    methods = [("table", "hyperband"), ("table", "full")]
    tasks = [t for t in tasks if t in yard and all(t in runs.get(m, {}) for m in methods)]
    if not tasks:
        return
    inside = 0
    print("\nDrawing the table's own configurations: median regret, and in brackets the yardstick (200 seeds) and where among")
    print("ours it falls (percentile; 95 % of medians of equal distributions fall within 50 +- 98 / sqrt(seeds))")
    print("  " + " " * 52 + "".join(f"{m[1] + ', ' + str(b):>24s}" for b in BUDGETS for m in methods))
    for t in tasks:
        cells = []
        for column in range(len(BUDGETS)):
            for i, m in enumerate(methods):
                values, mark = runs[m][t][:, column], yard[t][2 * column + i]
                # Yardsticks are printed with four digits.
                place = (values < mark - 5e-5).mean() / 2 + (values <= mark + 5e-5).mean() / 2
                # The yardstick is a median of 200 seeds itself.
                inside += abs(place - 0.5) <= 0.98 * (1 / len(values) + 1 / 200) ** 0.5
                cells.append(f"{np.median(values):10.4f} ({mark:.4f}, {place:3.0%})")
        print(f"  {' '.join(t):52s}" + "".join(f"{c:>24s}" for c in cells))
    cells = 2 * len(BUDGETS) * len(tasks)
    held("yardsticks within noise of the table's own draws (95 % are expected to be)", inside >= 0.85 * cells, f"{inside} of {cells}")


def common(runs):
    """Tasks that all combinations have, and the combinations that have them."""
    tasks = {t for m in runs.values() for t in m}
    without = [m for m in runs if m[0] != "table" and ALGORITHM_CHOICE not in {t[0] for t in runs[m]}]
    if without and len(tasks) > 1:
        print(f"{ALGORITHM_CHOICE} left out, since these have not run on it: {', '.join(map(title, without))}")
        tasks = {t for t in tasks if t[0] != ALGORITHM_CHOICE}
    complete = [m for m in runs if tasks <= set(runs[m]) | ({t for t in tasks if t[0] == ALGORITHM_CHOICE} if m[0] == "table" else set())]
    return sorted(tasks, key=lambda t: (t[0] != "taskset", t[0] == ALGORITHM_CHOICE, t)), complete


def main():
    runs = read(sys.argv[1])
    tasks, methods = common(runs)
    for m in runs:
        if m not in methods:
            print(f"{title(m)}: {len(runs[m])} of {len(tasks)} tasks only, left out")
    order = ["random", "grid", "sobol", "tpe", "gp", "Optuna random", "Optuna TPE", "table"]
    schedulers = ["full", "halving", "hyperband", "asha"]
    methods.sort(key=lambda m: (order.index(m[0]), schedulers.index(m[1]) if m[1] in schedulers else 9, m[1]))
    by_task(runs, methods, tasks)
    compared = [m for m in methods if m[0] != "table"]
    medians(runs, compared, tasks)
    mean = overall(runs, compared, tasks)
    expectations(runs, compared, tasks, mean)
    if len(sys.argv) > 2:
        beside_yardsticks(runs, tasks, yardsticks(sys.argv[2]))


if __name__ == "__main__":
    main()
