"""What memory a whole study needs, and tables beyond hyperband.max_data_memory; load_peers.sh makes the tables.

Twenty times a second the proportional set sizes of the study's supervisor and of its trainers are added up, so that
pages which they share count once; the server's own shared memory does not count.  The goal is a multiple of the
training table as a float32 matrix and the weights of all trials.
"""
import collections
import os
import threading
import time

import psycopg

import goal

UNITS = 64
WIDTH = 30
WEIGHTS = 4 * (UNITS * (WIDTH + 1) + UNITS + 1)  # bytes a trial
CALL = ("SELECT hyperband_tune(%s, 'y', model => 'mlp', task => 'regression', name => 'load memory', max_resource => 3, trainers => 2, seed => 1, options => %s,"
        f" search_space => '{{\"layers\": 1, \"units\": {UNITS}, \"optimizer\": \"momentum\", \"batch_size\": 512}}')")
MEGABYTE = 1e6


def parents():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    found[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                pass  # it has ended
    return found


def set_size(pid):
    """Bytes: of the training data (a memory file), and of everything else."""
    data = rest = 0
    kind = ""
    try:
        with open(f"/proc/{pid}/smaps") as file:
            for line in file:
                words = line.split()
                if not words[0].endswith(":"):
                    path = words[5] if len(words) > 5 else ""
                    kind = "data" if path.startswith("/memfd:") else "server" if path.startswith(("/dev/zero", "/SYSV", "/dev/shm/PostgreSQL")) else "rest"
                elif words[0] == "Pss:":
                    data += 1024 * int(words[1]) if kind == "data" else 0
                    rest += 1024 * int(words[1]) if kind == "rest" else 0
    except (OSError, IndexError):
        pass  # it has ended
    return data, rest


class Sampler(threading.Thread):
    """Samples until stopped; peak: all, data, the supervisor's rest, the trainers' rest at the moment when all was most."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.samples, self.over = (0, 0, 0, 0), 0, threading.Event()

    def run(self):
        with psycopg.connect("", autocommit=True) as connection:
            while not self.over.is_set():
                began = time.monotonic()
                row = connection.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'hyperband supervisor'").fetchone()
                if row:
                    trainers = [set_size(pid) for pid, parent in parents().items() if parent == row[0]]
                    data, rest = set_size(row[0])
                    data += sum(size for size, _ in trainers)
                    others = sum(size for _, size in trainers)
                    self.peak = max(self.peak, (data + rest + others, data, rest, others))
                    self.samples += 1
                self.over.wait(max(0.0, 0.05 - (time.monotonic() - began)))


Study = collections.namedtuple("Study", "state rows seconds trials error peak samples")


def study(table, options="{}"):
    sampler = Sampler()
    with psycopg.connect("", autocommit=True, options="-c client_min_messages=error") as connection:
        sampler.start()
        began = time.monotonic()
        try:
            number = connection.execute(CALL, (f"load_peers.{table}", options)).fetchone()[0]
            connection.execute("SELECT hyperband_wait(%s)", (number,))
        except psycopg.Error as error:
            sampler.over.set()
            sampler.join()
            return Study("refused", 0, time.monotonic() - began, 0, str(error).splitlines()[0], sampler.peak, sampler.samples)
        seconds = time.monotonic() - began
        sampler.over.set()
        sampler.join()
        state, rows, trials, error = connection.execute(
            "SELECT state, coalesce(rows_train + rows_validation, 0), (SELECT count(*) FROM hyperband.trial AS t WHERE t.study_id = s.study_id), error"
            " FROM hyperband.study AS s WHERE study_id = %s", (number,)).fetchone()
        connection.execute("SELECT hyperband_drop(%s)", (number,))
        connection.execute("SELECT hyperband_drop_model(name) FROM (SELECT DISTINCT name FROM hyperband.model WHERE name = 'load memory') AS m")
    return Study(state, rows, seconds, trials, error, sampler.peak, sampler.samples)


def memory(table, fixed):
    """Judges the peak; fixed: bytes that a study of a tiny table takes."""
    done = study(table)
    matrix, weights = 4 * WIDTH * done.rows, WEIGHTS * done.trials
    ratio = done.peak[0] / (matrix + weights) if done.rows else float("inf")
    total, data, supervisor, trainers = (size / MEGABYTE for size in done.peak)
    print(f"{table}: study {done.state}, {done.rows} rows of {WIDTH} columns, {done.trials} trials, {done.seconds:.1f} s; at most {total:.1f} MB in {done.samples} samples: "
          f"data {data:.1f}, supervisor {supervisor:.1f}, trainers {trainers:.1f}; matrix {matrix / MEGABYTE:.1f}, weights {weights / MEGABYTE:.2f}; ratio {ratio:.2f}", flush=True)
    goal.most(f"peak memory of a whole study of {done.rows} rows of {WIDTH} real columns, in that of the float32 matrix and the weights", 1.3, ratio, " times",
              f"of {total:.1f} MB the data is {data:.1f}, the supervisor {supervisor:.1f}, two trainers {trainers:.1f}; a study of 1,000 rows takes {fixed / MEGABYTE:.1f} MB")
    return done


def setting(connection, value):
    connection.execute(f"ALTER SYSTEM SET hyperband.max_data_memory = '{value}'" if value else "ALTER SYSTEM RESET hyperband.max_data_memory")
    connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)


def beyond(rows):
    """A limit of half the matrix: refused, then sampled."""
    wanted = rows // 4
    with psycopg.connect("", autocommit=True) as connection:
        connection.execute("LOAD 'hyperband'")
        before = connection.execute("SELECT setting FROM pg_file_settings WHERE name = 'hyperband.max_data_memory' AND sourcefile LIKE '%postgresql.auto.conf'").fetchone()
        setting(connection, f"{rows * WIDTH * 4 // 2 // 1024}kB")
        try:
            refused, sampled = study("big"), study("big", f'{{"max_rows": {wanted}}}')
        finally:
            setting(connection, before[0] if before else None)
    print(f"big, limit of half the matrix: {refused.state} in {refused.seconds:.1f} s ({refused.error}); with max_rows {wanted}: {sampled.state}, "
          f"{sampled.rows} rows, {sampled.seconds:.1f} s, at most {sampled.peak[0] / MEGABYTE:.1f} MB", flush=True)
    goal.goal(f"{rows} rows of {WIDTH} columns, hyperband.max_data_memory half the matrix", "refused without max_rows, a sample with it",
              f"{refused.state}; {sampled.state} with {sampled.rows} of {wanted} rows",
              refused.state in ("failed", "refused") and "max_data_memory" in (refused.error or "") and sampled.state == "done" and sampled.rows == wanted,
              f"{refused.error}; {sampled.error}")


def main():
    fixed = study("tiny").peak[0]
    memory("memory", fixed)
    with psycopg.connect("") as connection:
        big = connection.execute("SELECT to_regclass('load_peers.big') IS NOT NULL").fetchone()[0]
        connection.execute("LOAD 'hyperband'")
        limit = connection.execute("SHOW hyperband.max_data_memory").fetchone()[0]
    if big:
        done = memory("big", fixed)
        goal.goal(f"{done.rows} rows of {WIDTH} columns load and tune within hyperband.max_data_memory ({limit})", "done", f"{done.state} in {done.seconds:.1f} s",
                  done.state == "done", done.error or "")
        if done.state == "done":
            beyond(done.rows)
    goal.show()


main()
