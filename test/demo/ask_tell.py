"""Train outside, ask and tell: logistic regression in numpy, tuned by Hyperband in the database.

    python3 ask_tell.py "host=... dbname=..." [study]      # any number of these at once, the first without a study
"""
import sys
import time

import numpy
import psycopg

SPACE = '{"rate": {"type": "float", "low": 1e-4, "high": 10, "log": true}, "decay": {"type": "float", "low": 1e-7, "high": 1, "log": true}}'
draw = numpy.random.default_rng(0)
x = draw.normal(size=(4000, 20))
y = x @ draw.normal(size=20) + draw.normal(size=4000) > 0
weights = {}  # this program's checkpoints: where a trial stood and with what; one that another took on is trained from its start

# COMMIT after each ask: others wait for it.  Of a database whose encoding is SQL_ASCII texts would be bytes
with psycopg.connect(sys.argv[1], autocommit=True, client_encoding="utf8") as db:
    study = int(sys.argv[2]) if len(sys.argv) > 2 else db.execute("SELECT hyperband_create_study(%s)", [SPACE]).fetchone()[0]
    print(f'study {study}; further workers: python3 {sys.argv[0]} "{sys.argv[1]}" {study}', flush=True)
    while db.execute("SELECT state FROM hyperband.study WHERE study_id = %s", [study]).fetchone()[0] == "running":
        for trial, attempt, config, begin, end in db.execute("SELECT * FROM hyperband_ask(%s)", [study]).fetchall() or [(None,) * 5]:
            if trial is None:  # others' results are awaited
                time.sleep(0.1)
                continue
            stood, w = weights.get(trial, (0, numpy.zeros(20)))
            begin, w = (begin, w) if stood == begin else (0, numpy.zeros(20))
            for epoch in range(begin, end):
                p = 1 / (1 + numpy.exp(-numpy.clip(x[:3000] @ w, -50, 50)))
                w = w - config["rate"] * (x[:3000].T @ (p - y[:3000]) / 3000 + config["decay"] * w)
            weights[trial] = (end, w)
            error = float(numpy.mean((x[3000:] @ w > 0) != y[3000:]))
            db.execute("SELECT hyperband_tell(%s, %s, %s, %s)", [trial, attempt, end, error])
    print("best error and configuration:", *db.execute("SELECT loss, config FROM hyperband.leaderboard WHERE study_id = %s AND place = 1", [study]).fetchone())
