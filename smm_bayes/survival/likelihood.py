"""The piecewise-exponential likelihood in NumPy: twin of the PyMC model's, and its maximum in closed form.

For cells with d events, exposure E and hazard λ the log likelihood is Σ d·log λ − λ·E. It is the survival
likelihood itself, without a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.results import Result
from smm_bayes.survival.grid import EventTable, TimeGrid

if TYPE_CHECKING:
    import pandas as pd

    from smm_bayes.trial.patients import Patients


def log_likelihood(log_hazard: np.ndarray, table: EventTable) -> np.ndarray:
    """Log likelihood of hazards of shape (..., arm, cause, interval); one number per leading index."""
    cells = table.events * log_hazard - table.cell_exposure * np.exp(log_hazard)
    return cells.sum(axis=(-3, -2, -1))


def patient_log_likelihood(log_hazard: np.ndarray, patients: Patients, grid: TimeGrid) -> np.ndarray:
    """Log likelihood by patient, shape (..., patient), from hazards of shape (..., arm, cause, interval).

    This is what leave-one-patient-out cross-validation needs; it sums to :func:`log_likelihood`. With delayed entry it
    is that of the event given survival to ``entry``, log f(time) − log S(entry).
    """
    return likelihood_in_rows(log_hazard, patients.arm, patients, grid)


def likelihood_in_rows(log_hazard: np.ndarray, row: np.ndarray, patients: Patients, grid: TimeGrid) -> np.ndarray:
    """Log likelihood by patient, (..., patient), where each has the hazards of a row of (..., row, cause, interval)."""
    total = np.exp(log_hazard).sum(axis=-2)
    exposure = grid.exposure(patients.time, patients.entry)
    result = np.empty((*log_hazard.shape[:-3], len(patients)))
    for which in np.unique(row):
        mine = np.flatnonzero(row == which)
        result[..., mine] = -np.einsum("...j,pj->...p", total[..., which, :], exposure[mine])
    hit = np.flatnonzero(patients.event)
    result[..., hit] += log_hazard[..., row[hit], patients.cause[hit], grid.index(patients.time[hit])]
    return result


@dataclass(frozen=True, eq=False)
class ProportionalHazards(Result):
    """Maximum likelihood of a piecewise-exponential baseline with one hazard ratio.

    Attributes
    ----------
    log_hazard_ratio, standard_error : float
        Experimental over control.
    log_hazard : numpy.ndarray, shape (interval,)
        Control arm.
    """

    log_hazard_ratio: float
    standard_error: float
    log_hazard: np.ndarray

    def table(self) -> pd.DataFrame:
        """Give the hazard ratio with its 95 % Wald limits as one row."""
        import pandas as pd

        half = 1.959964 * self.standard_error
        row = np.exp([self.log_hazard_ratio, self.log_hazard_ratio - half, self.log_hazard_ratio + half])
        return pd.DataFrame([row], columns=["hazard_ratio", "lower", "upper"])

    def summary(self) -> str:
        """Say the hazard ratio with its 95 % Wald limits."""
        ratio, low, high = self.table().iloc[0]
        return f"hazard ratio {ratio:.3g} (95 % {low:.3g} to {high:.3g}) by maximum likelihood"


def maximum_likelihood(events: np.ndarray, exposure: np.ndarray) -> ProportionalHazards:
    """Maximum likelihood of λ_{0j} = α_j, λ_{1j} = α_j·e^β by Newton's method on the profile likelihood of β.

    Given β the baseline is α_j = d_j / (E_{0j} + e^β·E_{1j}), so the score is
    d_1 − Σ_j d_j·p_j and the information Σ_j d_j·p_j·(1 − p_j), where p_j = e^β·E_{1j} / (E_{0j} + e^β·E_{1j}).

    Parameters
    ----------
    events, exposure : numpy.ndarray, shape (2, interval)
        Control first.

    Returns
    -------
    ProportionalHazards
        With β infinite where one arm has no event; the hazard of an interval is NaN where nobody was at risk in it.
    """
    total = events.sum(axis=0)
    experimental = events[1].sum()
    if experimental == 0 or experimental == events.sum():
        sign = -1.0 if experimental == 0 else 1.0
        return ProportionalHazards(sign * np.inf, np.inf, np.full(events.shape[1], np.nan))
    used = total > 0
    beta = 0.0
    for _ in range(100):
        weight = np.exp(beta) * exposure[1, used]
        share = weight / (exposure[0, used] + weight)
        information = np.sum(total[used] * share * (1 - share))
        step = (experimental - np.sum(total[used] * share)) / max(information, 1e-12)
        beta += float(np.clip(step, -2, 2))
        if abs(step) < 1e-12:
            break
    with np.errstate(divide="ignore", invalid="ignore"):
        baseline = np.log(total / (exposure[0] + np.exp(beta) * exposure[1]))
    return ProportionalHazards(beta, float(1 / np.sqrt(information)), baseline)
