"""Decision rules: what the posterior must say for a success."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.response.exact.difference import probability_of_difference

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture

Link = Literal["identity", "log", "logit"]
TIE = 1e-10  # a probability that exceeds by no more only seems to: ties are exact in theory and not in floating point
COMPARED = {"identity": "difference", "log": "log ratio", "logit": "log odds ratio"}


@dataclass(frozen=True)
class Criterion:
    r"""One condition on a posterior: :math:`P(\theta > t) > p`, or with side "below" :math:`P(\theta < t) > p`.

    Attributes
    ----------
    threshold : float
        t, of the parameter, or of the difference of two on the link's scale.
    probability : float
        p, within (0, 1).
    side : {"above", "below"}

    Raises
    ------
    SpecificationError
        When the threshold is not finite, the probability not within (0, 1) or the side neither of the two.
    """

    threshold: float
    probability: float
    side: Literal["above", "below"] = "above"

    def __post_init__(self) -> None:
        problems = Problems("Criterion", SpecificationError)
        if not math.isfinite(self.threshold):
            problems.add(f"threshold must be a finite number; got {self.threshold}")
        if not 0 < self.probability < 1:
            problems.add(f"probability must be above 0 and below 1; got {self.probability}")
        if self.side not in ("above", "below"):
            problems.add(f"side must be 'above' or 'below'; got {self.side!r}")
        problems.raise_if_any()

    def met(self, above: np.ndarray) -> np.ndarray:
        """Whether it holds where the parameter is above the threshold with probability ``above``."""
        return (above if self.side == "above" else 1 - above) > self.probability + TIE


def above(threshold: float, probability: float) -> Criterion:
    """Criterion that the parameter is above ``threshold`` with more than ``probability``."""
    return Criterion(threshold, probability, "above")


def below(threshold: float, probability: float) -> Criterion:
    """Criterion that the parameter is below ``threshold`` with more than ``probability``."""
    return Criterion(threshold, probability, "below")


def _check(rule: object, criteria: tuple[Criterion, ...], problems: Problems) -> None:
    if not criteria or not all(isinstance(each, Criterion) for each in criteria):
        problems.add(f"{type(rule).__name__} needs criteria, such as above(0.2, 0.95); got {criteria!r}")


def _sentence(criteria: tuple[Criterion, ...], what: str) -> str:
    parts = [f"{what} {each.side} {each.threshold:.4g} has probability above {each.probability:.4g}"
             for each in criteria]  # fmt: skip
    return f"success if {', and '.join(parts)}"


@dataclass(frozen=True, init=False)
class OneSampleRule:
    """Success when every criterion holds for the posterior of one parameter.

    Parameters
    ----------
    *criteria : Criterion
        For example ``above(0.2, 0.975), above(0.3, 0.5)``; sides may be mixed.

    Raises
    ------
    SpecificationError
        When there is no criterion.

    References
    ----------
    Neuenschwander B, Rouyrre N, Hollaender N, Zuber E, Branson M. Stat Med 2011;30:1618-1627 (double criterion).
    """

    criteria: tuple[Criterion, ...]

    def __init__(self, *criteria: Criterion) -> None:
        problems = Problems("OneSampleRule", SpecificationError)
        _check(self, criteria, problems)
        problems.raise_if_any()
        object.__setattr__(self, "criteria", criteria)

    def probabilities(self, posterior: Mixture) -> np.ndarray:
        """Posterior probability of what each criterion asks for, shape (criterion,)."""
        return np.array([float(posterior.sf(each.threshold) if each.side == "above" else posterior.cdf(each.threshold))
                         for each in self.criteria])  # fmt: skip

    def __call__(self, posterior: Mixture) -> bool:
        """Whether a posterior succeeds."""
        found = self.probabilities(posterior)
        return all(p > each.probability + TIE for p, each in zip(found, self.criteria, strict=True))

    def __str__(self) -> str:
        return _sentence(self.criteria, "a parameter")


@dataclass(frozen=True, init=False)
class TwoSampleRule:
    r"""Success when every criterion holds for the difference of two parameters, experimental minus control.

    With the link g a criterion is of :math:`g(\theta_E) - g(\theta_C)`: a difference (identity), a log ratio (log), a
    log odds ratio (logit); its threshold is on that scale.

    Parameters
    ----------
    *criteria : Criterion
    link : {"identity", "log", "logit"}
        Log for response rates and rates, logit for response rates, identity for all.

    Raises
    ------
    SpecificationError
        When there is no criterion or the link is unknown.
    """

    criteria: tuple[Criterion, ...]
    link: Link

    def __init__(self, *criteria: Criterion, link: Link = "identity") -> None:
        problems = Problems("TwoSampleRule", SpecificationError)
        _check(self, criteria, problems)
        if link not in get_args(Link):
            problems.add(f"link must be one of {', '.join(get_args(Link))}; got {link!r}")
        problems.raise_if_any()
        object.__setattr__(self, "criteria", criteria)
        object.__setattr__(self, "link", link)

    def probabilities(self, experimental: Mixture, control: Mixture) -> np.ndarray:
        """Posterior probability of what each criterion asks for, shape (criterion,)."""
        over = [probability_of_difference(experimental, control, each.threshold, link=self.link)
                for each in self.criteria]  # fmt: skip
        return np.array([p if each.side == "above" else 1 - p for p, each in zip(over, self.criteria, strict=True)])

    def __call__(self, experimental: Mixture, control: Mixture) -> bool:
        """Whether two posteriors succeed."""
        found = self.probabilities(experimental, control)
        return all(p > each.probability + TIE for p, each in zip(found, self.criteria, strict=True))

    def __str__(self) -> str:
        return _sentence(self.criteria, f"a {COMPARED[self.link]} (experimental against control)")
