# The same replay through hyperband_minimize: a SQL function looks the loss up, and what it was called for is compared.
#
#   replay_minimize.py DATA_FOLDER SEEDS     started by replay.sh
#
# For a seed, the study that asks and tells and the one that minimizes must try the same configurations at the same
# resources in the same order, until the budget is spent, and so have the same regret.
import json
import math
import os
import re
import sys

import psycopg

from replay import BUDGETS, SAMPLERS, SCHEDULERS, Ledger, ask_and_tell, halving_size, trials
from replay_tables import NO_LAYER, tasks


def coordinate(name, spec):
    """A parameter's place on its axis, as replay_tables.scaled has it, in SQL."""
    low, high = spec["low"], spec["high"]
    value = f"(config ->> '{name}')::float8"
    if name == "hidden2":
        value = f"CASE WHEN {value} < 8 THEN {NO_LAYER!r} ELSE {value} END"
    if spec.get("log"):
        return f"(ln(greatest({value}, {low * 1e-3!r})) - ln({float(low)!r}::float8)) / (ln({float(high)!r}::float8) - ln({float(low)!r}::float8))"
    return f"({value} - {float(low)!r}) / {float(high - low)!r}"


def install(db, task):
    """Schema replay_minimize with the task's table and the function that looks a loss up and notes that it was called."""
    axes = [coordinate(name, task.space[name]) for name in task.numeric]
    for name in task.category:
        axes += [f"sqrt(0.5) * (config ->> '{name}' = '{choice}')::int" for choice in task.space[name]["choices"]]
    columns = [f"c{i + 1}" for i in range(len(axes))]
    db.execute("DROP SCHEMA IF EXISTS replay_minimize CASCADE")
    db.execute("CREATE SCHEMA replay_minimize")
    db.execute(f"CREATE TABLE replay_minimize.point (row int PRIMARY KEY, losses float8[], {', '.join(c + ' float8' for c in columns)})")
    with db.cursor().copy(f"COPY replay_minimize.point (row, losses, {', '.join(columns)}) FROM STDIN") as copy:
        for row, (point, losses) in enumerate(zip(task.points, task.losses)):
            copy.write_row([row, [float(v) for v in losses[1:]], *(float(v) for v in point)])
    db.execute("ANALYZE replay_minimize.point")
    db.execute("CREATE TABLE replay_minimize.call (place bigint GENERATED ALWAYS AS IDENTITY, config jsonb, row int, resource int, loss float8)")
    distance = " + ".join(f"({c} - at[{i + 1}]) ^ 2" for i, c in enumerate(columns))
    db.execute(f"""
        CREATE FUNCTION replay_minimize.loss(config jsonb, resource int) RETURNS float8 LANGUAGE plpgsql AS $$
        #variable_conflict use_variable
        DECLARE
            at CONSTANT float8[] := ARRAY[{', '.join(axes)}];
            nearest int;
            found float8;
        BEGIN
            SELECT p.row, p.losses[resource] INTO nearest, found FROM replay_minimize.point p ORDER BY {distance}, p.row LIMIT 1;
            INSERT INTO replay_minimize.call (config, row, resource, loss) VALUES (config, nearest, resource, found);
            RETURN found;
        END $$""")


def minimized(db, task, sampler, scheduler, n_trials, seed):
    db.execute("TRUNCATE replay_minimize.call RESTART IDENTITY")
    study = db.execute(
        "SELECT hyperband_minimize('replay_minimize.loss(jsonb, int)', %s::text::jsonb, %s, %s, %s, %s, 3, n_trials => %s, seed => %s)",
        (json.dumps(task.space), sampler, scheduler, task.R, task.min_resource, n_trials, seed)).fetchone()[0]
    state = db.execute("SELECT hyperband_wait(%s, '10 minutes')", (study,)).fetchone()[0]
    assert state == "done", f"study {study} is {state}"
    db.execute("SELECT hyperband_drop(%s)", (study,))
    ledger, reached = Ledger(task), {}
    for config, row, resource, loss in db.execute("SELECT config::text, row, resource, loss FROM replay_minimize.call ORDER BY place"):
        ledger.spent += resource - reached.get(config, 0)
        reached[config] = resource
        ledger.events.append((ledger.spent, loss, row))
    return ledger


def same(a, b):
    return len(a) <= len(b) and all(x[0] == y[0] and x[2] == y[2] and (x[1] == y[1] or math.isnan(x[1]) and math.isnan(y[1])) for x, y in zip(a, b))


def compare(db, task, sampler, scheduler, seed):
    """Whether history and regret are the same, for each budget that the scheduler is made for."""
    out = []
    for budget in BUDGETS if scheduler == "halving" else BUDGETS[-1:]:
        n = halving_size(db, task, budget) if scheduler == "halving" else trials(task, task.space, scheduler)
        asked = ask_and_tell(db, task, task.space, sampler, scheduler, n, seed, budget, at_once=1)
        # As many trials as were begun: what comes after the budget does not count.
        told = minimized(db, task, sampler, scheduler, n if scheduler == "halving" else asked.drawn, seed)
        out.append(same(asked.events, told.events) and all(asked.regret(b) == told.regret(b) for b in BUDGETS if b <= budget))
        if scheduler == "halving":  # replay.py asks for many at once
            together = ask_and_tell(db, task, task.space, sampler, scheduler, n, seed, budget)
            out.append(same(asked.events, together.events))
    return all(out)


def main():
    folder, seeds = sys.argv[1], int(sys.argv[2])
    only = os.environ.get("CHECK_ONLY", ".*")
    db = psycopg.connect("", autocommit=True)
    db.execute("SET client_min_messages = warning")
    every = [t for t in tasks(folder) if re.search(os.environ.get("TASKS", ""), f"{t.bench} {t.name}")]
    methods = [(s, c) for s in SAMPLERS for c in SCHEDULERS if re.match(only, f"{s} x {c}")]
    equal, total = 0, 0
    for number, task in enumerate(every):
        for seed in range(1, seeds + 1):
            one = task.at(seed)
            install(db, one)
            for sampler, scheduler in methods:
                found = compare(db, one, sampler, scheduler, 100 * seed + number)
                equal, total = equal + found, total + 1
                if not found:
                    print(f"  {task.bench} {task.name}, {sampler} x {scheduler}, seed {seed}: another history", flush=True)
    db.execute("DROP SCHEMA IF EXISTS replay_minimize CASCADE")
    print("\nExpected: for a seed, hyperband_minimize with a SQL function that looks the loss up has the history and regret of ask and tell")
    print(f"  {'met' if equal == total else 'not met':8} {equal} of {total} runs: {', '.join(' x '.join(m) for m in methods)}; {len(every)} tasks, {seeds} seed{'s' if seeds > 1 else ''} each")
    db.close()
    sys.exit(equal != total)


if __name__ == "__main__":
    main()
