r"""Effects of treatment that change over time where earlier trials inform them: which contrasts change, and how.

What the current trial's effect is (:mod:`smm_bayes.survival.effects`) is said of the contrasts that lead from its
control regimen to its experimental one, so that a trial which gave the same regimens has the same shape:

``waning``
    With :math:`w_j` the share of the effect that is left in interval j, the contrasts by which the current trial's arms
    differ count :math:`\theta w_j`, in every regimen that they lead to; the others are constant. What is a trial's own
    (deviation of its hazard ratio, effect on other causes) wanes where its arms differ by a contrast that does.
``varying``
    The last of these contrasts is :math:`\theta + v_{1j}`, with a walk :math:`v_{cj}` for every cause whose mean over
    the intervals is 0 and whose steps are :math:`N(0, t_j\omega_c^2)`, :math:`t_j` the years between the middles of the
    intervals. The effect on another cause is :math:`\beta_{tc} + v_{cj}` in trials whose arms differ by that contrast.
``separate``
    The experimental regimen has smooth log hazards of its own for every cause, with the priors of the baselines, and no
    contrast: earlier trials inform it only where they gave it.

Everything is proportional with an infinite half-life, or one that begins after the last interval; and with
:math:`\omega = 0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.survival.effects import Effect, Proportional, Separate, Varying, Waning
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.walk import spacing

if TYPE_CHECKING:
    from smm_bayes.borrowing.trials.cohorts import Cohort, Trials
    from smm_bayes.borrowing.trials.priors import TrialsPriors


@dataclass(frozen=True, eq=False)
class OverTime:
    """Which contrasts change over time.

    Attributes
    ----------
    effect : Effect
        Proportional where nothing can change: one interval, or a current trial of one arm.
    own : str or None
        The regimen with hazards of its own.
    paths : mapping of str to numpy.ndarray, shape (contrast,)
        Contrasts that lead to every regimen; none to one with hazards of its own.
    changes : numpy.ndarray, shape (contrast,)
        1 for each that wanes; 1 or -1 for the one that varies, as it makes the current trial's hazard ratio larger or
        smaller.
    arms : mapping of str to (str, str)
        Regimens of control and experimental arm by randomised trial.
    """

    effect: Effect
    own: str | None
    paths: Mapping[str, np.ndarray]
    changes: np.ndarray
    arms: Mapping[str, tuple[str, str]]

    @classmethod
    def of(cls, trials: Trials, priors: TrialsPriors) -> OverTime:
        """Read it from what the current trial's arms are given."""
        effect, own = priors.survival.effect, None
        given = {(cohort.trial, cohort.role): cohort.regimen for cohort in trials.cohorts}
        arms = {name: (given[name, "control"], given[name, "experimental"]) for name in trials.randomised}
        still = isinstance(effect, Varying) and len(trials.grid) == 1
        if trials.current not in arms or still:
            effect = Proportional()
        paths = dict(zip(priors.regimens, priors.paths(), strict=True))
        changes = np.zeros(len(priors.contrasts))
        if isinstance(effect, Separate):
            own = arms[trials.current][1]
            paths[own] = changes
        elif isinstance(effect, Waning | Varying):
            control, experimental = arms[trials.current]
            apart = paths[experimental] - paths[control]
            if isinstance(effect, Waning):
                changes = np.abs(apart)
            else:
                last = (np.flatnonzero(apart > 0) if np.any(apart > 0) else np.flatnonzero(apart))[-1:]
                changes[last] = apart[last]
        return cls(effect, own, paths, changes, arms)

    def is_own(self, cohort: Cohort) -> bool:
        """Whether an arm's regimen has hazards of its own."""
        return cohort.regimen == self.own

    def compared(self, trials: Trials) -> tuple[str, ...]:
        """Randomised trials whose experimental arm has an effect on other causes, and not hazards of its own."""
        return tuple(name for name in trials.randomised if self.arms[name][1] != self.own)

    def of_regimen(self, cohort: Cohort) -> float:
        """How much of the walk is in the log hazard of an arm's regimen."""
        return float(self.paths[cohort.regimen] @ self.changes) if isinstance(self.effect, Varying) else 0.0

    def within(self, cohort: Cohort) -> float:
        """How far what is a trial's own in its experimental arm changes: 0 or 1; of a walk also -1."""
        if cohort.role != "experimental":
            return 0.0
        control, experimental = self.arms[cohort.trial]
        apart = self.paths[experimental] - self.paths[control]
        return float(np.any(apart * self.changes)) if isinstance(self.effect, Waning) else float(apart @ self.changes)

    def statements(self, priors: TrialsPriors, trials: Trials) -> dict[str, str]:
        """What changes over time, in words."""
        if self.own is not None:
            said = {"arms": f"{self.own} has hazards of its own, with the priors of the baselines and no contrast; "
                    "earlier trials inform it only where they gave it"}  # fmt: skip
            if set(self.compared(trials)) - {trials.current}:
                said |= {f"hazard ratio of {cause}, in earlier trials": str(priors.survival.for_cause(cause)[1])
                         for cause in trials.causes[1:]}  # fmt: skip
            return said
        named = [f"{c.regimen} v {c.versus}" for c, one in zip(priors.contrasts, self.changes, strict=True) if one]
        if not named:
            return {}
        how = "wanes" if isinstance(self.effect, Waning) else "varies, with its prior for the mean over intervals"
        others = "; other contrasts are constant" if len(named) < len(priors.contrasts) else ""
        return {"contrasts over time": f"{' and '.join(named)} {how}, alike in every trial that gave it{others}"}


@dataclass(frozen=True, eq=False)
class Change:
    """What a change over time adds to the PyMC model being built.

    Attributes
    ----------
    weights : tensor or None, shape (interval,)
        Share of a waning effect that is left.
    walk : tensor or None, shape (cause, interval)
    """

    weights: Any = None
    walk: Any = None

    @classmethod
    def add(cls, over: OverTime, trials: Trials) -> Change:
        """Make its parameters: ``log_half_life``, or ``ratio_smoothness`` (cause) and ``ratio_step`` (cause, step)."""
        import pymc as pm
        import pytensor.tensor as pt

        effect, grid = over.effect, trials.grid
        if isinstance(effect, Waning):
            half_life = pm.Normal("log_half_life", effect.mean, effect.sd)
            return cls(weights=effect.weights(half_life[None], grid, pt.exp))
        if isinstance(effect, Varying):
            smoothness = pm.HalfNormal("ratio_smoothness", effect.smoothness.scale, dims="cause")
            steps = pm.Normal("ratio_step", 0.0, 1.0, dims=("cause", "step"))
            return cls(walk=smoothness[:, None] * (steps[:, None, :] * steps_to_walk(grid)).sum(axis=-1))
        return cls()

    def average(self, apart: Any) -> Any:
        """Log hazard ratio (cause) from log hazards' differences (cause, interval): their mean, or before it wanes."""
        if self.walk is not None:
            return apart.mean(axis=-1)
        return apart[..., 0] if self.weights is None else apart[..., 0] / self.weights[..., :1]


def steps_to_walk(grid: TimeGrid) -> np.ndarray:
    """Matrix that makes a walk with mean 0 of standard normal steps, shape (interval, step)."""
    size = len(grid)
    walk = np.tril(np.ones((size, size)), -1)[:, : size - 1] * np.sqrt(spacing(grid))
    return walk - walk.mean(axis=0)


def change_of(parameters: Mapping[str, np.ndarray], over: OverTime, trials: Trials) -> Change:
    """Numbers of a change over time from parameters with draws first, in NumPy."""
    if isinstance(over.effect, Waning):
        return Change(weights=over.effect.weights(parameters["log_half_life"][:, None], trials.grid))
    if isinstance(over.effect, Varying):
        walk = np.einsum("dcs,js->dcj", parameters["ratio_step"], steps_to_walk(trials.grid))
        return Change(walk=parameters["ratio_smoothness"][..., None] * walk)
    return Change()


def log_hazard_ratio(
    log_hazard: np.ndarray, parameters: Mapping[str, np.ndarray], trials: Trials, priors: TrialsPriors
) -> np.ndarray | None:
    """Log hazard ratio (draw, cause) of the current trial from its log hazards (draw, arm, cause, interval), in NumPy.

    Of a walk the mean over intervals, of a waning effect that before it wanes; None where arms are separate, or one.
    """
    over = OverTime.of(trials, priors)
    if over.own is not None or log_hazard.shape[1] < 2:
        return None
    found: np.ndarray = change_of(parameters, over, trials).average(log_hazard[:, 1] - log_hazard[:, 0])
    return found
