"""What the model of one global odds ratio needs of the patients: events and exposure, and MRD status by follow-up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.within.landmark import UNKNOWN, Landmark
from smm_bayes.survival.grid import EventTable, TimeGrid


@dataclass(frozen=True, eq=False)
class GlobalOddsTable:
    """Sufficient statistics of MRD status at a landmark and the time to event from there.

    Made by :meth:`of`. Patients who share arm, time and whether it ended in an event are one row.

    Attributes
    ----------
    table : EventTable
        Events and exposure of everybody event-free at the landmark, on the clock of the landmark.
    row_arm : numpy.ndarray of int, shape (row,)
    row_event : numpy.ndarray of bool, shape (row,)
        Whether the row's time ended in an event.
    row_exposure : numpy.ndarray, shape (row, interval)
        Months from the landmark to the row's time.
    row_known, row_negative : numpy.ndarray, shape (row,)
        Patients of known MRD status, and MRD-negative ones among them; 0 in rows that only fill up.
    """

    table: EventTable
    row_arm: np.ndarray
    row_event: np.ndarray
    row_exposure: np.ndarray
    row_known: np.ndarray
    row_negative: np.ndarray

    @classmethod
    def of(cls, landmark: Landmark, grid: TimeGrid, *, rows: int | None = None) -> GlobalOddsTable:
        """Tabulate the patients of a landmark, best one with ``keep_unknown``.

        Parameters
        ----------
        landmark : Landmark
        grid : TimeGrid
            Months from the landmark.
        rows : int, optional
            Fill up to so many rows, so that a compiled model can be refitted to other patients. As many as are needed
            by default; one a patient always suffices.

        Raises
        ------
        SpecificationError
            When ``rows`` are too few, or nobody's status is known.
        """
        patients, known = landmark.patients, landmark.negative != UNKNOWN
        if not known.any():
            raise SpecificationError("nobody's MRD status is known, so the data say nothing of it; give statuses")
        keys = np.column_stack([patients.arm, patients.event, patients.time])[known]
        unique, which = np.unique(keys, axis=0, return_inverse=True)
        size = len(unique) if rows is None else rows
        if size < len(unique):
            raise SpecificationError(
                f"the patients are of {len(unique)} different arms, times and endings, and there are {rows} rows for "
                "them; ask for more rows when the first table is made, and build the model anew"
            )
        fill = (0, size - len(unique))
        counts = (np.bincount(which.ravel(), weights) for weights in (np.ones(known.sum()), landmark.negative[known]))
        arm, event = (np.pad(unique[:, k], fill) for k in (0, 1))
        return cls(grid.tabulate(patients), arm.astype(int), event.astype(bool),
                   np.pad(grid.exposure(unique[:, 2]), (fill, (0, 0))), *(np.pad(n, fill) for n in counts))  # fmt: skip

    def __post_init__(self) -> None:
        """Refuse shapes that no patients could give, and freeze the arrays."""
        rows = len(self.row_known)
        arrays = (self.row_arm, self.row_event, self.row_exposure, self.row_known, self.row_negative)
        shapes = [values.shape for values in arrays]
        if shapes != [(rows,), (rows,), (rows, len(self.table.grid)), (rows,), (rows,)]:
            raise SpecificationError(f"GlobalOddsTable: arrays do not fit each other, with shapes {shapes}; use "
                                     "GlobalOddsTable.of")  # fmt: skip
        for values in arrays:
            values.setflags(write=False)

    def __repr__(self) -> str:
        used = int((self.row_known > 0).sum())
        return (f"GlobalOddsTable: {int(self.row_negative.sum())} of {int(self.row_known.sum())} patients of known "
                f"status MRD-negative; {used} rows used of {len(self.row_known)}; {self.table!r}")  # fmt: skip
