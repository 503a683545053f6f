"""Many reconstructions of one declaration: made, compared with their summaries, written and read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.evidence.declared import Declaration
from smm_bayes.evidence.pairs import HazardRatioRange
from smm_bayes.evidence.pseudo import PseudoArm, _shown, check
from smm_bayes.evidence.reconstruct import reconstruct
from smm_bayes.files import write_csv, write_whole
from smm_bayes.trial.patients import Patients
from smm_bayes.trial.readers import read_frame
from smm_bayes.trial.table import Table, read_csv, require

COLUMNS = ("reconstruction", "patient", "trial", "arm", "regimen", "time", "event", "cause", "censoring", "enrolled",
           "provenance")  # fmt: skip
CAUSES = ("progression", "death")


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """Reconstructions of the arms of one trial, cut and endpoint.

    Attributes
    ----------
    declaration : Declaration
    arms : dict of str to tuple of PseudoArm
        By role; reconstruction r is the r-th of each.
    seed : int
    """

    declaration: Declaration
    arms: dict[str, tuple[PseudoArm, ...]]
    seed: int

    @property
    def number(self) -> int:
        """How many reconstructions there are."""
        return len(self.arms["experimental"])

    @property
    def hazard_ratios(self) -> HazardRatioRange | None:
        """Range of the hazard ratio over all pairs of arms; None for one arm."""
        if "control" not in self.arms:
            return None
        return HazardRatioRange.of(self.arms["control"], self.arms["experimental"])

    def rows(self) -> list[tuple[str, str, float, float, float, int]]:
        """Arm, number, target, lowest and highest achieved, and in how many reconstructions it is met."""
        found = []
        for arms in self.arms.values():
            for checks in zip(*(check(arm).rows for arm in arms), strict=True):
                values = [row.achieved for row in checks]
                found.append((arms[0].summary.arm, checks[0].what, checks[0].target, min(values), max(values),
                              sum(row.within for row in checks)))  # fmt: skip
        return found

    def open_counts(self) -> str:
        """What the summaries leave open and differs between reconstructions, in words."""
        parts = []
        for arms in self.arms.values():
            events = [int(arm.event.sum()) for arm in arms]
            lost = [int((arm.censoring == "lost").sum()) for arm in arms]
            parts.append(f"{arms[0].summary.arm}: {_span(events)} events, {_span(lost)} lost before the data cut")
        return "; ".join(parts)

    def __repr__(self) -> str:
        rows = self.rows()
        arm, what = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
        heads = ("target", "lowest", "highest", "lowest diff", "highest diff")
        lines = [f"{self.declaration.name}: {self.number} reconstructions, seed {self.seed}",
                 f"{'':{arm}}  {'':{what}} " + " ".join(f"{head:>12}" for head in heads) + "  met in"]  # fmt: skip
        for name, label, target, low, high, met in rows:
            apart = [0.0 if value == target else value - target for value in (low, high)]
            values = " ".join(f"{_shown(x):>12}" for x in (target, low, high, *apart))
            lines.append(f"{name:{arm}}  {label:{what}} {values}  {met} of {self.number}")
        lines.append(f"left open: {self.open_counts()}")
        return "\n".join(lines)

    def lines(self) -> Iterator[tuple[object, ...]]:
        """Rows of the table of patients."""
        for number in range(self.number):
            for role, arms in self.arms.items():
                arm, regimen = arms[number], self.declaration.regimens[role]
                width = len(str(len(arm)))
                for i in range(len(arm)):
                    yield (number + 1, f"{role[0].upper()}{i + 1:0{width}d}", arm.summary.trial, arm.summary.arm,
                           regimen, f"{arm.time[i]:.2f}", int(arm.cause[i] != ""), arm.cause[i], arm.censoring[i],
                           f"{arm.enrolled[i]:.2f}", "reconstructed")  # fmt: skip

    def origin(self) -> dict[str, object]:
        """What the patients were made from, for the file beside them."""
        declared, ratios = self.declaration, self.hazard_ratios
        first = self.arms["experimental"][0].summary
        window = first.follow_up
        return {
            "name": declared.name, "trial": first.trial, "endpoint": first.endpoint, "provenance": "reconstructed",
            "number": self.number, "seed": self.seed, "note": declared.note,
            "facts": declared.trust,
            "follow_up": {**{name: round(getattr(window, name), 2) for name in ("low", "high", "accrual", "cutoff")},
                          "median": window.median, "assumed": declared.assumed},
            "lost_at_most": {arms[0].summary.arm: arms[0].summary.lost for arms in self.arms.values()},
            "left_open": self.open_counts(),
            "met": [{"arm": arm, "what": what, "target": _finite(target), "lowest": _finite(low),
                     "highest": _finite(high), "within_print": met}
                    for arm, what, target, low, high, met in self.rows()],
            "hazard_ratio": None if ratios is None else {
                "published": declared.hazard_ratio.value if declared.hazard_ratio else None,
                "fact": declared.hazard_ratio.id if declared.hazard_ratio else None, "pairs": ratios.pairs,
                "min": round(ratios.minimum, 3), "q05": round(ratios.lower, 3), "median": round(ratios.median, 3),
                "q95": round(ratios.upper, 3), "max": round(ratios.maximum, 3)},
        }  # fmt: skip

    def write(self, folder: Path) -> list[Path]:
        """Write the patients (CSV) and what they were made from (JSON), each under a temporary name, then moved."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            origin = json.dumps(self.origin(), indent=1) + "\n"
            return [write_csv(folder / f"{self.declaration.name}.csv", COLUMNS, self.lines()),
                    write_whole(folder / f"{self.declaration.name}.json", origin)]  # fmt: skip
        except OSError as error:
            raise DataError(f"{folder}: cannot be written ({error.strerror}); give another folder") from None


def _span(values: list[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _finite(value: float) -> float | str:
    return "not reached" if np.isinf(value) else round(value, 4)


def make(declaration: Declaration, *, seed: int | None = None, number: int | None = None) -> Reconstructions:
    """Make the pseudo-patients of a declaration, the same for the same seed.

    Parameters
    ----------
    declaration : Declaration
    seed, number : int, optional
        The declaration's own if not given. Reconstruction r does not depend on how many there are.

    Raises
    ------
    DataError
        If a summary cannot be met.
    """
    seed = declaration.seed if seed is None else seed
    number = declaration.number if number is None else number
    arms: dict[str, list[PseudoArm]] = {role: [] for role in declaration.summaries}
    for r in range(1, number + 1):
        rng = np.random.default_rng([seed, r])
        for role, summary in declaration.summaries.items():
            arms[role].append(reconstruct(summary, rng=rng))
    return Reconstructions(declaration, {role: tuple(made) for role, made in arms.items()}, seed)


def read_reconstructions(path: str | Path, *, arms: Mapping[str, str]) -> tuple[Patients, ...]:
    """Read a table of reconstructions, one :class:`~smm_bayes.trial.patients.Patients` each.

    Parameters
    ----------
    path : str or Path
        Written by :meth:`Reconstructions.write`.
    arms : mapping of str to str
        Role (``control``, ``experimental``) to the name in column ``arm``; only ``experimental`` for one arm.

    Returns
    -------
    tuple of Patients
        With provenance ``reconstructed``; a cause ``death`` stands apart from ``progression`` where there is one.

    Raises
    ------
    DataError
        Naming every problem of the first reconstruction that has any.
    """
    table = read_csv(path)
    problems = Problems(table.name)
    roles = [("reconstruction", "its number"), ("trial", "the trial"), ("cause", "the cause of the event")]
    require(table, roles, problems)
    problems.raise_if_any()
    there = set(table.cells("cause")) - {""}
    causes = [cause for cause in CAUSES if cause in there] + sorted(there - set(CAUSES))
    trial = table.cells("trial")[0]
    numbers = dict.fromkeys(table.cells("reconstruction"))
    return tuple(_read_one(table, number, arms, causes, trial) for number in numbers)


def _read_one(table: Table, number: str, arms: Mapping[str, str], causes: list[str], trial: str) -> Patients:
    chosen = table.take([cell == number for cell in table.cells("reconstruction")])
    return read_frame(chosen, arms=arms, causes=causes or None, trial=trial, provenance="reconstructed")
