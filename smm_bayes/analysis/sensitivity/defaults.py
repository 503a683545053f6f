"""The changes that every analysis looks at, made from its specification, with the reason for every number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.analysis.sections import LONGEST, BaselineSection, LogNormalSection
from smm_bayes.analysis.sensitivity.section import SensitivitySection
from smm_bayes.borrowing.trials.relations import Exchangeable, Robust
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.prediction.future import LOST
from smm_bayes.priors.clinical import HazardRatioPrior, RatioPrior, SmoothnessPrior, SpreadPrior
from smm_bayes.survival.cure_priors import OddsRatioPrior

if TYPE_CHECKING:
    from smm_bayes.analysis.interim import InterimInputs
    from smm_bayes.analysis.spec import AnalysisSpec
    from smm_bayes.trial.patients import Patients

# A normal or half-normal prior that is 1.5 times as wide: the ratio of the two has a Pareto k of 1 - 1/1.5² = 0.56
# where the data say nothing, and less where they say something, so that weights can be relied on. Twice as wide: 0.75.
WIDER = 1.5
NARROWER = 0.5  # a sceptical effect: no effect the most plausible, with half the width
SHIFTS = {"lower": -1.0, "higher": 1.0}  # of a median by one standard deviation of the prior: well within its width
GONE_AFTER = {0.0: "from now on", 12.0: "after a year", 36.0: "after three years"}  # months since enrolment
FASTER, SLOWER = 1.5, 0.67  # hazards to come: as far as trials of one regimen differ, an effect of 1.5-fold
LOSS, LOSS_OF_ONE_ARM = 0.01, 0.02  # a month: 11 % and 21 % a year, more than trials of myeloma lose
INFORMATIVE = (2.0, 5.0)  # hazard of patients lost, over that of their arm: twice, and as if all had progressed soon
ACCRUAL = {"half as fast": 0.5, "twice as fast": 2.0}

Rows = Iterator[SensitivitySection]


def default_rows(inputs: InterimInputs) -> list[SensitivitySection]:
    """Give the changes that are looked at where a specification names none."""
    spec = inputs.spec
    rows = [*_effect(inputs), *_baselines(spec), *_other_effects(inputs), *_earlier(inputs), *_smoothness(spec),
            *_relation(inputs), *_to_come(inputs)]  # fmt: skip
    return [one for one in rows if not one.problems(spec)]  # names with dots may read as keys of another section


def _row(name: str, reason: str, key: str, value: Any) -> SensitivitySection:
    return SensitivitySection(name=name[:LONGEST], reason=reason, set={key: value})


def _digits(value: float) -> float:
    return float(f"{value:.3g}")


def _shifted(what: str, key: str, prior: RatioPrior | LogNormalSection) -> Rows:
    """A log-normal prior one standard deviation of its own lower and higher."""
    width = RatioPrior(prior.median, prior.upper).sd
    for word, by in SHIFTS.items():
        factor = math.exp(by * width)
        value = {"median": _digits(prior.median * factor), "upper": _digits(prior.upper * factor)}
        name = f"prior of {what}: median {value['median']:g} (stated {prior.median:g})"
        yield _row(name, f"The prior's median one standard deviation {word}.", key, value)


def _widened(what: str, key: str, prior: RatioPrior | LogNormalSection) -> Rows:
    upper = _digits(prior.median * (prior.upper / prior.median) ** WIDER)
    value = {"median": prior.median, "upper": upper}
    yield _row(f"prior of {what}: {WIDER:g} times as wide", "A prior that says less.", key, value)


def _sceptical(what: str, key: str, prior: RatioPrior | LogNormalSection) -> Rows:
    upper = _digits((prior.upper / prior.median) ** NARROWER)
    value = {"median": 1.0, "upper": upper}
    yield _row(f"prior of {what}: sceptical, median 1 and half as wide", "No effect the most plausible.", key, value)


def _folded(what: str, key: str, fold: float) -> Rows:
    for word, power in (("half as wide", NARROWER), (f"{WIDER:g} times as wide", WIDER)):
        value = _digits(fold**power)
        yield _row(f"prior of {what}: {value:g}-fold (stated {fold:g})", f"A prior that is {word}.", key, value)


def _effect(inputs: InterimInputs) -> Rows:
    """The effect of treatment on the first cause, whatever states it."""
    for what, key, prior in _effects(inputs):
        yield from _sceptical(what, key, prior)
        yield from _shifted(what, key, prior)
        yield from _widened(what, key, prior)


def _effects(inputs: InterimInputs) -> Iterator[tuple[str, str, RatioPrior | LogNormalSection]]:
    """Priors of the current arms' difference in the first cause: what, key and prior."""
    spec = inputs.spec
    if len(inputs.patients.arms) < 2 or spec.model.baseline == "gamma":
        return
    if spec.model.cure is not None:
        cure = spec.model.cure
        yield "odds ratio of cure", "model.cure.odds_ratio", cure.odds_ratio or OddsRatioPrior()
        yield "hazard ratio of the uncured", "model.cure.hazard_ratio", cure.hazard_ratio or HazardRatioPrior()
    elif spec.evidence is not None:
        for one, between in zip(spec.evidence.contrast, _between_arms(spec), strict=True):
            if between:
                yield f"{one.regimen} v {one.versus}", f"evidence.contrast.{one.regimen}", one
    elif spec.model.effect != "separate":
        cause = inputs.patients.causes[0]
        stated = spec.model.prior.hazard_ratio.get(cause)
        yield f"hazard ratio of {cause}", f"model.prior.hazard_ratio.{cause}", stated or HazardRatioPrior()


def _between_arms(spec: AnalysisSpec) -> list[bool]:
    """Whether each contrast is between the regimens of the current arms."""
    assert spec.evidence is not None
    priors, given = spec.trials_priors, spec.evidence.regimens
    paths = dict(zip(priors.regimens, priors.paths(), strict=True))
    if given.control not in paths or given.experimental not in paths:
        return [False] * len(priors.contrasts)
    return [bool(moved) for moved in paths[given.control] != paths[given.experimental]]


def _baselines(spec: AnalysisSpec) -> Rows:
    prior = spec.model.prior
    if spec.model.baseline == "gamma":
        assert prior.gamma is not None
        for word, factor in (("1.5 times", 1.5), ("two thirds", 2 / 3)):  # where nothing was seen Pareto k is a third
            value = {"shape": _digits(prior.gamma.shape * factor), "rate": _digits(prior.gamma.rate * factor)}
            name = f"prior of hazards: worth {word} as much"
            yield _row(name, "A prior that says less, or more.", "model.prior.gamma", value)
        return
    for cause, stated in prior.baseline.items():
        key, what = f"model.prior.baseline.{cause}", f"baseline of {cause}"
        if stated.median is not None:
            yield from _shifted(what, key, LogNormalSection(median=stated.median, upper=stated.upper))
        else:
            yield from _of_milestone(what, key, stated)


def _of_milestone(what: str, key: str, stated: BaselineSection) -> Rows:
    assert stated.survival is not None
    for by in SHIFTS.values():
        factor = math.exp(by * stated.prior.sd)
        value = {"survival": _digits(stated.survival**factor), "upper": _digits(stated.upper**factor)}
        yield _row(f"prior of {what}: {value['survival']:g} free of it (stated {stated.survival:g})",
                   "The prior's median one standard deviation away.", key, value)  # fmt: skip


def _other_effects(inputs: InterimInputs) -> Rows:
    """The effect of treatment on the other causes, death above all."""
    spec = inputs.spec
    if len(inputs.patients.arms) < 2 or spec.model.baseline == "gamma" or spec.model.effect == "separate":
        return
    for cause in inputs.patients.causes[1:]:
        if cause != spec.curable:
            stated = spec.model.prior.hazard_ratio.get(cause) or HazardRatioPrior()
            yield from _shifted(f"hazard ratio of {cause}", f"model.prior.hazard_ratio.{cause}", stated)


def _earlier(inputs: InterimInputs) -> Rows:
    """Other regimens' contrasts, definitions of progression, populations and spreads between trials."""
    spec, model = inputs.spec, inputs.model
    if spec.evidence is None or not isinstance(model, WithEarlierTrials):
        return
    for one, between in zip(spec.evidence.contrast, _between_arms(spec), strict=True):
        if not between:
            yield from _shifted(f"{one.regimen} v {one.versus}", f"evidence.contrast.{one.regimen}", one)
    for name, prior in spec.evidence.endpoint.items():
        yield from _shifted(f"progression over {name}", f"evidence.endpoint.{name}", prior)
    for name, prior in spec.evidence.population.items():
        yield from _shifted(f"progression over that of {name}", f"evidence.population.{name}", prior)
    layers = model.priors.relation.layers(model.priors.between)
    if any(isinstance(layer.hazard, SpreadPrior) for layer in layers):
        yield from _folded("hazards between trials", "evidence.between.hazard", spec.evidence.between.hazard)
        if model.trials[0].randomised:
            yield from _folded("hazard ratios between trials", "evidence.between.effect", spec.evidence.between.effect)


def _smoothness(spec: AnalysisSpec) -> Rows:
    if spec.model.baseline == "smooth":
        stated = spec.model.prior.smoothness
        fold = stated.fold_change if stated else SmoothnessPrior().fold_change
        yield from _folded("change of hazards over time", "model.prior.smoothness.fold_change", fold)
    if spec.model.prior.ratio_smoothness is not None:
        fold = spec.model.prior.ratio_smoothness.fold_change
        yield from _folded("change of the hazard ratio", "model.prior.ratio_smoothness.fold_change", fold)
    if spec.model.prior.waning is not None:
        yield from _shifted("half-life of the effect", "model.prior.waning", spec.model.prior.waning)


def _relation(inputs: InterimInputs) -> Rows:
    """Trials that may stand apart, or may not: what weights can say; other methods need a fit."""
    model = inputs.model
    if not isinstance(model, WithEarlierTrials) or not isinstance(model.priors.relation, Exchangeable):
        return
    reason = "How earlier trials relate to this one is not known."
    by, robust = model.priors.relation.by, isinstance(model.priors.relation, Robust)
    value = {"method": "exchangeable" if robust else "robust", "by": by}
    name = "trials exchangeable" if robust else "trials exchangeable or apart (robust)"
    yield _row(name, reason, "evidence.borrowing", value)


def _to_come(inputs: InterimInputs) -> Rows:
    """Hazards, losses and enrolment from now on."""
    patients = inputs.patients
    yield from _hazards(two_arms=len(patients.arms) > 1)
    yield from _losses(patients)
    if len(inputs.spec.enrolment_plan().new_arms(patients)):
        for how, factor in ACCRUAL.items():
            yield _future(f"enrolment {how}", "Patients to come may arrive at another pace.", accrual=factor)


def _future(name: str, reason: str, **what: Any) -> SensitivitySection:
    return SensitivitySection(name=name, reason=reason, **what)


def _hazards(*, two_arms: bool) -> Rows:
    if two_arms:
        for months, when in GONE_AFTER.items():
            yield _future(f"effect gone {when}", "The effect of treatment may not last.", effect_gone_after=months)
        reason = "What patients are given later may change in the control arm alone."
        for factor in (FASTER, SLOWER):
            yield _future(f"control's hazard × {factor:g} from now on", reason, control_hazard=factor)
    reason = "Ascertainment or practice may change with calendar time."
    for factor in (FASTER, SLOWER):
        yield _future(f"all hazards × {factor:g} from now on", reason, hazard=factor)


def _losses(patients: Patients) -> Rows:
    arms = patients.arms
    losses = {"all arms": dict.fromkeys(arms, LOSS)}
    losses |= {f"{role} only": {role: LOSS_OF_ONE_ARM} for role in arms if len(arms) > 1}
    for whose, rates in losses.items():
        name = f"{max(rates.values()):.0%} a month lost to follow-up, {whose}"
        yield _future(name, "Patients may be lost from now on.", dropout=rates)
    if (~patients.event & np.isin(patients.censoring, LOST)).any():
        reason = "Patients may have been lost because of what was to come."
        for factor in INFORMATIVE:
            name = f"patients lost so far followed on, experimental's hazard × {factor:g}"
            yield _future(name, reason, informative={"experimental": factor})
