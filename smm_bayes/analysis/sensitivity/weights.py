"""Weights of posterior draws that make a posterior that under other priors of the same specification."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.analysis.models import HazardModel, model_of
from smm_bayes.analysis.mrd.model import WithMrd
from smm_bayes.analysis.mrd.sections import EVENTS, SURROGACY
from smm_bayes.borrowing.trials.prior_factors import factors_of_trials, relation_log_ratio, require_same_structure
from smm_bayes.borrowing.trials.with_earlier_trials import WithEarlierTrials
from smm_bayes.priors.factors import Factor, NotByWeightsError, log_ratio
from smm_bayes.survival.law import draws_first
from smm_bayes.survival.prior_factors import factors_of_one_trial

if TYPE_CHECKING:
    from smm_bayes.analysis.answers import Answer
    from smm_bayes.analysis.interim import InterimInputs
    from smm_bayes.analysis.spec import AnalysisSpec

PRIORS = {"contrast", "endpoint", "population", "between", "borrowing"}  # of section evidence
OF_THE_MODEL = ("model", "evidence", "mrd")


def changes_model(old: AnalysisSpec, new: AnalysisSpec) -> bool:
    """Whether another specification is of another model or has other priors."""
    return any(getattr(old, name) != getattr(new, name) for name in OF_THE_MODEL)


def log_weights(inputs: InterimInputs, answer: Answer, new: AnalysisSpec) -> np.ndarray:
    """Log of the new prior over that of the answer's fit at its draws, shape (chain, draw).

    Raises
    ------
    NotByWeightsError
        When not only priors are others, or the posterior does not hold what the ratio needs.
    """
    posterior = answer.fit.posterior
    lead = posterior.sizes["chain"], posterior.sizes["draw"]
    _require_priors_only(inputs, new)
    base = answer.model.base if isinstance(answer.model, WithMrd) else answer.model
    other = _with_priors(base, new, inputs)
    parameters = draws_first(posterior)
    found = log_ratio(prior_factors(base), prior_factors(other), parameters, lead[0] * lead[1])
    if isinstance(base, WithEarlierTrials) and isinstance(other, WithEarlierTrials):
        found = found + relation_log_ratio(base.priors, other.priors, parameters, base.trials[0])
    return found.reshape(lead)


def prior_factors(model: HazardModel) -> list[Factor]:
    """Give the factors of a model's prior that a specification states."""
    return factors_of_trials(model) if isinstance(model, WithEarlierTrials) else factors_of_one_trial(model)


def _require_priors_only(inputs: InterimInputs, new: AnalysisSpec) -> None:
    """Refuse what is no change of priors, or one of priors that the answer's weights do not know."""
    old = inputs.spec
    if not _same_model(old, new):
        raise NotByWeightsError("intervals, effect or kind of the model are others")
    if old.evidence is not None and new.evidence is not None:
        kept = {name: getattr(new.evidence, name) for name in PRIORS}
        if old.evidence.model_copy(update=kept) != new.evidence:
            raise NotByWeightsError("earlier trials, or what their arms are given, are others")
    elif old.evidence != new.evidence:
        raise NotByWeightsError("earlier trials are others")
    if old.mrd != new.mrd and inputs.primary != EVENTS:
        raise NotByWeightsError("priors of MRD are in the fit in more than one place")
    if inputs.primary == SURROGACY:
        raise NotByWeightsError("the relation across trials takes the place of a part of the prior")


def _same_model(old: AnalysisSpec, new: AnalysisSpec) -> bool:
    """Whether the models differ in priors, of covariates, subgroups or cure too, and in nothing else."""
    a, b = old.model, new.model
    kept = {name: getattr(b, name) for name in ("prior", "covariates", "subgroups", "cure")}
    if a.model_copy(update=kept) != b or list(a.covariates) != list(b.covariates):
        return False
    scales = [[(one.per, one.centre) for one in model.covariates.values()] for model in (a, b)]
    columns = [model.subgroups.columns if model.subgroups else [] for model in (a, b)]
    curable = [model.cure.cause if model.cure else None for model in (a, b)]
    return scales[0] == scales[1] and columns[0] == columns[1] and curable[0] == curable[1]


def _with_priors(base: HazardModel, new: AnalysisSpec, inputs: InterimInputs) -> HazardModel:
    """Give the model with the priors of another specification."""
    if isinstance(base, WithEarlierTrials):
        require_same_structure(base.priors, new.trials_priors)
        return replace(base, priors=new.trials_priors)
    return model_of(new, inputs.patients)
