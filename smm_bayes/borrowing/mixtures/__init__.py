"""Priors as small values: finite mixtures with density, update, predictive distribution and effective sample size."""

from smm_bayes.borrowing.mixtures.adaptive import sam_weight
from smm_bayes.borrowing.mixtures.beta import BetaMixture
from smm_bayes.borrowing.mixtures.counts import CountUpdates
from smm_bayes.borrowing.mixtures.distance import divergence, largest_gap
from smm_bayes.borrowing.mixtures.em import fit_mixture, fit_multivariate
from smm_bayes.borrowing.mixtures.gamma import GammaMixture
from smm_bayes.borrowing.mixtures.mixture import Mixture
from smm_bayes.borrowing.mixtures.multivariate import MultivariateNormalMixture
from smm_bayes.borrowing.mixtures.normal import NormalMixture
from smm_bayes.borrowing.mixtures.predictive import CountPredictive

__all__ = [
    "BetaMixture", "CountPredictive", "CountUpdates", "GammaMixture", "Mixture", "MultivariateNormalMixture",
    "NormalMixture", "divergence", "fit_mixture", "fit_multivariate", "largest_gap", "sam_weight",
]  # fmt: skip
