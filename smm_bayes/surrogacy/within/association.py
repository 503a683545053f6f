r"""How much of a difference in survival at a milestone goes with MRD: parts that sum to it, draw by draw.

With a landmark v and a later month t, in arm a (0 control, 1 experimental)

.. math:: S_a = P_a(T > v), \quad \pi_{am} = P_a(M = m \mid T > v), \quad \psi_{am} = P_a(T > t \mid T > v, M = m),

M being the MRD status (or the path of statuses) at v. Then :math:`P_a(T > t) = S_a \sum_m \pi_{am} \psi_{am}` and the
difference of the arms is a sum of three parts, exactly:

.. math:: \Delta = \underbrace{(S_1 - S_0) \sum_m \pi_{1m} \psi_{1m}}_{\text{events before the landmark}}
          + \underbrace{S_0 \sum_m (\pi_{1m} - \pi_{0m})\, \psi_{1m}}_{\text{MRD status}}
          + \underbrace{S_0 \sum_m \pi_{0m} (\psi_{1m} - \psi_{0m})}_{\Delta_S,\ \text{residual}}.

:math:`\Delta_S` is the difference there would be were survival to v and MRD status then as in the control arm, and only
what follows differed. The order is a choice: the first two parts are valued with what the experimental arm goes on to.

The ratio of a log hazard ratio adjusted for the surrogate to the unadjusted one (Freedman's proportion) is not offered:
hazard ratios are not collapsible, so that the two differ even where the arms have the same MRD statuses and these
explain nothing, and in general they cannot both be constant over time.

References
----------
Parast L, Cai T, Tian L. Stat Med 2017;36:1767-82. Freedman LS, Graubard BI, Schatzkin A. Stat Med
1992;11:167-78.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.results import Result, plot_intervals
from smm_bayes.survival.summary import labelled, monte_carlo_error, summarise

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes

NEEDED = 0.95  # probability of an effect worth dividing, for a proportion to be shown
PARTS = {
    "difference": "difference of the arms",
    "before_landmark": "part by events before the landmark",
    "mrd": "part by MRD status at the landmark",
    "residual": "residual part, MRD status held at the control arm's",
}
ASSUMPTIONS = (
    "Arms are randomised; given arm, nothing unmeasured drives both MRD status and later events; every status seen in "
    "control is also possible in the experimental arm; the parts have one sign, or the proportion may leave 0 to 1. It "
    "counts as explained the part by events before the landmark too: information up to then, not MRD alone."
)


@dataclass(frozen=True, eq=False)
class MilestoneEffects(Result):
    r"""Difference in survival at a month, and its parts, from posterior draws.

    Parameters
    ----------
    survival : numpy.ndarray, shape (chain, draw, 2)
        :math:`S_a`: probability of being event-free at the landmark, control first.
    share : numpy.ndarray, shape (chain, draw, 2, status)
        :math:`\pi_{am}`: of those event-free at the landmark, by MRD status; sums to 1.
    later : numpy.ndarray, shape (chain, draw, 2, status)
        :math:`\psi_{am}`: of those, event-free at ``time``.
    landmark, time : float
        Months v and t from enrolment, :math:`0 \le v < t`.
    delta_min : float
        Difference worth explaining, 0 or more: a proportion is given only where :math:`P(\Delta > \delta) > 0.95`.
    probability : float
        Probability inside the credible intervals.

    Raises
    ------
    SpecificationError
        Naming every array or number that does not fit.
    """

    survival: np.ndarray
    share: np.ndarray
    later: np.ndarray
    _: KW_ONLY
    landmark: float
    time: float
    delta_min: float
    probability: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what are no draws of probabilities, and freeze them."""
        states = np.shape(self.share)[-1:]
        arrays = {"survival": (self.survival, ()), "share": (self.share, states), "later": (self.later, states)}
        with Problems("milestone effects", SpecificationError).collecting() as problems:
            base = np.shape(self.survival)
            if len(base) != 3 or base[-1] != 2:
                problems.add(f"survival must have shape (chain, draw, arm) with two arms; got {base}")
            for name, (values, more) in arrays.items():
                if np.shape(values) != base + more:
                    problems.add(f"{name} must have shape {base + more}; got {np.shape(values)}")
                if not np.all((np.asarray(values) >= -1e-9) & (np.asarray(values) <= 1 + 1e-9)):
                    problems.add(f"{name} must be probabilities, from 0 to 1 in every draw; look at the fit")
            if not np.allclose(np.sum(self.share, axis=-1), 1, atol=1e-6):
                problems.add("share must sum to 1 over MRD statuses; give all of them")
            if not 0 <= self.landmark < self.time < np.inf:
                problems.add(f"need 0 <= landmark < time; got {self.landmark} and {self.time}")
            if not 0 <= self.delta_min < 1 or not 0 < self.probability < 1:
                problems.add("delta_min must be from 0 to below 1 and probability inside (0, 1); got "
                             f"{self.delta_min} and {self.probability}")  # fmt: skip
        for name, (values, _) in arrays.items():
            frozen = np.array(values, dtype=float)
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)

    @cached_property
    def milestone(self) -> np.ndarray:
        """Probability of being event-free at ``time``, shape (chain, draw, arm)."""
        return self.survival * (self.share * self.later).sum(axis=-1)

    @property
    def difference(self) -> np.ndarray:
        r""":math:`\Delta`, experimental less control, shape (chain, draw)."""
        return self.milestone[..., 1] - self.milestone[..., 0]

    @property
    def before_landmark(self) -> np.ndarray:
        """Part by events before the landmark, shape (chain, draw)."""
        onward = (self.share[..., 1, :] * self.later[..., 1, :]).sum(axis=-1)
        return (self.survival[..., 1] - self.survival[..., 0]) * onward

    @property
    def mrd(self) -> np.ndarray:
        """Part by MRD status at the landmark, shape (chain, draw)."""
        moved = self.share[..., 1, :] - self.share[..., 0, :]
        return self.survival[..., 0] * (moved * self.later[..., 1, :]).sum(axis=-1)

    @property
    def residual(self) -> np.ndarray:
        r""":math:`\Delta_S`, shape (chain, draw)."""
        apart = self.later[..., 1, :] - self.later[..., 0, :]
        return self.survival[..., 0] * (self.share[..., 0, :] * apart).sum(axis=-1)

    @cached_property
    def probability_above(self) -> tuple[float, float]:
        r""":math:`P(\Delta > \delta)` and its Monte Carlo error."""
        return _probability(self._draws("difference") > self.delta_min)

    @property
    def proportion(self) -> np.ndarray | None:
        r""":math:`1 - \Delta_S / \Delta`, shape (chain, draw); None where no sizeable difference is established."""
        return 1 - self.residual / self.difference if self.probability_above[0] > NEEDED else None

    @property
    def reason(self) -> str:
        """Why no proportion is given; empty where it is."""
        if self.probability_above[0] > NEEDED:
            return ""
        shown, error = self.probability_above
        return (f"no proportion explained: the probability that the difference exceeds {self.delta_min:g} is "
                f"{shown:.3f} (MCSE {error:.3f}), not above {NEEDED:g}; a ratio to a difference that is not "
                "established says nothing")  # fmt: skip

    def table(self) -> pd.DataFrame:
        """Give the table, one row a quantity.

        Returns
        -------
        pandas.DataFrame
            Rows ``difference``, ``before_landmark``, ``mrd``, ``residual`` and ``proportion`` (NaN where it is not
            given); ``median``, ``lower``, ``upper``, ``mcse`` of the median, ``probability`` of being above 0 with
            ``probability_mcse``, and ``note``: what it is, what it assumes, or why it is not given.
        """
        import pandas as pd

        rows = [self._row(name, note) for name, note in PARTS.items()]
        if self.proportion is not None:
            rows.append(self._row("proportion", ASSUMPTIONS))
        else:
            rows.append(pd.DataFrame({"note": [self.reason]}, index=["proportion"]))
        return pd.concat(rows)

    def summary(self) -> str:
        """Say the result in sentences."""
        table, percent = self.table().to_dict("index"), round(100 * self.probability)
        said = [f"From landmark month {self.landmark:g} to month {self.time:g}, experimental less control, with "
                f"{percent} % intervals and Monte Carlo errors (MCSE):"]  # fmt: skip
        said += [f"{words}: {_shown(table[name])}." for name, words in PARTS.items()]
        if self.proportion is None:
            return "\n".join([*said, f"{self.reason[0].upper()}{self.reason[1:]}."])
        ratio = _shown(table["proportion"])
        return "\n".join([*said, f"proportion explained: {ratio}.", f"Assumptions of the proportion: {ASSUMPTIONS}"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the difference and its parts, median and interval."""
        found = self.table().loc[list(PARTS)].rename(index=PARTS)
        return plot_intervals(found, ax, xlabel=f"difference at month {self.time:g}", line=0.0)

    def __repr__(self) -> str:
        return f"MilestoneEffects\n{self.summary()}"

    def _draws(self, name: str) -> xr.DataArray:
        values = getattr(self, name)
        chains, draws = values.shape
        return labelled(values, {"chain": np.arange(chains), "draw": np.arange(draws)}, name)

    def _row(self, name: str, note: str) -> pd.DataFrame:
        probability, error = _probability(self._draws(name) > 0)
        row = summarise(self._draws(name), self.probability)
        return row.assign(probability=probability, probability_mcse=error, note=note)


def _probability(holds: xr.DataArray) -> tuple[float, float]:
    """Share of draws and its Monte Carlo error; 0 where all draws agree."""
    numbers = holds.astype(float)
    error = 0.0 if float(numbers.std()) == 0 else float(monte_carlo_error(numbers, "mean"))
    return float(numbers.mean()), error


def _shown(row: Mapping[Any, Any]) -> str:
    return f"{row['median']:.3f} ({row['lower']:.3f} to {row['upper']:.3f}; MCSE {row['mcse']:.4f})"
