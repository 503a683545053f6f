"""How far the hazard ratio and milestones of a digitised figure are from those of the data behind it, by simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.evidence.digitised import AtRisk, DigitisedArm, DigitisedCurve, from_curve
from smm_bayes.results import Result
from smm_bayes.trial.curves import hazard_ratio, kaplan_meier

if TYPE_CHECKING:
    import pandas as pd

KNOWN = (
    ("at risk and events", True, True),
    ("at risk", True, False),
    ("events", False, True),
    ("n only", False, False),
)


@dataclass(frozen=True)
class ErrorRow:
    """Error of one way of reading a figure, over simulated trials.

    Attributes
    ----------
    points : int
        Points digitised on each curve.
    known : str
        What is printed beside the curve.
    log_ratio_bias, log_ratio_rms : float
        Mean and root mean square of log(reconstructed hazard ratio / that of the data).
    milestone_max : float
        Largest error of survival at the milestones.
    curve_rms : float
        Mean RMS distance of the reconstruction to the digitised points.
    events_error : float
        Mean absolute error of an arm's number of events.
    """

    points: int
    known: str
    log_ratio_bias: float
    log_ratio_rms: float
    milestone_max: float
    curve_rms: float
    events_error: float


@dataclass(frozen=True)
class ErrorTable(Result):
    """Rows of errors, one for each number of points and each way of reading."""

    rows: tuple[ErrorRow, ...]
    trials: int

    def table(self) -> pd.DataFrame:
        """Give the table as a pandas frame."""
        import pandas as pd

        return pd.DataFrame([astuple(row) for row in self.rows], columns=[field.name for field in fields(ErrorRow)])

    def summary(self) -> str:
        """Say every row, one a line."""
        return repr(self)

    def __repr__(self) -> str:
        lines = [f"errors of a digitised figure over {self.trials} simulated trials",
                 f"{'points':>6}  {'known':18} {'log HR bias':>11} {'log HR RMS':>10} {'milestone max':>13} "
                 f"{'curve RMS':>9} {'events':>6}"]  # fmt: skip
        for row in self.rows:
            lines.append(f"{row.points:6d}  {row.known:18} {row.log_ratio_bias:11.4f} {row.log_ratio_rms:10.4f} "
                         f"{row.milestone_max:13.4f} {row.curve_rms:9.4f} {row.events_error:6.2f}")  # fmt: skip
        return "\n".join(lines)


def digitise(
    time: np.ndarray, event: np.ndarray, points: int, *, noise: float, rng: np.random.Generator
) -> DigitisedCurve:
    """Read ``points`` points off the Kaplan–Meier curve of patients, evenly in time, with a slip of the hand."""
    curve = kaplan_meier(time, event)
    at = np.linspace(0, float(np.max(time)), points + 1)[1:]
    return DigitisedCurve.of(at, np.clip(curve.at(at) + rng.normal(0, noise, points), 0, 1))


def digitising_error(
    points: Sequence[int] = (20, 50, 200),
    *,
    trials: int = 20,
    n: int = 120,
    noise: float = 0.002,
    rng: np.random.Generator,
) -> ErrorTable:
    """Tabulate the error of Guyot's method by the number of points and what is printed beside the curve.

    Each trial has two arms of ``n`` patients with Weibull event times (shape 1.2; scale 40 and 70 months), uniform
    accrual over 24 months, a data cut at 48 months and a tenth lost; numbers at risk are printed every 6 months.

    Parameters
    ----------
    points : sequence of int
    trials, n : int
    noise : float
        Standard deviation of a point's survival about the curve.
    rng : numpy.random.Generator

    Returns
    -------
    ErrorTable
    """
    found: dict[tuple[int, str], list[tuple[float, ...]]] = {(k, known): [] for k in points for known, _, _ in KNOWN}
    for _ in range(trials):
        arms = [_simulate(n, scale, rng) for scale in (40.0, 70.0)]
        true = hazard_ratio(*arms)
        for k in points:
            curves = [digitise(time, event, k, noise=noise, rng=rng) for time, event in arms]
            for known, table, events in KNOWN:
                made = [
                    from_curve(curve, n=len(arm[0]), at_risk=_at_risk(arm[0]) if table else None,
                               events=int(arm[1].sum()) if events else None)
                    for curve, arm in zip(curves, arms, strict=True)
                ]  # fmt: skip
                found[k, known].append(_errors(arms, made, true))
    rows = []
    for (k, known), values in found.items():
        log_ratio, milestone, distance, count = np.array(values).T
        rows.append(ErrorRow(k, known, float(log_ratio.mean()), float(np.sqrt(np.mean(log_ratio**2))),
                             float(milestone.max()), float(distance.mean()), float(count.mean())))  # fmt: skip
    return ErrorTable(tuple(rows), trials)


def _simulate(n: int, scale: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    happens = scale * rng.weibull(1.2, n)
    censored = 48 - 24 * rng.random(n)
    censored = np.where(rng.random(n) < 0.1, censored * rng.random(n), censored)
    return np.minimum(happens, censored), happens <= censored


def _at_risk(time: np.ndarray) -> AtRisk:
    marks = np.arange(0.0, float(np.max(time)), 6.0)
    return AtRisk(tuple(marks.tolist()), tuple(int((time >= mark).sum()) for mark in marks))


def _errors(
    arms: Sequence[tuple[np.ndarray, np.ndarray]], made: Sequence[DigitisedArm], true: float
) -> tuple[float, ...]:
    ratio = hazard_ratio(*((arm.time, arm.event) for arm in made))
    marks = np.array([12.0, 24.0, 36.0])
    apart = [kaplan_meier(arm.time, arm.event).at(marks) - kaplan_meier(*real).at(marks)
             for real, arm in zip(arms, made, strict=True)]  # fmt: skip
    counts = [abs(arm.events - int(real[1].sum())) for real, arm in zip(arms, made, strict=True)]
    return (float(np.log(ratio / true)), float(np.abs(apart).max()),
            float(np.mean([arm.rms_distance for arm in made])), float(np.mean(counts)))  # fmt: skip
