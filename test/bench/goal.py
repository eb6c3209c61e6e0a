"""Goals of a benchmark in Python, in the lines that goal.sh describes: kept, and printed when the tables are."""

_lines = []


def goal(what, wanted, figure, met, why=""):
    """met: True, False, or None where it was not measured. why: text, or what is called for it where the goal is missed."""
    if met:
        why = ""
    elif callable(why):
        why = why()
    _lines.append("GOAL|" + "|".join((what, wanted, figure, {True: "met", False: "missed", None: "not measured"}[met], why)))


def least(what, limit, value, unit="", why="", digits=2):
    goal(what, f"at least {limit}{unit}", f"{value:.{digits}f}{unit}", bool(value >= limit), why)


def most(what, limit, value, unit="", why="", digits=2):
    goal(what, f"at most {limit}{unit}", f"{value:.{digits}f}{unit}", bool(value <= limit), why)


def show():
    print()
    for text in _lines:
        print(text, flush=True)
    _lines.clear()
