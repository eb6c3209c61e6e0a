"""Measures what load_peers.sh sets up: load_peers.py SERVER_LOG; connects as PG* say."""
import os
import re
import sys
import time
import warnings

import numpy as np
import psycopg
import psycopg2

import goal
import table_numpy

log = sys.argv[1]
rounds = int(os.environ.get("ROUNDS", 3))
few = int(os.environ.get("FEW", 100_000))


def load(connection, table, target):
    """CPU seconds that a study's supervisor says its load took: of all, and of its parts."""
    position = os.path.getsize(log)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT hyperband_tune(%s, %s, model => 'linear', name => 'load peers', max_resource => 1, scheduler => 'full', n_trials => 1, trainers => 1,"
            " search_space => '{\"learning_rate\": 0.001, \"batch_size\": 8192}')", (f"load_peers.{table}", target))
        study = cursor.fetchone()[0]
        cursor.execute("SELECT hyperband_wait(%s)", (study,))
        cursor.execute("SELECT hyperband_drop(%s), hyperband_drop_model('load peers')", (study,))
    with open(log) as file:
        file.seek(position)
        said = re.findall(r"hyperband: read \d+ rows.* in ([0-9.]+) s of CPU time: (.*)$", file.read(), re.MULTILINE)[-1]
        return float(said[0]), said[1]


def backend_cpu(cursor):
    cursor.execute("SELECT pg_read_file('/proc/self/schedstat')")
    return int(cursor.fetchone()[0].split()[0]) / 1e9


def measure(connect, work):
    """CPU seconds of this process alone, and with its backend; work gets a fresh connection."""
    connection = connect()
    cursor = connection.cursor()
    before = backend_cpu(cursor)
    start = time.process_time()
    work(connection)
    own = time.process_time() - start
    total = own + backend_cpu(cursor) - before
    connection.close()
    return own, total


def rows_psycopg2(query, array):
    def work(connection):
        with connection.cursor() as cursor:
            cursor.execute(query)
            rows = cursor.fetchall()
            np.array([row[0] for row in rows] if array else rows, dtype=np.float32)
    return work


def one_hot(connection):
    import pandas

    warnings.simplefilter("ignore")  # that it would rather have SQLAlchemy's connection, which is slower
    frame = pandas.read_sql("SELECT * FROM load_peers.adult", connection)
    target = frame.pop("income")
    target.astype("category").cat.codes.to_numpy()
    pandas.get_dummies(frame, dtype=np.float32).to_numpy(dtype=np.float32)


def reading(last):
    """CPU seconds of a query that has the executor find a table's last column: what no way to the rows can do without."""
    def work(connection):
        connection.cursor().execute(last)
    own, total = measure(two, work)
    return total - own


def report(table, target, rows, peers, last, wanted):
    """
    peers: name, how to connect, work, and by what its cost is multiplied to be that of all rows.  last: a query that looks
    at the last column.  wanted: the goal in times the first peer's cost, its backend's included.
    """
    ours, theirs = [], {name: [] for name, *_ in peers}
    with psycopg.connect("", autocommit=True, options="-c client_min_messages=error") as connection:
        load(connection, table, target)
        for _, connect, work, _ in peers:  # first calls import, and find caches cold
            measure(connect, work)
        for _ in range(rounds):
            ours.append(load(connection, table, target))
            for name, connect, work, factor in peers:
                theirs[name].append([factor * seconds for seconds in measure(connect, work)])
    best, parts = min(ours)
    print(f"{table}: load {best:.3f} s of CPU ({', '.join(f'{s:.3f}' for s, _ in ours)}), {rows / best / 1e6:.2f} million rows a second; "
          f"the best: {parts}")
    for name, runs in theirs.items():
        own, total = (min(values) for values in zip(*runs))
        print(f"  {name}: {own:.2f} s, {total:.2f} with its backend: {own / best:.1f} and {total / best:.1f} times the load")
    rest = min(reading(last) for _ in range(rounds))
    print(f"  a query that looks at the last column: {rest:.3f} s")
    why = f"a query that finds the last column of each row takes {rest:.3f} s; of {best:.3f} s: {parts}"
    if table == "narrow":
        goal.least("load of 30 real columns, million rows a second of CPU time", 5, rows / best / 1e6, "", why)
    name, runs = next(iter(theirs.items()))
    own, total = (min(values) for values in zip(*runs))
    goal.goal(f"load of {table}: CPU time of {name}, its backend included, in the load's", f"at least {wanted} times",
              f"{total / best:.1f} times ({own / best:.1f} without its backend)", bool(total / best >= wanted),
              f"{why}; {name}: {own:.2f} s of the client, {total - own:.2f} s of its backend")


def count(table):
    with psycopg.connect("") as connection:
        return connection.execute(f"SELECT count(*) FROM load_peers.{table}").fetchone()[0]


def three():
    return psycopg.connect("")


def two():
    return psycopg2.connect("")


def main():
    columns = ", ".join(f"c{i}" for i in range(1, 31)) + ", y"
    rows = count("narrow")
    report("narrow", "y", rows, [
        ("COPY BINARY to numpy", three, lambda c: table_numpy.copy_binary(c, f"SELECT {columns} FROM load_peers.narrow", 31), 1),
        ("psycopg2 to numpy", two, rows_psycopg2(f"SELECT {columns} FROM load_peers.narrow LIMIT {few}", False), max(rows / few, 1)),
    ], "SET max_parallel_workers_per_gather = 0; SELECT count(y) FROM load_peers.narrow", 20)
    for table in ("plain", "stored"):
        rows = count(table)
        some = max(few // 50, 1)  # rows of 784 Python floats
        report(table, "y", rows, [
            ("COPY BINARY to numpy", three, lambda c, table=table: table_numpy.copy_binary_array(c, f"SELECT px FROM load_peers.{table}", 784), 1),
            ("psycopg2 to numpy", two, rows_psycopg2(f"SELECT px FROM load_peers.{table} LIMIT {some}", True), max(rows / some, 1)),
        ], f"SET max_parallel_workers_per_gather = 0; SELECT count(px[784]) FROM load_peers.{table}", 20 if table == "plain" else 8)
    with psycopg.connect("") as connection:
        adult = connection.execute("SELECT to_regclass('load_peers.adult') IS NOT NULL").fetchone()[0]
    if not adult:
        goal.show()
        return
    try:
        import pandas
    except ImportError:
        print("adult skipped: no pandas")
        goal.goal("load of adult beside pandas.read_sql and one-hot", "at least 10 times", "", None, "no pandas")
        goal.show()
        return
    report("adult", "income", count("adult"), [
        (f"pandas {pandas.__version__}, read_sql and get_dummies", two, one_hot, 1),
    ], "SET max_parallel_workers_per_gather = 0; SELECT count(income) FROM load_peers.adult", 10)
    goal.show()


main()
