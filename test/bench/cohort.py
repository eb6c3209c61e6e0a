"""Runs the cohort benchmark: cohort_bench and cohort_peer.py in turn, medians, ratios, agreement.

    cohort.py DRIVER FOLDER [REPETITIONS]

Each repetition runs both sides once, one after the other, so that a change of the machine's speed hits
both.  A trial-sample is one training row seen by one trial; CPU seconds count children.
"""
import json
import os
import platform
import statistics
import subprocess
import sys

TOLERANCE = 1e-3  # of the losses of the last epoch

CASES = [
    # name, source, inputs, units, classes, trials of the cohort, trials of the peer, target ratio
    ("softmax 784-10, Fashion-MNIST", "images", 784, 0, 10, 27, 6, 6.0),
    ("network 784-128-10, Fashion-MNIST", "images", 784, 128, 10, 9, 3, 1.4),
    ("softmax 30-5, synthetic", "30", 30, 0, 5, 27, 6, None),
    ("network 30-128-5, synthetic", "30", 30, 128, 5, 9, 3, None),
]


def run(command):
    env = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    return json.loads(subprocess.run(command, env=env, check=True, capture_output=True,
                                     text=True).stdout.splitlines()[-1])


def source(folder, kind):
    if kind == "images":
        return ["--images", folder + "/train-images", "--labels", folder + "/train-labels"]
    return ["--synthetic", "80000,%s,5" % kind]


def processor():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":")[1].strip() for line in file if "model name" in line), "unknown")


def case(driver, python, folder, repetitions, name, kind, inputs, units, classes, trials, peers, target):
    here = os.path.dirname(os.path.abspath(__file__))
    ours = [driver] + source(folder, kind) + ["--units", str(units), "--trials", str(trials)]
    theirs = [python, here + "/cohort_peer.py", folder] + [
        str(v) for v in (inputs, units, classes, peers, 1, 128)]
    run(ours + ["--dump", folder])
    cohort, peer = [], []
    for _ in range(repetitions):
        a, b = run(ours), run(theirs)
        cohort.append(a["seconds"] / (trials * a["rows"]))
        peer.append(b["seconds"] / (peers * b["rows"]))
    apart = max(abs(x[-1] - y[-1]) for x, y in zip(a["losses"], b["losses"]))
    ratio = statistics.median(peer) / statistics.median(cohort)
    print(f"{name}: cohort of {trials} ({a['provider']}) {1e9 * statistics.median(cohort):.1f} ns, "
          f"{b['provider']} {1e9 * statistics.median(peer):.1f} ns a trial-sample: "
          f"{ratio:.2f} times as many a CPU second" + (f" (at least {target})" if target else ""))
    print(f"  final losses of {peers} trials: ours {[round(x[-1], 6) for x in a['losses'][:peers]]}, "
          f"theirs {[round(x[-1], 6) for x in b['losses']]}: apart by {apart:.1e} "
          f"(at most {TOLERANCE})")
    return apart <= TOLERANCE and (target is None or ratio >= target)


def main():
    driver, folder = sys.argv[1:3]
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    python = os.environ.get("PYTHON", sys.executable)
    print(f"{processor()}, {os.cpu_count()} CPUs, {platform.platform()}, medians of {repetitions}")
    good = [case(driver, python, folder, repetitions, *line) for line in CASES]
    sys.exit(0 if all(good) else 1)


main()
