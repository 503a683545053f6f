"""Kernels that judge final analyses, against roots and integrals by SciPy."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from smm_bayes.design.kernels import log_ranks
from smm_bayes.prediction.final_kernels import hazard_ratios, posterior_below
from smm_bayes.prediction.kernels import log_rank

RNG = np.random.default_rng(12)


def cells(events, exposure):
    return np.array([events], float), np.array([exposure], float)


CELLS = {
    "equal arms": ([[3, 5], [3, 5]], [[40, 60], [40, 60]]),
    "a large effect": ([[30, 20], [2, 1]], [[100, 80], [400, 500]]),
    "a huge effect": ([[400, 300], [1, 0]], [[1, 2], [9000, 8000]]),
    "no event in a cell": ([[4, 0, 2], [6, 0, 1]], [[50, 30, 10], [40, 30, 20]]),
    "one event in a cell": ([[1, 0, 7], [0, 3, 2]], [[5, 30, 10], [40, 3, 20]]),
    "nobody left in an arm's cell": ([[4, 2], [6, 0]], [[50, 30], [40, 0]]),
    "a cell that nobody reached": ([[4, 2, 0], [6, 1, 0]], [[50, 30, 0], [40, 20, 0]]),
    "one event each": ([[1], [1]], [[30], [7]]),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_the_hazard_ratio_is_where_the_score_is_zero(name):
    events, exposure = cells(*CELLS[name])

    def score(beta):
        total, ratio = events[0].sum(axis=0), np.exp(beta) * exposure[0, 1]
        seen = total > 0
        return events[0, 1].sum() - (total * ratio)[seen] @ (1 / (exposure[0, 0] + ratio)[seen])

    out = np.empty(1)
    hazard_ratios(events, exposure, out)
    assert out[0] == pytest.approx(brentq(score, -30, 30, xtol=1e-13), abs=1e-9)


def test_the_hazard_ratio_of_every_replicate_where_it_is_finite_and_where_not():
    events = np.array([[[3, 1], [0, 0]], [[0, 0], [2, 1]], [[0, 0], [0, 0]], [[2, 2], [2, 2]], [[1, 0], [0, 0]]], float)
    out = np.empty(5)
    hazard_ratios(events, np.full((5, 2, 2), 10.0), out)
    np.testing.assert_array_equal(out[:3], [-np.inf, np.inf, np.nan])
    assert out[3] == pytest.approx(0, abs=1e-12)
    assert out[4] == -np.inf


LAWS = {  # mean and sd of the log hazard ratio, shape and rate of the baseline
    "vague": (0.0, 2.0, 0.5, 3.0), "sceptical": (0.0, 0.3, 0.01, 0.01), "off centre": (-1.2, 0.8, 2.0, 40.0),
}  # fmt: skip


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", [name for name in CELLS if name != "a huge effect"])
def test_the_posterior_below_a_threshold_is_the_integral(name, law):
    events, exposure = cells(*CELLS[name])
    mean, sd, shape, rate = LAWS[law]

    def log_density(beta):
        held = rate + exposure[0, 0] + np.exp(beta) * exposure[0, 1]
        return (-0.5 * ((beta - mean) / sd) ** 2 + beta * events[0, 1].sum()
                - ((shape + events[0].sum(axis=0)) * np.log(held)).sum())  # fmt: skip

    line = np.linspace(mean - 10 * sd, mean + 10 * sd, 4001)
    heights = np.array([log_density(beta) for beta in line])
    top, peak = heights.max(), line[heights.argmax()]
    held = line[heights > top - 45]
    low, high = held[0], held[-1]

    def mass(start, end):
        if end <= start:
            return 0.0
        inside = [peak] if start < peak < end else None
        return quad(lambda b: np.exp(log_density(b) - top), start, end, points=inside, limit=400, epsabs=0, epsrel=1e-11)[0]

    for threshold in (peak - 1.1, peak - 0.05, peak + 0.02, peak + 0.6, mean + 0.3):
        out = np.empty(1)
        posterior_below(events, exposure, threshold, mean, sd, shape, rate, out)
        below, above = mass(low, min(threshold, high)), mass(max(threshold, low), high)
        assert out[0] == pytest.approx(below / (below + above), abs=1e-7)


def test_a_threshold_beyond_the_posterior_is_certain():
    events, exposure = cells(*CELLS["a large effect"])
    for threshold, certain in ((-60.0, 0.0), (60.0, 1.0), (-12.0, 0.0), (5.0, 1.0)):
        out = np.full(2, np.nan)
        posterior_below(np.repeat(events, 2, 0), np.repeat(exposure, 2, 0), threshold, 0.0, 1.5, 0.5, 1.0, out)
        np.testing.assert_array_equal(out, certain)


def test_the_posterior_of_a_replicate_does_not_depend_on_the_others():
    shapes = [name for name in CELLS if len(CELLS[name][0][0]) == 2]
    events = np.array([CELLS[name][0] for name in shapes], float)
    exposure = np.array([CELLS[name][1] for name in shapes], float)
    together = np.empty(len(shapes))
    posterior_below(events, exposure, -0.4, 0.1, 1.2, 0.5, 1.0, together)
    for row in range(len(shapes)):
        alone = np.empty(1)
        posterior_below(events[row : row + 1], exposure[row : row + 1], -0.4, 0.1, 1.2, 0.5, 1.0, alone)
        assert alone[0] == together[row]
    assert len(set(together.tolist())) > 2


def test_the_log_rank_of_every_trial_is_that_of_the_trial_alone():
    time, event = RNG.exponential(5, (4, 12)), RNG.random((4, 12)) < 0.6
    experimental = np.arange(12) % 2 == 1
    score, variance = log_ranks(time, event, experimental)
    for row in range(4):
        assert (score[row], variance[row]) == log_rank(time[row], event[row], experimental)
