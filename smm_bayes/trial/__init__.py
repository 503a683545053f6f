"""One trial's patients: tables and their readers, courses and endpoints, calendar, data cuts by date and by events."""

from smm_bayes.trial.courses import Courses
from smm_bayes.trial.cuts import cut_by_date, cut_by_events
from smm_bayes.trial.endpoints import Endpoint
from smm_bayes.trial.mrd import MrdAssessments
from smm_bayes.trial.patients import Patients

__all__ = ["Courses", "Endpoint", "MrdAssessments", "Patients", "cut_by_date", "cut_by_events"]
