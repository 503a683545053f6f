"""Whether the published numbers agree with themselves and with each other.

Every rule looks at what is printed, allows for its rounding, and returns findings. A finding is a question, not an
error: ``known_inconsistencies.csv`` answers each one that the shipped tables raise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby, pairwise
from pathlib import Path
from statistics import NormalDist

from smm_bayes.errors import Problems
from smm_bayes.evidence.facts import KNOWN, Fact, Facts
from smm_bayes.evidence.trials import FOLDER, Trial
from smm_bayes.trial.table import read_csv, require, texts

ERROR_TOLERANCE = 0.15  # relative, of a standard error against that of its events
CENTRE_TOLERANCE = 0.15  # of an interval's middle against its estimate, in halves of its width
RATIOS = ("hazard_ratio", "odds_ratio", "global_odds_ratio")
CONSTANT = ("n_randomised", "n_planned", "allocation_ratio", "planned_hazard_ratio")  # the same at every cut
MILESTONES = ("survival_probability", "cumulative_incidence")
RESPONSES = ("sCR", "CR_only", "VGPR_only", "PR_only")
# a whole and its parts, as (endpoint, measure); an empty endpoint means the same endpoint as the whole
SUMS = (
    *((("", whole), tuple(("", part) for part in RESPONSES)) for whole in ("PR_or_better", "overall_response")),
    (("", "VGPR_or_better"), tuple(("", part) for part in RESPONSES[:3])),
    (("", "CR_or_better"), tuple(("", part) for part in RESPONSES[:2])),
    (("", "PR_or_VGPR"), (("", "PR_only"), ("", "VGPR_only"))),
    (("OS", "events"), (("OS", "deaths_without_progression"), ("OS", "deaths_after_progression"))),
    (("PFS", "events"), (("TTP", "events"), ("OS", "deaths_without_progression"))),
    (("PFS", "fraction"),
     (("progression_type", "SLiM"), ("progression_type", "CRAB"), ("OS", "deaths_without_progression"))),
    (("biochemical_progression", "fraction"),
     tuple(("progression_type", kind) for kind in ("biochemical", "relapse_from_CR", "ultrasensitive_MRD"))),
)  # fmt: skip
# how a remark says that a number, or a source, contradicts another one or is set aside
CONTRADICTION = re.compile(
    r"cannot be squared|set aside|implausible|impossible|elsewhere|unclear|swapped|not consistent|two data cuts"
    r"|is meant|another trial|, not of \d|, not \d|add to \d+ %|not a real fit|committee gives"
    r"|in the registry|in the paper"
)
SOURCE = "source"  # rule of what trials.csv says of a source: its ids are names of trials
ALL_PATIENTS = ((*RESPONSES, "SD"), (*RESPONSES, "SD", "not_evaluable"))  # categories that leave nobody out


@dataclass(frozen=True)
class Finding:
    """Numbers that do not fit together.

    Attributes
    ----------
    rule : str
        Name of the rule, a key of ``RULES``.
    ids : tuple of str
        The facts it is about.
    expected, found : float
        What the rule expects and what is printed, in the unit of the number.
    words : str
        The same in a sentence.
    """

    rule: str
    ids: tuple[str, ...]
    expected: float
    found: float
    words: str

    def __str__(self) -> str:
        """Give rule, ids and words."""
        return f"{self.rule} ({', '.join(self.ids)}): {self.words}"


@dataclass(frozen=True)
class KnownInconsistency:
    """A finding of the shipped tables with its explanation."""

    rule: str
    ids: tuple[str, ...]
    explanation: str


def check(facts: Facts, trials: Sequence[Trial] = ()) -> tuple[Finding, ...]:
    """Put every rule to the facts, the quarantined too, and read what is remarked of the trials.

    Parameters
    ----------
    facts : Facts
        What is to be checked.
    trials : sequence of Trial, optional
        Those whose remarks are to be read.

    Returns
    -------
    tuple of Finding
        In the order of ``RULES``, then of the facts. A remark is a finding only where no other rule found its fact.
    """
    found = [finding for name, rule in RULES.items() if name != "noted" for finding in rule(tuple(facts))]
    touched = {name for finding in found for name in finding.ids}
    found += [finding for finding in noted(tuple(facts)) if not touched.issuperset(finding.ids)]
    return (*found, *sources(trials))


def known_inconsistencies(folder: Path | None = None) -> tuple[KnownInconsistency, ...]:
    """Read the explained inconsistencies of a folder of evidence.

    Raises
    ------
    DataError
        With every problem of the table.
    """
    table = read_csv((FOLDER if folder is None else Path(folder)) / KNOWN)
    with Problems(table.name).collecting() as problems:
        wanted = [("rule", "the rule's name"), ("ids", "the facts, with spaces between"), ("explanation", "why")]
        require(table, wanted, problems)
        columns = [texts(table, name, problems) for name, _ in wanted]
        rules = (*RULES, SOURCE)
        unknown = [rule not in rules for rule in columns[0]]
        problems.add_rows("rule", table.where(unknown), "unknown rule", f"use one of {', '.join(rules)}")
    return tuple(KnownInconsistency(rule, tuple(ids.split()), words) for rule, ids, words in zip(*columns, strict=True))


def half_unit(value: float, least: int = 2) -> float:
    """Half a unit of the last decimal a number is printed with, at least ``least`` decimals being meant.

    >>> half_unit(0.631), half_unit(0.3)
    (0.0005, 0.005)
    """
    decimals = len(repr(float(value)).partition(".")[2]) if not float(value).is_integer() else 0
    return 0.5 * 10.0 ** -max(decimals, least)


def fraction(facts: Sequence[Fact]) -> Iterator[Finding]:
    """Events over patients against the printed fraction, at its printed precision."""
    for fact in facts:
        if fact.unit != "fraction" or fact.value is None or fact.n is None or fact.events is None:
            continue
        ratio = fact.events / fact.n
        if abs(ratio - fact.value) > half_unit(fact.value) + 1e-9:
            words = f"{fact.events}/{fact.n} is {ratio:.4f}, printed is {fact.value:g}"
            yield Finding("fraction", (fact.id,), ratio, fact.value, words)


def standard_error(facts: Sequence[Fact]) -> Iterator[Finding]:
    """Standard error of a log hazard ratio, from its interval, against the one its events give.

    With the arms' events it is sqrt(1/e1 + 1/e2), within ``ERROR_TOLERANCE``. With their sum only, 2/sqrt(events) is
    the least it can be.
    """
    for fact in facts:
        if fact.measure != "hazard_ratio" or not fact.lower or not fact.upper or fact.level is None:
            continue
        error = math.log(fact.upper / fact.lower) / (2 * NormalDist().inv_cdf((1 + fact.level) / 2))
        arms = _arms_with_events(fact, facts)
        if arms:
            expected = math.sqrt(sum(1 / arm.events for arm in arms if arm.events))
            wrong = abs(error / expected - 1) > ERROR_TOLERANCE
        elif fact.events:
            expected = 2 / math.sqrt(fact.events)
            wrong = error / expected < 1 - ERROR_TOLERANCE
        else:
            continue
        if wrong:
            words = f"the interval's standard error is {error:.3f}, the events give {expected:.3f}"
            yield Finding("standard_error", (fact.id, *(arm.id for arm in arms)), expected, error, words)


def _arms_with_events(fact: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """For a comparison A_vs_B, one fact with events of each arm; none unless both are there."""
    arms = []
    for arm in fact.arm.split("_vs_"):
        for other in facts:
            same = (other.trial, other.endpoint, other.cut, other.arm) == (fact.trial, fact.endpoint, fact.cut, arm)
            if same and other.events and other.measure in ("events", "fraction"):
                arms.append(other)
                break
    return arms if len(arms) == 2 else []


def centre(facts: Sequence[Fact]) -> Iterator[Finding]:
    """The middle of a ratio's interval, on the log scale, against the ratio.

    They may be apart by what the rounding of the three numbers explains and ``CENTRE_TOLERANCE`` of half the width.
    """
    for fact in facts:
        if fact.measure not in RATIOS or not fact.value or not fact.lower or not fact.upper:
            continue
        middle = math.sqrt(fact.lower * fact.upper)
        half_width = math.log(fact.upper / fact.lower) / 2
        rounding = [math.log(1 + half_unit(limit) / limit) for limit in (fact.value, fact.lower, fact.upper)]
        allowed = CENTRE_TOLERANCE * half_width + rounding[0] + (rounding[1] + rounding[2]) / 2
        if abs(math.log(middle / fact.value)) > allowed:
            words = f"the interval's middle on the log scale is {middle:.3g}, printed is {fact.value:g}"
            yield Finding("centre", (fact.id,), middle, fact.value, words)


def _surviving(fact: Fact) -> float:
    value = fact.value or 0.0
    return value if fact.measure == "survival_probability" else 1 - value


def _curves(facts: Sequence[Fact]) -> Iterator[list[Fact]]:
    """Milestones of one trial, arm, endpoint and cut, in the order of time."""

    def curve(fact: Fact) -> tuple[str, ...]:
        return fact.trial, fact.arm, fact.endpoint, fact.cut

    chosen = sorted((fact for fact in facts if fact.measure in MILESTONES), key=lambda f: (*curve(f), f.time or 0.0))
    for _, group in groupby(chosen, key=curve):
        yield list(group)


def monotone(facts: Sequence[Fact]) -> Iterator[Finding]:
    """Survival does not rise with time."""
    for curve in _curves(facts):
        for early, late in pairwise(curve):
            before, after = _surviving(early), _surviving(late)
            if after > before + half_unit(before) + half_unit(after):
                words = f"{before:g} at {early.time:g} months, {after:g} at {late.time:g}"
                yield Finding("monotone", (early.id, late.id), before, after, words)


def median(facts: Sequence[Fact]) -> Iterator[Finding]:
    """Survival is above a half before the median and below it after; always above where no median was reached."""
    for curve in _curves(facts):
        key = (curve[0].trial, curve[0].arm, curve[0].endpoint, curve[0].cut)
        for fact in facts:
            if (fact.trial, fact.arm, fact.endpoint, fact.cut) != key:
                continue
            if fact.measure not in ("median_time", "median_not_reached"):
                continue
            end = math.inf if fact.value is None else fact.value
            for point in curve:
                surviving, time = _surviving(point), point.time or 0.0
                slack = half_unit(surviving)
                if (time < end and surviving < 0.5 - slack) or (time > end and surviving > 0.5 + slack):
                    words = f"{surviving:g} at {time:g} months beside a median of {fact.words()}"
                    yield Finding("median", (fact.id, point.id), 0.5, surviving, words)


def conflict(facts: Sequence[Fact]) -> Iterator[Finding]:
    """The same number under two ids with two values or two limits.

    Two facts are the same number if trial, arm, endpoint, measure and unit agree, time and sensitivity agree or one of
    them does not state it, and the cut agrees. Numbers at one stated time, and those of the design that no cut can
    change, are compared across cuts too.
    """
    for one, two in combinations((fact for fact in facts if fact.value is not None), 2):
        if _same_number(one, two) and (words := _differ(one, two)):
            yield Finding("conflict", (one.id, two.id), one.value or 0.0, two.value or 0.0, words)


def _same_number(one: Fact, two: Fact) -> bool:
    same = ("trial", "arm", "endpoint", "measure", "unit")
    if any(getattr(one, name) != getattr(two, name) for name in same):
        return False
    for a, b in ((one.time, two.time), (one.sensitivity, two.sensitivity)):
        if a is not None and b is not None and a != b:
            return False
    across = one.measure in CONSTANT or (one.time is not None and one.time == two.time)
    return across or one.cut == two.cut


def _differ(one: Fact, two: Fact) -> str:
    """Say how two reports of one number differ beyond rounding; empty if they do not."""
    for name in ("value", "lower", "upper"):
        a, b = getattr(one, name), getattr(two, name)
        if a is not None and b is not None and abs(a - b) > max(half_unit(a), half_unit(b)) + 1e-9:
            return f"{name} {a:g} and {b:g}"
    return ""


def total(facts: Sequence[Fact]) -> Iterator[Finding]:
    """A whole is the sum of its parts, as counts where all have them, else within the rounding of the fractions.

    Categories that leave nobody out sum to one.
    """
    groups: dict[tuple[str, str, str], dict[tuple[str, str], Fact]] = {}
    for fact in facts:
        group = groups.setdefault((fact.trial, fact.arm, fact.cut), {})
        group.setdefault((fact.endpoint, fact.measure), fact)
    for group in groups.values():
        for whole in group.values():
            for (endpoint, measure), names in SUMS:
                if whole.measure != measure or (endpoint and whole.endpoint != endpoint):
                    continue
                parts = [group.get((name or whole.endpoint, part)) for name, part in names]
                found = [part for part in parts if part is not None]
                if len(found) == len(parts):
                    yield from _compare(whole, found)
        for endpoint in dict.fromkeys(name for name, _ in group):
            for categories in reversed(ALL_PATIENTS):
                found = [group[endpoint, name] for name in categories if (endpoint, name) in group]
                if len(found) == len(categories):
                    yield from _whole(found)
                    break


def _compare(whole: Fact, parts: Sequence[Fact]) -> Iterator[Finding]:
    ids = (whole.id, *(part.id for part in parts))
    counts = [part.events for part in parts]
    if whole.events is not None and None not in counts:
        added: float = sum(count for count in counts if count is not None)
        if added != whole.events:
            yield Finding("total", ids, added, whole.events, f"the parts add to {added:g}, printed is {whole.events}")
        return
    if whole.value is None or any(part.value is None or part.unit != whole.unit for part in parts):
        return
    values = [part.value for part in parts if part.value is not None]
    added = sum(values)
    if abs(added - whole.value) > sum(map(half_unit, (*values, whole.value))) + 1e-9:
        yield Finding("total", ids, added, whole.value, f"the parts add to {added:.3g}, printed is {whole.value:g}")


def _whole(parts: Sequence[Fact]) -> Iterator[Finding]:
    values = [part.value for part in parts if part.value is not None and part.unit == "fraction"]
    if len(values) == len(parts) and abs(sum(values) - 1) > sum(map(half_unit, values)) + 1e-9:
        words = f"all categories add to {sum(values):.3g}, not to 1"
        yield Finding("total", tuple(part.id for part in parts), 1.0, sum(values), words)


def noted(facts: Sequence[Fact]) -> Iterator[Finding]:
    """A remark on a fact says that it contradicts another number, or that it is set aside."""
    for fact in facts:
        if CONTRADICTION.search(fact.note):
            yield Finding("noted", (fact.id,), math.nan, math.nan if fact.value is None else fact.value, fact.note)


def sources(trials: Sequence[Trial]) -> Iterator[Finding]:
    """A remark on a trial says that its source contradicts itself, or another."""
    for name in dict.fromkeys(trial.trial for trial in trials):
        notes = [trial.note for trial in trials if trial.trial == name and CONTRADICTION.search(trial.note)]
        if notes:
            yield Finding(SOURCE, (name,), math.nan, math.nan, "; ".join(notes))


RULES: dict[str, Callable[[Sequence[Fact]], Iterator[Finding]]] = {
    rule.__name__: rule for rule in (fraction, standard_error, centre, monotone, median, conflict, total, noted)
}
