"""Numbers of a specification: the published facts they rest on or that speak against them, or why they are assumed."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smm_bayes.analysis.endpoint_section import OWN
from smm_bayes.analysis.sections import AssumedSection, Section
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import Problems, SmmBayesError, SpecificationError, nearest
from smm_bayes.evidence.facts import load_facts

PLAN = ("model", "evidence", "mrd", "enrolment", "final", "success", "estimand")  # sections that hold its numbers


@dataclass(frozen=True)
class Assumption:
    """A prior of a specification with the facts that speak to it.

    Attributes
    ----------
    key : str
        Where it stands, such as ``evidence.endpoint.clinical``.
    facts, against : tuple of str
        Ids of facts that it rests on, and of those that speak against it.
    """

    key: str
    facts: tuple[str, ...]
    against: tuple[str, ...]


def assumptions(spec: AnalysisSpec) -> tuple[Assumption, ...]:
    """Give the priors of a specification that name facts, in its order."""
    return tuple(
        Assumption(key, tuple(section.facts), tuple(section.facts_against))
        for key, section in _walk(spec, "")
        if section.facts or section.facts_against
    )


def check_assumptions(spec: AnalysisSpec) -> None:
    """Refuse facts that do not exist, or are quarantined and not admitted by ``evidence.quarantined``.

    Raises
    ------
    SpecificationError
        Naming every key with its facts.
    """
    keys = [key for key, _ in numbers(spec)]
    with Problems(str(spec.path), SpecificationError).collecting() as problems:
        for section in ("assumed", "known") if spec.is_as_loaded else ():  # in Python numbers may go
            for key in getattr(spec, section):
                if not any(_within(one, key) for one in keys):
                    problems.add(f"{section}.'{key}': no number has this key{nearest(key, keys)}; correct it")
    named = (*assumptions(spec), *(Assumption(key, tuple(ids), ()) for key, ids in spec.known.items()))
    if not named:
        return
    admitted = dict(spec.evidence.quarantined) if spec.evidence is not None else {}
    facts = load_facts(quarantined=admitted)
    with Problems(str(spec.path), SpecificationError).collecting() as problems:
        for one in named:
            try:
                facts.require((*one.facts, *one.against))
            except SmmBayesError as error:
                problems.add(f"{one.key}: {error}")


@dataclass(frozen=True)
class Explained:
    """A number of a specification, and what it rests on.

    Attributes
    ----------
    key : str
        Such as ``evidence.contrast.Rd.median``.
    value : object
        A number or a date.
    facts : tuple of str
        Ids of published facts.
    argument : str
        Why it is assumed.
    """

    key: str
    value: object
    facts: tuple[str, ...] = ()
    argument: str = ""

    @property
    def is_explained(self) -> bool:
        """Whether a fact or an argument is given."""
        return bool(self.facts or self.argument)


def explained(spec: AnalysisSpec) -> list[Explained]:
    """Give every number of the plan with the facts or the argument that the specification names for it.

    The plan is the model with its priors, evidence, MRD, patients to come, final analysis, success and estimands. Data,
    and how much is computed, are not of it.
    """
    facts = {one.key: one.facts for one in assumptions(spec)}
    for name, other in further(spec):
        facts |= {f"endpoint.{name}.{one.key}": one.facts for one in assumptions(other)}
    return [
        Explained(key, value, _longest(facts, key, ()) or tuple(_longest(spec.known, key, ())),
                  _longest(spec.assumed, key, ""))
        for key, value in numbers(spec)
    ]  # fmt: skip


def numbers(spec: AnalysisSpec) -> list[tuple[str, object]]:
    """Give every number and date of the plan by its key; parts of a list have the list's key."""
    found = [leaf for name in PLAN for leaf in _leaves(getattr(spec, name), name)]
    for stated, (name, other) in zip(spec.endpoint, further(spec), strict=True):
        own = (*OWN, "estimand") if stated.final is None else (*OWN, "estimand", "final")
        found += [leaf for part in own for leaf in _leaves(getattr(other, part), f"endpoint.{name}.{part}")]
    return found


def further(spec: AnalysisSpec) -> list[tuple[str, AnalysisSpec]]:
    """Give the specifications of the further endpoints by name."""
    return list(spec.by_endpoint.items())[1:]


def _leaves(value: object, key: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Section):
        value = {name: getattr(value, name) for name in type(value).model_fields if name in value.model_fields_set}
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{key}.{name}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if value and all(isinstance(part, int | float) for part in value):
            yield key, tuple(value)
        else:
            for number, part in enumerate(value, 1):
                yield from _leaves(part, f"{key}.{_name(part, number)}")
    elif isinstance(value, int | float | datetime.date) and not isinstance(value, bool):
        yield key, value


def _name(part: object, number: int) -> str:
    """Name of a section in a list: its own, the regimen's, or its position."""
    return str(getattr(part, "name", None) or getattr(part, "regimen", None) or number)


def _within(key: str, section: str) -> bool:
    return key == section or key.startswith(f"{section}.")


def _longest[T](named: Mapping[str, T], key: str, otherwise: T) -> T:
    """What is named for a key, or for the nearest section that it is in."""
    sections = [section for section in named if _within(key, section)]
    return named[max(sections, key=len)] if sections else otherwise


def _walk(value: object, key: str) -> Iterator[tuple[str, AssumedSection]]:
    """Every section that may name facts, with its key."""
    if isinstance(value, AssumedSection):
        yield key, value
    if isinstance(value, Section):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _walk(part, f"{key}.{name}" if key else str(name))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, part in enumerate(value, 1):
            yield from _walk(part, f"{key}.{_name(part, number)}")
