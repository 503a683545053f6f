"""Priors: by their clinical consequence, standard ones, and mixtures with update and effective sample size."""
