"""Bayesian monitoring of responders in one arm: bounds from predictive or posterior probabilities, and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.response.binomial import above_table, pmf
from smm_bayes.response.exact.arms import BinaryArm
from smm_bayes.response.exact.designs import OneSampleDesign, TwoSampleDesign
from smm_bayes.response.exact.regions import SuccessRegion
from smm_bayes.response.exact.rules import OneSampleRule, TwoSampleRule
from smm_bayes.response.two_stage import TwoStageDesign, check_rates, is_count

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures import BetaMixture


@dataclass(frozen=True, eq=False)
class MonitoringOutcome:
    """What a monitored trial does at true response rates.

    Attributes
    ----------
    futility, efficacy : numpy.ndarray, shape (..., look)
        Probability of stopping at each look; at the last, of failing and of succeeding there.
    looks : numpy.ndarray, shape (look,)
        Patients at each look.
    """

    futility: np.ndarray
    efficacy: np.ndarray
    looks: np.ndarray

    @property
    def success(self) -> np.ndarray:
        """Probability of success: the type I error at a rate that is too low, the power at one worth it."""
        return self.efficacy.sum(axis=-1)

    @property
    def early_stop_probability(self) -> np.ndarray:
        """Probability of stopping before the last look."""
        return (self.futility + self.efficacy)[..., :-1].sum(axis=-1)

    @property
    def expected_n(self) -> np.ndarray:
        """Expected number of patients."""
        return (self.futility + self.efficacy) @ self.looks


@dataclass(frozen=True)
class MonitoringDesign:
    """Looks at a single arm, and the numbers of responders at which it stops.

    Attributes
    ----------
    looks : tuple of int
        Patients at each look, increasing.
    futility : tuple of int
        At each look the trial stops with so many responders or fewer; -1 never.
    efficacy : tuple of int
        With so many or more; above the number of patients never. At the last look it is one more than ``futility``.

    Raises
    ------
    SpecificationError
        When looks do not increase, bounds cross, or the last look leaves a gap.

    Examples
    --------
    >>> design = MonitoringDesign((20, 40), futility=(1, 5), efficacy=(21, 6))
    >>> found = design.operating_characteristics([0.07, 0.2])
    >>> found.success.round(4), found.early_stop_probability.round(4)
    (array([0.0539, 0.8151]), array([0.5869, 0.0692]))
    """

    looks: tuple[int, ...]
    futility: tuple[int, ...]
    efficacy: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what is no design."""
        problems = Problems("monitoring design", SpecificationError)
        check_looks(problems, self.looks)
        if not len(self.looks) == len(self.futility) == len(self.efficacy):
            problems.add("give one futility and one efficacy bound for each look")
        elif any(low >= high for low, high in zip(self.futility, self.efficacy, strict=True)):
            problems.add(f"futility must be below efficacy at every look; got {self.futility} and {self.efficacy}")
        elif self.efficacy[-1] != self.futility[-1] + 1:
            problems.add("the last look decides: its efficacy bound is one more than its futility bound; got "
                         f"{self.efficacy[-1]} and {self.futility[-1]}")  # fmt: skip
        problems.raise_if_any()

    def operating_characteristics(self, p: Any) -> MonitoringOutcome:
        """Exact probabilities at true rates, by recursion over looks.

        Raises
        ------
        SpecificationError
            When a rate is outside [0, 1].
        """
        rates = np.asarray(p, float)
        if not np.all((rates >= 0) & (rates <= 1)):
            raise SpecificationError(f"a response rate must be within [0, 1]; got {p}")
        size, before = self.looks[-1], 0
        going = np.zeros((*rates.shape, size + 1))
        going[..., 0] = 1.0
        stops = []
        for n, low, high in zip(self.looks, self.futility, self.efficacy, strict=True):
            step = pmf(n - before, rates)
            going = sum(step[..., k, None] * _shifted(going, k) for k in range(n - before + 1))
            count = np.arange(size + 1)
            stops.append([(going * chosen).sum(axis=-1) for chosen in (count <= low, count >= high)])
            going, before = going * ((count > low) & (count < high)), n
        futility, efficacy = (np.stack(each, axis=-1) for each in zip(*stops, strict=True))
        return MonitoringOutcome(futility, efficacy, np.array(self.looks))

    def two_stage(self, *, p0: float, p1: float) -> TwoStageDesign:
        """Give the same design as a two-stage design, with its inference after the trial.

        Raises
        ------
        SpecificationError
            When it has other than two looks, or may stop for efficacy at the first.
        """
        if len(self.looks) != 2 or self.efficacy[0] <= self.looks[0]:
            raise SpecificationError("a two-stage design has two looks, and stops at the first for futility only")
        return TwoStageDesign(self.futility[0], self.looks[0], self.futility[1], self.looks[1], p0=p0, p1=p1)

    def __str__(self) -> str:
        parts, before = [], (-1, -1)
        for n, low, high in zip(self.looks[:-1], self.futility, self.efficacy, strict=False):
            limit = high if high <= n else -1
            if (low, limit) != before:
                said = [f"{low} or fewer"] * (low >= 0) + [f"{high} or more"] * (limit >= 0)
                parts.append(f"{' or '.join(said) or 'no number'} of {n}")
            before = low, limit
        stop = f"stop, each from that look on, with {', '.join(parts)} responders; " if parts else ""
        return f"{stop}success with {self.efficacy[-1]} or more of {self.looks[-1]}"


def _shifted(going: np.ndarray, by: int) -> np.ndarray:
    moved = np.zeros_like(going)
    moved[..., by:] = going[..., : going.shape[-1] - by]
    return moved


def check_looks(problems: Problems, looks: Sequence[int]) -> None:
    """Note looks that are none."""
    if not looks or not all(is_count(n) and n > 0 for n in looks) or np.any(np.diff(looks) <= 0):
        problems.add(f"looks must be whole numbers of patients, above 0 and increasing; got {tuple(looks)}")


def predictive_probabilities(prior: BetaMixture, rule: OneSampleRule, *, patients: int, final: int) -> np.ndarray:
    r"""Probability, with 0, 1, ... responders so far, that the final posterior succeeds.

    .. math:: \mathrm{PP}(x) = \sum_y P(Y = y \mid x)\, 1[\text{success with } x + y \text{ of } N],

    Y beta-binomial among the patients to come.

    Parameters
    ----------
    prior : BetaMixture
    rule : OneSampleRule
        Of the final posterior, such as ``OneSampleRule(above(0.2, 0.95))``.
    patients, final : int
        So far, and N.

    Returns
    -------
    numpy.ndarray, shape (patients + 1,)
    """
    region = OneSampleDesign(rule, BinaryArm(prior, final)).boundary
    return _chances(prior, patients, final, float(region.lowest), float(region.highest))


def _chances(prior: BetaMixture, patients: int, final: int, lowest: float, highest: float = np.inf) -> np.ndarray:
    """Predictive probability of ``lowest`` to ``highest`` responders in the end, with 0, 1, ... so far."""
    from scipy.special import betaln, gammaln

    m = final - patients
    y, x = np.arange(m + 1), np.arange(patients + 1)
    posteriors = BinaryArm(prior, patients).posteriors(x)
    ways = gammaln(m + 1) - gammaln(y + 1) - gammaln(m - y + 1)
    a, b = posteriors.first[..., None], posteriors.second[..., None]
    chance = np.exp(ways + betaln(a + y, b + m - y) - betaln(a, b))
    succeeds = (x[:, None] + y >= lowest) & (x[:, None] + y <= highest)
    return np.clip(np.einsum("xc,xcy,xy->x", posteriors.weights, chance, succeeds), 0.0, 1.0)


def predictive_monitoring(
    looks: Sequence[int], prior: BetaMixture, rule: OneSampleRule, *, futility: float = 0.05, efficacy: float = 1.0
) -> MonitoringDesign:
    """Stop when the final posterior is improbable, or as good as sure, to succeed (Lee and Liu).

    Parameters
    ----------
    looks : sequence of int
        Patients at each look, the last is the final analysis.
    prior : BetaMixture
        Of the analysis.
    rule : OneSampleRule
        Of the final posterior; its criteria ask for rates above something.
    futility, efficacy : float
        The trial stops where the predictive probability is below the first or above the second; 0 and 1 never.

    Returns
    -------
    MonitoringDesign

    Raises
    ------
    SpecificationError
        When looks or probabilities are out of range, the rule asks for low rates, or no outcome succeeds.

    References
    ----------
    Lee JJ, Liu DD. Clinical Trials 2008;5:93-106, doi:10.1177/1740774508089279.

    Examples
    --------
    >>> from smm_bayes.priors.mixtures import BetaMixture
    >>> from smm_bayes.response.exact import OneSampleRule, above
    >>> rule = OneSampleRule(above(0.2, 0.9))
    >>> print(predictive_monitoring((10, 20, 36), BetaMixture([1], [0.2], [0.8]), rule, futility=0.001))
    stop, each from that look on, with 0 or fewer of 10, 1 or fewer of 20 responders; success with 11 or more of 36
    """
    with Problems("predictive monitoring", SpecificationError).collecting() as problems:
        check_looks(problems, looks)
        if not 0 <= futility < efficacy <= 1:
            problems.add(f"need 0 <= futility < efficacy <= 1; got {futility} and {efficacy}")
        if any(each.side != "above" for each in rule.criteria):
            problems.add(
                "every criterion of the rule must ask for a rate above something, so that more responders help"
            )
    least = _least(OneSampleDesign(rule, BinaryArm(prior, looks[-1])).boundary, looks[-1])
    if least > looks[-1]:
        raise SpecificationError(
            f"predictive monitoring: no outcome of {looks[-1]} patients meets the rule; ask for less"
        )
    low, high = [], []
    for n in looks[:-1]:
        found = predictive_probabilities(prior, rule, patients=n, final=looks[-1])
        low.append(int((found < futility).sum()) - 1)
        high.append(n + 1 - int((found > efficacy).sum()))
    return MonitoringDesign(tuple(looks), (*low, least - 1), (*high, least))


def posterior_monitoring(
    looks: Sequence[int], prior: BetaMixture, *, efficacy: Any, futility: Any = None, final: Any = None,
    control: BetaMixture | None = None,
) -> MonitoringDesign:  # fmt: skip
    """Stop when the posterior already meets a rule (Thall and Simon).

    Parameters
    ----------
    looks : sequence of int
    prior : BetaMixture
        Of the experimental rate.
    efficacy, futility, final : OneSampleRule or TwoSampleRule or None
        What must hold to stop early for either reason, and at the last look for success (``efficacy`` unless given);
        None of the first two never stops. Futility asks for low rates, such as ``OneSampleRule(below(0.3, 0.9))``.
    control : BetaMixture, optional
        With it rules are :class:`TwoSampleRule`, on the difference to a standard rate that is known only so well.

    Returns
    -------
    MonitoringDesign

    Raises
    ------
    SpecificationError
        When looks are none, there is no rule for success, or rules do not go with the control.

    References
    ----------
    Thall PF, Simon R. Biometrics 1994;50:337-349.

    Examples
    --------
    >>> from smm_bayes.priors.mixtures import BetaMixture
    >>> from smm_bayes.response.exact import OneSampleRule, above, below
    >>> flat = BetaMixture([1], [1], [1])
    >>> rules = {"efficacy": OneSampleRule(above(0.3, 0.95)), "futility": OneSampleRule(below(0.3, 0.9))}
    >>> print(posterior_monitoring((10, 20, 30), flat, **rules))
    stop, each from that look on, with 0 or fewer or 6 or more of 10, 3 or fewer or 10 or more of 20 responders; \
success with 14 or more of 30
    """
    final = efficacy if final is None else final
    with Problems("posterior monitoring", SpecificationError).collecting() as problems:
        check_looks(problems, looks)
        if final is None:
            problems.add("a rule for success at the last look is needed: give final or efficacy")
        kind = OneSampleRule if control is None else TwoSampleRule
        for rule in (efficacy, futility, final):
            if rule is not None and not isinstance(rule, kind):
                problems.add(f"rules {'without' if control is None else 'with'} a control must be {kind.__name__}; "
                             f"got {type(rule).__name__}")  # fmt: skip

    def region(rule: Any, n: int) -> SuccessRegion:
        if control is None:
            return OneSampleDesign(rule, BinaryArm(prior, n)).boundary
        return TwoSampleDesign(rule, BinaryArm(prior, n), BinaryArm(control, 0)).boundary(0)

    least = _least(region(final, looks[-1]), looks[-1])
    high = [n + 1 if efficacy is None else _least(region(efficacy, n), n) for n in looks[:-1]]
    low = [-1 if futility is None else _most(region(futility, n), n) for n in looks[:-1]]
    return MonitoringDesign(tuple(looks), (*low, least - 1), (*high, least))


def _least(region: SuccessRegion, n: int) -> int:
    """Fewest responders of a region; one more than there are patients if it has none."""
    return n + 1 if region.lowest > region.highest else int(max(float(region.lowest), 0.0))


def _most(region: SuccessRegion, n: int) -> int:
    """Most responders of a region; -1 if it has none."""
    return -1 if region.lowest > region.highest else int(min(float(region.highest), n))


def predictive_design(
    p0: float, p1: float, *, prior: BetaMixture, alpha: float = 0.05, beta: float = 0.2, first: int = 10,
    every: int = 1, largest: int = 120,
) -> MonitoringDesign:  # fmt: skip
    r"""Find the smallest trial with predictive monitoring for futility that holds both errors.

    For every N the numbers of responders s that make a final success are tried, as they follow from a threshold of
    the final posterior; for each, monitoring is made as strict as the power allows. Among designs of the smallest N
    that hold the type I error the one with the fewest patients expected at ``p0`` is given.

    Parameters
    ----------
    p0, p1 : float
        Response rates that are too low, and worth it.
    prior : BetaMixture
        Of the analysis.
    alpha, beta : float
    first, every : int
        Patients at the first look, and between looks.
    largest : int

    Returns
    -------
    MonitoringDesign

    Raises
    ------
    SpecificationError
        When a number is out of range, or no trial of up to ``largest`` patients holds both errors.
    """
    with Problems("predictive design", SpecificationError).collecting() as problems:
        check_rates(problems, p0, p1)
        if not (0 < alpha < 0.5 and 0 < beta < 0.5):
            problems.add(f"alpha and beta must be above 0 and below 0.5; got {alpha} and {beta}")
        if not all(is_count(x) and x > 0 for x in (first, every, largest)) or first >= largest:
            problems.add(f"first, every and largest must be whole numbers above 0, first below largest; got {first}, "
                         f"{every} and {largest}")  # fmt: skip
    for n in range(first + 1, largest + 1):
        looks = (*range(first, n, every), n)
        tail = above_table(pmf(n, np.array([p0, p1])))  # of s or more, without looks
        found = [design for s in np.flatnonzero(tail[1] >= 1 - beta)[-3:]
                 if (design := _strictest(looks, prior, int(s), p0, p1, alpha, beta)) is not None]  # fmt: skip
        if found:
            return min(found, key=lambda one: float(one.operating_characteristics(p0).expected_n))
    raise SpecificationError(
        f"predictive design: no trial of up to {largest} patients holds both errors; allow more, or larger errors"
    )


def _strictest(
    looks: tuple[int, ...], prior: BetaMixture, s: int, p0: float, p1: float, alpha: float, beta: float
) -> MonitoringDesign | None:
    """Monitoring with the highest limit of futility that keeps the power, if it holds the type I error."""
    tables = [_chances(prior, n, looks[-1], s) for n in looks[:-1]]
    limits = np.unique(np.concatenate(tables))
    limits = limits[limits < 1 / 2]

    def design(limit: float) -> MonitoringDesign:
        low = [int((table < limit).sum()) - 1 for table in tables]
        low = [min(each, s - 1) for each in low]
        return MonitoringDesign(looks, (*low, s - 1), (*(n + 1 for n in looks[:-1]), s))

    left, right = 0, len(limits)  # limits[left - 1] keeps the power, limits[right] does not
    while left < right:
        middle = (left + right) // 2
        keeps = design(limits[middle]).operating_characteristics(p1).success >= 1 - beta
        left, right = (middle + 1, right) if keeps else (left, middle)
    best = design(limits[left - 1] if left else 0.0)
    return best if best.operating_characteristics(p0).success <= alpha else None
