"""Borrowing from earlier trials."""

from smm_bayes.borrowing.mixtures import (
    BetaMixture,
    CountPredictive,
    CountUpdates,
    GammaMixture,
    Mixture,
    MultivariateNormalMixture,
    NormalMixture,
    divergence,
    fit_mixture,
    fit_multivariate,
    largest_gap,
    sam_weight,
)
from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.trials.priors import BetweenTrials, Contrast, TrialsPriors

__all__ = [
    "BetaMixture", "BetweenTrials", "Cohort", "Contrast", "CountPredictive", "CountUpdates", "GammaMixture", "Mixture",
    "MultivariateNormalMixture", "NormalMixture", "Trials", "TrialsPriors", "divergence", "fit_mixture",
    "fit_multivariate", "hierarchical_model", "largest_gap", "sam_weight", "trials_data",
]  # fmt: skip
