"""Bayesian interim monitoring for trials in high-risk smoldering multiple myeloma."""

__version__ = "0.1.0"
