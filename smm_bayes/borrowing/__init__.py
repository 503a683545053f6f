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
)
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
    "BetaMixture", "BetweenTrials", "BinaryArm", "Cohort", "Contrast", "CountPredictive", "CountUpdates",
    "Criterion", "GammaMixture", "Mixture", "MultivariateNormalMixture", "NormalArm", "NormalMixture",
    "OneSampleDesign", "OneSampleRule", "PoissonArm", "SuccessRegion", "TrialEffects", "Trials", "TrialsPriors",
    "TwoSampleDesign", "TwoSampleRule", "above", "below", "divergence", "effects_given_sd", "exchangeable_effects",
    "fit_mixture", "fit_multivariate", "hierarchical_model", "joint_probability_of_success", "largest_gap",
    "probability_of_difference", "sam_weight", "trials_data",
]  # fmt: skip
