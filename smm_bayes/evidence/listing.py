"""Facts as the tables that the command line prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from smm_bayes.errors import SpecificationError, nearest
from smm_bayes.evidence.consistency import KnownInconsistency
from smm_bayes.evidence.facts import Fact, Facts
from smm_bayes.evidence.registered import RegisteredEndpoint
from smm_bayes.evidence.vocabulary import TRUST


def at_least(facts: Facts, trust: str | None) -> Facts:
    """Keep the facts of at least this trust, for showing; None keeps all.

    Raises
    ------
    SpecificationError
        For a trust that does not exist.
    """
    if trust is None:
        return facts
    if trust not in TRUST:
        raise SpecificationError(f"--trust {trust}: there is no such trust{nearest(trust, TRUST)}; use one "
                                 f"of {', '.join(TRUST)}")  # fmt: skip
    return Facts(tuple(fact for fact in facts if TRUST.index(fact.trust) <= TRUST.index(trust)), facts.admitted)


def of_trial(facts: Facts, name: str) -> Facts:
    """Keep the facts of one trial, for showing; large and small letters are the same.

    Raises
    ------
    SpecificationError
        For a trial that is not held, listing those that are.
    """
    found = tuple(fact for fact in facts if fact.trial.casefold() == name.casefold())
    if not found:
        raise SpecificationError(f"there are no facts of {name!r}{nearest(name, facts.trials)}; the trials are "
                                 f"{', '.join(facts.trials)}")  # fmt: skip
    return Facts(found, facts.admitted)


def of_facts(known: Iterable[KnownInconsistency], facts: Facts) -> list[KnownInconsistency]:
    """Keep the inconsistencies that touch the facts, or their trials."""
    ids = {name for fact in facts for name in (fact.id, fact.trial)}
    return [one for one in known if ids.intersection(one.ids)]


def trials_table(facts: Facts) -> str:
    """Give one line a trial: how many facts of each trust, and its cuts."""
    columns = [trust for trust in TRUST if trust in facts.by_trust()]
    rows = [["trial", "facts", *columns, "cuts"]]
    for trial in facts.trials:
        held = of_trial(facts, trial)
        counts = [str(held.by_trust().get(trust, "")) for trust in columns]
        rows.append([trial, str(len(held)), *counts, ", ".join(_cuts(held))])
    return aligned(rows)


def facts_table(facts: Facts) -> str:
    """Give one line a fact, then the sources."""
    rows = [["id", "cut", "endpoint", "arm", "measure", "time", "value", "events/n", "trust"]]
    rows += [_row(fact) for fact in sorted(facts, key=lambda fact: (fact.cut, fact.endpoint, fact.arm))]
    return aligned(rows) + "\n\nSources:\n" + "\n".join(f"  {source}" for source in facts.sources)


def _row(fact: Fact) -> list[str]:
    value = ("not reached" if fact.value is None else f"{fact.value:g}") + fact.interval()
    counts = "/".join("?" if number is None else str(number) for number in (fact.events, fact.n))
    measure = fact.measure + ("" if fact.sensitivity is None else f" {fact.sensitivity:.0e}")
    time = "" if fact.time is None else f"{fact.time:g}"
    return [fact.id, fact.cut, fact.endpoint, fact.arm, measure, time, value, counts.replace("?/?", ""), fact.trust]


def registered_table(rows: Iterable[RegisteredEndpoint]) -> str:
    """Give one paragraph a registered endpoint: its sentence, how it is read, and what is made of it."""
    return "\n".join(f"  {one}" for one in rows)


def as_json(facts: Facts, known: Iterable[KnownInconsistency], whole: bool) -> str:
    """Give the same for a program: the facts with their inconsistencies if ``whole``, else the counts by trial."""
    if whole:
        held = {"facts": [asdict(fact) for fact in facts], "inconsistencies": [asdict(one) for one in known]}
        return json.dumps(held, indent=2)
    trials = [(trial, of_trial(facts, trial)) for trial in facts.trials]
    rows = [{"trial": trial, "facts": held.by_trust(), "cuts": _cuts(held)} for trial, held in trials]
    return json.dumps({"trials": rows}, indent=2)


def _cuts(facts: Facts) -> list[str]:
    return [cut for cut in dict.fromkeys(fact.cut for fact in facts) if cut]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Put rows of cells in columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
