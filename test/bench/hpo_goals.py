"""The last part of hpo.sh's report, ours beside the peers: hpo_goals.py HPO.CSV HPO_BUSY.CSV prints Markdown and goals (goal.sh).

Wall time in the peer's is the product of three ratios: CPU time an epoch, epochs, and how much of the cores was used.  They
explain a missed goal, with what the server's log says of the last rungs.
"""
import collections
import csv
import statistics
import sys

import goal
import hpo_table
from hpo_table import PEERS, heads, ratio, show

ABOVE = """
Times faster than each peer (medians), which is the product of: how much less CPU time an epoch of a trial takes, how many fewer
epochs were trained, and how much busier two cores were.  Test error: as good where the median over seeds is not above the
peer's; nearly where it is above it by at most one standard error: of the difference of two medians of seeds that are spread like
these, or of an error on that many test rows where that is more.
"""


class Pair:
    """A method of ours beside a peer."""

    def __init__(self, group, ours, peer):
        self.ours, self.peer, self.faster = ours, peer, group.faster(ours, peer)
        # a study of few milliseconds may take less CPU time than a clock's tick
        self.less_cpu = group.cpu[peer] / max(group.cpu[ours], 0.01)
        self.fewer_epochs = group.epochs[peer] / group.epochs[ours]
        self.less_an_epoch = self.less_cpu / self.fewer_epochs
        self.busy, self.peer_busy = (50 * group.cpu[method] / group.wall[method] for method in (ours, peer))
        self.worse = group.error[ours] - group.error[peer]

    def profile(self):
        return (f"CPU time of an epoch 1/{self.less_an_epoch:.1f} of the peer's, epochs 1/{self.fewer_epochs:.2f}, "
                f"cores busy {self.busy:.0f} % to its {self.peer_busy:.0f} %")


def table(groups):
    heads(["task", "model", "R", "ours", "peer", "times faster, wall", "wanted", "times less CPU", "an epoch", "times fewer epochs",
           "busy %, ours / peer", "test error, difference", "as good", "goal"])
    for group in groups:
        for _, methods in group.precisions():
            for pair in (Pair(group, ours, peer) for ours in methods for peer in PEERS):
                good = next((word for word, slack in (("yes", 0), ("nearly", 1)) if group.as_good(pair.ours, pair.peer, slack)), "no")
                met = {"yes": "met", "nearly": "nearly", "no": "missed"}[good] if pair.faster >= group.goal else "missed"
                show([group.task, group.model, group.r, pair.ours, pair.peer, ratio(pair.faster, group.goal), str(group.goal), f"{pair.less_cpu:.1f}",
                      f"{pair.less_an_epoch:.1f}", f"{pair.fewer_epochs:.2f}", f"{pair.busy:.0f} / {pair.peer_busy:.0f}",
                      f"{pair.worse:.4f}", good, met])


def goal_each_peer(group, suffix, methods):
    faster, ours, peer = group.each_peer(methods, 0)
    allowed, nearly, beside = group.each_peer(methods, 1)
    why = [Pair(group, ours, peer).profile()] if ours else []
    why.append(f"{ratio(allowed, group.goal)} times where one standard error of the test error is allowed ({nearly}; {beside})" if nearly
               else f"none is within one standard error of {beside}")
    goal.goal(f"{group.task} {group.model} R={group.r}{suffix}: against each peer the fastest of ours with no higher test error",
              f"at least {group.goal} times faster", f"{ratio(faster, group.goal)} times ({ours}; {peer})" if ours else f"none is as good as {peer}",
              faster >= group.goal, "; ".join(why))


def late(group, ours, busy):
    """What is known of the stages of at most ten trials."""
    rows = [row for row in busy[group.task, group.model, group.r, ours] if row["late"] and row["seed"] in group.runs[ours]]
    if not rows:
        return ""
    wall = statistics.median(100 * float(row["late"]) / group.runs[ours][row["seed"]][0] for row in rows)
    used = [50 * float(row["late_cpu"]) / float(row["late"]) for row in rows if float(row["late"]) > 0]
    return f"; stages of at most 10 trials: {wall:.0f} % of the wall time" + (f", trainers busy {statistics.median(used):.0f} %" if used else "")


def goal_one_for_all(group, suffix, methods, busy):
    """The strictest reading: one method beats every peer, its time that of the fastest, its test error that of each."""
    fastest = group.fastest_peer()

    def merit(ours):
        fast = group.faster(ours, fastest) >= group.goal
        good = [all(group.as_good(ours, peer, slack) for peer in PEERS) for slack in (0, 1)]
        return fast and good[0], fast and good[1], group.faster(ours, fastest)
    ours = max(methods, key=merit)
    met, met_nearly, faster = merit(ours)
    worst = max((Pair(group, ours, peer) for peer in PEERS), key=lambda pair: pair.worse)
    why = ["met where one standard error of the test error is allowed"] if met_nearly else []
    if not all(group.as_good(ours, peer, 1) for peer in PEERS):
        why.append("test error higher by more than one standard error")
    if faster < group.goal:
        why.append(f"against {fastest}: {Pair(group, ours, fastest).profile()}{late(group, ours, busy)}")
    goal.goal(f"{group.task} {group.model} R={group.r}{suffix}: {ours} alone, test error no higher than any peer's",
              f"at least {group.goal} times faster than the fastest peer",
              f"{ratio(faster, group.goal)} times ({fastest}); test error {abs(worst.worse):.4f} {'higher' if worst.worse > 0 else 'lower'} ({worst.peer})",
              met, "; ".join(why))


def main():
    groups = list(hpo_table.read(sys.argv[1]))
    for group in groups:
        if not group.seeds:
            goal.goal(f"{group.task} {group.model} R={group.r}: beside {', '.join(PEERS)}", "", "", None, "no seed that all of them have")
    groups = [group for group in groups if group.seeds]
    busy = collections.defaultdict(list)
    with open(sys.argv[2]) as file:
        for row in csv.DictReader(file):
            busy[row["task"], row["model"], row["r"], row["method"]].append(row)
    print(ABOVE)
    table(groups)
    print()
    for group in groups:
        for suffix, methods in group.precisions():
            named = suffix.replace("medium", "precision medium")
            goal_each_peer(group, named, methods)
            goal_one_for_all(group, named, methods, busy)
    goal.show()


main()
