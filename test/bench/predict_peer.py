"""scikit-learn's predict fed from a table: predict_peer.py TABLE COLUMNS ROWS; connects as PG* say."""
import sys
import time
import warnings

import psycopg
import sklearn
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import table_numpy

table, columns, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
few = min(rows, 200_000)  # what psycopg's rows of Python objects cost a row does not depend on how many there are
query = f"SELECT {columns} FROM {table}"
width = columns.count(",") + 1

with psycopg.connect("") as connection:
    x = table_numpy.fetch(connection, f"SELECT {columns}, y FROM {table} LIMIT 20000")
    models = {
        "linear": make_pipeline(StandardScaler(), LinearRegression()),
        "mlp of 64 units": make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(64,), max_iter=3, random_state=1)),
    }
    print(f"scikit-learn {sklearn.__version__}, psycopg {psycopg.__version__}, of the client's process alone:")
    warnings.simplefilter("ignore")
    for name, model in models.items():
        model.fit(x[:, :-1], x[:, -1])
        start = time.process_time()
        model.predict(table_numpy.copy_binary(connection, query, width))
        copied = time.process_time() - start
        start = time.process_time()
        model.predict(table_numpy.fetch(connection, f"{query} LIMIT {few}"))
        fetched = time.process_time() - start
        print(f"{name}: {copied / rows * 1e9:.0f} ns a row by COPY BINARY, {fetched / few * 1e9:.0f} by rows of a binary cursor")
