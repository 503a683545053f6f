"""Priors: by their clinical consequence, standard ones, and mixtures with update and effective sample size."""

from smm_bayes.priors.clinical import (
    BaselinePrior,
    HazardRatioPrior,
    RatioPrior,
    SharePrior,
    SmoothnessPrior,
    SpreadPrior,
)
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import Fixed, HalfCauchy, HalfNormal, HalfStudentT, LogNormal, Uniform

__all__ = [
    "BaselinePrior", "Fixed", "HalfCauchy", "HalfNormal", "HalfStudentT", "HazardRatioPrior", "LogNormal", "Normal",
    "RatioPrior", "SDPrior", "SharePrior", "SmoothnessPrior", "SpreadPrior", "Uniform",
]  # fmt: skip
