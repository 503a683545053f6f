"""Borrowing from earlier trials."""

from smm_bayes.borrowing.meta_analysis import (
    Baskets,
    ExchangeableNonexchangeable,
    Fixed,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    MetaAnalysis,
    MetaAnalyticCombined,
    MetaAnalyticPredictive,
    Normal,
    SDPrior,
    Uniform,
    exchangeable_nonexchangeable,
    exchangeable_nonexchangeable_data,
    exchangeable_nonexchangeable_model,
    meta_analytic_combined,
    meta_analytic_data,
    meta_analytic_model,
    meta_analytic_predictive,
)
from smm_bayes.borrowing.trials.arm_history import ArmHistory, smooth_initial
from smm_bayes.borrowing.trials.arm_prior import ArmPrior, arm_prior, normalised_power_arm_prior
from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
from smm_bayes.borrowing.trials.conflict import Conflict, arm_conflicts, conflicts
from smm_bayes.borrowing.trials.equally_likely import equally_likely
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
from smm_bayes.borrowing.trials.relations import POOLED, SEPARATE, Commensurate, Exchangeable, Power, Relation, Robust
from smm_bayes.borrowing.trials.with_earlier_trials import EvidenceSource, WithEarlierTrials

__all__ = [
    "POOLED", "SEPARATE", "ArmHistory", "ArmPrior", "Baskets", "BetaPower", "BetweenTrials", "Cohort", "Commensurate",
    "Conflict", "Contrast", "EvidenceSource", "Exchangeable", "ExchangeableNonexchangeable", "Fixed", "HalfCauchy",
    "HalfNormal", "HalfStudentT", "HazardHistory", "HistoricalRows", "LatentPriors", "LogNormal", "MetaAnalysis",
    "MetaAnalyticCombined", "MetaAnalyticPredictive", "Normal", "NormalisedPowerPrior", "Power", "PowerPosterior",
    "PowerPrior", "Relation", "ResponseHistory", "Robust", "SDPrior", "ShareOfPatients", "Trials", "TrialsPriors",
    "Uniform", "WithEarlierTrials", "arm_conflicts", "arm_prior", "conflicts", "equally_likely",
    "exchangeable_nonexchangeable", "exchangeable_nonexchangeable_data", "exchangeable_nonexchangeable_model",
    "exchangeable_patients", "hierarchical_model", "latent_exchangeability_data", "latent_exchangeability_model",
    "latent_log_likelihood", "memberships", "meta_analytic_combined", "meta_analytic_data", "meta_analytic_model",
    "meta_analytic_predictive", "normalised_power_arm_prior", "power_prior_data", "power_prior_model", "smooth_initial",
    "trials_data",
]  # fmt: skip
