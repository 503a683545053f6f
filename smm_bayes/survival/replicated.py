r"""Data beside data replicated from the posterior of a piecewise-exponential model.

A discrepancy T between data y (events d in exposure E by arm, cause and interval) and the hazards fitted to them is
compared with that of replicated data and the hazards fitted to those,

.. math:: p = P\{T(y', \hat\lambda(y')) \ge T(y, \hat\lambda(y)) \mid y\}, \quad
          \lambda \sim p(\lambda \mid y),\ y' \sim p(y \mid \lambda).

With the posterior mean of :math:`\sqrt\lambda` for :math:`\sqrt{\hat\lambda}(y)`, the fit is repeated to first order,

.. math:: \sqrt{\hat\lambda}(y') = \sqrt{\hat\lambda}(y) + \mathrm{Cov}(\sqrt\lambda \mid y)\, \{s(y') - s(y)\},
          \quad s = 2\,(d / \sqrt{\hat\lambda} - E \sqrt{\hat\lambda}),

which knows of model, prior and borrowing only through the covariance of the hazards. The usual posterior predictive
p-value leaves out this step: the data are then nearer to their hazards than replicated data are, having been fitted,
and p stays near a half whether the model fits or not. With it p is close to uniform if the model is true, or somewhat
nearer to a half for residuals and where most cells hold few events; a strong prior against the data is a misfit too.

References
----------
Robins JM, van der Vaart A, Ventura V. J Am Stat Assoc 2000;95:1143-56, doi:10.1080/01621459.2000.10474310, and Hjort
NL, Dahl FA, Steinbakk GH. J Am Stat Assoc 2006;101:1157-74, doi:10.1198/016214505000001393 (why p-values need the fit
repeated). Cox DR, Snell EJ. J R Stat Soc B 1968;30:248-75, doi:10.1111/j.2517-6161.1968.tb00724.x (residuals).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.results import Result, plot_intervals
from smm_bayes.survival.grid import EventTable, TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential
from smm_bayes.trial.curves import SurvivalCurve, kaplan_meier, product_limit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

    from smm_bayes.trial.patients import Patients

MIN_P = 0.05
FINER = 2  # times that the limit of a p-value holds the smallest p-value there can be, at least
CELLS = 8  # intervals in which events are counted, at least
LEAST = 0.2  # of its mean that the root of a refitted hazard is taken to be
POINTS = 201  # of a curve in a figure
MOST = 8000  # hazards of a model whose fit can be repeated
DIMS = ("chain", "draw", "arm", "cause", "interval")


@dataclass(frozen=True, eq=False)
class Discrepancy:
    """A discrepancy of the data from the model, and those of replicated data.

    Attributes
    ----------
    observed : float
    replicated : numpy.ndarray, shape (draw,)
    """

    observed: float
    replicated: np.ndarray

    @property
    def p_value(self) -> float:
        """Probability that data of the model are at least as far from their fit, the data counted among them."""
        return float((1 + np.sum(self.replicated >= self.observed)) / (1 + len(self.replicated)))


@dataclass(frozen=True, eq=False)
class PredictiveCheck(Result):
    """Data beside data replicated from the posterior.

    Attributes
    ----------
    events : pandas.DataFrame
        As :func:`events_check` gives it, of cells with exposure.
    discrepancies : dict of str to Discrepancy
        ``events``: Σ (d − λE)² / (λE + ½) over cells; ``residuals: cause, arm``: :func:`residual_distance`.
    residual_curves : dict of (str, str) to pandas.DataFrame
        By cause and arm, Kaplan–Meier of the Cox–Snell residuals minus exp(−x): ``observed``, and ``lower`` and
        ``upper`` 95 % limits of replicated data, by 1 − exp(−x).
    survival_curves : dict of str to pandas.DataFrame
        By arm, ``observed`` Kaplan–Meier curve and ``lower``, ``middle`` and ``upper`` pointwise 95 % limits of
        replicated curves, by time.
    """

    events: pd.DataFrame
    discrepancies: dict[str, Discrepancy]
    residual_curves: dict[tuple[str, str], pd.DataFrame]
    survival_curves: dict[str, pd.DataFrame]

    @property
    def inside(self) -> np.ndarray:
        """Whether each cell's events are inside their 95 % limits."""
        return self.events["observed"].between(self.events["lower"], self.events["upper"]).to_numpy()

    @property
    def p_values(self) -> dict[str, float]:
        """P-value of every discrepancy by itself."""
        return {name: one.p_value for name, one in self.discrepancies.items()}

    @property
    def least_p_value(self) -> float:
        """What a p-value must not be below: 5 % over their number."""
        return MIN_P / len(self.discrepancies)

    @property
    def misfits(self) -> list[str]:
        """Discrepancies that are too large for their number."""
        return [name for name, p in self.p_values.items() if p < self.least_p_value]

    def table(self) -> pd.DataFrame:
        """Give every cell as a row: events observed, and predicted with their 95 % limits."""
        return self.events

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw predicted events with their 95 % limits, and observed events as crosses, one row a cell."""
        axes = plot_intervals(self.events, ax, middle="predicted", xlabel="events")
        axes.plot(self.events["observed"], np.arange(len(self.events))[::-1], "x", color="black")
        return axes

    def summary(self) -> str:
        """Say what fits and what does not, with the cells that :attr:`events` holds."""
        smallest = f"smallest of {len(self.discrepancies)} p-values {min(self.p_values.values()):.2g}"
        inside = f"events of {self.inside.sum()} of {len(self.inside)} cells inside their 95 % limits"
        verdict = "The data look like data from the model"
        if self.misfits:
            found = [f"{name} (p {self.p_values[name]:.2g})" for name in self.misfits]
            verdict = f"The model does not fit {listed(found)}"
        return f"{verdict} ({smallest}; {inside})."


def predictive_check(
    log_hazard: np.ndarray, patients: Patients, grid: TimeGrid, *, rng: np.random.Generator, draws: int = 400,
    row: np.ndarray | None = None,
) -> PredictiveCheck:  # fmt: skip
    """Compare the patients with patients replicated from draws of the hazards.

    Events are counted in the model's intervals, each cut in equal parts where there are fewer than eight: in its own
    intervals a model of free hazards fits always.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (draw, arm, cause, interval)
        Or (draw, row, cause, interval).
    patients : Patients
    grid : TimeGrid
        Of the hazards.
    rng : numpy.random.Generator
    draws : int
        Replicated data sets, from draws evenly spaced; mean and covariance of the hazards are of all. More where there
        are so many discrepancies that the smallest p-value there can be would be too large to fail.
    row : numpy.ndarray of int, shape (patient,), optional
        Which hazards each patient has; those of the arm by default. What is compared is summed by arm.

    Raises
    ------
    SpecificationError
        When there are more than 8000 hazards: their covariance would not fit in memory.
    """
    row = patients.arm if row is None else row
    if log_hazard[0].size > MOST:
        raise SpecificationError(f"the model has {log_hazard[0].size:,} hazards; data can be replicated for {MOST:,}: "
                                 "give covariates fewer values")  # fmt: skip
    cells = _cut_finer(grid, float(patients.time.max()))
    refit = _Refit.of(log_hazard, patients, grid, cells, row)
    seen = _measure(patients.time, patients.cause, patients, refit)
    number = max(min(draws, len(log_hazard)), round(FINER * len(seen.discrepancies) / MIN_P))
    kept = log_hazard[np.linspace(0, len(log_hazard) - 1, number).astype(int)]
    pairs = zip(*replicate(kept, patients, grid, rng=rng, row=row), strict=True)
    replicated = [_measure(time, cause, patients, refit) for time, cause in pairs]
    table = _tabulate(patients.time, patients.cause, patients, cells)
    events = _counted(refit.expected(np.exp(kept[..., refit.interval]), patients.time, patients), table, rng=rng)
    return PredictiveCheck(
        events=events[table.cell_exposure.ravel() > 0],
        discrepancies={
            name: Discrepancy(value, np.array([one.discrepancies[name] for one in replicated]))
            for name, value in seen.discrepancies.items()
        },
        residual_curves={
            key: _residual_band(curve, [one.residuals[key] for one in replicated], seen.reach[key])
            for key, curve in seen.residuals.items()
        },
        survival_curves={
            name: _survival_band(curve, [one.survival[name] for one in replicated], patients)
            for name, curve in seen.survival.items()
        },
    )


@dataclass(frozen=True, eq=False)
class _Refit:
    """Hazards fitted to any data of the same patients, to first order (see the module)."""

    root: np.ndarray  # posterior mean of the root of the hazards, (arm, cause, interval)
    covariance: np.ndarray  # of the roots of all hazards
    score: np.ndarray  # of the data
    cells: TimeGrid
    interval: np.ndarray  # of the model, of each interval of ``cells``
    row: np.ndarray  # whose hazards each patient has

    @classmethod
    def of(
        cls, log_hazard: np.ndarray, patients: Patients, grid: TimeGrid, cells: TimeGrid, row: np.ndarray | None = None
    ) -> _Refit:
        roots = np.exp(log_hazard / 2)
        covariance = np.atleast_2d(np.cov(roots.reshape(len(roots), -1), rowvar=False))
        root, row = roots.mean(axis=0), patients.arm if row is None else row
        start = cls(root, covariance, np.zeros(root.size), cells, grid.index(cells.edges[1:]), row)
        return replace(start, score=start.score_of(patients.time, patients.cause, patients))

    def score_of(self, time: np.ndarray, cause: np.ndarray, patients: Patients) -> np.ndarray:
        """Derivative of the log likelihood by every root, 2 (d / √λ − √λ E)."""
        first = np.searchsorted(self.interval, np.arange(self.root.shape[-1]))
        counts = _count(time, cause, patients, self.cells, self.row, self.root.shape[:2])
        events, exposure = (np.add.reduceat(part, first, axis=-1) for part in counts)
        return (2 * (events / self.root - exposure[:, None] * self.root)).ravel()

    def hazards(self, time: np.ndarray, cause: np.ndarray, patients: Patients) -> np.ndarray:
        """Hazards fitted to other data, in every cell: (row, cause, cell)."""
        step = self.covariance @ (self.score_of(time, cause, patients) - self.score)
        return np.maximum(self.root + step.reshape(self.root.shape), LEAST * self.root)[..., self.interval] ** 2

    def expected(self, hazards: np.ndarray, time: np.ndarray, patients: Patients) -> np.ndarray:
        """Events that hazards (..., row, cause, cell) let expect of these times at risk: (..., arm, cause, cell)."""
        exposure = self.cells.exposure(time, _entry(patients))
        found = np.zeros((*hazards.shape[:-3], len(patients.arms), *hazards.shape[-2:]))
        for arm, row in sorted(set(zip(patients.arm.tolist(), self.row.tolist(), strict=True))):
            mine = (patients.arm == arm) & (self.row == row)
            found[..., arm, :, :] += hazards[..., row, :, :] * exposure[mine].sum(axis=0)
        return found


@dataclass(frozen=True, eq=False)
class _Measured:
    """What is compared, of one data set."""

    discrepancies: dict[str, float]
    residuals: dict[tuple[str, str], SurvivalCurve]
    reach: dict[tuple[str, str], float]  # fitted probability to which residuals are compared
    survival: dict[str, SurvivalCurve]


def _measure(time: np.ndarray, cause: np.ndarray, patients: Patients, refit: _Refit) -> _Measured:
    entry = _entry(patients)
    table = _tabulate(time, cause, patients, refit.cells)
    hazards = refit.hazards(time, cause, patients)
    exposure = refit.cells.exposure(time, entry)
    discrepancies = {"events": _chi_square(table.events, refit.expected(hazards, time, patients))}
    residuals, reach, survival = {}, {}, {}
    for a, arm in enumerate(patients.arms):
        rows = patients.arm == a
        if not rows.any():
            continue
        survival[arm] = kaplan_meier(time[rows], cause[rows] >= 0, entry[rows] if entry.any() else None)
        for c, name in enumerate(patients.causes):
            residual = (exposure[rows] * hazards[refit.row[rows], c]).sum(axis=1)
            curve = residuals[name, arm] = product_limit(residual, cause[rows] == c)
            last = _last(residual)
            discrepancies[f"residuals: {name}, {arm}"] = _distance(curve, last)
            reach[name, arm] = -np.expm1(-last)
    return _Measured(discrepancies, residuals, reach, survival)


def _residual_band(observed: SurvivalCurve, replicated: list[SurvivalCurve], reach: float) -> pd.DataFrame:
    probability = np.linspace(0.0, min(reach, 1 - 1e-12), POINTS)
    at = -np.log1p(-probability)
    curves = np.array([curve.at(at) + probability - 1 for curve in replicated])
    return _band(observed.at(at) + probability - 1, curves, "probability", probability)


def _survival_band(observed: SurvivalCurve, replicated: list[SurvivalCurve], patients: Patients) -> pd.DataFrame:
    at = np.linspace(0.0, float(np.quantile(patients.time, 0.98)), POINTS)
    return _band(observed.at(at), np.array([curve.at(at) for curve in replicated]), "time", at)


def _band(observed: np.ndarray, replicated: np.ndarray, name: str, at: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    lower, middle, upper = np.quantile(replicated, [0.025, 0.5, 0.975], axis=0)
    columns = {"observed": observed, "lower": lower, "middle": middle, "upper": upper}
    return pd.DataFrame(columns, index=pd.Index(at, name=name))


def events_check(log_hazard: xr.DataArray, table: EventTable, *, rng: np.random.Generator) -> pd.DataFrame:
    """Events in every cell beside what the fitted model would produce there, with 95 % predictive limits."""
    draws = log_hazard.transpose(*DIMS).to_numpy()
    return events_table(draws.reshape(-1, *draws.shape[2:]), table, rng=rng)


def events_table(log_hazard: np.ndarray, table: EventTable, *, rng: np.random.Generator) -> pd.DataFrame:
    """Do as :func:`events_check` with draws (draw, arm, cause, interval); events are Poisson given the exposure."""
    return _counted(np.exp(log_hazard) * table.cell_exposure, table, rng=rng)


def _counted(expected: np.ndarray, table: EventTable, *, rng: np.random.Generator) -> pd.DataFrame:
    """Events beside those drawn from what is expected (draw, arm, cause, interval)."""
    import pandas as pd

    events = rng.poisson(expected)
    low, middle, high = np.quantile(events, [0.025, 0.5, 0.975], axis=0)
    index = pd.MultiIndex.from_product(
        [table.arms, table.causes, table.grid.labels], names=["arm", "cause", "interval"]
    )
    return pd.DataFrame({"observed": table.events.ravel().astype(int), "predicted": middle.ravel(),
                         "lower": low.ravel(), "upper": high.ravel()}, index=index)  # fmt: skip


def residual_distance(residual: np.ndarray, event: np.ndarray) -> float:
    r"""Largest distance of the Kaplan–Meier curve of Cox–Snell residuals from the exponential distribution's.

    .. math:: D = \sup_{x \le r_{(0.9)}} |\hat S(x) - e^{-x}|, \quad r_i = H(t_i) - H(e_i)

    with H the cumulative hazard of the patient's arm for the cause in question, :math:`e_i` the time of entry and
    :math:`t_i` that of the event or of censoring (by another cause too). If the model is true the residuals are
    censored draws of the unit exponential distribution. Only x are looked at where a tenth of the patients are still
    at risk (up to the 90 % quantile of the residuals): beyond them the curve is noise.

    Parameters
    ----------
    residual : numpy.ndarray, shape (patient,)
    event : numpy.ndarray of bool, shape (patient,)
    """
    return _distance(product_limit(residual, event), _last(residual))


def _distance(curve: SurvivalCurve, last: float) -> float:
    used = curve.time <= last
    steps = np.append(curve.time[used], last)
    after = np.append(curve.survival[used], curve.at(last))
    before = np.append(1.0, after[:-1])
    return float(np.maximum(np.abs(after - np.exp(-steps)), np.abs(before - np.exp(-steps))).max())


def _last(residual: np.ndarray) -> float:
    """Residual to which curves are compared: a tenth of the patients are still at risk."""
    place = int(np.ceil(0.9 * (len(residual) - 1)))
    return float(np.partition(residual, place)[place])


def replicate(
    log_hazard: np.ndarray, patients: Patients, grid: TimeGrid, *, rng: np.random.Generator,
    row: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draw the same patients' times and causes again, once from every draw of the hazards, with the same follow-up.

    Parameters
    ----------
    log_hazard : numpy.ndarray, shape (draw, arm, cause, interval)
    patients : Patients
        Who entered late is drawn given survival to entry.
    grid : TimeGrid
    rng : numpy.random.Generator
    row : numpy.ndarray of int, shape (patient,), optional
        Which hazards each patient has; those of the arm by default.

    Returns
    -------
    time, cause : numpy.ndarray, shape (draw, patient)
        Cause -1 where censored.
    """
    arm, entry = patients.arm if row is None else row, _entry(patients)
    limit = follow_up_limits(patients, len(log_hazard), rng=rng)
    time, cause = np.empty(limit.shape), np.empty(limit.shape, int)
    total = np.logaddexp.reduce(log_hazard, axis=2)
    for draw, (each, whole) in enumerate(zip(log_hazard, total, strict=True)):
        drawn = PiecewiseExponential(whole[arm], grid).sample(rng=rng, survived=entry)
        where = grid.index(drawn)
        share = np.exp(each[arm, :, where] - whole[arm, where][:, None])
        which = (rng.uniform(size=len(arm))[:, None] > np.cumsum(share, axis=1)[:, :-1]).sum(axis=1)
        event = drawn <= limit[draw]
        time[draw], cause[draw] = np.where(event, drawn, limit[draw]), np.where(event, which, -1)
    return time, cause


def follow_up_limits(patients: Patients, size: int, *, rng: np.random.Generator) -> np.ndarray:
    """Give the time to which each patient is or would have been followed, shape (size, patient).

    For a patient without event it is the time of censoring. For one with an event it is not known: it is when the data
    were cut, where the calendar is known, or else after as long a follow-up as the longest of the arm, unless the
    patient would have left before. The follow-up at leaving is drawn given that it is beyond the event, from the
    Kaplan–Meier curve of leaving in the arm: for other than administrative reasons where the calendar is known, for
    any reason otherwise.
    """
    entry = _entry(patients)
    followed = patients.time - entry
    dated = patients.enrolled is not None and patients.data_cutoff is not None
    left = ~patients.event & (patients.censoring != "administrative") if dated else ~patients.event
    limit = np.tile(followed, (size, 1))
    for index in range(len(patients.arms)):
        members = patients.arm == index
        hit = members & patients.event
        if not hit.any():
            continue
        end = patients.data_cutoff - patients.enrolled[hit] if dated else followed[members].max()  # type: ignore[index]
        stay = kaplan_meier(followed[members], left[members])
        level = rng.uniform(size=(size, hit.sum())) * stay.at(followed[hit])
        leave = np.append(stay.time, np.inf)[np.searchsorted(-stay.survival, -level)]
        leave = np.where(leave > followed[hit], leave, np.inf)
        limit[:, hit] = np.maximum(np.minimum(leave, end), followed[hit])
    return entry + limit


def _entry(patients: Patients) -> np.ndarray:
    """Months at which each patient came under observation: 0 where entry is not delayed."""
    entry = getattr(patients, "entry", None)
    return np.zeros(len(patients)) if entry is None else np.asarray(entry, dtype=float)


def _cut_finer(grid: TimeGrid, last: float) -> TimeGrid:
    """Cut every interval into equal parts so that at least eight come before ``last``."""
    edges = [edge for edge in grid.edges if edge < last] + [last]
    parts = -(-CELLS // (len(edges) - 1))
    finer = [float(f"{cut:.3g}") for low, high in pairwise(edges)
             for cut in np.linspace(low, high, parts, endpoint=False)[1:]]  # fmt: skip
    return TimeGrid(sorted({*finer, *grid.cuts}))


def _tabulate(time: np.ndarray, cause: np.ndarray, patients: Patients, grid: TimeGrid) -> EventTable:
    arms, causes = patients.arms, patients.causes
    counts = _count(time, cause, patients, grid, patients.arm, (len(arms), len(causes)))
    return EventTable(*counts, grid, arms, causes)


def _count(
    time: np.ndarray, cause: np.ndarray, patients: Patients, grid: TimeGrid, row: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Events (row, cause, interval) and exposure (row, interval); ``shape`` says how many rows and causes."""
    exposure, events = np.zeros((shape[0], len(grid))), np.zeros((*shape, len(grid)))
    np.add.at(exposure, row, grid.exposure(time, _entry(patients)))
    hit = cause >= 0
    np.add.at(events, (row[hit], cause[hit], grid.index(time[hit])), 1.0)
    return events, exposure


def listed(words: list[str]) -> str:
    """Put words in a row, the last after "and"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _chi_square(events: np.ndarray, expected: np.ndarray) -> float:
    """Σ (d − λE)² / (λE + ½): the half keeps cells that expect next to nothing from drowning the others."""
    return float(np.sum((events - expected) ** 2 / (expected + 0.5)))
