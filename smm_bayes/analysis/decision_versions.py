"""Decisions of earlier versions of the schema, read as the present one."""

from __future__ import annotations

import json
from typing import Any

from smm_bayes.analysis.answers import EVERYTHING, PATIENTS_MRD, RELATION, TRIAL
from smm_bayes.analysis.decision import Decision

UNNAMED = "primary endpoint"  # which version 1 did not name


def read_decision(raw: bytes | str) -> Decision:
    """Read a ``decision.json`` of version 1 or 2.

    Raises
    ------
    ValueError
        When it is not one.
    """
    content = json.loads(raw)
    if isinstance(content, dict) and content.get("schema_version") == 1:
        return Decision.model_validate(upgraded(content))
    return Decision.model_validate_json(raw)


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Turn the content of version 1 into that of version 2; what version 1 did not say is not there."""
    found = {**content, "schema_version": 2, "endpoint": UNNAMED, "status": "primary"}
    inputs = dict(found.pop("inputs"))
    found["fingerprint"] = inputs.pop("fingerprint")
    ladder, left_out = found.pop("ladder", []), found.pop("left_out", [])
    trials = [one["name"] for one in content["sources"] if one["name"] != EVERYTHING]
    found["answers"] = _answers(content, trials, ladder, left_out)
    gone = ("probability_without", "mcse_without", "difference", "mcse_difference")
    found["sources"] = [{key: value for key, value in one.items() if key not in gone} for one in content["sources"]]
    return found | {"inputs": inputs}


def _answers(
    content: dict[str, Any], trials: list[str], ladder: list[dict[str, Any]], left_out: list[dict[str, Any]]
) -> list[dict[str, Any]]:  # fmt: skip
    """The answers of the ladder and of those left out, with what each is given."""
    sources: list[str] = [TRIAL]
    found: list[dict[str, Any]] = []
    for rung in ladder:
        sources, before = [*sources, *_gained(rung["name"], trials)], found[-1]["name"] if found else None
        found.append(_entry(rung["name"], "added", sources, rung["probability"], rung["mcse"], rung["difference"],
                            rung["mcse_difference"], before, rung["primary"]))  # fmt: skip
    if not found:
        name = "with earlier trials" if trials else TRIAL
        sources = [TRIAL, *trials]
        found.append(_entry(name, "added", sources, content["probability_of_success"], content["mcse"], None, None,
                            None, True))  # fmt: skip
    whole, by_events = found[-1]["name"], len(ladder) > 0
    for one in left_out:
        gone = _left(one["name"], trials)
        kept = [name for name in sources if name not in gone]
        found.append(_entry(f"without {one['name']}", "left out", kept, one["probability_without"], one["mcse_without"],
                            one["difference"], one["mcse_difference"], whole, False))  # fmt: skip
    for one in content["sources"]:
        if one.get("probability_without") is not None:
            gone = _left(one["name"], trials)
            kept = [name for name in [TRIAL, *trials] if name not in gone]
            name = f"without {one['name']}" + (", by events alone" if by_events else "")
            found.append(_entry(name, "left out", kept, one["probability_without"], one["mcse_without"],
                                one["difference"], one["mcse_difference"], "with earlier trials", False))  # fmt: skip
    return found


def _gained(name: str, trials: list[str]) -> list[str]:
    return {TRIAL: [], "with earlier trials": trials, f"with {PATIENTS_MRD}": [PATIENTS_MRD]}.get(name, [RELATION])


def _left(name: str, trials: list[str]) -> list[str]:
    if name in (EVERYTHING, *trials):
        return trials if name == EVERYTHING else [name]
    return [RELATION] if name == RELATION else [PATIENTS_MRD, RELATION]


def _entry(
    name: str, how: str, sources: list[str], probability: float, mcse: float, moved: float | None,
    error: float | None, reference: str | None, primary: bool,
) -> dict[str, Any]:  # fmt: skip
    return {"name": name, "how": how, "sources": sources, "probability": probability, "mcse": mcse or 0.0,
            "reference": reference, "moved": moved, "mcse_moved": error, "primary": primary}  # fmt: skip
