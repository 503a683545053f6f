"""The model that a specification names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from smm_bayes.analysis.earlier import read_earlier
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.borrowing.trials.cohorts import Trials, cohorts_of
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.errors import SmmBayesError
from smm_bayes.priors.clinical import HazardRatioPrior, SpreadPrior
from smm_bayes.survival.cure import Cure
from smm_bayes.survival.cure_priors import CuredPrior, CurePriors, LateHazardPrior, OddsRatioPrior
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.one_trial import OneTrial
from smm_bayes.survival.regression import Regression
from smm_bayes.survival.regression_priors import RegressionPriors
from smm_bayes.survival.visits_model import Visits
from smm_bayes.trial.patients import Patients

ByArm = OneTrial | WithEarlierTrials  # hazards by arm and nothing else, as the joint model with MRD builds on
HazardModel = ByArm | Regression | Cure | Visits


def model_of(spec: AnalysisSpec, patients: Patients) -> HazardModel:
    """Put together what the specification names, reading the evidence.

    Raises
    ------
    SpecificationError, DataError
        Naming every problem of facts and tables of earlier patients, and of patients that the model cannot be of.
    """
    if spec.evidence is not None:
        return _with_earlier_trials(spec, patients)
    make: dict[str, Callable[[AnalysisSpec, Patients], HazardModel]] = {
        "survival": _one_trial, "regression": _regression, "cure": _cure, "visits": _visits,
    }  # fmt: skip
    try:
        return make[spec.model.kind](spec, patients)
    except SmmBayesError as error:
        raise type(error)(f"{spec.path}: model: {error}") from None


def _one_trial(spec: AnalysisSpec, patients: Patients) -> OneTrial:
    return OneTrial.of(patients, spec.grid, spec.priors)


def _regression(spec: AnalysisSpec, patients: Patients) -> Regression:
    model, survival = spec.model, spec.priors
    assert isinstance(survival, SurvivalPriors)
    groups = model.subgroups
    priors = RegressionPriors(survival, {name: one.prior for name, one in model.covariates.items()})
    if groups:
        priors = replace(priors, prognostic=SpreadPrior(groups.prognostic), predictive=SpreadPrior(groups.predictive))
    return Regression.of(patients, spec.grid, priors, strata=model.strata, covariates=list(model.covariates),
                         subgroups=groups.columns if groups else ())  # fmt: skip


def _cure(spec: AnalysisSpec, patients: Patients) -> Cure:
    section, survival = spec.model.cure, spec.priors
    assert section is not None
    assert spec.curable is not None
    assert isinstance(survival, SurvivalPriors)
    priors = CurePriors(
        CuredPrior(section.share.median, section.share.upper),
        LateHazardPrior(section.late_hazard.median, section.late_hazard.upper),
        smoothness=survival.smoothness, others=survival if len(patients.causes) > 1 else None,
    )  # fmt: skip
    if section.odds_ratio is not None:
        priors = replace(priors, odds_ratio=OddsRatioPrior(section.odds_ratio.median, section.odds_ratio.upper))
    if section.hazard_ratio is not None:
        priors = replace(priors, hazard_ratio=HazardRatioPrior(section.hazard_ratio.median, section.hazard_ratio.upper))
    return Cure.of(patients, spec.grid, priors, curable=spec.curable)


def _visits(spec: AnalysisSpec, patients: Patients) -> Visits:
    section = spec.model.visits
    assert section is not None
    return Visits.of(patients, spec.grid, spec.priors, section.schedule, cause=section.cause)


def _with_earlier_trials(spec: AnalysisSpec, patients: Patients) -> WithEarlierTrials:
    section, table = spec.evidence, spec.grid.tabulate(patients)
    assert section is not None
    earlier = read_earlier(spec)
    roles = {"control": section.regimens.control, "experimental": section.regimens.experimental}
    regimens = {arm: regimen for arm, regimen in roles.items() if regimen is not None}
    now = cohorts_of(spec.trial.name, table, regimens)
    number = section.reconstructions if any(trial.reconstructed for trial in earlier) else 1
    trials = tuple(
        Trials((*(cohort for trial in earlier for cohort in trial.cohorts(r, table.grid)), *now), table.grid,
               table.causes, spec.trial.name)
        for r in range(number)
    )  # fmt: skip
    return WithEarlierTrials(trials, spec.trials_priors, tuple(trial.source for trial in earlier), patients)
