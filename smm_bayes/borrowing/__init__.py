"""Borrowing from earlier trials."""

from smm_bayes.borrowing.meta_analysis import (
    Baskets,
    ExchangeableNonexchangeable,
    Fixed,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    MetaAnalysis,
    MetaAnalyticCombined,
    MetaAnalyticPredictive,
    Normal,
    SDPrior,
    Uniform,
    exchangeable_nonexchangeable,
    exchangeable_nonexchangeable_data,
    exchangeable_nonexchangeable_model,
    meta_analytic_combined,
    meta_analytic_data,
    meta_analytic_model,
    meta_analytic_predictive,
)  # fmt: skip
from smm_bayes.borrowing.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.trials.priors import BetweenTrials, Contrast, TrialsPriors

__all__ = [
    "Baskets", "BetaMixture", "BetweenTrials", "Cohort", "Contrast", "ExchangeableNonexchangeable", "Fixed",
    "GammaMixture", "HalfCauchy", "HalfNormal", "HalfStudentT", "LogNormal", "MetaAnalysis", "MetaAnalyticCombined",
    "MetaAnalyticPredictive", "Mixture", "Normal", "NormalMixture", "SDPrior", "Trials", "TrialsPriors", "Uniform",
    "exchangeable_nonexchangeable", "exchangeable_nonexchangeable_data", "exchangeable_nonexchangeable_model",
    "hierarchical_model", "meta_analytic_combined", "meta_analytic_data", "meta_analytic_model",
    "meta_analytic_predictive", "trials_data",
]  # fmt: skip
