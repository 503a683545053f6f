"""Priors as small values: finite mixtures with density, update, predictive distribution and effective sample size."""

from smm_bayes.borrowing.mixtures.beta import BetaMixture
from smm_bayes.borrowing.mixtures.gamma import GammaMixture
from smm_bayes.borrowing.mixtures.mixture import Mixture
from smm_bayes.borrowing.mixtures.normal import NormalMixture

__all__ = ["BetaMixture", "GammaMixture", "Mixture", "NormalMixture"]
