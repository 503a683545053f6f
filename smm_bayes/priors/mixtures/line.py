"""Numerical work of a mixture of one parameter, on the real line: quadrature, quantiles, the mode.

The parameter is moved to the real line (logit of a rate, logarithm of a hazard), where the density of every component
has one peak and its logarithm is concave, whatever its parameters. Heights are taken relative to the peak, so that
nothing cancels with ten thousand patients and nothing underflows with a hundredth of one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from smm_bayes.errors import SpecificationError

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture

# a component is cut where the logarithm of its height has fallen by so much, first by about one standard deviation
FALLS = np.array([0.0, 0.5, 2, 4.5, 8, 13, 20, 30, 45, 70, 120, 200, 350, 700])
NODES = 16
STRIDES = 2.0 ** np.arange(12)  # a function of theta changes at this pace, however wide the component is
PIECES = 400  # at most, whatever the number of components
SPARSE = 1e-9  # cuts closer than this, relative to their size, are one


class Quadrature(NamedTuple):
    """Nodes on the line: ``line`` (node,), ``step`` (node,) and ``log_density`` (node, component) of the components."""

    line: np.ndarray
    step: np.ndarray
    log_density: np.ndarray


def cuts(mixture: Mixture) -> np.ndarray:
    """Points of the line between which every component of positive weight is smooth enough for Gauss-Legendre."""
    peak, width = mixture._peak()
    found = []
    for sign in (-1.0, 1.0):
        low = np.zeros((len(FALLS), len(peak)))
        high = low + width
        with np.errstate(over="ignore"):
            # the height falls from the peak on: double until it is low enough, then halve the bracket
            while np.any(short := -mixture._height(peak + sign * high) < FALLS[:, None]):
                low, high = np.where(short, high, low), np.where(short, 2 * high, high)
            for _ in range(20):
                middle = (low + high) / 2
                short = -mixture._height(peak + sign * middle) < FALLS[:, None]
                low, high = np.where(short, middle, low), np.where(short, high, middle)
        away = np.concatenate([np.where(FALLS[:, None] > 0, high, 0.0), np.minimum(STRIDES[:, None], high[-1])])
        found.append(peak + sign * away)
    line = np.unique(np.concatenate(found)[:, mixture.weights > 0])
    if len(line) > PIECES:
        line = line[np.linspace(0, len(line) - 1, PIECES).round().astype(int)]
    return line[np.concatenate([[True], np.diff(line) > SPARSE * (1 + np.abs(line[1:]))])]


def quadrature(mixture: Mixture, points: np.ndarray) -> Quadrature:
    """Gauss-Legendre nodes between ``points``; every component integrates to 1 over them exactly."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(points)[:, None] / 2
    line, step = (points[:-1, None] + half + half * x).ravel(), (half * w).ravel()
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        height = mixture._height(line[:, None])
        height = height - np.log(step @ np.exp(height))
    return Quadrature(line, step, np.where(mixture.weights > 0, height, -np.inf))


def quantile(mixture: Mixture, p: np.ndarray) -> np.ndarray:
    """Invert the cumulative probability by bracketing on the line."""
    from scipy.optimize import elementwise

    if not np.all((p >= 0) & (p <= 1)):
        raise SpecificationError(f"a quantile needs probabilities within [0, 1]; got {p.tolist()}")
    start, end = mixture._range
    points = mixture._cuts
    low, high = np.clip([points[0], points[-1]], *mixture._line_range)

    def short_of(eta: np.ndarray, q: np.ndarray) -> np.ndarray:
        theta = mixture._from_line(eta)
        return np.where(q > 0.5, (1 - q) - mixture.sf(theta), mixture.cdf(theta) - q)

    below, above = (p == 0) | (short_of(low, p) >= 0), (p == 1) | (short_of(high, p) <= 0)
    inner = ~(below | above)
    tight = {"xatol": 0.0, "xrtol": 4e-16, "fatol": 0.0, "frtol": 0.0}
    found = elementwise.find_root(short_of, (np.full_like(p, low), np.full_like(p, high)),
                                  args=(np.where(inner, p, 0.5),), tolerances=tight)  # fmt: skip
    ends = np.where(below, start, end)
    return np.where(inner, mixture._from_line(found.x), ends)[()]


def mode(mixture: Mixture) -> float:
    """Find the highest density; an end of the range where the density has no bound or falls away from it."""
    from scipy.optimize import brentq

    points = mixture._cuts
    line = np.unique(np.concatenate([np.linspace(a, b, 9) for a, b in pairwise(points)]))
    line = line[(line >= mixture._line_range[0]) & (line <= mixture._line_range[1])]

    def slope(eta: float) -> float:
        at = np.array([eta])
        return float((mixture.shares(mixture._from_line(at)) * mixture._scores(at)[0]).sum())

    start, end = mixture._range
    falls, rises = -slope(float(points[0])), slope(float(points[-1]))
    if np.isfinite(start) and max(falls, rises if np.isfinite(end) else 0.0) > 1e-9:
        return start if falls >= rises else end
    best = int(np.argmax(mixture.log_pdf(mixture._from_line(line))))
    low, high = float(line[max(best - 1, 0)]), float(line[min(best + 1, len(line) - 1)])
    if slope(low) > 0 > slope(high):
        return float(mixture._from_line(np.array(brentq(slope, low, high, xtol=1e-13, rtol=1e-14))))
    if best == 0 and np.isfinite(start):
        return start
    return end if best == len(line) - 1 and np.isfinite(end) else float(mixture._from_line(line[best]))
