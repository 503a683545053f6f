"""Completing trials: success rules, probability of success, dates."""

from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.future import Future
from smm_bayes.prediction.probability import probability_of_success
from smm_bayes.prediction.result import Prediction
from smm_bayes.prediction.reweighting import Difference, Reweighted
from smm_bayes.prediction.success import EventCount, HazardRatioProbability, LogRank, SuccessRule
from smm_bayes.prediction.trigger import final_status

__all__ = [
    "Difference", "Enrolment", "EventCount", "FinalAnalysis", "FinalData", "Future", "HazardRatioProbability",
    "LogRank", "Prediction", "Reweighted", "SuccessRule", "final_status", "probability_of_success",
]  # fmt: skip
