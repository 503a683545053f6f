"""Borrowing from earlier trials."""

from smm_bayes.borrowing.mixtures import BetaMixture, GammaMixture, Mixture, NormalMixture
from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.hierarchical import hierarchical_model, trials_data
from smm_bayes.borrowing.trials.histories import HazardHistory, ResponseHistory
from smm_bayes.borrowing.trials.latent_model import latent_exchangeability_data, latent_exchangeability_model
from smm_bayes.borrowing.trials.latent_priors import LatentPriors, ShareOfPatients
from smm_bayes.borrowing.trials.latent_rows import (
    HistoricalRows,
    exchangeable_patients,
    latent_log_likelihood,
    memberships,
)
from smm_bayes.borrowing.trials.power import BetaPower, NormalisedPowerPrior, PowerPrior
from smm_bayes.borrowing.trials.power_model import power_prior_data, power_prior_model
from smm_bayes.borrowing.trials.power_posterior import PowerPosterior
from smm_bayes.borrowing.trials.priors import BetweenTrials, Contrast, TrialsPriors

__all__ = [
    "BetaMixture", "BetaPower", "BetweenTrials", "Cohort", "Contrast", "GammaMixture", "HazardHistory",
    "HistoricalRows", "LatentPriors", "Mixture", "NormalMixture", "NormalisedPowerPrior", "PowerPosterior",
    "PowerPrior", "ResponseHistory", "ShareOfPatients", "Trials", "TrialsPriors", "exchangeable_patients",
    "hierarchical_model", "latent_exchangeability_data", "latent_exchangeability_model", "latent_log_likelihood",
    "memberships", "power_prior_data", "power_prior_model", "trials_data",
]  # fmt: skip
