"""Which published facts are turned into pseudo-patients: declared in a file, not in code."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smm_bayes.errors import DataError, Problems, SmmBayesError, SpecificationError, nearest
from smm_bayes.evidence.facts import Fact, Facts, load_facts
from smm_bayes.evidence.summaries import ArmSummary, FollowUp
from smm_bayes.evidence.trials import FOLDER, Trial, load_trials
from smm_bayes.reading import read_toml
from smm_bayes.trial.calendar import calendar_time
from smm_bayes.trial.patients import ROLES

DECLARED = "reconstructions.toml"
NUMBER_OF_PATIENTS = ("n_analysed", "n_randomised", "n_patients")
DEATH_COUNTS = ("PFS", "EFS", "PFS2")  # endpoints in which a death without progression is an event
KEYS = {"trial", "cut", "endpoint", "seed", "number", "hazard_ratio", "note", "follow_up", "arms"}
FOLLOW_UP_KEYS = {"facts", "dates", "low", "high", "accrual", "assumed"}
ARM_KEYS = {"role", "arm", "regimen", "facts", "digits", "median_digits", "lost"}


@dataclass(frozen=True)
class Declaration:
    """One trial, cut and endpoint to reconstruct.

    Attributes
    ----------
    name : str
        Also the name of the files.
    summaries : dict of str to ArmSummary
        By role, the control first.
    regimens : dict of str to str
        By role.
    seed, number : int
        Reconstruction r is drawn from the generator keyed (seed, r).
    hazard_ratio : Fact or None
        The published one, to look at.
    note, assumed : str
        What a reader must know; what about follow-up is assumed rather than published.
    facts : Facts
        Every fact used.
    """

    name: str
    summaries: dict[str, ArmSummary]
    regimens: dict[str, str]
    seed: int
    number: int
    hazard_ratio: Fact | None
    note: str
    assumed: str
    facts: Facts

    @property
    def trust(self) -> dict[str, str]:
        """Every fact used, with how far it is trusted."""
        return {fact.id: fact.trust for fact in self.facts}

    def __repr__(self) -> str:
        arms = "; ".join(f"{role} {summary.arm} n = {summary.n}" for role, summary in self.summaries.items())
        first = next(iter(self.summaries.values()))
        return f"Declaration {self.name}: {first.trial} {first.endpoint}, {arms}, {self.number} reconstructions"


def load_declarations(path: Path | None = None, *, facts: Facts | None = None) -> dict[str, Declaration]:
    """Read the file of reconstructions and the facts it names.

    Parameters
    ----------
    path : path, optional
        A TOML file; by default ``reconstructions.toml`` beside the facts.
    facts : Facts, optional
        The facts of the same folder if not given.

    Raises
    ------
    DataError
        Naming every problem of every declaration.
    """
    path = FOLDER / DECLARED if path is None else Path(path)
    given = read_toml(path, what="the file of reconstructions")
    facts = load_facts(path.parent) if facts is None else facts
    trials = {(trial.trial, trial.cut): trial for trial in load_trials(path.parent)}
    problems = Problems(path.name)
    found = {}
    for name, entry in given.items():
        try:
            found[name] = _declaration(name, entry, facts, trials)
        except SmmBayesError as error:
            problems.add(f"[{name}] {error}")
    problems.raise_if_any()
    return found


def find(name: str, declared: Mapping[str, Declaration]) -> Declaration:
    """Give the declaration of that name, or say which there are."""
    if name not in declared:
        raise SpecificationError(f"no reconstruction is called {name!r}{nearest(name, declared)}; there are "
                                 f"{', '.join(declared)}")  # fmt: skip
    return declared[name]


def _declaration(name: str, entry: Any, facts: Facts, trials: dict[tuple[str, str], Trial]) -> Declaration:
    if not isinstance(entry, dict):
        raise DataError("is no table; write its keys under [name]")
    _keys("", entry, KEYS, required={"trial", "endpoint", "seed", "number", "follow_up", "arms"})
    _types("", entry, {"trial": str, "cut": str, "endpoint": str, "seed": int, "number": int, "hazard_ratio": str,
                       "note": str, "follow_up": dict, "arms": list})  # fmt: skip
    if entry["number"] < 1 or entry["seed"] < 0:
        raise DataError("number must be 1 or more and seed 0 or more")
    cut = entry.get("cut", "")
    if (entry["trial"], cut) not in trials:
        raise DataError(f"trial {entry['trial']!r} with cut {cut!r} is not in the table of trials; correct one of them")
    follow_up, sources = _follow_up(entry["follow_up"], facts, trials[entry["trial"], cut])
    summaries, regimens = {}, {}
    for arm in entry["arms"]:
        if not isinstance(arm, dict):
            raise DataError(f"arms: {arm!r} is no table; write the keys of an arm under [[{name}.arms]]")
        _keys("arms", arm, ARM_KEYS, required={"role", "arm", "regimen", "facts"})
        _types("arms", arm, {"role": str, "arm": str, "regimen": str, "facts": list, "digits": int,
                             "median_digits": int, "lost": (int, float)})  # fmt: skip
        summaries[arm["role"]], regimens[arm["role"]] = _arm(entry, arm, facts, follow_up), arm["regimen"]
    if list(summaries) not in (["control", "experimental"], ["experimental"]) or len(summaries) < len(entry["arms"]):
        raise DataError(f"arms must be {ROLES[0]} then {ROLES[1]}, or {ROLES[1]} alone; got {list(summaries)}")
    published = facts.require([entry["hazard_ratio"]])[0] if "hazard_ratio" in entry else None
    used = facts.require([*sources, *(fact for summary in summaries.values() for fact in summary.facts)])
    return Declaration(
        name, summaries, regimens, entry["seed"], entry["number"], published, entry.get("note", ""),
        entry["follow_up"].get("assumed", ""), used,
    )  # fmt: skip


def _keys(where: str, table: Mapping[str, Any], known: set[str], required: Iterable[str] = ()) -> None:
    with Problems(where or "keys").collecting() as problems:
        for key in sorted(set(table) - known):
            problems.add(f"{key!r} is not a key; known are {', '.join(sorted(known))}")
        for key in sorted(set(required) - set(table)):
            problems.add(f"{key!r} is missing; add it")


def _types(where: str, table: Mapping[str, Any], kinds: Mapping[str, Any]) -> None:
    with Problems(where or "keys").collecting() as problems:
        for key, kind in kinds.items():
            value = table.get(key)
            wrong = not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
            words = key != "facts" or wrong or all(isinstance(fact, str) for fact in value or ())
            if value is not None and (wrong or not words):
                problems.add(f"{key} = {value!r} is of the wrong kind; see the other declarations")


def _follow_up(table: Mapping[str, Any], facts: Facts, trial: Trial) -> tuple[FollowUp, list[str]]:
    """Take potential follow-up from published facts, accrual dates and what the declaration assumes."""
    _keys("follow_up", table, FOLLOW_UP_KEYS)
    number = (int, float)
    _types("follow_up", table, {"facts": list, "dates": bool, "low": number, "high": number, "accrual": number,
                                "assumed": str})  # fmt: skip
    sources = list(table.get("facts", []))
    low, high, accrual = table.get("low"), table.get("high"), table.get("accrual")
    cutoff = median = None
    for fact in facts.require(sources):
        if fact.measure != "median_follow_up":
            raise DataError(f"follow_up: fact {fact.id} is {fact.measure}; name facts of median_follow_up")
        median, low, high = fact.value, fact.lower if low is None else low, fact.upper if high is None else high
    if table.get("dates"):
        start, end, cut = (_months(day, trial.accrual_start) for day in
                           (trial.accrual_start, trial.accrual_end, trial.data_cutoff))  # fmt: skip
        accrual = end if end is not None else accrual
        cutoff = cut
        if start is not None and end is not None and cut is not None and low is None:
            low, high = cut - end, cut
    if low is None or high is None:
        raise DataError("follow_up: the window is not known; give low and high, or dates with accrual and data cut-off")
    if table.keys() & {"low", "high", "accrual"} and not table.get("assumed"):
        raise DataError("follow_up: low, high and accrual given here are assumptions; say under assumed why")
    known = {"accrual": accrual, "cutoff": cutoff, "median": median}
    return FollowUp(float(low), float(high), **{name: v for name, v in known.items() if v is not None}), sources


def _months(day: str, origin: str) -> float | None:
    if not day or not origin:
        return None
    return calendar_time(datetime.date.fromisoformat(day), datetime.date.fromisoformat(origin))


def _arm(entry: Mapping[str, Any], arm: Mapping[str, Any], facts: Facts, follow_up: FollowUp) -> ArmSummary:
    """Turn an arm's facts into its summary; what a fact says is its measure."""
    endpoint, digits = entry["endpoint"], arm.get("digits", 2)
    found: dict[str, Any] = {}
    milestones = []
    with Problems(f"arm {arm['arm']}").collecting() as problems:
        for fact in facts.require(arm["facts"]):
            same_cut = fact.cut in (entry.get("cut", ""), "") or fact.measure in NUMBER_OF_PATIENTS
            if (fact.trial, fact.arm) != (entry["trial"], arm["arm"]) or not same_cut:
                problems.add(f"fact {fact.id} is of {fact.trial}, {fact.arm}, cut {fact.cut!r}; name this arm's")
            if fact.measure not in (*NUMBER_OF_PATIENTS, "deaths_without_progression") and fact.endpoint != endpoint:
                problems.add(f"fact {fact.id} is of endpoint {fact.endpoint}; name facts of {endpoint}")
            if fact.measure in ("survival_probability", "cumulative_incidence"):
                survival = fact.value if fact.measure == "survival_probability" else 1 - (fact.value or 0.0)
                milestones.append((fact.time or 0.0, round(survival or 0.0, 6), digits))
                continue
            what, value = _meaning(fact, arm.get("median_digits", 0))
            if what in found:
                problems.add(f"fact {fact.id} says {what} a second time; keep one")
            if not what:
                problems.add(f"fact {fact.id} is {fact.measure}, which is no summary of an arm; leave it out")
            found[what] = value
        if "n" not in found:
            problems.add(f"no fact says how many patients; add one of {', '.join(NUMBER_OF_PATIENTS)}")
    return ArmSummary(
        entry["trial"], arm["arm"], endpoint, milestones=tuple(sorted(milestones)), follow_up=follow_up,
        facts=tuple(arm["facts"]), lost=float(arm.get("lost", 0.0)), deaths_count=endpoint in DEATH_COUNTS,
        cause="death" if endpoint == "OS" else "progression", **{"events": None, **found},
    )  # fmt: skip


def _meaning(fact: Fact, median_digits: int) -> tuple[str, Any]:
    """Which field of an arm's summary a fact is, and its value."""
    if fact.measure in NUMBER_OF_PATIENTS:
        return "n", int(fact.value or 0)
    if fact.measure == "events" or (fact.measure == "fraction" and fact.events is not None):
        return "events", fact.events if fact.events is not None else int(fact.value or 0)
    if fact.measure == "median_time":
        return "median", (float(fact.value or 0.0), median_digits)
    if fact.measure == "median_not_reached":
        return "median", "not reached"
    if fact.measure == "deaths_without_progression":
        return "deaths_without_progression", int(fact.value or 0)
    return "", None
