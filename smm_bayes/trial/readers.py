"""The doors for patients: ADaM ADTTE, and a plain table."""

from smm_bayes.trial.adtte import read_adtte
from smm_bayes.trial.plain import read_frame

__all__ = ["read_adtte", "read_frame"]
