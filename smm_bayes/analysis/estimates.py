"""Estimands that a specification asks for, as the posterior has them at the interim."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.survival.estimands import follow_up_horizon

if TYPE_CHECKING:
    from smm_bayes.analysis.decision import Estimate
    from smm_bayes.analysis.sections import EstimandSection
    from smm_bayes.survival.law import Law
    from smm_bayes.trial.patients import Patients

DIFFERENCE = "experimental less control"


def estimates(
    asked: list[EstimandSection], law: Law, patients: Patients, counted: np.ndarray
) -> list[Estimate]:
    """Give each estimand by arm, and its difference where there are two.

    Parameters
    ----------
    asked : list of EstimandSection
    law : Law
        Of the posterior, leading dims (chain, draw).
    patients : Patients
        A month is beyond the follow-up where no patient of one of the arms was followed so long.
    counted : numpy.ndarray of bool, shape (cause,)
        Causes that count, of incidence; all compete.
    """
    found = []
    for one in asked:
        drawn = {role: _draws(one, law, counted)[..., arm] for arm, role in enumerate(law.arms)}
        if len(law.arms) > 1:
            drawn[DIFFERENCE] = drawn["experimental"] - drawn["control"]
        found += [_estimate(one, of, values, patients) for of, values in drawn.items()]
    return found


def _draws(one: EstimandSection, law: Law, counted: np.ndarray) -> np.ndarray:
    """Draws by arm, shape (chain, draw, arm)."""
    if one.measure == "event_free_survival":
        return law.survival(np.array([one.months]))[..., 0]
    if one.measure == "rmst":
        return law.rmst(one.months)
    return law.cumulative_incidence(np.array([one.months]))[..., counted, 0].sum(axis=-1)


def _estimate(one: EstimandSection, of: str, values: np.ndarray, patients: Patients) -> Estimate:
    from smm_bayes.analysis.decision import Estimate
    from smm_bayes.analysis.mrd.result import interval

    return Estimate(
        measure=one.measure, months=one.months, of=of, estimate=interval(values),
        probability_above_0=float(np.mean(values > 0)) if of == DIFFERENCE else None,
        beyond_follow_up=one.months > follow_up_horizon(patients),
    )  # fmt: skip
