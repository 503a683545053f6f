"""Bayesian interim monitoring for trials in high-risk smoldering multiple myeloma."""

from smm_bayes.compiling import find_a_home

__version__ = "0.1.0"

find_a_home()
