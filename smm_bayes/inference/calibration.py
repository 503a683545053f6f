"""Simulation-based calibration: ranks of the truth among posterior draws, and whether they are uniform.

References
----------
Talts S et al. Validating Bayesian inference algorithms with simulation-based calibration, 2018, arXiv:1804.06788.
Modrák M et al. Bayesian Analysis 2025;20:461-488, doi:10.1214/23-BA1404 (why the log likelihood must be among the
quantities). Säilynoja T et al. Statistics and Computing 2022;32:32, doi:10.1007/s11222-022-10090-6 (the band).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np


def rank_of(truth: float, draws: np.ndarray, *, rng: np.random.Generator) -> int:
    """Rank of ``truth`` among ``draws`` (0 to their number), ties broken at random."""
    below, equal = int((draws < truth).sum()), int((draws == truth).sum())
    return below + (int(rng.integers(0, equal + 1)) if equal else 0)


def uniformity(ranks: np.ndarray, draws: int, *, simulations: int = 4000, seed: int = 1) -> float:
    """P-value of the hypothesis that ranks 0 … ``draws`` are uniform, simultaneous over the whole ECDF.

    The statistic is the smallest two-sided binomial tail of the ECDF over all points; its null distribution is
    simulated. A p-value below 0.05 is an ECDF outside its simultaneous 95 % band.

    Parameters
    ----------
    ranks : numpy.ndarray of int
    draws : int
        Posterior draws that each truth was ranked among.
    simulations, seed : int
        Of the null distribution.
    """
    table, null = _null(len(ranks), draws, simulations, seed)
    observed = _statistic(ranks[None], draws, table)[0]
    return float((1 + (null <= observed).sum()) / (1 + simulations))


@lru_cache(maxsize=16)
def _null(size: int, draws: int, simulations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Tails of the ECDF, and the statistic under uniform ranks."""
    rng, table = np.random.default_rng(seed), _tails(size, draws)
    return table, np.array([
        _statistic(rng.integers(0, draws + 1, size=(1, size)), draws, table)[0] for _ in range(simulations)
    ])  # fmt: skip


def _tails(size: int, draws: int) -> np.ndarray:
    """Two-sided tail probability of every ECDF value at every point, shape (point, count)."""
    from scipy.stats import binom

    chance = (np.arange(draws)[:, None] + 1) / (draws + 1)
    count = np.arange(size + 1)
    return 2 * np.minimum(binom.cdf(count, size, chance), binom.sf(count - 1, size, chance))


def _statistic(ranks: np.ndarray, draws: int, tails: np.ndarray) -> np.ndarray:
    result = np.empty(len(ranks))
    for index, row in enumerate(ranks):
        cumulative = np.cumsum(np.bincount(row, minlength=draws + 1))[:-1]
        result[index] = tails[np.arange(draws), cumulative].min()
    return result


def calibrated(ranks: Mapping[str, np.ndarray], draws: int, *, level: float = 0.05) -> dict[str, float]:
    """P-value of every quantity, Holm-adjusted so that a calibrated sampler fails with probability ``level`` in all."""
    found = {name: uniformity(values, draws) for name, values in ranks.items()}
    ordered = sorted(found, key=lambda name: found[name])
    adjusted, running = {}, 0.0
    for position, name in enumerate(ordered):
        running = max(running, min(1.0, (len(ordered) - position) * found[name]))
        adjusted[name] = running
    return {name: adjusted[name] for name in found}
