"""Changes to a table, to text, to bytes and to JSON: some that a reader should take, some that it should refuse."""

import random
from typing import Any

ODD = (
    "", " ", "0", "1", "2", "99", "-1", "nan", "inf", "1e308", "5e-79", "1e-320", "1e999", "1_0", "0.5", "12.25", "7.0", "1.0",
    "-5", "2020-02-30", "2020-06-01", "22000", "02JAN2014", "31FEB2014", "9999-12-31", "0001-01-01", "2100-12-31",
    "1900-01-01", "2020-06-01T12:00", "73049", "3653", "²", "१२", "\x00", "\u200b", "\ufeff", "NA", "ND", ".", "-",
    "PFS ", "pfs", "PFSS", "OS", "Rd", "KRD", "krd", "DAYS", "MONTH", "WEEKS", "YEAR", "Ongoing", "Lost to follow-up",
    "Withdrew consent", "Death", "Progression", "death", "no", "yes", "POSITIVE", "negative", "not done", "1e-5", "1e-6",
    "0.00001", "1" * 5000, "A" * 300, "'", '"', "<script>", "not " * 50, "PFS (Months)", "=1+1", "a,b", "a\nb", "\\",
)  # fmt: skip
JUNK: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x", "\x00", "\ud800",
    "2020-01-01", [], {}, [[]], [None], {"a": 1}, "9" * 400,
)  # fmt: skip
type Columns = dict[str, list[str]]


def table(rng: random.Random, columns: Columns) -> Columns:
    """Change nothing, or up to three things; two of three changes are of the kind that a delivery may have."""
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        if columns and next(iter(columns.values())):
            columns = (_mild if rng.random() < 0.67 else _wild)(rng, columns)
    return columns


def _mild(rng: random.Random, columns: Columns) -> Columns:
    names, size = list(columns), len(next(iter(columns.values())))
    column, kind = rng.choice(names), rng.randrange(9)
    if kind < 3:
        order = rng.sample(range(size), size if kind < 2 or size < 3 else size - 1)
        return {name: [values[i] for i in order] for name, values in columns.items()}
    if kind == 3:
        return {name: columns[name] for name in rng.sample(names, len(names))}
    if kind == 4:
        changed = column.lower() if rng.random() < 0.8 else column + " "
        return {changed if name == column else name: values for name, values in columns.items()}
    if kind == 5:
        return {**columns, rng.choice(("AGE", "SAFFL", "NOTE", "ANL01FL")): [rng.choice(("Y", "N", "")) for _ in range(size)]}
    cells = list(columns[column])
    row = rng.randrange(size)
    if kind == 6:
        cells[row] = rng.choice((" {}", "{} ", "\u00a0{}", "{}\u200b")).format(cells[row])
    elif kind == 7:
        cells[row] = rng.choice((str.lower, str.upper, str.title))(cells[row])
    else:
        cells[row] = rng.choice(cells)
    return {**columns, column: cells}


def _wild(rng: random.Random, columns: Columns) -> Columns:
    names, size = list(columns), len(next(iter(columns.values())))
    column, kind, row = rng.choice(names), rng.randrange(10), rng.randrange(size)
    if kind == 0:
        return {name: values for name, values in columns.items() if name != column}
    if kind == 1:
        return {name: [*values, values[row]] for name, values in columns.items()}
    if kind == 2:
        return {**columns, column: [rng.choice(ODD)] * size}
    cells = list(columns[column])
    if kind == 3 and cells[row]:
        i = rng.randrange(len(cells[row]))
        cells[row] = cells[row][:i] + rng.choice(("", "x", "0", " ")) + cells[row][i + 1 :]
    elif kind == 4:
        other = rng.choice(names)
        cells[row], columns = columns[other][row], {**columns, other: [*columns[other]]}
    else:
        cells[row] = rng.choice(ODD)
    return {**columns, column: cells}


def csv_text(rng: random.Random, columns: Columns) -> str:
    """Write a table as text, quoted where it must be and sometimes where it need not."""
    ends = rng.choice(("\n", "\n", "\r\n", "\r"))
    always = rng.random() < 0.1

    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if always or any(c in text for c in ',"\n\r') else text

    rows = [list(columns), *map(list, zip(*columns.values(), strict=True))]
    return ends.join(",".join(map(cell, row)) for row in rows) + rng.choice((ends, ends, "", ends * 2))


def raw(rng: random.Random, content: bytes, most: int = 2) -> bytes:
    """Change nothing, or up to ``most`` things in bytes."""
    changed = bytearray(content)
    for _ in range(rng.randint(0, most)):
        at, kind = rng.randrange(len(changed) + 1), rng.randrange(9)
        if kind == 0:
            changed[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            changed[at:at] = rng.choice((b'"', b",", b"\n", b"\r", b"\r\n", b"\x00", b"\xff", b"\xe9", b";", b"\t", b"\\", b"#"))
        elif kind == 2:
            del changed[at : at + rng.choice((1, 1, 1, 2, 20))]
        elif kind == 3:
            changed[:0] = rng.choice((b"\xef\xbb\xbf", b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"PK\x03\x04", b"sep=,\n"))
        elif kind == 4:
            del changed[at + rng.randrange(40) :]
        elif kind == 5:
            changed[at:at] = rng.choice(("é", "²", "\u2028", "\x85", "\x0b", "\x1c", "\u00a0", "😀")).encode()
        elif kind == 6:
            changed = bytearray(changed.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n", b",\n", b"\n ", b"\n\x0c"))))
        elif kind == 7:
            lines = changed.splitlines(keepends=True) or [b""]
            lines.insert(rng.randrange(len(lines) + 1), rng.choice((b",,,\n", b"\n", b" \n", b'""\n', b"#\n", *lines)))
            changed = bytearray(b"".join(lines))
        else:
            changed += rng.choice((b"\n\n", b"\x1a", b" ", b",", b'"', b"\x00"))
    return bytes(changed)


def lines(rng: random.Random, text: list[str]) -> list[str]:
    """Change nothing, or up to three lines of a TOML file."""
    changed = list(text)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        at, kind = rng.randrange(len(changed)), rng.randrange(8)
        if kind < 3:
            changed[at] = _value(rng, changed[at])
        elif kind == 3:
            del changed[at]
        elif kind == 4:
            changed.insert(rng.randrange(len(changed)), changed[at])
        elif kind == 5:
            changed.insert(at, rng.choice((
                "x = 1", "# a remark", "", "[x]", "cuts = [6, 12]", "a" + ".a" * rng.choice((3, 40)) + " = 1", 'name = "\\u0000"',
                "events = 10", "[sampling]", "draws = 500", "x = " + "[" * 60 + "]" * 60, "[final]", "cap = 2090-01-01",
            )))  # fmt: skip
        elif kind == 6 and changed[at]:
            i = rng.randrange(len(changed[at]))
            changed[at] = changed[at][:i] + rng.choice(("", '"', "[", "=", "0", "é", "\x00", "\ud800")) + changed[at][i + 1 :]
        else:
            other = rng.randrange(len(changed))
            changed[at], changed[other] = changed[other], changed[at]
    return changed


def _value(rng: random.Random, line: str) -> str:
    """Put another number, word or kind of value in a line."""
    key, equals, value = line.partition(" = ")
    if not equals:
        return line
    numbers = [i for i, letter in enumerate(value) if letter.isdigit()]
    if numbers and rng.random() < 0.7:
        at = rng.choice(numbers)
        return f"{key} = {value[:at]}{rng.randrange(10)}{value[at + 1 :]}"
    return f"{key} = " + rng.choice((
        "0", "1", "-1", "0.5", "1e308", "nan", "inf", "1e-320", "9" * 30, "true", '""', '"x"', "[]", "[1]", "{}", "2020-01-01",
        "0001-01-01", "9999-12-31", '"events"', '["progression"]', "07:30:00", "1979-05-27T07:32:00Z", "'\u200b'", "100", "24",
    ))  # fmt: skip


def json_value(rng: random.Random, value: Any) -> Any:
    """Give a record with one place changed: another value of its kind, junk, or a key more or less."""
    if isinstance(value, dict) and value and rng.random() < 0.92:
        name = rng.choice(list(value))
        return {**value, name: json_value(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], json_value(rng, value[at]), *value[at + 1 :]]
    kind = rng.random()
    if kind < 0.45:
        return _alike(rng, value)
    if kind < 0.6 and isinstance(value, dict):
        return {**dict(rng.sample(list(value.items()), max(len(value) - 1, 0))), **rng.choice(({}, {"x": 1}))}
    return rng.choice(JUNK)


def _alike(rng: random.Random, value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1, 7))
    if isinstance(value, float):
        return value * rng.choice((0.5, 0.9, 1.0))
    return value + "é" if isinstance(value, str) else value
