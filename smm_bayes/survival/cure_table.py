"""What a mixture cure likelihood needs of the patients: events, exposure, and unique times without the event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.grid import EventTable, TimeGrid

if TYPE_CHECKING:
    from smm_bayes.trial.patients import Patients


@dataclass(frozen=True, eq=False)
class CureTable:
    r"""Sufficient statistics of a mixture cure model of one cause.

    Made by :meth:`of`. The curable event at t adds :math:`\log(1-\pi) + \log\lambda(t) - H(t)`: events and
    exposure do. Everyone else adds :math:`\log S(t)`, who enters at u subtracts :math:`\log S(u)`, and with
    :math:`S = \pi + (1-\pi)e^{-H}` that is not linear in the exposure: each unique time is a row with a count.

    Attributes
    ----------
    table : EventTable
        All causes, exposure from entry on.
    curable : str
        Cause that a share is cured of.
    spent : numpy.ndarray, shape (arm, interval)
        Patient-months from time zero to the event of those with the curable event.
    row_arm : numpy.ndarray of int, shape (row,)
    row_exposure : numpy.ndarray, shape (row, interval)
        Months from time zero to the row's time.
    row_count : numpy.ndarray, shape (row,)
        Patients without the curable event until then, less those who entered then; 0 in rows that only fill up.
    """

    table: EventTable
    curable: str
    spent: np.ndarray
    row_arm: np.ndarray
    row_exposure: np.ndarray
    row_count: np.ndarray

    @classmethod
    def of(cls, patients: Patients, grid: TimeGrid, curable: str, *, rows: int | None = None) -> CureTable:
        """Tabulate patients.

        Parameters
        ----------
        patients : Patients
        grid : TimeGrid
        curable : str
            One of the patients' causes.
        rows : int, optional
            Fill up to so many rows, so that a compiled model can be refitted to other patients. As many as are
            needed by default; one a patient, two with delayed entry, always suffice.

        Raises
        ------
        SpecificationError
            When the cause is unknown, or ``rows`` are too few.
        """
        if curable not in patients.causes:
            raise SpecificationError(f"curable must be one of {', '.join(patients.causes)}; got {curable!r}")
        hit = patients.cause == patients.causes.index(curable)
        spent = np.zeros((len(patients.arms), len(grid)))
        np.add.at(spent, patients.arm[hit], grid.exposure(patients.time[hit]))
        arm, time, count = _rows(patients, hit)
        size = len(time) if rows is None else rows
        if size < len(time):
            raise SpecificationError(
                f"the patients have {len(time)} unique times (by arm) without the event, and there are {rows} rows for "
                "them; ask for more rows when the first table is made, and build the model anew"
            )
        fill = (0, size - len(time))
        exposure = np.pad(grid.exposure(time), (fill, (0, 0)))
        return cls(grid.tabulate(patients), curable, spent, np.pad(arm, fill), exposure, np.pad(count, fill))

    def __post_init__(self) -> None:
        """Refuse shapes that no patients could give, and freeze the arrays."""
        rows, size = len(self.row_count), len(self.table.grid)
        shapes = [values.shape for values in (self.spent, self.row_arm, self.row_exposure)]
        if shapes != [self.table.exposure.shape, (rows,), (rows, size)] or self.curable not in self.table.causes:
            raise SpecificationError(f"CureTable: arrays do not fit each other, with shapes {shapes}; use CureTable.of")
        for values in (self.spent, self.row_arm, self.row_exposure, self.row_count):
            values.setflags(write=False)

    @property
    def events(self) -> np.ndarray:
        """Curable events (arm, interval)."""
        return self.table.events[:, self.table.causes.index(self.curable)]

    @property
    def others(self) -> EventTable | None:
        """Table of the causes that nobody is cured of; None where there is none."""
        table = self.table
        kept = [index for index, cause in enumerate(table.causes) if cause != self.curable]
        if not kept:
            return None
        causes = tuple(table.causes[index] for index in kept)
        return EventTable(table.events[:, kept], table.exposure, table.grid, table.arms, causes)

    @property
    def other_causes(self) -> tuple[str, ...]:
        """Causes that nobody is cured of."""
        return tuple(cause for cause in self.table.causes if cause != self.curable)

    def __repr__(self) -> str:
        used = int((self.row_count != 0).sum())
        return (f"CureTable: {self.curable} curable, {int(self.events.sum())} events; {used} unique times without it "
                f"in {len(self.row_count)} rows; {self.table!r}")  # fmt: skip


def _rows(patients: Patients, hit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arm, time and count of every unique time without the event, and of entry (counted down)."""
    late = patients.delayed
    entry = np.empty(0) if patients.entry is None else patients.entry[late]
    keys = np.concatenate([
        np.stack([patients.arm[~hit], patients.time[~hit]], axis=1),
        np.stack([patients.arm[late], entry], axis=1),
    ])  # fmt: skip
    unique, which = np.unique(keys, axis=0, return_inverse=True)
    count = np.zeros(len(unique))
    np.add.at(count, which.ravel(), np.repeat([1.0, -1.0], [int((~hit).sum()), int(late.sum())]))
    used = (count != 0) & (unique[:, 1] > 0)
    return unique[used, 0].astype(int), unique[used, 1], count[used]
