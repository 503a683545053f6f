"""Borrowing from earlier trials."""

from smm_bayes.borrowing.decisions import (
    BinaryArm,
    Criterion,
    NormalArm,
    OneSampleDesign,
    OneSampleRule,
    PoissonArm,
    SuccessRegion,
    TrialEffects,
    TwoSampleDesign,
    TwoSampleRule,
    above,
    below,
    effects_given_sd,
    exchangeable_effects,
    joint_probability_of_success,
    probability_of_difference,
)  # fmt: skip
from smm_bayes.borrowing.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.trials.priors import BetweenTrials, Contrast, TrialsPriors

__all__ = [
    "BetaMixture", "BetweenTrials", "BinaryArm", "Cohort", "Contrast", "Criterion", "GammaMixture", "Mixture",
    "NormalArm", "NormalMixture", "OneSampleDesign", "OneSampleRule", "PoissonArm", "SuccessRegion", "TrialEffects",
    "Trials", "TrialsPriors", "TwoSampleDesign", "TwoSampleRule", "above", "below", "effects_given_sd",
    "exchangeable_effects", "hierarchical_model", "joint_probability_of_success", "probability_of_difference",
    "trials_data",
]  # fmt: skip
