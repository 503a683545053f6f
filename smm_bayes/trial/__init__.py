"""One trial's patients: tables and their readers, courses and endpoints, calendar, data cuts by date and by events."""

from smm_bayes.trial.calendar import calendar_date, calendar_time
from smm_bayes.trial.courses import Courses
from smm_bayes.trial.cox import CoxRatio, cox_ratio
from smm_bayes.trial.curves import SurvivalCurve
from smm_bayes.trial.cuts import cut_by_date, cut_by_events
from smm_bayes.trial.endpoints import Endpoint
from smm_bayes.trial.mrd import MrdAssessments
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.readers import read_adtte, read_frame
from smm_bayes.trial.shortcuts import cut
from smm_bayes.trial.survival_curves import KaplanMeier, kaplan_meier

__all__ = [
    "Courses", "CoxRatio", "Endpoint", "KaplanMeier", "MrdAssessments", "Patients", "SurvivalCurve", "calendar_date",
    "calendar_time", "cox_ratio", "cut", "cut_by_date", "cut_by_events", "kaplan_meier", "read_adtte", "read_frame",
]  # fmt: skip
