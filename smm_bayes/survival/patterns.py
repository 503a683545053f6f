"""Patients with the same arm, stratum, covariates and subgroups are one row: sufficient statistics of a regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.survival.grid import EventTable, TimeGrid

if TYPE_CHECKING:
    from smm_bayes.trial.patients import Patients

MANY = 50  # rows from which the table says what they cost


@dataclass(frozen=True)
class Factor:
    """A classification of patients into subgroups.

    Attributes
    ----------
    name : str
    levels : tuple of str
    """

    name: str
    levels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Profiles:
    """What patients are beside their arm: stratum, covariates and subgroups.

    Attributes
    ----------
    first : numpy.ndarray of int, shape (profile,)
        A row of the table that has the profile.
    patients : numpy.ndarray, shape (profile,)
        Patients of both arms who have it.
    of_row : numpy.ndarray of int, shape (pattern,)
        Profile of each row of the table; -1 for a row left out.
    """

    first: np.ndarray
    patients: np.ndarray
    of_row: np.ndarray


@dataclass(frozen=True, eq=False)
class PatternTable:
    """Events and exposure by pattern: patients who share arm, stratum, covariates and subgroups.

    Attributes
    ----------
    events : numpy.ndarray, shape (pattern, cause, interval)
    exposure : numpy.ndarray, shape (pattern, interval)
        Patient-months at risk.
    grid : TimeGrid
    arms, causes, strata : tuple of str
    arm, stratum : numpy.ndarray of int, shape (pattern,)
        Positions in ``arms`` and ``strata``.
    covariates : numpy.ndarray, shape (pattern, covariate)
    covariate_names : tuple of str
    level : numpy.ndarray of int, shape (pattern, factor)
        Position among the levels of each factor.
    factors : tuple of Factor
    patients : numpy.ndarray of int, shape (pattern,)
        How many share the pattern.
    row : numpy.ndarray of int, shape (patient,)
        Pattern of each patient, in the order in which they were tabulated.
    """

    events: np.ndarray
    exposure: np.ndarray
    grid: TimeGrid
    arms: tuple[str, ...]
    causes: tuple[str, ...]
    strata: tuple[str, ...]
    arm: np.ndarray
    stratum: np.ndarray
    covariates: np.ndarray
    covariate_names: tuple[str, ...]
    level: np.ndarray
    factors: tuple[Factor, ...]
    patients: np.ndarray
    row: np.ndarray

    @classmethod
    def of(
        cls, patients: Patients, grid: TimeGrid, *, strata: bool = False, covariates: Sequence[str] = (),
        subgroups: Sequence[str] = (),
    ) -> PatternTable:  # fmt: skip
        """Tabulate patients; from ``entry`` on where it is delayed.

        Parameters
        ----------
        patients : Patients
        grid : TimeGrid
        strata : bool
            Whether strata are told apart.
        covariates : sequence of str
            Numeric columns of ``patients.covariates``.
        subgroups : sequence of str
            Columns of ``patients.covariates`` whose values are the names of subgroups.

        Raises
        ------
        SpecificationError
            Naming every column that is not there, not a number or not the same everywhere it must be.
        """
        _check(patients, strata, covariates, subgroups)
        count = len(patients)
        names, stratum = _levels(patients.stratum) if strata else (("all",), np.zeros(count, int))
        found = [_levels(patients.covariates[name]) for name in subgroups]
        level = np.array([index for _, index in found], int).reshape(len(found), count).T
        values = np.array([patients.covariates[name] for name in covariates], float).reshape(len(covariates), count).T
        keys = np.column_stack([patients.arm, stratum, level, values])
        _, first, pattern, size = np.unique(keys, axis=0, return_index=True, return_inverse=True, return_counts=True)
        exposure = np.zeros((len(first), len(grid)))
        np.add.at(exposure, pattern, grid.exposure(patients.time, patients.entry))
        events = np.zeros((len(first), len(patients.causes), len(grid)))
        hit = patients.event
        np.add.at(events, (pattern[hit], patients.cause[hit], grid.index(patients.time[hit])), 1.0)
        return cls(
            events, exposure, grid, patients.arms, patients.causes, names, patients.arm[first], stratum[first],
            values[first], tuple(covariates), level[first],
            tuple(Factor(name, levels) for name, (levels, _) in zip(subgroups, found, strict=True)), size,
            pattern.ravel(),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.exposure)

    def only(self, rows: np.ndarray) -> PatternTable:
        """Give some patterns by themselves."""
        names = ("events", "exposure", "arm", "stratum", "covariates", "level", "patients")
        kept = {name: getattr(self, name)[rows] for name in names}
        return replace(self, **kept, row=np.repeat(np.arange(len(rows)), kept["patients"]))

    def profiles(self, within: Mapping[str, str] | None = None) -> Profiles:
        """Patterns alike in all but the arm, of the patients in the subgroups ``within`` (factor to level).

        Raises
        ------
        SpecificationError
            When a subgroup is unknown, or no patient is in it.
        """
        wanted = [f"{factor}: {level}" for factor, level in (within or {}).items()]
        if unknown := [name for name in wanted if name not in self.level_names]:
            raise SpecificationError(f"no subgroup {', '.join(unknown)}; there are "
                                     f"{', '.join(self.level_names) or 'none'}")  # fmt: skip
        inside = np.ones(len(self), bool)
        for name in wanted:
            inside &= (self.level_index == self.level_names.index(name)).any(axis=1)
        if not inside.any():
            raise SpecificationError(f"no patient is within {dict(within or {})}; choose another subgroup")
        keys = np.column_stack([self.stratum, self.level, self.covariates])
        rows = np.flatnonzero(inside)
        _, first, index = np.unique(keys[rows], axis=0, return_index=True, return_inverse=True)
        of_row = np.full(len(self), -1)
        of_row[rows] = index.ravel()
        return Profiles(rows[first], np.bincount(index.ravel(), self.patients[rows]), of_row)

    def by_arm(self) -> EventTable:
        """Events and exposure by arm alone."""
        return self._summed(self.arm, self.arms)

    def by_stratum(self) -> EventTable:
        """Events and exposure by stratum, in the place of arms."""
        return self._summed(self.stratum, self.strata)

    def _summed(self, index: np.ndarray, names: tuple[str, ...]) -> EventTable:
        events = np.zeros((len(names), *self.events.shape[1:]))
        exposure = np.zeros((len(names), len(self.grid)))
        np.add.at(events, index, self.events)
        np.add.at(exposure, index, self.exposure)
        return EventTable(events, exposure, self.grid, names, self.causes)

    @property
    def level_names(self) -> tuple[str, ...]:
        """Every level of every factor, ``factor: level``."""
        return tuple(f"{factor.name}: {level}" for factor in self.factors for level in factor.levels)

    @property
    def level_index(self) -> np.ndarray:
        """Position of each pattern's levels in :attr:`level_names`, shape (pattern, factor)."""
        sizes = [len(factor.levels) for factor in self.factors]
        return self.level + np.cumsum([0, *sizes])[: len(sizes)]

    def __repr__(self) -> str:
        counts = ", ".join(f"{cause} {int(self.events[:, c].sum())}" for c, cause in enumerate(self.causes))
        with_ = [f"{len(self.strata)} strata"] if len(self.strata) > 1 else []
        with_ += [*self.covariate_names, *(f"{factor.name} ({len(factor.levels)})" for factor in self.factors)]
        said = f"PatternTable: {self.patients.sum()} patients in {len(self)} rows by {', '.join([*self.arms, *with_])}"
        said = f"{said}; events {counts}; {self.exposure.sum():,.0f} patient-months"
        if len(self) <= MANY:
            return said
        wide = [f"{name} has {len(np.unique(self.covariates[:, k]))} values"
                for k, name in enumerate(self.covariate_names)]  # fmt: skip
        return f"{said}. A fit takes time in proportion to the rows{': ' if wide else ''}{', '.join(wide)}"


def _levels(column: np.ndarray | None) -> tuple[tuple[str, ...], np.ndarray]:
    assert column is not None
    names, index = np.unique(np.array([str(value) for value in column]), return_inverse=True)
    return tuple(str(name) for name in names), index


def _check(patients: Patients, strata: bool, covariates: Sequence[str], subgroups: Sequence[str]) -> None:
    problems = Problems("patterns", SpecificationError)
    if strata and patients.stratum is None:
        problems.add("the patients have no stratum; read a column STRATUM (or stratum), or leave strata out")
    there = ", ".join(patients.covariates) or "none"
    for name in [*covariates, *subgroups]:
        if name not in patients.covariates:
            problems.add(f"the patients have no covariate '{name}'; there are: {there}")
    for name in covariates:
        column = patients.covariates.get(name)
        if column is not None and (column.dtype == object or not np.all(np.isfinite(column))):
            problems.add(f"covariate '{name}' is not a number for every patient; make it one, or a subgroup")
    if twice := sorted(set(covariates) & set(subgroups)):
        problems.add(f"{', '.join(twice)} named as covariate and as subgroup; choose one")
    problems.raise_if_any()
