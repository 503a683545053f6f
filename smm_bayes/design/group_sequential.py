"""Group-sequential designs: boundaries by spending or by shape, futility, power, and looks as they happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from smm_bayes.design.recursion import Crossing, Walk, check_information, check_looks, crossing_probabilities
from smm_bayes.design.spending import Spending
from smm_bayes.errors import Problems, SpecificationError

FARTHEST = 38.0  # a bound beyond it is never crossed in double precision
OBRIEN_FLEMING = Spending("obrien-fleming")


@dataclass(frozen=True)
class GroupSequential:
    r"""Looks at a trial, and the bounds of its statistic Z at each.

    :math:`Z_k \sim N(\theta\sqrt{I_k}, 1)`, larger is better. One-sided: the trial succeeds at the first look with
    :math:`Z_k \ge b_k` and stops for futility at the first with :math:`Z_k < a_k`. Two-sided: either direction
    rejects, with bounds :math:`\pm b_k`.

    Parameters
    ----------
    information : tuple of float
        Increasing. Fractions of the final information give :math:`\theta` the meaning of the drift, the mean of the
        final Z; events times p(1 - p), with a share p of patients in one arm, that of a log hazard ratio (see
        :func:`~smm_bayes.design.events.event_information`).
    upper, lower : tuple of float
        :math:`b_k` and :math:`a_k`; infinite for none. At the last look both are the same unless two-sided.
    sides : {1, 2}
    binding : bool
        Whether the trial must stop for futility; if not, the type I error is as if it never did.

    Raises
    ------
    SpecificationError
        When looks or bounds do not make a design.

    Examples
    --------
    >>> design = spending_design([0.5, 1.0], alpha=0.025)
    >>> [round(bound, 5) for bound in design.upper]
    [2.96259, 1.9686]
    >>> round(design.power(3.25), 4)
    0.9005
    """

    information: tuple[float, ...]
    upper: tuple[float, ...]
    lower: tuple[float, ...]
    sides: Literal[1, 2] = 1
    binding: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no design."""
        looks = check_looks(self.information, self.lower, self.upper)
        for name, values in zip(("information", "lower", "upper"), looks, strict=True):
            object.__setattr__(self, name, tuple(values.tolist()))
        if self.sides not in (1, 2):
            raise SpecificationError(f"sides must be 1 or 2; got {self.sides}")
        if self.sides == 1 and self.lower[-1] != self.upper[-1]:
            raise SpecificationError(
                "the last look of a one-sided design decides: give it the same lower and upper bound"
            )
        if self.sides == 2 and self.lower != tuple(-b for b in self.upper):
            raise SpecificationError("a two-sided design has lower bounds that are minus its upper ones")

    @property
    def fractions(self) -> np.ndarray:
        """Information of each look as a fraction of the last."""
        return np.array(self.information) / self.information[-1]

    @property
    def nominal(self) -> np.ndarray:
        """One-sided p-value at each upper bound."""
        from scipy.special import ndtr

        return ndtr(-np.array(self.upper))

    def crossing(self, theta: Any = 0.0) -> Crossing:
        """Probabilities of leaving at each look when every bound is obeyed."""
        return crossing_probabilities(self.information, self.lower, self.upper, theta)

    def power(self, theta: Any) -> Any:
        """Probability of crossing the upper bound at an effect, of the shape of ``theta``.

        To reject in the wrong direction, as a two-sided design may, is no success.
        """
        total = self.crossing(theta).upper.sum(axis=-1)
        return float(total) if np.ndim(total) == 0 else total

    def type_one_error(self) -> float:
        """Probability of rejecting at 0, on either side if two-sided.

        It is as if futility bounds were not obeyed, unless they are binding.
        """
        return self.sides * self.for_errors().power(0.0)

    def for_errors(self) -> GroupSequential:
        """Give the design by which errors, p-values and intervals are counted: without futility if not binding."""
        if self.sides == 2 or self.binding:
            return self
        lower = (*(-math.inf for _ in self.upper[:-1]), self.upper[-1])
        return GroupSequential(self.information, self.upper, lower)

    def expected_information(self, theta: Any) -> Any:
        """Expected information at the end, in the units of ``information``."""
        found = self.crossing(theta)
        leave = found.upper + found.lower
        leave[..., -1] = 1 - leave[..., :-1].sum(axis=-1)
        return leave @ np.array(self.information)

    def effect_for_power(self, power: float) -> float:
        """Effect that is found with probability ``power``.

        Raises
        ------
        SpecificationError
            When it is not above the type I error and below 1.
        """
        from scipy.optimize import brentq

        if not self.power(0.0) < power < 1:
            raise SpecificationError(f"power must be above the type I error and below 1; got {power}")
        drift = brentq(lambda x: self.power(x / math.sqrt(self.information[-1])) - power, 0, FARTHEST, xtol=1e-13)
        return float(drift / math.sqrt(self.information[-1]))

    def repeated_interval(self, look: int, z: float) -> tuple[float, float]:
        r"""Interval of the effect at a look (from 1), whether the trial stops there or not.

        It is :math:`(z \mp b_k)/\sqrt{I_k}`. That one of them misses the effect has at most the probability of the
        type I error (twice that of a one-sided design).

        Raises
        ------
        SpecificationError
            When there is no such look.
        """
        if not 1 <= look <= len(self.upper):
            raise SpecificationError(f"look must be from 1 to {len(self.upper)}; got {look}")
        root, bound = math.sqrt(self.information[look - 1]), self.upper[look - 1]
        return (z - bound) / root, (z + bound) / root

    def inflation(self, power: float) -> float:
        """Largest information over that of a trial with one look of the same error and power."""
        from scipy.special import ndtri

        fixed = ndtri(1 - self.type_one_error() / self.sides) + ndtri(power)
        return float(self.effect_for_power(power) ** 2 * self.information[-1] / fixed**2)

    def __repr__(self) -> str:
        def shown(values: Sequence[float]) -> str:
            return ", ".join(f"{x:.4g}" for x in values)

        kind = "two-sided" if self.sides == 2 else f"one-sided, {'' if self.binding else 'non-'}binding futility"
        kind = "one-sided" if self.sides == 1 and np.all(np.isinf(self.lower[:-1])) else kind
        low = "" if kind in ("two-sided", "one-sided") else f", lower {shown(self.lower)}"
        return f"GroupSequential ({kind}): information {shown(self.information)}; upper {shown(self.upper)}{low}"


def spending_design(
    information: Sequence[float], *, alpha: float = 0.025, spending: Spending = OBRIEN_FLEMING,
    sides: Literal[1, 2] = 1, spent_at: Sequence[float] | None = None, beta: float | None = None,
    futility: Spending | None = None, binding: bool = False, theta: float | None = None,
) -> GroupSequential:  # fmt: skip
    r"""Bounds by which errors are spent as information comes.

    At look k the upper bound is crossed first with probability :math:`f(t_k;\alpha) - f(t_{k-1};\alpha)` at effect 0
    (half of it on each side if two-sided). With ``futility`` the lower bound is crossed first with probability
    :math:`g(t_k;\beta) - g(t_{k-1};\beta)` at an effect at which the trial fails with probability :math:`\beta` in all.

    Parameters
    ----------
    information : sequence of float
        At the looks; fractions, or any units.
    alpha : float
        Type I error in all, one-sided or two-sided as ``sides`` says.
    spending : Spending
    sides : {1, 2}
    spent_at : sequence of float, optional
        Fractions at which errors are spent; those of the last information unless given.
    beta : float, optional
        With ``futility``: error spent below the lower bounds.
    futility : Spending, optional
    binding : bool
        Whether the upper bounds count on stopping for futility.
    theta : float, optional
        Effect at which beta is spent. Unless given it is the one at which the design has power 1 - beta; given, the
        last bound is the upper one, whatever has been spent until then.

    Returns
    -------
    GroupSequential

    Raises
    ------
    SpecificationError
        When looks, errors or fractions are out of range, or futility is asked of a two-sided design.

    References
    ----------
    Lan KKG, DeMets DL. Biometrika 1983;70:659-663. Pampallona S, Tsiatis AA, Kim KM. Drug Information Journal
    2001;35:1113-1121 (futility).
    """
    looks = check_information(information)
    fractions = looks / looks[-1] if spent_at is None else np.asarray(spent_at, float)
    _check_errors(looks, fractions, alpha, sides, beta, futility)
    spend = np.diff(spending(fractions, alpha / sides), prepend=0.0)
    if sides == 2:
        upper = _two_sided(looks, spend)
        return GroupSequential(tuple(looks), tuple(upper), tuple(-upper), 2)
    if futility is None or beta is None:
        upper, _ = _bounds(looks, spend, None, 0.0, binding=False)
        return GroupSequential(tuple(looks), tuple(upper), (*(-math.inf for _ in upper[:-1]), upper[-1]))
    lose = np.diff(futility(fractions, beta), prepend=0.0)
    effect = _effect(looks, spend, lose, binding) if theta is None else theta
    upper, lower = _bounds(looks, spend, lose, effect, binding=binding)
    return GroupSequential(tuple(looks), tuple(upper), (*lower[:-1], upper[-1]), binding=binding)


def as_observed(information: Sequence[float], planned: float, *, last: bool, **settings: Any) -> GroupSequential:
    r"""Bounds at the looks that were held, with the information that was found there.

    Before the last look errors are spent at :math:`t_k = I_k/I_{\max}`, of the planned information. At the last look
    all that is left is spent, whether information is less than planned or more; correlations are those of the
    information that was found.

    Parameters
    ----------
    information : sequence of float
        Found at the looks so far, this one included.
    planned : float
        :math:`I_{\max}`.
    last : bool
        Whether this is the last look.
    **settings
        As for :func:`spending_design`, such as ``alpha`` and ``spending``.

    Returns
    -------
    GroupSequential
        Before the last look its last bound is only the one of this look.

    Raises
    ------
    SpecificationError
        As for :func:`spending_design`; when a look before the last one has all of the planned information; and when
        futility is asked for without ``theta``, the effect of the plan.

    Examples
    --------
    >>> [round(bound, 4) for bound in as_observed([0.45, 1.1], 1.0, last=True).upper]
    [3.1438, 1.9656]
    """
    looks = check_information(information)
    if not 0 < planned < math.inf:
        raise SpecificationError(f"the planned information must be finite and above 0; got {planned}")
    if settings.get("futility") is not None and settings.get("theta") is None:
        raise SpecificationError("futility at observed looks needs theta, the effect at which the plan spends beta")
    spent_at = looks / planned
    if np.any(spent_at[: -1 if last else None] >= 1):
        raise SpecificationError(
            f"a look at {spent_at.max():.4g} of the planned information leaves nothing to be spent; say that it is the "
            "last, or plan for more"
        )
    if last:
        spent_at[-1] = 1.0
    return spending_design(information, spent_at=spent_at.tolist(), **settings)


def wang_tsiatis(
    information: Sequence[float], *, delta: float, alpha: float = 0.05, sides: Literal[1, 2] = 2
) -> GroupSequential:
    r"""Bounds :math:`b_k = c\,t_k^{\Delta - 1/2}`: Pocock's with :math:`\Delta` 1/2, O'Brien and Fleming's with 0.

    Parameters
    ----------
    information : sequence of float
    delta : float
        :math:`\Delta`.
    alpha : float
    sides : {1, 2}

    Raises
    ------
    SpecificationError
        When looks or errors are out of range.

    References
    ----------
    Wang SK, Tsiatis AA. Biometrics 1987;43:193-199. Pocock SJ. Biometrika 1977;64:191-199. O'Brien PC, Fleming TR.
    Biometrics 1979;35:549-556.

    Examples
    --------
    >>> round(wang_tsiatis([1, 2, 3, 4, 5], delta=0.5).upper[0], 4)
    2.4132
    """
    looks = check_information(information)
    _check_errors(looks, looks / looks[-1], alpha, sides, None, None)
    shape = (looks / looks[-1]) ** (delta - 0.5)
    return _scaled(looks, lambda c: c * shape, alpha, sides)


def haybittle_peto(
    information: Sequence[float], *, bound: float = 3.0, alpha: float = 0.025, sides: Literal[1, 2] = 1,
    adjusted: bool = True,
) -> GroupSequential:  # fmt: skip
    """Bounds that are ``bound`` at every look before the last, which takes what is left of the error.

    Parameters
    ----------
    information : sequence of float
    bound : float
    alpha : float
    sides : {1, 2}
    adjusted : bool
        Whether the last bound holds the error exactly; if not, it is that of a trial with one look.

    Raises
    ------
    SpecificationError
        When looks or errors are out of range, or the early looks already spend more than ``alpha``.

    References
    ----------
    Haybittle JL. Br J Radiol 1971;44:793-797. Peto R et al. Br J Cancer 1976;34:585-612.

    Examples
    --------
    >>> [round(bound, 4) for bound in haybittle_peto([0.5, 1.0]).upper]
    [3.0, 1.9673]
    """
    from scipy.special import ndtri

    looks = check_information(information)
    _check_errors(looks, looks / looks[-1], alpha, sides, None, None)
    early = np.full(len(looks) - 1, float(bound))
    if not adjusted:
        return _scaled(looks, lambda _: np.append(early, -ndtri(alpha / sides)), None, sides)
    return _scaled(looks, lambda c: np.append(early, c), alpha, sides)


def _scaled(
    looks: np.ndarray, shape: Callable[[float], np.ndarray], alpha: float | None, sides: Literal[1, 2]
) -> GroupSequential:
    """Find the design of a family of bounds that has the type I error alpha; any of it where alpha is None."""
    from scipy.optimize import brentq

    def design(c: float) -> GroupSequential:
        upper = shape(c)
        lower = -upper if sides == 2 else np.append(np.full(len(upper) - 1, -np.inf), upper[-1])
        return GroupSequential(tuple(looks), tuple(upper), tuple(lower), sides)

    if alpha is None:
        return design(0.0)
    if design(FARTHEST).type_one_error() > alpha:
        raise SpecificationError(f"the looks before the last spend more than alpha {alpha:g}; raise their bound")
    return design(brentq(lambda c: design(c).type_one_error() - alpha, 0.0, FARTHEST, xtol=1e-13))


def _two_sided(looks: np.ndarray, spend: np.ndarray) -> np.ndarray:
    """Upper bounds of a symmetric design that spends as much on either side."""
    walk, upper = Walk.start(), np.empty(len(looks))
    for k, information in enumerate(looks):
        upper[k] = _crossed(walk, information, spend[k], 0.0, up=True)
        if k + 1 < len(looks):
            walk = walk.to(information, -upper[k], upper[k], looks[k + 1])
    return upper


def _bounds(
    looks: np.ndarray, spend: np.ndarray, lose: np.ndarray | None, theta: float, *, binding: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Upper bounds at effect 0 and lower ones at ``theta``; lower ones of 0 spent, and none asked, are minus infinity.

    Without binding futility the walk at effect 0 passes through the lower bounds.
    """
    upper, lower = np.empty(len(looks)), np.full(len(looks), -np.inf)
    null, other = Walk.start(), Walk.start(theta)
    for k, information in enumerate(looks):
        upper[k] = _crossed(null, information, spend[k], 0.0, up=True)
        if lose is not None:
            lower[k] = min(_crossed(other, information, lose[k], theta, up=False), upper[k])
        if k + 1 < len(looks):
            null = null.to(information, lower[k] if binding else -np.inf, upper[k], looks[k + 1])
            other = other.to(information, lower[k], upper[k], looks[k + 1])
    return upper, lower


def _crossed(walk: Walk, information: float, spend: float, theta: float, *, up: bool) -> float:
    """Bound that is crossed at the next look with probability ``spend``."""
    from scipy.optimize import brentq

    effect, end = np.array([theta]), walk.centre * math.sqrt(information)
    far = FARTHEST if up else -FARTHEST

    def short(bound: float) -> float:
        return float(walk.beyond(information, end + bound, effect, up=up)[0]) - spend

    if spend <= 0 or short(far) > 0:
        return math.inf if up else -math.inf
    if short(-far) <= 0:  # everything that is left may be spent
        return -math.inf if up else math.inf
    return float(end + brentq(short, *sorted((far, -far)), xtol=1e-14, rtol=1e-15))


def _effect(looks: np.ndarray, spend: np.ndarray, lose: np.ndarray, binding: bool) -> float:
    """Effect at which the bounds meet at the last look: it is missed with the probability to be spent."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    last, beta = math.sqrt(looks[-1]), lose.sum()

    def missed(drift: float) -> float:
        upper, lower = _bounds(looks, spend, lose, drift / last, binding=binding)
        lower[-1] = upper[-1]
        return float(crossing_probabilities(looks, lower, upper, drift / last).lower.sum() - beta)

    least = float(-ndtri(min(spend.sum(), 0.5)) - ndtri(beta))
    return float(brentq(missed, 0.5 * least, 3 * least + 1, xtol=1e-12)) / last


def _check_errors(
    looks: np.ndarray, fractions: np.ndarray, alpha: float, sides: int, beta: float | None, futility: Spending | None
) -> None:
    with Problems("group-sequential design", SpecificationError).collecting() as problems:
        if sides not in (1, 2):
            problems.add(f"sides must be 1 or 2; got {sides}")
        elif not 0 < alpha < sides / 2:
            problems.add(f"alpha must be above 0 and below {sides / 2:g}; got {alpha}")
        if fractions.shape != looks.shape or not np.all(np.diff(fractions, prepend=0.0) > 0):
            problems.add(f"errors must be spent at one increasing fraction for each look; got {fractions.tolist()}")
        if (beta is None) != (futility is None):
            problems.add("futility needs both beta, the error to be spent, and futility, its spending function")
        elif beta is not None and not 0 < beta < 0.5:
            problems.add(f"beta must be above 0 and below 0.5; got {beta}")
        if futility is not None and sides == 2:
            problems.add("a two-sided design has no futility bounds here; design it one-sided with half of alpha")
