"""Outcomes that succeed: from a lowest to a highest, because posteriors move with outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.response.exact.arm import Arm, Law
from smm_bayes.response.exact.difference import normal_difference, table_of_differences
from smm_bayes.response.exact.posteriors import Posteriors

if TYPE_CHECKING:
    from smm_bayes.response.exact.arms import NormalArm
    from smm_bayes.response.exact.rules import Criterion, TwoSampleRule

LARGEST = 5000  # count in a two-sample design


@dataclass(frozen=True, eq=False)
class SuccessRegion:
    """Outcomes that succeed.

    Attributes
    ----------
    lowest, highest : numpy.ndarray
        Both ends succeed if they are counts. Infinite where there is no bound; infinity and minus infinity where
        nothing succeeds.
    counts : bool
        Whether outcomes are counts.
    """

    lowest: np.ndarray
    highest: np.ndarray
    counts: bool

    @classmethod
    def between(cls, lowest: np.ndarray, highest: np.ndarray, *, counts: bool) -> SuccessRegion:
        """Region between bounds; nothing where they cross or lie beyond every outcome."""
        nothing = (lowest > highest) | (lowest == np.inf) | (highest == -np.inf)
        return cls(np.where(nothing, np.inf, lowest), np.where(nothing, -np.inf, highest), counts)

    def probability(self, law: Law) -> np.ndarray:
        """Probability that an outcome succeeds."""
        before = self.lowest - 1 if self.counts else self.lowest
        left = law.cdf(before)
        inside = np.where(left > 0.5, law.sf(before) - law.sf(self.highest), law.cdf(self.highest) - left)
        return np.where(self.lowest <= self.highest, np.maximum(inside, 0.0), 0.0)

    def __contains__(self, outcome: float) -> bool:
        return bool(self.lowest <= outcome <= self.highest)

    def __str__(self) -> str:
        if np.ndim(self.lowest):
            return f"success regions at {np.size(self.lowest)} outcomes of the control arm"
        low, high = float(self.lowest), float(self.highest)
        if low > high:
            return "no outcome succeeds"
        if np.isinf(low) and np.isinf(high):
            return "every outcome succeeds"
        if np.isinf(high):
            return f"success from {low:.6g}"
        return f"success up to {high:.6g}" if np.isinf(low) else f"success from {low:.6g} to {high:.6g}"


def count_region(met: Sequence[tuple[str, np.ndarray]], last: float) -> SuccessRegion:
    """Region of counts 0, 1, ... from which criteria they meet.

    Parameters
    ----------
    met : sequence of (side, numpy.ndarray of shape (count, ...))
    last : float
        Largest count there is, or infinity; what is true of the last row is true beyond it.
    """
    shape, rows = met[0][1].shape[1:], len(met[0][1])
    lowest, highest = np.full(shape, -np.inf), np.full(shape, np.inf)
    for side, each in met:
        number = each.sum(axis=0)
        if side == "above":
            bound = np.where(number == 0, np.inf, np.where(number == rows, -np.inf, rows - number))
            lowest = np.maximum(lowest, bound)
        else:
            bound = np.where(number == 0, -np.inf, np.where(number == rows, np.inf, number - 1.0))
            highest = np.minimum(highest, bound)
    return SuccessRegion.between(lowest, np.where(highest >= last, np.inf, highest), counts=True)


def normal_region(
    criteria: tuple[Criterion, ...], arm: NormalArm, control: Posteriors, *, shape: tuple[int, ...]
) -> SuccessRegion:  # fmt: skip
    """Region of estimates, against each of the control posteriors; against a point for one sample."""
    lowest, highest = np.full(shape, -np.inf), np.full(shape, np.inf)
    for each in criteria:
        bound = _crossing(each, arm, control)
        if each.side == "above":
            lowest = np.maximum(lowest, bound)
        else:
            highest = np.minimum(highest, bound)
    return SuccessRegion.between(lowest, highest, counts=False)


def _crossing(criterion: Criterion, arm: NormalArm, control: Posteriors) -> np.ndarray:
    """Estimate at which a criterion turns, shape (control outcome,).

    For one pair of components it is in closed form; the mixture's lies between the lowest and the highest of these.
    """
    from scipy.optimize import elementwise
    from scipy.special import ndtri

    up = criterion.side == "above"
    if arm.empty:
        succeeds = criterion.met(normal_difference(arm.posteriors(np.zeros(1)), control, criterion.threshold))
        return np.where(succeeds, -np.inf if up else np.inf, np.inf if up else -np.inf)
    mean, sd = (x[:, None] for x in arm.prior.parameters.values())
    precision = sd**-2 + arm.standard_error**-2
    spread = np.hypot(precision**-0.5, control.second[..., None, :])
    distance = (1 if up else -1) * ndtri(criterion.probability)
    wanted = control.first[..., None, :] + criterion.threshold + distance * spread
    each = ((wanted * precision - mean * sd**-2) * arm.standard_error**2)[
        ..., arm.prior.weights > 0, :].reshape(*spread.shape[:-2], -1)  # fmt: skip
    low, high = each.min(axis=-1), each.max(axis=-1)
    if each.shape[-1] == 1:
        return low
    margin = 1e-9 * (1 + np.abs(low) + np.abs(high))
    probability = criterion.probability if up else 1 - criterion.probability

    def short(y: np.ndarray, index: np.ndarray) -> np.ndarray:
        one = Posteriors("Normal", control.weights[index], control.first[index], control.second[index])
        return normal_difference(arm.posteriors(y), one, criterion.threshold) - probability

    found = elementwise.find_root(short, (low - margin, high + margin), args=(np.arange(len(low)),),
                                  tolerances={"xatol": 1e-13, "xrtol": 1e-13})  # fmt: skip
    return found.x


def control_counts(rule: TwoSampleRule, experimental: Arm, control: Arm, last: int) -> SuccessRegion:
    """Regions of the experimental count at control counts 0, 1, ..., ``last`` at least; kept, in a few sizes."""
    require_size(last)
    size = control.largest if np.isfinite(control.largest) else 2 ** (last + 1).bit_length() - 1
    return _two_counts(rule, experimental, control, int(size) if size <= LARGEST else last)


@lru_cache(maxsize=32)
def _two_counts(rule: TwoSampleRule, experimental: Arm, control: Arm, last: int) -> SuccessRegion:
    controls = control.posteriors(np.arange(last + 1), consecutive=True)
    bounded = np.isfinite(experimental.largest)
    rows = int(experimental.largest) if bounded else 64
    while True:
        require_size(max(rows, last))
        posteriors = experimental.posteriors(np.arange(rows + 1), consecutive=True)
        tables = {t: table_of_differences(posteriors, controls, t, rule.link)
                  for t in {each.threshold for each in rule.criteria}}  # fmt: skip
        met = [(each.side, each.met(tables[each.threshold])) for each in rule.criteria]
        if bounded or settled(met):
            return count_region(met, experimental.largest)
        rows *= 2


def settled(met: Sequence[tuple[str, np.ndarray]]) -> bool:
    """Whether the last row is as every row beyond it will be."""
    return all(bool(np.all(found[-1] == (side == "above"))) for side, found in met)


def require_size(count: float) -> None:
    """Refuse more counts than a table can hold."""
    if count > LARGEST:
        raise SpecificationError(
            f"a two-sample design holds at most {LARGEST} counts in an arm; it would need {count:.0f}. Use NormalArm "
            "with the estimate on a log or logit scale"
        )
