"""A simulated snapshot as a file declares it: every number with the facts it is argued from, or an assumption.

``python -m smm_bayes.analysis.simulation declaration.toml --out folder`` writes the snapshot of a declaration: the
same one every time, since its seed is in the file.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from smm_bayes.analysis.simulated_trial import ARMS, CAUSES, MrdPlan, TrialDesign, simulate_trial
from smm_bayes.errors import Problems, SmmBayesError, SpecificationError
from smm_bayes.reading import read_toml
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.writers import write_adtte, write_mrd


class Section(BaseModel):
    """A part of a declaration: frozen, and refusing keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Argued(Section):
    """A choice, with the facts it is argued from, or what is assumed, or both."""

    facts: list[Annotated[str, Field(min_length=1)]] = []
    assumed: str = ""

    @model_validator(mode="after")
    def _said(self) -> Argued:
        if not self.facts and not self.assumed.strip():
            raise ValueError("names no fact and no assumption; give facts or assumed")
        return self


class ByArm[T](Argued):
    """A choice for each arm."""

    control: T
    experimental: T

    @property
    def pair(self) -> tuple[T, T]:
        """In the order of the arms."""
        return self.control, self.experimental


class Accrual(Argued):
    """When enrolment starts and how fast it is."""

    start: datetime.date
    per_month: float


class Cutoff(Argued):
    """When the data are cut."""

    date: datetime.date


class Milestone(Argued):
    """Share free of progression at a month."""

    month: float
    probability: float


class Definition(Argued):
    """What another definition of progression does to the cumulative hazard."""

    hazard_factor: float


class Ratio(Argued):
    """A hazard ratio."""

    hazard_ratio: float


class Shape(Argued):
    """Hazard in each interval, relative."""

    cuts: list[float]
    relative: list[float]


class Schedule(Argued):
    """Cycles after which MRD is assessed."""

    cycles: list[int]


class Dates(Argued):
    """Length of a cycle, and by how many days an assessment may be early or late."""

    cycle_days: int
    scatter_days: int


class Sensitivity(Argued):
    """Lowest detectable fraction of cells."""

    fraction: float


class Probabilities(Argued):
    """Probabilities in the order of the assessments."""

    probability: list[float]


class MrdSection(Section):
    """MRD: when, how often negative, and what it does."""

    schedule: Schedule
    dates: Dates
    sensitivity: Sensitivity
    negative: ByArm[list[float]]
    stays: Probabilities
    missing: Probabilities
    association: Ratio


class TrialSection(Section):
    """Names."""

    study: str
    patient: str
    files: str
    parameter: str
    arms: dict[Literal["control", "experimental"], str]
    causes: dict[Literal["progression", "death"], str]

    @model_validator(mode="after")
    def _complete(self) -> TrialSection:
        if len(self.arms) < ARMS or len(self.causes) < len(CAUSES):
            raise ValueError("arms names control and experimental, causes names progression and death; add the other")
        return self


class Declaration(Section):
    """A simulated trial as its file declares it: every number with the facts it is argued from, or an assumption."""

    schema_version: Literal[1]
    seed: int
    trial: TrialSection
    planned: ByArm[int]
    block: ByArm[int]
    accrual: Accrual
    cutoff: Cutoff
    free_of_progression: Milestone
    definition: Definition
    effect: Ratio
    shape: Shape
    death: ByArm[list[float]]
    loss: ByArm[float]
    mrd: MrdSection

    @classmethod
    def load(cls, path: str | Path) -> Declaration:
        """Read and validate a declaration.

        Raises
        ------
        SpecificationError
            Naming every problem with its key.
        """
        content = read_toml(path, SpecificationError, what="a declaration")
        problems = Problems(str(path), SpecificationError)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            for found in error.errors():
                problems.add(f"{'.'.join(map(str, found['loc']))}: {found['msg'].removeprefix('Value error, ')}")
        problems.raise_if_any()
        raise AssertionError  # a validation error names at least one problem

    @property
    def design(self) -> TrialDesign:
        """The truth declared.

        With S the published share free of progression, f the factor of the definition and h the hazard ratio, the
        control arm's share is S^f and the experimental arm's S^(f·h).
        """
        mrd = self.mrd
        control = self.free_of_progression.probability**self.definition.hazard_factor
        return TrialDesign(
            trial=self.trial.study, patient=self.trial.patient,
            arm_names=(self.trial.arms["control"], self.trial.arms["experimental"]),
            planned=self.planned.pair, block=self.block.pair, start=self.accrual.start, rate=self.accrual.per_month,
            grid=TimeGrid(self.shape.cuts), shape=tuple(self.shape.relative),
            free_month=self.free_of_progression.month,
            free_of_progression=(control, control**self.effect.hazard_ratio),
            death=tuple(map(tuple, self.death.pair)), loss=self.loss.pair, cutoff=self.cutoff.date,
            mrd=MrdPlan(
                days=tuple(mrd.dates.cycle_days * cycle for cycle in mrd.schedule.cycles),
                scatter=mrd.dates.scatter_days, negative=tuple(map(tuple, mrd.negative.pair)),
                stays=tuple(mrd.stays.probability), missing=tuple(mrd.missing.probability),
                hazard_ratio=mrd.association.hazard_ratio, sensitivity=mrd.sensitivity.fraction,
            ),
        )  # fmt: skip

    def simulate(self) -> Patients:
        """Simulate the snapshot from the declared seed."""
        return simulate_trial(self.design, rng=np.random.default_rng(self.seed))

    def write(self, folder: str | Path) -> Patients:
        """Write the snapshot, ``…_adtte.csv`` and ``…_mrd.csv`` with times in days, and give its patients."""
        patients, trial = self.simulate(), self.trial
        causes = {str(cause): text for cause, text in trial.causes.items()}
        stem = Path(folder) / trial.files
        write_adtte(patients, f"{stem}_adtte.csv", trial.parameter, unit="day", causes=causes)
        write_mrd(patients, f"{stem}_mrd.csv", unit="day")
        return patients


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the snapshot of a declaration."""
    parser = argparse.ArgumentParser(prog="python -m smm_bayes.analysis.simulation", description=main.__doc__)
    parser.add_argument("declaration", type=Path, help="TOML file with the truth, each number with its facts")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two tables")
    given = parser.parse_args(arguments)
    try:
        print(Declaration.load(given.declaration).write(given.out))
    except SmmBayesError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
