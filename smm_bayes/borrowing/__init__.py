"""Borrowing from earlier trials."""

from smm_bayes.borrowing.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.trials.priors import BetweenTrials, Contrast, TrialsPriors

__all__ = [
    "BetaMixture", "BetweenTrials", "Cohort", "Contrast", "GammaMixture", "Mixture", "NormalMixture", "Trials",
    "TrialsPriors", "hierarchical_model", "trials_data",
]  # fmt: skip
