"""Borrowing from earlier trials."""

from smm_bayes.borrowing.cohorts import Cohort, Trials
from smm_bayes.borrowing.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.priors import BetweenTrials, Contrast, TrialsPriors

__all__ = [
    "BetweenTrials", "Cohort", "Contrast", "Trials", "TrialsPriors", "hierarchical_model", "trials_data",
]  # fmt: skip
