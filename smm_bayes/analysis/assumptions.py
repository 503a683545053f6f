"""Assumptions of a specification and the published facts it names for and against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smm_bayes.analysis.sections import AssumedSection, Section
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.errors import Problems, SmmBayesError, SpecificationError
from smm_bayes.evidence.facts import load_facts


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
    named = assumptions(spec)
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
            yield from _walk(part, f"{key} {number}")
