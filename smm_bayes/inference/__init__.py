"""Sampling posteriors, and whether they may be believed. Knows no disease."""

from smm_bayes.inference.convergence import Convergence
from smm_bayes.inference.fingerprint import hash_file, versions
from smm_bayes.inference.fitted import Fit
from smm_bayes.inference.sampling import FitProgress, fit

__all__ = [
    "Convergence", "Fit", "FitProgress", "each", "fingerprint", "fit", "hash_file", "versions",
]  # fmt: skip
