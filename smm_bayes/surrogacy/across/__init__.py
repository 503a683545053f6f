"""Surrogacy across trials: effects on negativity and on progression-free survival, trial by trial."""

from smm_bayes.surrogacy.across.conditional import ConditionalDensity, EffectPrior
from smm_bayes.surrogacy.across.leave_one_out import LeftOut, leave_one_out, weight_scores, wilson_interval
from smm_bayes.surrogacy.across.model import across_data, across_model
from smm_bayes.surrogacy.across.pairs import TrialPair, TrialPairs
from smm_bayes.surrogacy.across.posterior import BIVARIATE, DANIELS_HUGHES, AcrossTrials
from smm_bayes.surrogacy.across.predictive import Predicted
from smm_bayes.surrogacy.across.priors import AcrossPriors
from smm_bayes.surrogacy.across.published import PublishedRegression
from smm_bayes.surrogacy.across.relation import Relation, compare
from smm_bayes.surrogacy.across.sensitivity import CORRELATIONS, sensitivity, weighted_regression
from smm_bayes.surrogacy.across.summary import (
    AcrossSummary,
    predictive_threshold,
    r_squared,
    summarise,
    thresholds,
)

__all__ = [
    "BIVARIATE", "CORRELATIONS", "DANIELS_HUGHES", "AcrossPriors", "AcrossSummary", "AcrossTrials",
    "ConditionalDensity", "EffectPrior", "LeftOut", "Predicted", "PublishedRegression", "Relation", "TrialPair",
    "TrialPairs", "across_data", "across_model", "compare", "leave_one_out", "predictive_threshold", "r_squared",
    "sensitivity", "summarise", "thresholds", "weight_scores", "weighted_regression", "wilson_interval",
]  # fmt: skip
