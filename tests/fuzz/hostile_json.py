"""JSON in which a value is another, missing, or there twice."""

import copy
import json

from fuzz.test_fuzz import mutated

VALUES = [0, -1, 2**31, 2**63, 2**200, 10**399, 1e308, 1e-320, float("nan"), float("inf"), None]
VALUES += [True, "", "x", "\ud800", "9" * 5000, [], {}, [[1]], {"a": {"b": 1}}, [0] * 9]


def places(tree, path=()):
    """Where a value stands in a tree of objects and lists."""
    yield path
    if not isinstance(tree, (dict, list)):
        return
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield from places(value, (*path, key))


def hostile(tree, rng):
    """A tree in which one value is another, missing, or there twice."""
    tree = copy.deepcopy(tree)
    every = list(places(tree))[1:]
    *path, key = every[int(rng.integers(len(every)))]
    node = tree
    for step in path:
        node = node[step]
    kind = rng.random()
    if kind < 0.1:
        del node[key]
    elif kind < 0.2 and isinstance(node, dict):
        node[key + "x"] = node[key]
    else:
        node[key] = VALUES[int(rng.integers(len(VALUES)))]
    return tree


def changed(text, rng):
    """JSON with one hostile value, or with other bytes."""
    if rng.random() < 0.7:
        return json.dumps(hostile(json.loads(text), rng))
    return mutated(text.encode(), rng).decode("latin-1")


def changed_lines(data, rng):
    """JSON lines, one of them with a hostile value; or with other bytes."""
    if rng.random() < 0.4:
        return mutated(data, rng)
    lines = data.splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = json.dumps(hostile(json.loads(lines[at]), rng)).encode()
    return b"".join(line + b"\n" for line in lines)
