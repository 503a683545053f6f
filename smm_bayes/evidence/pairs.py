"""Two reconstructed arms: the range of hazard ratios their summaries allow, and a pair with a published one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import DataError
from smm_bayes.evidence.pseudo import PseudoArm
from smm_bayes.evidence.reconstruct import reconstruct
from smm_bayes.evidence.summaries import ArmSummary, half_unit
from smm_bayes.trial.curves import hazard_ratio


@dataclass(frozen=True)
class HazardRatioRange:
    """Hazard ratios over reconstructions: how much the summaries leave open.

    This is the spread of what the reconstruction draws, not a confidence interval of the trial.
    """

    pairs: int
    minimum: float
    lower: float
    median: float
    upper: float
    maximum: float

    @classmethod
    def of(cls, controls: Sequence[PseudoArm], experimentals: Sequence[PseudoArm]) -> HazardRatioRange:
        """Every control arm with every experimental arm."""
        ratios = _ratios(controls, experimentals).ravel()
        low, five, half, ninety_five, high = np.quantile(ratios, [0, 0.05, 0.5, 0.95, 1], method="inverted_cdf")
        return cls(len(ratios), float(low), float(five), float(half), float(ninety_five), float(high))

    def holds(self, value: float, digits: int) -> bool:
        """Whether a printed hazard ratio is within the range, to its printed precision."""
        return self.minimum - half_unit(digits) <= value <= self.maximum + half_unit(digits)

    def __repr__(self) -> str:
        return (f"hazard ratio over {self.pairs} pairs of reconstructions: min {self.minimum:.3f}, 5 % {self.lower:.3f}"
                f", median {self.median:.3f}, 95 % {self.upper:.3f}, max {self.maximum:.3f}")  # fmt: skip


def _ratio(control: PseudoArm, experimental: PseudoArm) -> float:
    return hazard_ratio((control.time, control.event), (experimental.time, experimental.event))


def _ratios(controls: Sequence[PseudoArm], experimentals: Sequence[PseudoArm]) -> np.ndarray:
    return np.array([[_ratio(control, experimental) for experimental in experimentals] for control in controls])


def hazard_ratio_range(
    control: ArmSummary, experimental: ArmSummary, n: int = 50, *, rng: np.random.Generator
) -> HazardRatioRange:
    """Find the hazard ratios that two arms' summaries allow, by reconstructing each ``n`` times.

    Parameters
    ----------
    control, experimental : ArmSummary
    n : int
        Reconstructions of each arm; all n² pairs are looked at.
    rng : numpy.random.Generator

    Returns
    -------
    HazardRatioRange

    Raises
    ------
    DataError
        If a summary cannot be met.
    """
    arms = [[reconstruct(summary, rng=rng) for _ in range(n)] for summary in (control, experimental)]
    return HazardRatioRange.of(*arms)


def reconstruct_pair(
    control: ArmSummary,
    experimental: ArmSummary,
    *,
    rng: np.random.Generator,
    hazard_ratio: tuple[float, int] | None = None,
    rounds: int = 12,
) -> tuple[PseudoArm, PseudoArm]:
    """Reconstruct two arms, if asked so that their hazard ratio rounds to a published one.

    A published hazard ratio is a result, often adjusted or stratified; forcing it removes reconstructions that the
    other summaries allow. Ten reconstructions of each arm are added a round; the first round with a pair
    that has |HR - v| ≤ ½ 10^-k gives one of its pairs, drawn at random.

    Parameters
    ----------
    control, experimental : ArmSummary
    rng : numpy.random.Generator
    hazard_ratio : (value, digits), optional
    rounds : int
        Rounds before giving up.

    Raises
    ------
    DataError
        If a summary cannot be met, or no pair with the hazard ratio was found; the nearest one is named.
    """
    if hazard_ratio is None:
        return reconstruct(control, rng=rng), reconstruct(experimental, rng=rng)
    value, digits = hazard_ratio
    if not 0 < value < np.inf or digits < 0:
        raise DataError(f"hazard ratio {value:g} with {digits} digits: give a positive number and 0 or more digits")
    controls: list[PseudoArm] = []
    experimentals: list[PseudoArm] = []
    nearest = np.inf
    for _ in range(rounds):
        controls += [reconstruct(control, rng=rng) for _ in range(10)]
        experimentals += [reconstruct(experimental, rng=rng) for _ in range(10)]
        ratios = _ratios(controls, experimentals)
        hits = np.argwhere(np.abs(ratios - value) <= half_unit(digits))
        if len(hits):
            first, second = hits[int(rng.integers(len(hits)))]
            return controls[first], experimentals[second]
        nearest = min(ratios.ravel().tolist(), key=lambda ratio: abs(ratio - value))
    raise DataError(
        f"{control.trial}, {control.endpoint}: hazard ratio {value:.{digits}f} was not found among "
        f"{len(controls) ** 2} pairs of reconstructions; the nearest is {nearest:.3f}. The summaries do not seem to "
        "allow it: leave it out, or look for another analysis behind it"
    )
