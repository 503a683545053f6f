"""Piecewise-constant hazards: time grid, events and exposure, distribution, PyMC model, estimands."""

from smm_bayes.survival.effects import Proportional, Separate, Varying, Waning
from smm_bayes.survival.estimands import Estimands, follow_up_horizon
from smm_bayes.survival.gamma import GammaHazards
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.likelihood import log_likelihood, maximum_likelihood, patient_log_likelihood
from smm_bayes.survival.model import model_data, piecewise_exponential_model
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.piecewise import PiecewiseExponential, cumulative_incidence
from smm_bayes.survival.priors import BaselinePrior, HazardRatioPrior, SmoothnessPrior, SpreadPrior
from smm_bayes.survival.schedule import VisitSchedule
from smm_bayes.survival.visits import VisitTable, visits_log_likelihood
from smm_bayes.survival.visits_model import visits_data, visits_model

__all__ = [
    "BaselinePrior", "Estimands", "EventTable", "GammaHazards", "GammaPrior", "HazardRatioPrior",
    "PiecewiseExponential", "Proportional", "Separate", "SmoothnessPrior", "SpreadPrior", "SurvivalPriors", "TimeGrid",
    "Varying", "VisitSchedule", "VisitTable", "Waning", "cumulative_incidence", "follow_up_horizon", "log_likelihood",
    "maximum_likelihood", "model_data", "patient_log_likelihood", "piecewise_exponential_model", "visits_data",
    "visits_log_likelihood", "visits_model",
]  # fmt: skip
