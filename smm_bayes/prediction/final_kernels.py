"""Numba kernels: what a success rule asks of the cells of final analyses. Single-threaded; they release the GIL."""

from __future__ import annotations

import numpy as np

from smm_bayes.compiling import kernel


@kernel()
def hazard_ratios(events: np.ndarray, exposure: np.ndarray, out: np.ndarray) -> None:
    """Maximum-likelihood log hazard ratio of every replicate, from cells (replicate, arm, interval)."""
    for index in range(len(out)):
        experimental, total = events[index, 1].sum(), events[index].sum()
        if experimental == 0 or experimental == total:
            out[index] = -np.inf if experimental == 0 and total > 0 else np.nan if total == 0 else np.inf
            continue
        beta = 0.0
        for _ in range(60):
            score, information, ratio = experimental, 1e-12, np.exp(beta)
            for cell in range(events.shape[2]):
                count = events[index, 0, cell] + events[index, 1, cell]
                if count > 0:
                    weight = ratio * exposure[index, 1, cell]
                    share = weight / (exposure[index, 0, cell] + weight)
                    score -= count * share
                    information += count * share * (1 - share)
            step = min(max(score / information, -2.0), 2.0)
            beta += step
            if abs(step) < 1e-10:
                break
        out[index] = beta


@kernel()
def posterior_below(
    events: np.ndarray, exposure: np.ndarray, log_threshold: float, mean: float, sd: float, shape: float, rate: float,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Posterior probability that the log hazard ratio is below a threshold, by quadrature, for every replicate.

    Baseline hazards are Gamma(shape, rate) in each interval and integrated out in closed form; the log hazard
    ratio β ~ Normal(mean, sd), so p(β | data) ∝ N(β)·e^{β·d₁}·Π_j (rate + E₀ⱼ + e^β·E₁ⱼ)^{−(shape + d_j)}.
    """
    cells, coarse, fine = events.shape[2], 400, 200
    value = np.empty(coarse + 1)
    for index in range(len(out)):
        experimental = events[index, 1].sum()
        low, high, largest = mean - 10 * sd, mean + 10 * sd, -np.inf
        for _ in range(2):  # where the mass is
            width, largest = (high - low) / coarse, -np.inf
            for point in range(coarse + 1):
                value[point] = _log_marginal(
                    low + width * point, events[index], exposure[index], experimental, cells, mean, sd, shape, rate
                )
                largest = max(largest, value[point])
            first, last = coarse, 0
            for point in range(coarse + 1):
                if value[point] > largest - 40:
                    first, last = min(first, point), max(last, point)
            high = low + width * min(last + 1, coarse)
            low = low + width * max(first - 1, 0)
        if log_threshold <= low or log_threshold >= high:
            out[index] = 1.0 if log_threshold >= high else 0.0
            continue
        below, above = 0.0, 0.0
        for side in range(2):  # Simpson's rule on either side of the threshold
            start, end = (low, log_threshold) if side == 0 else (log_threshold, high)
            width, area = (end - start) / fine, 0.0
            for point in range(fine + 1):
                weight = 1.0 if point in (0, fine) else 4.0 if point % 2 else 2.0
                height = _log_marginal(
                    start + width * point, events[index], exposure[index], experimental, cells, mean, sd, shape, rate
                )
                area += weight * np.exp(height - largest)
            if side == 0:
                below = area * width
            else:
                above = area * width
        out[index] = below / (below + above)


@kernel()
def _log_marginal(
    beta: float, events: np.ndarray, exposure: np.ndarray, experimental: float, cells: int,
    mean: float, sd: float, shape: float, rate: float,
) -> float:  # fmt: skip
    """Log posterior density of the log hazard ratio, up to a constant."""
    value, ratio = -0.5 * ((beta - mean) / sd) ** 2 + beta * experimental, np.exp(beta)
    for cell in range(cells):
        held = rate + exposure[0, cell] + ratio * exposure[1, cell]
        value -= (shape + events[0, cell] + events[1, cell]) * np.log(held)
    return value
