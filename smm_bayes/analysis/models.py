"""The model that a specification names: of one trial alone, or of that trial with earlier ones."""

from __future__ import annotations

from smm_bayes.analysis.earlier import read_earlier
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.borrowing.trials.cohorts import Trials, cohorts_of
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.one_trial import OneTrial

HazardModel = OneTrial | WithEarlierTrials


def hazard_model(spec: AnalysisSpec, table: EventTable) -> HazardModel:
    """Put together what the specification names, reading the evidence.

    Raises
    ------
    SpecificationError, DataError
        Naming every problem of facts and tables of earlier patients.
    """
    section = spec.evidence
    if section is None:
        return OneTrial(table, spec.priors)
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
    return WithEarlierTrials(trials, spec.trials_priors, tuple(trial.source for trial in earlier))
