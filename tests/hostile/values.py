"""Values that do not belong where they stand, and JSON that is changed in one place."""

from __future__ import annotations

from copy import deepcopy

VALUES = (
    None, True, False, 0, 1, -1, 7, 2**31, -(2**63), 2**64, 10**400, 0.5, -0.0, 1e308, -1e308, 1e-320, "", " ", "x",
    "\x00", "\ud800", "‮", "x" * 3000, "7", "NaN", "../../etc/passwd", "<script>", "$x_1$", "\\frac{", [], {}, [[]],
    [None], [0], ["x"], [1, 2, 3], {"x": 1}, {"": {}}, [[[[[]]]]], {"$ref": "#"}, [-1, 10**9], [1e308, 1e308],
)  # fmt: skip


def places(data, path=()):
    """The path of everything in JSON."""
    yield path
    if isinstance(data, dict):
        for key in data:
            yield from places(data[key], (*path, key))
    elif isinstance(data, list):
        for index in range(len(data)):
            yield from places(data[index], (*path, index))


def changed(random, data, kinds=("replace", "remove", "repeat", "add", "scale")):
    """The data with one place changed, and how it was changed."""
    data = deepcopy(data)
    paths = list(places(data))
    fields = sorted({tuple("*" if isinstance(key, int) else key for key in path) for path in paths}, key=str)
    field = random.choice(fields)  # every field alike, however long its list is
    path = random.choice([p for p in paths if tuple("*" if isinstance(key, int) else key for key in p) == field])
    kind, value = random.choice(kinds), random.choice(VALUES)
    if not path:
        return value, f"all is {value!r:.60}"
    holder = data
    for key in path[:-1]:
        holder = holder[key]
    old = holder[path[-1]]
    if kind == "remove":
        del holder[path[-1]]
    elif kind == "repeat" and isinstance(holder, list):
        holder.insert(path[-1], deepcopy(old))
    elif kind == "add" and isinstance(old, dict):
        old[random.choice(["x", "", "__class__", "0"])] = value
    elif kind == "add" and isinstance(old, list):
        old.append(value)
    elif kind == "scale" and isinstance(old, (int, float)):
        holder[path[-1]] = old * random.choice([-1, 0, 10, 1e6, 1e300])
    else:
        holder[path[-1]] = value
    return data, f"{kind} {'.'.join(map(str, path))} {value!r:.60}"
