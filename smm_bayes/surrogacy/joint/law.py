r"""The joint model with known parameters: statuses, hazards, survival; draws of them, or numbers.

A path is the status at every visit. Since :math:`Z_k` depends on the past only through arm and :math:`Z_{k-1}`, the
whole path may be drawn at enrolment, :math:`P(\text{path} \mid a) = \prod_k P(Z_k \mid a, Z_{k-1})`, and the hazards
after :math:`v_k` follow it: the law of event times and of the statuses of who is event-free at each visit is the
model's. So each arm is a mixture, over paths, of piecewise-exponential distributions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.joint.hazards import CONDITIONAL, MARGINAL, HazardsOf
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.piecewise import PiecewiseExponential

if TYPE_CHECKING:
    import xarray as xr

    from smm_bayes.surrogacy.joint.priors import JointPriors
    from smm_bayes.surrogacy.joint.shape import JointShape

PARAMETERS = (
    "log_hazard", "log_mrd_hazard_ratio", "log_mrd_interaction", "log_mrd_half_life", "status_level",
    "status_log_odds_ratio", "status_persistence",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class JointLaw:
    """Paths and hazards of the joint model, over any leading dims.

    Attributes
    ----------
    log_path : numpy.ndarray, shape (..., arm, path)
        Log probability of each path; path p has status bit k - 1 of p at visit k.
    log_hazard : numpy.ndarray, shape (..., arm, path, cause, cell)
        Per month.
    cells : TimeGrid
    months : numpy.ndarray, shape (visit,)
    """

    log_path: np.ndarray
    log_hazard: np.ndarray
    cells: TimeGrid
    months: np.ndarray

    @classmethod
    def of(
        cls, parameters: Mapping[str, np.ndarray], shape: JointShape, priors: JointPriors,
        hazards_of: HazardsOf = CONDITIONAL,
    ) -> JointLaw:  # fmt: skip
        """Give the law of parameters by the names of the PyMC model, in NumPy.

        Parameters
        ----------
        parameters : mapping of str to numpy.ndarray
            ``log_hazard`` (..., arm, cause, interval) and those of status and MRD effect, with the same leading dims.
        shape : JointShape
        priors : JointPriors
            Which causes MRD acts on, and how.
        hazards_of : {"not negative", "everyone"}

        Raises
        ------
        SpecificationError
            When each patient has visits of his own, so that there is no law of an arm.
        """
        if shape.own_visits:
            raise SpecificationError("visits at months of each patient's own: an arm has no law of paths and times; "
                                     "read the hazard ratios of MRD from the posterior")  # fmt: skip
        states = shape.states
        log_path = _log_paths(parameters, states, len(shape.arms))
        log_ratio = _log_ratios(parameters, shape, priors)  # (..., arm, cause, cell)
        now = np.column_stack([np.zeros(len(states), int), states])[:, shape.period]  # (path, cell)
        log_hazard = np.asarray(parameters["log_hazard"])[..., shape.interval][..., :, None, :, :]
        log_hazard = log_hazard + log_ratio[..., :, None, :, :] * now[:, None, :]
        if hazards_of == MARGINAL:
            log_hazard = _shifted(log_hazard, log_path, log_ratio, now, shape)
        return cls(log_path, log_hazard, shape.cells, np.asarray(shape.months, float))

    @classmethod
    def of_posterior(
        cls, posterior: xr.Dataset, shape: JointShape, priors: JointPriors, hazards_of: HazardsOf = CONDITIONAL
    ) -> JointLaw:
        """Give the law of every posterior draw, leading dims (chain, draw); arguments as in :meth:`of`."""
        found = {str(name): values.transpose("chain", "draw", ...).values
                 for name, values in posterior.data_vars.items() if name in PARAMETERS}  # fmt: skip
        return cls.of(found, shape, priors, hazards_of)

    @property
    def states(self) -> np.ndarray:
        """Status of every path, shape (path, visit)."""
        return (np.arange(self.log_path.shape[-1])[:, None] >> np.arange(len(self.months))) & 1

    @cached_property
    def by_path(self) -> PiecewiseExponential:
        """Time to an event of any cause, by arm and path."""
        return PiecewiseExponential(np.logaddexp.reduce(self.log_hazard, axis=-2), self.cells)

    def survival(self, time: np.ndarray | float) -> np.ndarray:
        """Probability of being event-free by arm, shape (..., arm, time)."""
        return (np.exp(self.log_path)[..., None] * self.by_path.survival(time)).sum(axis=-2)

    def cumulative_incidence(self, time: np.ndarray | float) -> np.ndarray:
        """Probability of an event of each cause by each time, shape (..., arm, cause, time)."""
        from smm_bayes.survival.piecewise import cumulative_incidence

        found = cumulative_incidence(self.log_hazard, self.cells, np.atleast_1d(np.asarray(time, float)))
        return (np.exp(self.log_path)[..., None, None] * found).sum(axis=-3)

    def rmst(self, horizon: float) -> np.ndarray:
        """Restricted mean time without event, shape (..., arm)."""
        return (np.exp(self.log_path) * self.by_path.rmst(horizon)).sum(axis=-1)

    def everyone(self, grid: TimeGrid) -> np.ndarray:
        r"""Log hazard of all patients of an arm by cause and interval, shape (..., arm, cause, interval).

        The mean hazard of an interval, :math:`\{F_c(b) - F_c(a)\} / \int_a^b S`: events over time at risk. The last
        interval, which has no end, counts as in :attr:`~smm_bayes.survival.grid.TimeGrid.ends`.
        """
        edges = np.append(0.0, grid.ends)
        incidence = np.diff(self.cumulative_incidence(edges), axis=-1)
        spent = np.diff(np.stack([self.rmst(float(edge)) for edge in edges], axis=-1), axis=-1)
        return np.log(incidence) - np.log(spent)[..., None, :]

    def negative(self, visit: int) -> np.ndarray:
        """Share MRD-negative at a visit among who is event-free then, shape (..., arm)."""
        free = self._free_at(visit)
        return free[..., self.states[:, visit] == 1].sum(axis=-1) / free.sum(axis=-1)

    def negative_of_all(self, visit: int) -> np.ndarray:
        """Share of all randomised that is event-free and MRD-negative at a visit, shape (..., arm)."""
        return self._free_at(visit)[..., self.states[:, visit] == 1].sum(axis=-1)

    def status_effect(self, visit: int = -1) -> np.ndarray:
        """Intention-to-treat log odds ratio of MRD-negativity at a visit, experimental over control."""
        share = self.negative_of_all(visit)
        odds = np.log(share) - np.log1p(-share)
        return odds[..., 1] - odds[..., 0]

    def event_effect(self, horizon: float) -> np.ndarray:
        r"""Marginal effect on the time to event at a horizon, :math:`\log\{\log S_1(h) / \log S_0(h)\}`.

        Under proportional hazards it is the log hazard ratio, whatever the horizon.
        """
        cumulative = np.log(-np.log(self.survival(horizon)[..., 0]))
        return cumulative[..., 1] - cumulative[..., 0]

    def milestone(self, time: float, visit: int = -1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the effect at a milestone is made of, with the visit as landmark.

        Parameters
        ----------
        time : float
            Months from enrolment to the milestone, after the visit.
        visit : int

        Returns
        -------
        survival : numpy.ndarray, shape (..., arm)
            Event-free at the visit, S_a.
        status : numpy.ndarray, shape (..., arm, state)
            Status then among who is event-free, π_am; state 0 is not negative.
        after : numpy.ndarray, shape (..., arm, state)
            Event-free at the milestone given both, ψ_am.

        Raises
        ------
        SpecificationError
            When the milestone is not after the visit.
        """
        if not time > self.months[visit]:
            raise SpecificationError(
                f"the milestone must be after the visit, at {self.months[visit]:g} months; got {time:g}"
            )
        free = self._free_at(visit)
        later = np.exp(self.log_path) * self.by_path.survival(time)[..., 0]
        here = [self.states[:, visit] == state for state in (0, 1)]
        alive = np.stack([free[..., rows].sum(axis=-1) for rows in here], axis=-1)
        after = np.stack([later[..., rows].sum(axis=-1) for rows in here], axis=-1) / alive
        survival = alive.sum(axis=-1)
        return survival, alive / survival[..., None], after

    def sample(self, arm: np.ndarray, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw patients of a law without leading dims.

        Parameters
        ----------
        arm : numpy.ndarray of int, shape (patient,)
        rng : numpy.random.Generator

        Returns
        -------
        time : numpy.ndarray, shape (patient,)
        cause : numpy.ndarray of int, shape (patient,)
        status : numpy.ndarray of int, shape (patient, visit)
            Drawn for everybody; that of who has an event before a visit means nothing.
        """
        share = np.cumsum(np.exp(self.log_path), axis=-1)
        path = (rng.random(len(arm))[:, None] * share[arm, -1:] > share[arm]).sum(axis=1)
        log_hazard = self.log_hazard[arm, path]  # (patient, cause, cell)
        time = PiecewiseExponential(np.logaddexp.reduce(log_hazard, axis=1), self.cells).sample(rng=rng)
        there = np.exp(np.take_along_axis(log_hazard, self.cells.index(time)[:, None, None], axis=2)[..., 0])
        level = np.cumsum(there, axis=1) / there.sum(axis=1, keepdims=True)
        return time, (rng.random((len(arm), 1)) > level).sum(axis=1), self.states[path]

    def _free_at(self, visit: int) -> np.ndarray:
        """Probability of a path and of being event-free at a visit, shape (..., arm, path)."""
        return np.exp(self.log_path) * self.by_path.survival(self.months[visit])[..., 0]


def _log_paths(parameters: Mapping[str, np.ndarray], states: np.ndarray, arms: int) -> np.ndarray:
    level = np.asarray(parameters["status_level"])
    lead, visits = level.shape[:-1], level.shape[-1]
    total = np.zeros((*lead, arms, len(states)))
    for visit in range(visits):
        for path, state in enumerate(states):
            odds = np.repeat(level[..., visit, None], arms, axis=-1)
            if arms > 1:
                odds[..., 1] += parameters["status_log_odds_ratio"][..., visit]
            if visit and state[visit - 1]:
                odds += parameters["status_persistence"][..., visit - 1, None]
            total[..., path] -= np.logaddexp(0.0, -odds if state[visit] else odds)
    return total


def _log_ratios(parameters: Mapping[str, np.ndarray], shape: JointShape, priors: JointPriors) -> np.ndarray:
    """Log hazard ratio of the negative, shape (..., arm, cause, cell)."""
    ratio = np.asarray(parameters["log_mrd_hazard_ratio"])
    found = np.zeros((*ratio.shape[:-1], len(shape.arms), len(shape.causes), len(shape.cells)))
    half_life = parameters.get("log_mrd_half_life")
    log_time = None if half_life is None else np.asarray(half_life)[..., None]
    for position, cause in enumerate(priors.acting(shape.causes)):
        for arm in range(len(shape.arms)):
            size = ratio[..., position]
            if arm and "log_mrd_interaction" in parameters:
                size = size + parameters["log_mrd_interaction"]
            found[..., arm, cause, :] = priors.effect.log_ratio(size[..., None], log_time, *shape.since)
    return found * shape.acts


def _shifted(
    log_hazard: np.ndarray, log_path: np.ndarray, log_ratio: np.ndarray, now: np.ndarray, shape: JointShape
) -> np.ndarray:
    """Hazards of paths whose mean over who is event-free, at the start of every cell, is that of everyone."""
    out, mass = log_hazard.copy(), log_path
    widths = np.append(np.diff(shape.cells.starts), 0.0)
    for cell in range(len(shape.cells)):
        share = np.exp(mass - np.logaddexp.reduce(mass, axis=-1)[..., None])
        negative = (share * now[:, cell]).sum(axis=-1)  # (..., arm)
        mean = np.log1p(negative[..., None] * np.expm1(log_ratio[..., cell]))  # (..., arm, cause)
        out[..., cell] -= mean[..., :, None, :]
        mass = mass - np.exp(out[..., cell]).sum(axis=-1) * widths[cell]
    return out
