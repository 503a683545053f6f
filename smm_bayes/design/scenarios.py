"""Simulated trials of many scenarios, in blocks that any executor may run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from smm_bayes.design.methods import Methods
from smm_bayes.design.two_arm import TwoArmDesign, TwoArmTrials
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.execution import run_chunks

BLOCK = 500  # trials that are simulated together


@dataclass(frozen=True, eq=False)
class Block:
    """Some of the simulated trials of a scenario.

    Their stream is keyed by seed, scenario and block, so that they are the same whatever else is asked for and
    whoever runs them.

    Attributes
    ----------
    design : TwoArmDesign
    drift, hazard_ratio : float
        Current control hazard over that of the design, and the true hazard ratio.
    seed, block, size : int
        ``size`` is the number of trials.
    """

    design: TwoArmDesign
    drift: float
    hazard_ratio: float
    seed: int
    block: int
    size: int

    def trials(self) -> TwoArmTrials:
        """Simulate them."""
        scenario = np.array([self.drift, self.hazard_ratio], float).view(np.uint32)
        rng = np.random.default_rng([self.seed, self.block, *scenario.tolist()])
        return self.design.simulate(np.log(self.drift), np.log(self.hazard_ratio), self.size, rng=rng)


def over_scenarios(
    function: Callable[..., dict[str, np.ndarray]], methods: Methods, design: TwoArmDesign, *,
    drifts: Sequence[float], hazard_ratios: Sequence[float], seed: int, replicates: int, arguments: tuple[Any, ...],
    executor: Executor | None, progress: Callable[[int, int], None] | None,
) -> list[tuple[float, float, dict[str, np.ndarray]]]:  # fmt: skip
    """Sums over the trials of every scenario, by method.

    Parameters
    ----------
    function : callable
        Of a block, the methods and ``arguments``: sums over its trials by method.
    methods, design, drifts, hazard_ratios, seed, replicates, executor, progress
        As in :func:`~smm_bayes.design.operating_characteristics`.
    arguments : tuple

    Raises
    ------
    SpecificationError
        When a number is out of range, or a method is on another number of intervals.
    """
    _check(methods, design, drifts, hazard_ratios, seed, replicates)
    scenarios = [(float(drift), float(ratio)) for drift in drifts for ratio in hazard_ratios]
    blocks = [Block(design, *scenario, seed, block, min(BLOCK, replicates - block * BLOCK))
              for scenario in scenarios for block in range(-(-replicates // BLOCK))]  # fmt: skip
    found = [(*scenario, {name: np.zeros(()) for name in methods}) for scenario in scenarios]
    each = len(blocks) // len(scenarios)
    chunks = [(block, methods, *arguments) for block in blocks]
    for done, sums in enumerate(run_chunks(function, chunks, executor)):
        *_, total = found[done // each]
        for name, values in sums.items():
            total[name] = total[name] + values
        if progress:
            progress(done + 1, len(blocks))
    return found


def _check(
    methods: Methods, design: TwoArmDesign, drifts: Sequence[float], hazard_ratios: Sequence[float], seed: int,
    replicates: int,
) -> None:  # fmt: skip
    with Problems("simulated trials", SpecificationError).collecting() as problems:
        for name, values in (("drifts", drifts), ("hazard_ratios", hazard_ratios)):
            if len(values) == 0 or not all(0 < value < np.inf for value in values):
                problems.add(f"{name} must be numbers above 0, one at least; got {list(values)}")
        if replicates < 1 or seed < 0:
            problems.add(f"replicates must be 1 or more and seed 0 or more; got {replicates} and {seed}")
        for name, method in methods.items():
            if method.prior.dim != len(design.grid):
                problems.add(f"'{name}' is on {method.prior.dim} intervals and the design on {len(design.grid)}; "
                             "make both on one grid")  # fmt: skip


def share(count: float, replicates: int) -> tuple[float, float]:
    """Share of trials and its Monte Carlo error; of none or all, that of one."""
    found = float(count) / replicates
    return found, float(np.sqrt(max(found * (1 - found), 1 / replicates) / replicates))
