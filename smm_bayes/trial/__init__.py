"""One trial's patients: schema, ADTTE and MRD readers, calendar, data cuts by date and by events."""

from smm_bayes.trial.cuts import cut_by_date, cut_by_events
from smm_bayes.trial.mrd import MrdAssessments
from smm_bayes.trial.patients import Patients

__all__ = ["MrdAssessments", "Patients", "cut_by_date", "cut_by_events"]
