"""The reference of every key of a specification: a JSON schema for editors, a page, and what the command line prints.

``python -m smm_bayes.analysis.reference FOLDER`` writes the schema to FOLDER/models/spec.schema.json and the page to
FOLDER/docs/spec_keys.md; a test holds both to the code.
"""

from __future__ import annotations

import argparse
import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from smm_bayes.analysis.endpoint_section import OWN
from smm_bayes.analysis.keys import SECTION, Key, Schema, keys_of
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import SpecificationError, nearest
from smm_bayes.files import write_whole
from smm_bayes.prediction.success import EventCount, HazardRatioProbability, LogRank, SuccessRule

BOUNDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
TYPES = {"float": "number", "int": "integer", "str | None": "string"}
RULES: dict[str, type[SuccessRule]] = {
    "log_rank": LogRank, "hazard_ratio_probability": HazardRatioProbability, "event_count": EventCount,
}  # fmt: skip
# what each rule asks for, and its settings
SUCCESS: dict[str, tuple[str, dict[str, str]]] = {
    "log_rank": ("One-sided log-rank test in favour of experimental", {
        "alpha": "One-sided level, above 0 and below 0.5",
    }),
    "hazard_ratio_probability": ("Posterior probability that the hazard ratio, experimental over control, is low", {
        "threshold": "The hazard ratio must be below this",
        "probability": "Posterior probability that must be exceeded, above 0 and below 1",
        "prior_median": "Median of the prior hazard ratio in the final analysis",
        "prior_upper": "97.5 % point of that prior",
        "shape": "Events that the final prior of each hazard is worth",
        "rate": "Patient-months that the final prior of each hazard is worth",
    }),
    "event_count": ("Number of counted events within bounds, both included", {
        "at_least": "Lowest number of events",
        "at_most": "Highest number of events; no bound by default",
        "arm": "Role of the arm whose events are counted; all by default",
    }),
}  # fmt: skip
COMBINED = {"all": "Rules that must all hold, two or more", "any": "Rules of which one must hold, two or more"}
HEAD = """# Keys of spec.toml

Every key of a specification, from the code (`python -m smm_bayes.analysis.reference .` writes this page anew).
`smm-bayes keys` prints the same, `smm-bayes keys model` one section of it; `models/spec.schema.json` holds it for
editors: with `#:schema ../spec.schema.json` as first line of a `spec.toml`, those that know TOML complete its keys.

`<name>` stands for a name of your own, such as a cause, and `[]` for one of several: `evidence.trial[].name` is written
below `[[evidence.trial]]`. Times are months and hazard ratios experimental over control, where nothing else is said. A
key without default and not required is not in force unless it is given. Numbers are 0, or between 1e-9 and 1e9 in size.
"""


def spec_schema() -> Schema:
    """Give the JSON schema of a specification, with the settings of its success rules."""
    schema = _tidy(AnalysisSpec.model_json_schema())
    rules = {name: _rule(name) for name in RULES}
    inner = {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/success"}}
    for word, meaning in COMBINED.items():
        rules[word] = _table({word: inner | {"description": meaning}}, required=[word])
    schema["$defs"] |= rules | {"success": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in rules]}}
    meaning = schema["properties"]["success"]["description"]
    schema["properties"]["success"] = {"$ref": "#/$defs/success", "description": meaning}
    other = schema["$defs"]["OtherEndpointSection"]["properties"]
    for name in (*OWN, "final"):
        top = schema["properties"][name]
        other[name] = {"$ref": top["$ref"], "description": other[name]["description"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "spec.toml"} | schema


def _rule(name: str) -> Schema:
    """A success rule with its settings."""
    meaning, settings = SUCCESS[name]
    found: Schema = {"rule": {"const": name, "description": meaning}}
    for one in fields(RULES[name]):  # type: ignore[arg-type]
        found[one.name] = {"type": TYPES[str(one.type)], "description": settings[one.name]}
        if one.default is not None and one.default != math.inf:
            found[one.name]["default"] = one.default
    return _table(found, required=["rule"])


def _table(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _tidy(value: Any, *, names: bool = False) -> Any:
    """Leave out what an editor has no use for, and write bounds as JSON schema does; TOML has no null."""
    if isinstance(value, list):
        return [_tidy(one) for one in value if one != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    if names:
        return {name: _tidy(one) for name, one in value.items()}
    found = {BOUNDS.get(key, key): inner for key, inner in value.items()}
    left_out = {"title", "description"} if "properties" in found else {"title"}
    kept = {key: _stated(inner) if key == "default" else _tidy(inner, names=key in ("properties", "$defs"))
            for key, inner in found.items() if key not in left_out and (key, inner) != ("default", None)}  # fmt: skip
    options = kept.get("anyOf", [])
    return kept if len(options) != 1 else {**options[0], **{key: kept[key] for key in kept if key != "anyOf"}}


def _stated(default: Any) -> Any:
    """Give a default as it could be written."""
    if not isinstance(default, dict):
        return default
    return {key: _stated(inner) for key, inner in default.items() if inner is not None and inner != []}


def reference(section: str | None = None) -> str:
    """Give what the command line prints: every key, or those of one section.

    Raises
    ------
    SpecificationError
        When there is no such section or key.
    """
    keys = _kept(keys_of(spec_schema()), section)
    return "\n".join(_printed(key) for key in keys)


def _kept(keys: list[Key], section: str | None) -> list[Key]:
    if section is None:
        return keys
    inside = [key for key in keys if key.path == section or key.path.startswith((f"{section}.", f"{section}["))]
    if not inside:
        meant = nearest(section, dict.fromkeys(key.path for key in keys))
        raise SpecificationError(f"no key or section is called {section!r}{meant}; the sections are "
                                 f"{', '.join(_sections(keys))}")  # fmt: skip
    return inside


def _sections(keys: Sequence[Key]) -> list[str]:
    return [key.path for key in keys if "." not in key.path and SECTION in key.kind]


def _top(key: Key) -> str:
    return key.path.split(".")[0].removesuffix("[]")


def _printed(key: Key) -> str:
    """One key for a terminal: what it may hold beside it, what it means below."""
    default = f"; {key.default}" if key.default == "required" else f"; default {key.default}" if key.default else ""
    return f"{key.path}  ({key.kind}{default})\n" + textwrap.indent("\n".join(textwrap.wrap(key.meaning, 110)), "    ")


def page() -> str:
    """Give the page of every key, a table for each section."""
    keys = keys_of(spec_schema())
    parts = [HEAD]
    for section in ("", *_sections(keys)):
        inside = [key for key in keys if (_top(key) == section if section else "." not in key.path)]
        own = next((key for key in inside if key.path == section), None)
        heading = f"## {section}\n\n{own.meaning}." if own else "## Sections"
        rows = [_row(key) for key in inside if key is not own]
        parts.append("\n".join([heading, "", "| key | holds | default | meaning |", "|---|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default not in ("", "required") else key.default
    return f"| `{key.path}` | {key.kind} | {default} | {key.meaning} |"


def write(folder: str | Path) -> list[Path]:
    """Write schema and page into a folder of the project."""
    place = Path(folder)
    (place / "docs").mkdir(exist_ok=True)
    schema = json.dumps(spec_schema(), indent=1, ensure_ascii=False) + "\n"
    return [write_whole(place / "models/spec.schema.json", schema), write_whole(place / "docs/spec_keys.md", page())]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write models/spec.schema.json and docs/spec_keys.md."""
    parser = argparse.ArgumentParser(prog="python -m smm_bayes.analysis.reference", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="folder of the project")
    for path in write(parser.parse_args(arguments).folder):
        print(f"Written: {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
