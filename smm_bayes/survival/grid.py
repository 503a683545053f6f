"""The time axis cut into intervals, and the events and exposure that fall into each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import SpecificationError
from smm_bayes.trial.calendar import on_clock

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.trial.patients import Patients


@dataclass(frozen=True)
class TimeGrid:
    """Cut points of the time axis; interval j is (edge j, edge j+1], so an event at a cut ends an interval.

    Parameters
    ----------
    cuts : tuple of float
        Internal cut points in months, positive and strictly increasing; 0 and infinity are added. Empty for
        a single interval, that is an exponential distribution. They are put on the clock, as the patients' times are
        (:func:`~smm_bayes.trial.calendar.on_clock`).

    Examples
    --------
    >>> TimeGrid((6, 12)).labels
    ('(0, 6]', '(6, 12]', '(12, inf)')
    """

    cuts: tuple[float, ...]

    def __init__(self, cuts: Iterable[float] = ()) -> None:
        given = tuple(on_clock(float(cut)) for cut in cuts)
        if any(not 0 < cut < np.inf for cut in given) or any(np.diff(given) <= 0):
            shown = ", ".join(f"{cut:g}" for cut in given)
            raise SpecificationError(
                f"cuts must be positive, finite and strictly increasing; got ({shown}). "
                "Give internal cut points only: 0 and infinity are added for you."
            )
        object.__setattr__(self, "cuts", given)

    @classmethod
    def by_events(
        cls, patients: Patients, intervals: int | None = None, *, causes: tuple[str, ...] | None = None, least: int = 8
    ) -> TimeGrid:
        """Cut at quantiles of the event times, so that every interval holds about as many events.

        Looking at the data to choose cuts is for exploring: a pre-specified analysis names them by hand.

        Parameters
        ----------
        patients : Patients
        intervals : int, optional
            As many as leave ``least`` events to each if not given, from 1 to 12.
        causes : tuple of str, optional
            Causes that count; all of them by default.
        least : int
            Events an interval should hold.

        Raises
        ------
        SpecificationError
            When there are fewer events than intervals.
        """
        counted = patients.count_only(*causes) if causes else patients
        times = np.sort(counted.time[counted.event])
        number = intervals if intervals is not None else int(np.clip(len(times) // least, 1, 12))
        if number < 1 or len(times) < number:
            raise SpecificationError(f"{len(times)} events cannot be shared by {number} intervals; ask for fewer")
        cuts = times[np.ceil(np.arange(1, number) * len(times) / number).astype(int) - 1]
        return cls(np.unique(cuts[(cuts > 0) & (cuts < times[-1])]))

    def __len__(self) -> int:
        return len(self.cuts) + 1

    @property
    def edges(self) -> np.ndarray:
        """0, the cuts, infinity."""
        return np.array([0.0, *self.cuts, np.inf])

    @property
    def starts(self) -> np.ndarray:
        """Where each interval starts."""
        return self.edges[:-1]

    @property
    def ends(self) -> np.ndarray:
        """Where each interval ends; the last, which has no end, counts as wide as the one before (1 if it is alone)."""
        last = np.diff(self.edges[-3:-1])[0] if self.cuts else 1.0
        return np.array([*self.cuts, self.starts[-1] + last])

    @property
    def middles(self) -> np.ndarray:
        """Middle of each interval, the last as in :attr:`ends`."""
        return (self.starts + self.ends) / 2

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the intervals."""
        edges = [f"{edge:g}" for edge in self.edges]
        return tuple(f"({low}, {high})" if high == "inf" else f"({low}, {high}]" for low, high in pairwise(edges))

    def index(self, time: np.ndarray) -> np.ndarray:
        """Interval of each time; time 0 belongs to the first, a cut point to the interval that it ends."""
        return np.searchsorted(np.asarray(self.cuts), on_clock(np.asarray(time, dtype=float)), side="left")

    def exposure(self, time: np.ndarray, entry: np.ndarray | float | None = None) -> np.ndarray:
        """Time at risk from ``entry`` (0 if None) by interval, shape (..., interval); rows sum to ``time - entry``."""
        edges = self.edges
        upper = np.minimum(np.asarray(time, dtype=float)[..., None], edges[1:])
        lower = np.maximum(np.asarray(0.0 if entry is None else entry, dtype=float)[..., None], edges[:-1])
        return np.maximum(upper - lower, 0.0)

    def tabulate(self, patients: Patients) -> EventTable:
        """Count events by arm, cause and interval, and sum the exposure by arm and interval, from entry on."""
        arms, causes, size = len(patients.arms), len(patients.causes), len(self)
        exposure = np.zeros((arms, size))
        np.add.at(exposure, patients.arm, self.exposure(patients.time, patients.entry))
        events = np.zeros((arms, causes, size))
        hit = patients.event
        np.add.at(events, (patients.arm[hit], patients.cause[hit], self.index(patients.time[hit])), 1.0)
        return EventTable(events, exposure, self, patients.arms, patients.causes)


@dataclass(frozen=True, eq=False)
class EventTable:
    """Events and exposure by arm, cause and interval: the sufficient statistics of a piecewise-constant hazard.

    Attributes
    ----------
    events : numpy.ndarray, shape (arm, cause, interval)
    exposure : numpy.ndarray, shape (arm, interval)
        Patient-months at risk; all causes share it.
    grid : TimeGrid
    arms, causes : tuple of str
    """

    events: np.ndarray
    exposure: np.ndarray
    grid: TimeGrid
    arms: tuple[str, ...]
    causes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse shapes and values that no table of patients could give."""
        shape = (len(self.arms), len(self.causes), len(self.grid))
        if self.events.shape != shape or self.exposure.shape != (shape[0], shape[2]):
            raise SpecificationError(
                f"events must have shape (arm, cause, interval) = {shape} and exposure (arm, interval); "
                f"got {self.events.shape} and {self.exposure.shape}"
            )
        if np.any(self.events < 0) or np.any(self.exposure < 0) or not np.all(np.isfinite(self.exposure)):
            raise SpecificationError("events and exposure must be finite and not negative; tabulate patients anew")
        self.events.setflags(write=False)
        self.exposure.setflags(write=False)

    @property
    def cell_exposure(self) -> np.ndarray:
        """Exposure repeated for every cause, shape (arm, cause, interval)."""
        return np.broadcast_to(self.exposure[:, None, :], self.events.shape)

    def to_dataset(self) -> xr.Dataset:
        """Give the table as an xarray Dataset with named dims."""
        import xarray as xr

        return xr.Dataset(
            {"events": (("arm", "cause", "interval"), self.events),
             "exposure": (("arm", "interval"), self.exposure, {"unit": "patient-months"})},
            coords={"arm": list(self.arms), "cause": list(self.causes), "interval": list(self.grid.labels)},
        )  # fmt: skip

    def __repr__(self) -> str:
        parts = [f"{cause} {int(self.events[:, index].sum())}" for index, cause in enumerate(self.causes)]
        return (f"EventTable: {' x '.join(str(n) for n in self.events.shape)} (arm, cause, interval); events "
                f"{', '.join(parts)}; {self.exposure.sum():,.0f} patient-months")  # fmt: skip

    def _repr_html_(self) -> str:
        rows: list[list[object]] = []
        for a, arm in enumerate(self.arms):
            rows += [[arm, cause, *map(int, self.events[a, c])] for c, cause in enumerate(self.causes)]
            rows.append([arm, "patient-months", *(f"{months:,.0f}" for months in self.exposure[a])])
        return markup.table(rows, head=["", "", *self.grid.labels], labels=2)
