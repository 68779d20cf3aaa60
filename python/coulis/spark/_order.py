"""The order of rows on the driver: that in which Spark sorts them."""

import functools
import itertools


def sort_key(value):
    """Something that Python orders as Spark orders `value`: null first, texts by their bytes, NaN last."""
    if isinstance(value, (list, dict)):
        return (1, [sort_key(one) for one in (value.values() if isinstance(value, dict) else value)])
    if isinstance(value, float):
        return (1, value != value, 0 if value != value else value)
    return (0,) if value is None else (1, value.encode() if isinstance(value, str) else value)


def arrange(rows, keys):
    """Sorts the rows of a matrix by their keys, and among equals by their bytes, in place."""

    def by_bytes(one, other):
        a, b = rows[one].tobytes(), rows[other].tobytes()
        return (a > b) - (a < b)

    order = []  # of the row that belongs at each place
    for _, same in itertools.groupby(sorted(range(len(rows)), key=keys.__getitem__), key=keys.__getitem__):
        same = list(same)
        order += sorted(same, key=functools.cmp_to_key(by_bytes)) if len(same) > 1 else same
    for start in range(len(order)):
        place, kept = start, None
        while order[place] != place:  # round a cycle of the permutation
            if kept is None:
                kept = rows[start].copy()
            source, order[place] = order[place], place
            rows[place] = kept if source == start else rows[source]
            place = source
