"""A table of real columns as a float32 numpy matrix, in the ways that Python users have."""
import io

import numpy as np


def copy_binary(connection, query, columns):
    """COPY BINARY into one buffer, then a view of its fixed-width rows: the fastest that numpy and psycopg offer.

    All columns are real and not NULL: a row is an int16 count, then for each an int32 length and 4 bytes.
    """
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
        for block in copy:
            buffer.write(block)
    row = np.dtype([("count", ">i2"), ("fields", [("length", ">i4"), ("value", ">f4")], (columns,))])
    raw = buffer.getbuffer()
    table = np.frombuffer(raw, dtype=row, offset=19, count=(len(raw) - 21) // row.itemsize)
    assert (table["count"] == columns).all() and (table["fields"]["length"] == 4).all()
    return np.ascontiguousarray(table["fields"]["value"], dtype=np.float32)


def copy_binary_array(connection, query, elements):
    """The same for one real[] column without NULLs: three more int32 an array's header, five in all, then its elements."""
    buffer = io.BytesIO()
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as copy:
        for block in copy:
            buffer.write(block)
    row = np.dtype([("count", ">i2"), ("length", ">i4"), ("header", ">i4", (5,)), ("fields", [("length", ">i4"), ("value", ">f4")], (elements,))])
    raw = buffer.getbuffer()
    table = np.frombuffer(raw, dtype=row, offset=19, count=(len(raw) - 21) // row.itemsize)
    assert (table["fields"]["length"] == 4).all()
    return np.ascontiguousarray(table["fields"]["value"], dtype=np.float32)


def fetch(connection, query):
    """psycopg 3, binary results, rows as tuples."""
    with connection.cursor(binary=True) as cursor:
        cursor.execute(query)
        return np.array(cursor.fetchall(), dtype=np.float32)
