"""Completing trials: success rules, probability of success, dates."""

from smm_bayes.prediction.final import Enrolment, FinalAnalysis, FinalData
from smm_bayes.prediction.probability import Prediction, probability_of_success
from smm_bayes.prediction.success import EventCount, HazardRatioProbability, LogRank, SuccessRule

__all__ = ["Enrolment", "EventCount", "FinalAnalysis", "FinalData", "HazardRatioProbability", "LogRank", "Prediction",
           "SuccessRule", "probability_of_success"]  # fmt: skip
