"""Priors as small values: finite mixtures with density, update, predictive distribution and effective sample size."""

from smm_bayes.priors.mixtures.adaptive import sam_weight
from smm_bayes.priors.mixtures.beta import BetaMixture
from smm_bayes.priors.mixtures.counts import CountUpdates
from smm_bayes.priors.mixtures.distance import divergence, largest_gap
from smm_bayes.priors.mixtures.effective_sample_size import effective_sample_size
from smm_bayes.priors.mixtures.em import fit_mixture, fit_multivariate
from smm_bayes.priors.mixtures.gamma import GammaMixture
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.priors.mixtures.multivariate import MultivariateNormalMixture
from smm_bayes.priors.mixtures.normal import NormalMixture
from smm_bayes.priors.mixtures.predictive import CountPredictive

__all__ = [
    "BetaMixture", "CountPredictive", "CountUpdates", "GammaMixture", "Mixture", "MultivariateNormalMixture",
    "NormalMixture", "divergence", "effective_sample_size", "fit_mixture", "fit_multivariate", "largest_gap",
    "sam_weight",
]  # fmt: skip
