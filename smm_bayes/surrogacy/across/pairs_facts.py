"""Pairs of effects from published facts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import product
from statistics import NormalDist

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.evidence.facts import Fact, Facts
from smm_bayes.evidence.trials import load_trials
from smm_bayes.evidence.vocabulary import QUARANTINED, TRUST, may_enter
from smm_bayes.surrogacy.across.pairs import TrialPair

COMPARISON, ARMS = "experimental_vs_control", ("experimental", "control")

type Effect = tuple[float, float, str, tuple[Fact, ...]]  # log ratio, standard error, cut, the facts it is made of


def pairs_from_facts(
    facts: Facts, ids: Iterable[str] | None, trials: Iterable[str] | None, trust: str,
    settings: Mapping[str, str] | None,
) -> tuple[tuple[TrialPair, ...], tuple[tuple[str, str], ...]]:  # fmt: skip
    r"""Pair each trial's odds ratio of negativity with its hazard ratio of progression-free survival.

    The odds ratio is the printed one with its interval, otherwise that of the two arms' fractions, with standard error
    :math:`(1/r_1 + 1/(n_1 - r_1) + 1/r_0 + 1/(n_0 - r_0))^{1/2}`, r being the events, or fraction times n. Standard
    errors of printed ratios are :math:`\log(u/l) / 2 z`, with z of the interval's own level. A hazard ratio without an
    interval cannot be used. Of several candidates a pair of one data cut comes first, then one whose cuts are not
    known, last one of two cuts; then the more trusted, then the printed odds ratio; if that leaves several, the ids
    have to be named. Two cuts that are not known are not the same. Fractions of two arms whose cut is not known must
    be from one source. Fractions at a landmark time are used only by their ids.

    Parameters
    ----------
    facts : Facts
    ids : iterable of str, optional
        Look at these facts only.
    trials : iterable of str, optional
        Look at these trials only.
    trust : str
        The least trusted word that is let in: ``recalled`` facts are used only when it is named here.
    settings : mapping of str to str, optional
        Disease setting by trial; by default that of the table of trials.

    Returns
    -------
    pairs, left_out
        Pairs in the order of the facts; trials without a pair, each with the reason.

    Raises
    ------
    SpecificationError
        For an unknown trust, trial or id, a named id that is trusted less than ``trust``, and an ambiguous choice.
    """
    with Problems("pairs", SpecificationError).collecting() as problems:
        if trust not in TRUST or trust == QUARANTINED:
            problems.add(f"trust must be one of {', '.join(TRUST[:-1])}; found {trust!r}")
            problems.raise_if_any()
        named = None if ids is None else facts.require(ids)
        names = (facts if named is None else named).trials if trials is None else _some(trials)
        for name in names:
            if name not in facts.trials:
                problems.add(f"there is no trial {name!r} among the facts; take a name of the evidence tables")
        for fact in named or ():
            if not may_enter(fact.trust, trust):
                problems.add(f"fact {fact.id} is {fact.trust}; give trust={fact.trust!r} to use it all the same")
        problems.raise_if_any()
        where = {trial.trial: trial.disease for trial in load_trials()} if settings is None else settings
        found, left_out = [], []
        for name in names:
            everything = [fact for fact in (facts if named is None else named) if fact.trial == name]
            held = [fact for fact in everything if facts.is_usable(fact) and may_enter(fact.trust, trust)]
            choices = _choices(held, landmarks=named is not None)
            if len(choices) == 1:
                found.append(_pair(name, *choices[0], where.get(name, "")))
            elif choices:
                said = "; ".join(" ".join(fact.id for fact in _used(*choice)) for choice in choices)
                problems.add(f"{name} has {len(choices)} equally good pairs ({said}); name one by its ids")
            elif named is not None or trials is not None or _about_negativity(everything):
                left_out.append((name, _reason(everything, held, trust)))
    return tuple(found), tuple(left_out)


def _some(names: Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def _about_negativity(facts: Iterable[Fact]) -> bool:
    kinds = {(fact.endpoint, fact.measure) for fact in facts if fact.arm in (COMPARISON, *ARMS)}
    return ("PFS", "hazard_ratio") in kinds and bool(kinds & {("MRD", "odds_ratio"), ("MRD", "negative")})


def _choices(facts: list[Fact], *, landmarks: bool) -> list[tuple[Effect, Effect]]:
    """Give the best pairs of an odds ratio and a hazard ratio: those that share the first place."""
    ranked: dict[tuple[int, int, bool], list[tuple[Effect, Effect]]] = {}
    for odds, hazard in product(_odds_ratios(facts, landmarks), _printed(facts, "PFS", "hazard_ratio")):
        cuts = 1 if not (odds[2] and hazard[2]) else 0 if odds[2] == hazard[2] else 2
        place = (cuts, TRUST.index(_least([*odds[3], *hazard[3]])), len(odds[3]) > 1)
        ranked.setdefault(place, []).append((odds, hazard))
    return ranked[min(ranked)] if ranked else []


def _least(facts: Iterable[Fact]) -> str:
    return max((fact.trust for fact in facts), key=TRUST.index)


def _printed(facts: list[Fact], endpoint: str, measure: str) -> list[Effect]:
    found: list[Effect] = []
    for fact in facts:
        if (fact.arm, fact.endpoint, fact.measure) != (COMPARISON, endpoint, measure):
            continue
        if fact.value is None or fact.lower is None or fact.upper is None or fact.level is None:
            continue
        error = math.log(fact.upper / fact.lower) / (2 * NormalDist().inv_cdf(0.5 + fact.level / 2))
        found.append((math.log(fact.value), error, fact.cut, (fact,)))
    return found


def _odds_ratios(facts: list[Fact], landmarks: bool) -> list[Effect]:
    found = _printed(facts, "MRD", "odds_ratio")
    arms = {role: [fact for fact in facts if (fact.arm, fact.endpoint, fact.measure) == (role, "MRD", "negative")
                   and fact.n and (landmarks or fact.time is None)] for role in ARMS}  # fmt: skip
    for experimental, control in product(*(arms[role] for role in ARMS)):
        alike = ("time", "sensitivity", "cut" if experimental.cut or control.cut else "source")
        like = all(getattr(experimental, name) == getattr(control, name) for name in alike)
        cells = [*_cells(experimental), *_cells(control)]
        if like and min(cells) > 0:
            log_ratio = math.log(cells[0] * cells[3] / (cells[1] * cells[2]))
            error = math.sqrt(sum(1 / cell for cell in cells))
            found.append((log_ratio, error, experimental.cut, (experimental, control)))
    return found


def _cells(fact: Fact) -> tuple[float, float]:
    """Patients who are negative, and all the others."""
    assert fact.n is not None
    assert fact.value is not None
    negative = fact.value * fact.n if fact.events is None else fact.events
    return negative, fact.n - negative


def _used(odds: Effect, hazard: Effect) -> tuple[Fact, ...]:
    return (*odds[3], *hazard[3])


def _pair(name: str, odds: Effect, hazard: Effect, setting: str) -> TrialPair:
    used = _used(odds, hazard)
    cuts = odds[2], hazard[2]
    notes = [fact.note for fact in used if fact.note]
    if all(cuts) and odds[2] != hazard[2]:
        notes.insert(0, f"odds ratio of the cut {odds[2]!r}, hazard ratio of {hazard[2]!r}")
    return TrialPair(
        name, *odds[:2], *hazard[:2], _least(used), setting, cuts, tuple(fact.id for fact in used),
        "; ".join(dict.fromkeys(fact.source for fact in used)), "; ".join(dict.fromkeys(notes)),
        tuple(fact.trust for fact in used),
    )  # fmt: skip


def _reason(everything: list[Fact], held: list[Fact], trust: str) -> str:
    """Say why a trial gives no pair."""
    ratios = [fact for fact in held if (fact.arm, fact.endpoint, fact.measure) == (COMPARISON, "PFS", "hazard_ratio")]
    found = []
    if not _printed(held, "PFS", "hazard_ratio"):
        bare = " and ".join(fact.id for fact in ratios)
        found.append(f"{bare} has no interval, so no standard error" if bare else "no hazard ratio with an interval")
    if not _odds_ratios(held, landmarks=True):
        found.append("no odds ratio of negativity and no fractions of both arms")
    less = sorted({fact.trust for fact in everything if not may_enter(fact.trust, trust)}, key=TRUST.index)
    ending = f" among facts trusted as {trust} or better (others are {', '.join(less)})" if less else ""
    return (" and ".join(found) or "its fractions are at a landmark; name them by their ids") + ending
