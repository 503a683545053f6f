"""Newton's method in Cox's and in the piecewise-exponential hazard ratio: the root of the score, however far it lies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from smm_bayes.prediction.final_kernels import hazard_ratios
from smm_bayes.trial.cox import cox_ratio, solve_score


def arms(effect: float, *, size: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    group = np.repeat([False, True], size)
    time = rng.exponential(1 / np.where(group, np.exp(effect), 1.0))
    return time, np.ones(2 * size, bool), group


@pytest.mark.parametrize("effect", [-6.0, -3.0, -0.5, 0.0, 0.5, 3.0, 6.0])
def test_cox_score_is_zero_at_the_estimate(effect: float) -> None:
    time, event, group = arms(effect)
    ratio = cox_ratio(time, event, group)

    def score(beta: float) -> float:
        return sum(
            group[i] - (risk := np.exp(beta * group[time >= time[i]]))[group[time >= time[i]]].sum() / risk.sum()
            for i in range(len(time))
        )

    assert ratio.log_hazard_ratio == pytest.approx(brentq(score, -15, 15, xtol=1e-12), abs=1e-8)
    assert abs(ratio.log_hazard_ratio - effect) < 4 * ratio.standard_error


@pytest.mark.parametrize(("events", "exposure"), [
    ([[900.0, 5.0], [2.0, 1.0]], [[10.0, 0.5], [4000.0, 900.0]]),
    ([[2.0, 1.0], [900.0, 5.0]], [[4000.0, 900.0], [10.0, 0.5]]),
    ([[1.0, 0.0], [1.0, 400.0]], [[1e5, 1e5], [1e-2, 1.0]]),
    ([[30.0, 20.0], [20.0, 22.0]], [[500.0, 700.0], [510.0, 690.0]]),
])  # fmt: skip
def test_hazard_ratio_of_cells_is_the_root_of_its_score(events: list, exposure: list) -> None:
    d, e = np.array(events), np.array(exposure)

    def score(beta: float) -> float:
        weight = np.exp(beta) * e[1]
        return float(d[1].sum() - (d.sum(axis=0) * weight / (e[0] + weight)).sum())

    out = np.empty(1)
    hazard_ratios(d[None], e[None], out)
    assert out[0] == pytest.approx(brentq(score, -40, 40, xtol=1e-13), abs=1e-8)


def test_a_step_that_overshoots_is_held_back() -> None:
    """One event of group 1 of five, where a million times as many of its patients are at risk: e^β = (1/4)·1e-6."""
    few, many = np.ones(5), np.full(5, 1e6)
    assert solve_score(few, many, 1.0) == pytest.approx(np.log(0.25e-6), abs=1e-8)
    assert solve_score(many, few, 4.0) == pytest.approx(np.log(4e6), abs=1e-8)
