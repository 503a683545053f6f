"""Reading the reconstructed patients of an earlier trial into the cohorts of a model, one set a reconstruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from smm_bayes.borrowing.trials.cohorts import Cohort, cohorts_of
from smm_bayes.evidence.made import read_reconstructions
from smm_bayes.survival.grid import TimeGrid


def read_cohorts(
    path: str | Path,
    trial: str,
    arms: Mapping[str, str],
    counts: Sequence[Sequence[str]],
    grid: TimeGrid,
    *,
    endpoint: str | Mapping[str, str] = "",
    population: str = "",
    ignores: Sequence[str] = (),
) -> list[tuple[Cohort, ...]]:
    """Tabulate the reconstructed patients of one earlier trial.

    Parameters
    ----------
    path : path
        As :func:`smm_bayes.evidence.made.read_reconstructions` reads it.
    trial : str
        What to call it.
    arms : mapping of str to str
        Regimen by role: ``control`` and ``experimental``, or ``single``.
    counts : sequence of sequence of str
        Series of causes that are counted. A series without events is information: its patients were at risk.
    grid : TimeGrid
    endpoint : str or mapping of str to str
        Name of the offset of its definition of progression, or by role.
    population : str
        Name of the offset of its patients' risk.
    ignores : sequence of str
        Causes that end a patient's time at risk and are not counted.

    Returns
    -------
    list of tuple of Cohort
        One tuple a reconstruction, control before experimental.

    Raises
    ------
    DataError
        With every problem of the table, a cause that is neither counted nor ignored among them.
    """
    patients = read_reconstructions(path, arms=patient_arms(arms), by="regimen", counts=counts, ignores=ignores)
    of_arm = endpoint if isinstance(endpoint, str) else patient_arms(endpoint)
    return [cohorts_of(trial, grid.tabulate(one), patient_arms(arms), counts, of_arm, population) for one in patients]


def patient_arms(arms: Mapping[str, str]) -> dict[str, str]:
    """Arms by the roles that patients have, where a single arm is ``experimental``."""
    return {"experimental" if role == "single" else role: name for role, name in arms.items()}
