"""Decisions: rules on posteriors, and the exact behaviour of designs that use them."""

from smm_bayes.response.exact.arms import BinaryArm, NormalArm, PoissonArm
from smm_bayes.response.exact.co_data import effects_given_sd, exchangeable_effects, joint_probability_of_success
from smm_bayes.response.exact.designs import OneSampleDesign, TwoSampleDesign
from smm_bayes.response.exact.difference import probability_of_difference
from smm_bayes.response.exact.regions import SuccessRegion
from smm_bayes.response.exact.rules import Criterion, OneSampleRule, TwoSampleRule, above, below
from smm_bayes.response.exact.trial_effects import TrialEffects

__all__ = [
    "BinaryArm", "Criterion", "NormalArm", "OneSampleDesign", "OneSampleRule", "PoissonArm", "SuccessRegion",
    "TrialEffects", "TwoSampleDesign", "TwoSampleRule", "above", "below", "effects_given_sd", "exchangeable_effects",
    "joint_probability_of_success", "probability_of_difference",
]  # fmt: skip
