"""Patients of an earlier trial one by one, as the likelihood of latent classes needs them, and that likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.likelihood import log_likelihood

if TYPE_CHECKING:
    from smm_bayes.trial.patients import Patients


@dataclass(frozen=True, eq=False)
class HistoricalRows:
    r"""Time at risk and event of every earlier patient of one arm. Made by :meth:`of`.

    Patient i with events :math:`d_{icj}` (one at most) and exposure :math:`E_{ij}` has in class k the density
    :math:`\prod_{cj} \lambda_{kcj}^{d_{icj}} e^{-\lambda_{kcj} E_{ij}}`. A product over patients is a function of sums
    by cell; a mixture of classes patient by patient is not, so every patient who differs is a row.

    Attributes
    ----------
    cell : numpy.ndarray of int, shape (row,)
        Cause times the number of intervals plus interval of the event; 0 where censored.
    event : numpy.ndarray, shape (row,)
        1 where there was an event, otherwise 0.
    exposure : numpy.ndarray, shape (row, interval)
        Months at risk.
    count : numpy.ndarray, shape (row,)
        Patients who are alike in all this.
    grid : TimeGrid
    causes : tuple of str
    """

    cell: np.ndarray
    event: np.ndarray
    exposure: np.ndarray
    count: np.ndarray
    grid: TimeGrid
    causes: tuple[str, ...]

    @classmethod
    def of(
        cls, patients: Patients, grid: TimeGrid, causes: tuple[str, ...] | None = None, *, arm: str = "control",
        simulated: bool = False,
    ) -> HistoricalRows:  # fmt: skip
        """Take the patients of one arm.

        Parameters
        ----------
        patients : Patients
            Real ones: which pseudo-patient of a published curve belongs to which class is an accident of the
            reconstruction, not information.
        grid : TimeGrid
        causes : tuple of str, optional
            Which the table must count, in this order; its own by default.
        arm : str
            Whose patients are meant, in a table of more than one arm.
        simulated : bool
            Take simulated patients too. For patients that a simulator drew one by one, as in a calibration; not for
            those simulated to fit a published summary.

        Raises
        ------
        SpecificationError
            When the patients are reconstructed, or simulated where that was not asked for, enter late, count other
            causes or have no such arm.
        """
        with Problems(f"earlier patients of {patients.trial}", SpecificationError).collecting() as problems:
            if patients.provenance == "reconstructed" or (patients.provenance == "simulated" and not simulated):
                problems.add(f"they are {patients.provenance}, and latent classes need real ones: which class a "
                             "pseudo-patient seems to belong to is not information. Borrow their events and exposure "
                             "with a power prior or a hierarchical model")  # fmt: skip
            if patients.delayed.any():
                problems.add(f"{int(patients.delayed.sum())} of them have delayed entry; who survives until entry "
                             "differs between classes, which this likelihood does not know. Leave them out, or take a "
                             "power prior")  # fmt: skip
            if causes is not None and patients.causes != causes:
                problems.add(f"they have the causes {', '.join(patients.causes)}, the current table "
                             f"{', '.join(causes)}; count the same in the same order")  # fmt: skip
            if len(patients.arms) > 1 and arm not in patients.arms:
                problems.add(f"they have the arms {', '.join(patients.arms)}; say which with arm (got {arm!r})")
        mine = np.ones(len(patients), bool)
        if len(patients.arms) > 1:
            mine = patients.arm == patients.arms.index(arm)
        time, event, cause = patients.time[mine], patients.event[mine], patients.cause[mine]
        cell = np.where(event, cause * len(grid) + grid.index(time), 0)
        key, count = np.unique(np.c_[cell, event, grid.exposure(time)], axis=0, return_counts=True)
        return cls(key[:, 0].astype(int), key[:, 1], key[:, 2:], count.astype(float), grid, patients.causes)

    def __post_init__(self) -> None:
        """Refuse shapes that no patients could give, and freeze the arrays."""
        rows, size = len(self.count), len(self.grid)
        shapes = [values.shape for values in (self.cell, self.event, self.exposure)]
        if shapes != [(rows,), (rows,), (rows, size)]:
            raise SpecificationError(f"HistoricalRows: arrays do not fit each other, with shapes {shapes} for {rows} "
                                     f"rows and {size} intervals; use HistoricalRows.of")  # fmt: skip
        for values in (self.cell, self.event, self.exposure, self.count):
            values.setflags(write=False)

    @property
    def patients(self) -> int:
        """Number of patients."""
        return int(self.count.sum())

    @property
    def events(self) -> np.ndarray:
        """Events (cause, interval) of all patients."""
        found = np.zeros(len(self.causes) * len(self.grid))
        np.add.at(found, self.cell, self.event * self.count)
        return found.reshape(len(self.causes), len(self.grid))

    @property
    def months(self) -> np.ndarray:
        """Patient-months at risk (interval,) of all patients."""
        return self.count @ self.exposure

    def __repr__(self) -> str:
        return (f"HistoricalRows: {self.patients} patients in {len(self.count)} rows, {int(self.events.sum())} events, "
                f"{self.months.sum():,.0f} patient-months; they do not collapse to cells, a fit takes time in "
                "proportion to rows")  # fmt: skip


def class_log_density(parameters: Mapping[str, np.ndarray], rows: HistoricalRows) -> np.ndarray:
    """Log of a row's share and density in every class, shape (draw, row, class), in NumPy.

    Parameters
    ----------
    parameters : mapping of str to numpy.ndarray
        Draws first: ``log_hazard`` (draw, arm, cause, interval), of which the first arm's are class 1,
        ``log_hazard_other`` (draw, other, cause, interval) and ``class_share`` (draw, class).
    rows : HistoricalRows
    """
    classes = np.concatenate([parameters["log_hazard"][:, :1], parameters["log_hazard_other"]], axis=1)
    flat = classes.reshape(*classes.shape[:2], -1)
    at_event = np.moveaxis(flat[..., rows.cell], 1, 2) * rows.event[:, None]
    risk = np.einsum("ij,dkj->dik", rows.exposure, np.exp(classes).sum(axis=2))
    with np.errstate(divide="ignore"):
        return np.log(parameters["class_share"])[:, None] + at_event - risk


def memberships(parameters: Mapping[str, np.ndarray], rows: HistoricalRows) -> np.ndarray:
    """Probability that the patients of each row belong to each class, shape (draw, row, class)."""
    from scipy.special import softmax

    return softmax(class_log_density(parameters, rows), axis=-1)


def exchangeable_patients(parameters: Mapping[str, np.ndarray], rows: HistoricalRows) -> np.ndarray:
    """Expected number of earlier patients of the current control arm's class: the patients borrowed, shape (draw,)."""
    return memberships(parameters, rows)[..., 0] @ rows.count


def latent_log_likelihood(
    parameters: Mapping[str, np.ndarray], current: EventTable, rows: HistoricalRows
) -> np.ndarray:  # fmt: skip
    """Log likelihood of the current table and the earlier patients, shape (draw,): twin of the PyMC model's."""
    mixture = np.logaddexp.reduce(class_log_density(parameters, rows), axis=-1) @ rows.count
    return log_likelihood(parameters["log_hazard"], current) + mixture
