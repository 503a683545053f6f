"""Success rules: what the final analysis must show. Values that combine with ``&`` and ``|``."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np

from smm_bayes.errors import SpecificationError

if TYPE_CHECKING:
    from smm_bayes.prediction.final import FinalData


class SuccessRule(ABC):
    """A rule that says of every final analysis whether it succeeds."""

    two_arms = False

    @abstractmethod
    def __call__(self, final: FinalData) -> np.ndarray:
        """Whether each replicate succeeds, shape (replicate,)."""

    def __and__(self, other: SuccessRule) -> SuccessRule:
        return Combined("and", self, other)

    def __or__(self, other: SuccessRule) -> SuccessRule:
        return Combined("or", self, other)


@dataclass(frozen=True)
class Combined(SuccessRule):
    """Both rules, or one of them."""

    how: Literal["and", "or"]
    left: SuccessRule
    right: SuccessRule

    @property
    def two_arms(self) -> bool:  # type: ignore[override]
        """Whether one of the rules compares arms."""
        return self.left.two_arms or self.right.two_arms

    def __call__(self, final: FinalData) -> np.ndarray:
        left, right = self.left(final), self.right(final)
        return left & right if self.how == "and" else left | right

    def __str__(self) -> str:
        return f"({self.left}) {self.how} ({self.right})"


@dataclass(frozen=True)
class LogRank(SuccessRule):
    """One-sided log-rank test in favour of the experimental arm: z < Φ⁻¹(alpha)."""

    alpha: float = 0.025
    two_arms = True

    def __post_init__(self) -> None:
        """Refuse a level that is none."""
        if not 0 < self.alpha < 0.5:
            raise SpecificationError(f"success.alpha must be above 0 and below 0.5 (one-sided); got {self.alpha}")

    def __call__(self, final: FinalData) -> np.ndarray:
        return final.z < NormalDist().inv_cdf(self.alpha)

    def __str__(self) -> str:
        return f"one-sided log-rank p below {self.alpha:g}"


@dataclass(frozen=True)
class HazardRatioProbability(SuccessRule):
    """Posterior probability that the hazard ratio is below a threshold.

    The final posterior is of a proportional-hazards model with Gamma(shape, rate) baseline hazards by interval and a
    log-normal prior of the hazard ratio, exact by quadrature.

    Parameters
    ----------
    threshold : float
        Of the hazard ratio.
    probability : float
        That the posterior must exceed.
    prior_median, prior_upper : float
        Median and 97.5 % point of the prior hazard ratio in the final analysis.
    shape, rate : float
        Prior of the baseline hazards, worth ``shape`` events in ``rate`` months.
    """

    threshold: float = 1.0
    probability: float = 0.975
    prior_median: float = 1.0
    prior_upper: float = 50.0
    shape: float = 0.01
    rate: float = 0.01
    two_arms = True

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not (self.threshold > 0 and 0 < self.probability < 1 and 0 < self.prior_median < self.prior_upper
                and self.shape > 0 and self.rate > 0):  # fmt: skip
            raise SpecificationError(
                "success: need threshold > 0, 0 < probability < 1, 0 < prior_median < prior_upper, shape and rate > 0; "
                f"got {self}"
            )

    def posterior(self, final: FinalData) -> np.ndarray:
        """Posterior probability of every replicate."""
        from smm_bayes.prediction.final_kernels import posterior_below

        out = np.empty(len(final))
        sd = math.log(self.prior_upper / self.prior_median) / 1.959963984540054
        posterior_below(final.cell_events, final.cell_exposure, math.log(self.threshold), math.log(self.prior_median),
                        sd, self.shape, self.rate, out)  # fmt: skip
        return out

    def __call__(self, final: FinalData) -> np.ndarray:
        return self.posterior(final) > self.probability

    def __str__(self) -> str:
        return f"posterior probability of a hazard ratio below {self.threshold:g} above {self.probability:g}"


@dataclass(frozen=True)
class EventCount(SuccessRule):
    """Number of counted events in one arm (or in all) between two bounds, both included."""

    at_least: int = 0
    at_most: float = math.inf
    arm: str | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that nothing or everything meets."""
        if not 0 <= self.at_least <= self.at_most or (self.at_least == 0 and math.isinf(self.at_most)):
            raise SpecificationError(
                "success: give at_least or at_most events, at_least <= at_most; "
                f"got {self.at_least} and {self.at_most}"
            )

    def __call__(self, final: FinalData) -> np.ndarray:
        if self.arm is not None and self.arm not in final.arms:
            raise SpecificationError(f"success.arm {self.arm!r} is not one of the arms {list(final.arms)}")
        counts = final.counted_events
        number = counts.sum(axis=1) if self.arm is None else counts[:, final.arms.index(self.arm)]
        return (number >= self.at_least) & (number <= self.at_most)

    def __str__(self) -> str:
        bounds = f"at least {self.at_least}" if self.at_least else ""
        upper = f"at most {self.at_most:g}" if math.isfinite(self.at_most) else ""
        return f"{' and '.join(filter(None, (bounds, upper)))} events in {self.arm or 'all'}"


def rule_from(spec: dict[str, object]) -> SuccessRule:
    """Make a rule from its description.

    For example ``{"rule": "log_rank", "alpha": 0.025}``; ``{"all": [...]}`` and ``{"any": [...]}`` combine rules.

    Raises
    ------
    SpecificationError
        Naming what is not understood.
    """
    for word, how in (("all", "and"), ("any", "or")):
        if word in spec:
            parts = spec[word]
            if len(spec) > 1 or not isinstance(parts, list) or len(parts) < 2:
                raise SpecificationError(f"success.{word} must be a list of two rules or more, and stand alone")
            rules = [rule_from(part) for part in parts]
            combined = rules[0]
            for rule in rules[1:]:
                combined = Combined(how, combined, rule)  # type: ignore[arg-type]
            return combined
    known: dict[str, type[SuccessRule]] = {
        "log_rank": LogRank, "hazard_ratio_probability": HazardRatioProbability, "event_count": EventCount,
    }  # fmt: skip
    options = dict(spec)
    name = options.pop("rule", None)
    if name not in known:
        raise SpecificationError(f"success.rule must be one of {', '.join(known)}; got {name!r}")
    fields = set(known[str(name)].__dataclass_fields__)  # type: ignore[attr-defined]
    unknown = sorted(set(options) - fields)
    if unknown:
        raise SpecificationError(
            f"success: {', '.join(unknown)} is no setting of {name}; its settings are {', '.join(sorted(fields))}"
        )
    try:
        return known[str(name)](**options)
    except TypeError:
        raise SpecificationError(
            f"success: the settings of {name} must be numbers (arm a word); got {options}"
        ) from None
