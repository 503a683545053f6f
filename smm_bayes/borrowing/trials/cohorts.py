"""The arms of several trials as sufficient statistics, and how each counts its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.grid import EventTable, TimeGrid

ROLES = ("control", "experimental", "single")


@dataclass(frozen=True, eq=False)
class Cohort:
    """One arm of one trial.

    Attributes
    ----------
    trial, regimen : str
    role : str
        ``control``, ``experimental`` or ``single`` (a trial of one arm).
    series : tuple of tuple of str
        What is counted: each series names the causes it counts together. ``(("progression",), ("death",))`` counts
        apart, ``(("progression", "death"),)`` only the first of either.
    events : numpy.ndarray, shape (series, interval)
    exposure : numpy.ndarray, shape (interval,)
        Patient-months at risk.
    endpoint : str
        Name of the offset of its definition of progression; empty where it is that of the analysis.
    population : str
        Name of the offset of its patients' risk; empty where they are like those of the analysis.
    """

    trial: str
    regimen: str
    role: str
    series: tuple[tuple[str, ...], ...]
    events: np.ndarray
    exposure: np.ndarray
    endpoint: str = ""
    population: str = ""

    def __post_init__(self) -> None:
        """Refuse what no arm could give."""
        problems = Problems(f"cohort {self.trial}, {self.regimen}", SpecificationError)
        if self.role not in ROLES:
            problems.add(f"role '{self.role}' is not one of {', '.join(ROLES)}")
        counted = [cause for causes in self.series for cause in causes]
        if not counted or len(set(counted)) < len(counted):
            problems.add("every cause must be counted in one series at most, and one series there must be")
        if self.events.shape != (len(self.series), len(self.exposure)):
            problems.add(f"events must have shape (series, interval) {(len(self.series), len(self.exposure))}; "
                         f"got {self.events.shape}")  # fmt: skip
        elif np.any(self.events < 0) or np.any(self.exposure < 0) or not np.all(np.isfinite(self.exposure)):
            problems.add("events and exposure must be finite and not negative")
        problems.raise_if_any()

    def silent(self) -> Cohort:
        """Give the same arm without events and exposure: it is in the model and says nothing."""
        return replace(self, events=self.events * 0, exposure=self.exposure * 0)


@dataclass(frozen=True, eq=False)
class Trials:
    """Arms of earlier trials and, last, of the current one.

    Attributes
    ----------
    cohorts : tuple of Cohort
        Those of the current trial last: control before experimental, or its single arm.
    grid : TimeGrid
    causes : tuple of str
        The first is what regimens act on (progression); the others compete.
    current : str
        Name of the current trial.
    """

    cohorts: tuple[Cohort, ...]
    grid: TimeGrid
    causes: tuple[str, ...]
    current: str

    def __post_init__(self) -> None:
        """Refuse trials that do not fit together."""
        problems = Problems("trials", SpecificationError)
        for name in self.names:
            roles = [cohort.role for cohort in self.cohorts if cohort.trial == name]
            if roles not in (["control", "experimental"], ["single"]):
                problems.add(f"trial '{name}' has the arms {', '.join(roles)}; give control and then experimental, or "
                             "a single arm")  # fmt: skip
        for cohort in self.cohorts:
            where = f"trial '{cohort.trial}', arm '{cohort.regimen}'"
            if unknown := sorted({c for causes in cohort.series for c in causes} - set(self.causes)):
                problems.add(f"{where} counts {', '.join(unknown)}; the causes are {', '.join(self.causes)}")
            if len(cohort.exposure) != len(self.grid):
                problems.add(f"{where} has {len(cohort.exposure)} intervals; the grid has {len(self.grid)}")
        if not self.names or self.names[-1] != self.current:
            problems.add(f"the current trial '{self.current}' must come last")
        problems.raise_if_any()

    @property
    def names(self) -> tuple[str, ...]:
        """Trials in order."""
        return tuple(dict.fromkeys(cohort.trial for cohort in self.cohorts))

    @property
    def randomised(self) -> tuple[str, ...]:
        """Trials with two arms."""
        return tuple(dict.fromkeys(cohort.trial for cohort in self.cohorts if cohort.role == "experimental"))

    @property
    def regimens(self) -> tuple[str, ...]:
        """Regimens in order of appearance."""
        return tuple(dict.fromkeys(cohort.regimen for cohort in self.cohorts))

    @cached_property
    def rows(self) -> list[tuple[int, int, int]]:
        """Cohort, series and interval of every observed cell."""
        return [(a, s, j) for a, cohort in enumerate(self.cohorts) for s in range(len(cohort.series))
                for j in range(len(self.grid))]  # fmt: skip

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Events and exposure of every observed cell, flat."""
        return (np.array([self.cohorts[a].events[s, j] for a, s, j in self.rows], float),
                np.array([self.cohorts[a].exposure[j] for a, _, j in self.rows], float))  # fmt: skip

    @cached_property
    def counts(self) -> np.ndarray:
        """Whether a cell counts a cause, shape (cell, cause), 0 or 1."""
        return np.array([[float(cause in self.cohorts[a].series[s]) for cause in self.causes] for a, s, _ in self.rows])

    def pooled(self, cohorts: Sequence[Cohort] | None = None) -> EventTable:
        """All arms as one, or some: events of the first cause of each series, and exposure."""
        events, arms = np.zeros((1, len(self.causes), len(self.grid))), self.cohorts if cohorts is None else cohorts
        for cohort in arms:
            for causes, counted in zip(cohort.series, cohort.events, strict=True):
                events[0, self.causes.index(causes[0])] += counted
        exposure = np.sum([cohort.exposure for cohort in arms], axis=0)[None]
        return EventTable(events, exposure, self.grid, ("all",), self.causes)

    def without(self, *names: str) -> Trials:
        """Give the same trials with some of them silent, so that a compiled model can be refitted without them.

        Raises
        ------
        SpecificationError
            When there is no such trial.
        """
        if unknown := sorted(set(names) - set(self.names)):
            raise SpecificationError(f"no trial {', '.join(unknown)}; there are {', '.join(self.names)}")
        return replace(self, cohorts=tuple(c.silent() if c.trial in names else c for c in self.cohorts))

    def with_current(self, table: EventTable, regimens: Mapping[str, str]) -> Trials:
        """Give the same earlier trials with new data of the current one."""
        kept = tuple(cohort for cohort in self.cohorts if cohort.trial != self.current)
        return replace(self, cohorts=(*kept, *cohorts_of(self.current, table, regimens)))

    def __repr__(self) -> str:
        said = []
        for name in self.names:
            arms = [f"{int(c.events.sum())} events in {c.exposure.sum():,.0f} patient-months of {c.regimen}"
                    for c in self.cohorts if c.trial == name]  # fmt: skip
            said.append(f"{name}: {', '.join(arms)}")
        return f"Trials: {'; '.join(said)}"


def cohorts_of(
    trial: str,
    table: EventTable,
    regimens: Mapping[str, str],
    counts: Sequence[Sequence[str]] | None = None,
    endpoint: str | Mapping[str, str] = "",
    population: str = "",
) -> tuple[Cohort, ...]:
    """Arms of a trial from its table.

    Parameters
    ----------
    trial : str
    table : EventTable
        A trial of one arm has it as ``experimental``.
    regimens : mapping of str to str
        By arm of the table.
    counts : sequence of sequence of str, optional
        Series of causes that are counted together; every cause of the table apart if not given. A cause of a series
        that the table does not know adds nothing to it.
    endpoint : str or mapping of str to str
        As in :class:`Cohort`, of both arms or by arm of the table.
    population : str
        As in :class:`Cohort`.
    """
    series = tuple((cause,) for cause in table.causes) if counts is None else tuple(tuple(causes) for causes in counts)
    member = np.array([[cause in causes for cause in table.causes] for causes in series], dtype=float)
    roles = table.arms if len(table.arms) > 1 else ("single",)
    of_arm = dict.fromkeys(table.arms, endpoint) if isinstance(endpoint, str) else endpoint
    return tuple(
        Cohort(trial, regimens[arm], role, series, member @ table.events[index], table.exposure[index],
               of_arm.get(arm, ""), population)
        for index, (arm, role) in enumerate(zip(table.arms, roles, strict=True))
    )
