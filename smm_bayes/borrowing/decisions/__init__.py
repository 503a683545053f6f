"""Decisions: rules on posteriors, and the exact behaviour of designs that use them."""

from smm_bayes.borrowing.decisions.arms import BinaryArm, NormalArm, PoissonArm
from smm_bayes.borrowing.decisions.co_data import effects_given_sd, exchangeable_effects, joint_probability_of_success
from smm_bayes.borrowing.decisions.designs import OneSampleDesign, TwoSampleDesign
from smm_bayes.borrowing.decisions.difference import probability_of_difference
from smm_bayes.borrowing.decisions.regions import SuccessRegion
from smm_bayes.borrowing.decisions.rules import Criterion, OneSampleRule, TwoSampleRule, above, below
from smm_bayes.borrowing.decisions.trial_effects import TrialEffects

__all__ = [
    "BinaryArm", "Criterion", "NormalArm", "OneSampleDesign", "OneSampleRule", "PoissonArm", "SuccessRegion",
    "TrialEffects", "TwoSampleDesign", "TwoSampleRule", "above", "below", "effects_given_sd", "exchangeable_effects",
    "joint_probability_of_success", "probability_of_difference",
]  # fmt: skip
