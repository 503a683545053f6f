"""Keys of a specification, read off its JSON schema: path, what it may hold, default and meaning of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

type Schema = dict[str, Any]

KINDS = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false"}
BOUNDS = {"exclusiveMinimum": "above", "minimum": "from", "exclusiveMaximum": "below", "maximum": "to"}
FACTS = ("facts", "facts_against")  # of an assumption, behind what is assumed
ENTRY = "<name>"  # of a table whose keys are the reader's own
SECTION = "section"


@dataclass(frozen=True)
class Key:
    """One key of a specification.

    Attributes
    ----------
    path : str
        With dots; ``<name>`` stands for a name that the reader gives, ``[]`` for one of several.
    kind : str
        What it may hold, with its range.
    default : str
        What holds without it; empty where nothing does, ``required`` where it must be given.
    meaning : str
    """

    path: str
    kind: str
    default: str
    meaning: str


def keys_of(schema: Schema) -> list[Key]:
    """Give every key of a JSON schema in its order, each section before its keys.

    A section of the top that is used again further down is not repeated there.
    """
    top = {form["$ref"] for _, form in _options(schema, schema) if "$ref" in form}
    return list(_walk(schema, schema, "", top))


def known_at(schema: Schema, section: Sequence[str]) -> list[str]:
    """Give the keys that a section knows; ``section`` is the path to it as pydantic gives it."""
    places = [schema]
    for part in section:
        inner = [found for place in places for found in _step(schema, place, part)]
        places = inner or places  # what is no key names one of several forms
    return [name for place in places for name in place.get("properties", {})]


def _step(schema: Schema, place: Schema, part: str) -> Iterator[Schema]:
    """Where a key or a position leads to."""
    inner = place.get("properties", {}).get(part)
    if inner is None and isinstance(place.get("additionalProperties"), dict):
        inner = place["additionalProperties"]
    if inner is None and part.isdecimal():
        inner = place.get("items")
    for form in _forms(inner) if inner is not None else ():
        yield _resolved(schema, form)


def _options(schema: Schema, place: Schema) -> Iterator[tuple[str, Schema]]:
    """Each key of a section with each form that it may have."""
    for name, one in place.get("properties", {}).items():
        for form in _forms(one):
            yield name, form


def _forms(one: Schema) -> list[Schema]:
    return [form for form in one.get("anyOf", [one]) if form.get("type") != "null"]


def _resolved(schema: Schema, form: Schema) -> Schema:
    return schema["$defs"][form["$ref"].rsplit("/", 1)[1]] if "$ref" in form else form


def _walk(schema: Schema, place: Schema, path: str, top: set[str]) -> Iterator[Key]:
    last = FACTS if FACTS[1] in place["properties"] else ()
    for name, one in sorted(place["properties"].items(), key=lambda item: item[0] in last):
        here = f"{path}.{name}" if path else name
        forms = _forms(one)
        repeated = [form for form in forms if path and form.get("$ref") in top]
        kind = " or ".join(_kind(schema, form) for form in forms)
        if repeated:
            kind = f"the keys of section {_named(schema, repeated[0])}"
        yield Key(here, kind, _default(one, required=name in place.get("required", ())), one.get("description", ""))
        for form in forms if not repeated else ():
            yield from _inside(schema, form, here, top)


def _inside(schema: Schema, form: Schema, here: str, top: set[str]) -> Iterator[Key]:
    """Keys of the sections that a key holds."""
    found = _resolved(schema, form)
    inner = found.get("items") or found.get("additionalProperties")
    if "anyOf" in found:
        for option in found["anyOf"]:
            yield from _inside(schema, option, here, top)
    elif "properties" in found:
        yield from _walk(schema, found, here, top)
    elif isinstance(inner, dict) and inner.get("$ref") not in top:
        yield from _inside(schema, inner, f"{here}[]" if "items" in found else f"{here}.{ENTRY}", top)


def _named(schema: Schema, form: Schema) -> str:
    return next(name for name, other in _options(schema, schema) if other.get("$ref") == form["$ref"])


def _kind(schema: Schema, form: Schema) -> str:
    """What a key may hold, in words."""
    found = _resolved(schema, form)
    if "enum" in found or "const" in found:
        return " or ".join(_word(word) for word in found.get("enum", [found.get("const")]))
    if "properties" in found:
        return SECTION
    if "anyOf" in found:
        return " or ".join(dict.fromkeys(_kind(schema, option) for option in found["anyOf"]))
    if found["type"] == "object":
        inner = _kind(schema, found["additionalProperties"])
        names = found.get("propertyNames", {}).get("enum", [])
        return f"table of {' or '.join(names) or 'names'}, each {'a ' if inner == SECTION else ''}{inner}"
    if "prefixItems" in found:
        return f"[{', '.join(_kind(schema, part) for part in found['prefixItems'])}]"
    if found["type"] == "array":
        inner = _kind(schema, found["items"])
        return "list of sections" if inner == SECTION else f"list of {inner}"
    if found.get("format") == "date":
        return "date"
    bounds = [f"{word} {found[key]:,}" for key, word in BOUNDS.items() if key in found]
    return " ".join([KINDS[found["type"]], (" " if "minimum" in found else " and ").join(bounds)]).strip()


def _word(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _default(one: Schema, *, required: bool) -> str:
    if required:
        return "required"
    value = one.get("default")
    return "" if value in (None, "") else _said(value)


def _said(value: object) -> str:
    """A default as it would be written."""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {f'{{{_said(inner)}}}' if isinstance(inner, dict) else _said(inner)}"
                         for key, inner in value.items())  # fmt: skip
    if isinstance(value, list):
        return f"[{', '.join(map(_said, value))}]"
    return str(value).lower() if isinstance(value, bool) else _word(value)
