"""Panels of a range: where to put them, polynomials through the points of each, and how fine they must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

PER_PANEL = 10
LEVELS = (1e-10, 1e-5, 1e-2, 0.15, 0.5, 0.85, 1 - 1e-2, 1 - 1e-5, 1 - 1e-10)
_X, _W = np.polynomial.legendre.leggauss(PER_PANEL)
_BASIS = np.polynomial.legendre.legvander(_X, PER_PANEL - 1) * _W[:, None] * (np.arange(PER_PANEL) + 0.5)
EDGE = 1e-3  # density at the end of a range, relative to the highest, from which on it counts as one that ends there
FAR = 60.0  # a rough log density so far below its top is outside


@dataclass(frozen=True, eq=False)
class PanelPolynomial:
    """A polynomial in each of several panels; beyond them it is that at the nearest end.

    Attributes
    ----------
    cuts : numpy.ndarray, shape (panel + 1,)
    coefficients : numpy.ndarray, shape (power, panel)
        Of Legendre's polynomials on [-1, 1].
    """

    cuts: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def through(cls, cuts: np.ndarray, values: np.ndarray) -> PanelPolynomial:
        """Give the polynomials through values at the points of the panels (panel * point,)."""
        return cls(cuts, (values.reshape(-1, PER_PANEL) @ _BASIS).T)

    def integral(self) -> PanelPolynomial:
        """Integrate from the first cut."""
        half = np.diff(self.cuts) / 2
        found = np.polynomial.legendre.legint(self.coefficients, axis=0, lbnd=-1) * half
        found[0] += np.concatenate([[0.0], np.cumsum(2 * half * self.coefficients[0])[:-1]])
        return PanelPolynomial(self.cuts, found)

    def __call__(self, at: np.ndarray) -> np.ndarray:
        inside = np.clip(at, self.cuts[0], self.cuts[-1])
        panel = np.clip(np.searchsorted(self.cuts, inside, side="right") - 1, 0, len(self.cuts) - 2)
        x = 2 * (inside - self.cuts[panel]) / (self.cuts[panel + 1] - self.cuts[panel]) - 1
        return np.polynomial.legendre.legval(x, self.coefficients[:, panel], tensor=False)


def panel_points(cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights of every panel, shape (panel, point)."""
    half = np.diff(cuts)[:, None] / 2
    return cuts[:-1, None] + half * (1 + _X), half * _W


def refine(
    cuts: np.ndarray, evaluate: Callable[[np.ndarray], Sequence[np.ndarray]], tolerance: float = 1e-6,
    rounds: int = 12,
) -> tuple[np.ndarray, list[np.ndarray]]:  # fmt: skip
    """Evaluate a log density at the points of panels, halving those in which it is not yet a polynomial.

    Parameters
    ----------
    cuts : numpy.ndarray
    evaluate : callable
        Of points (point,) gives the log density (point,), and arrays (point, ...) that go with it.
    tolerance : float
        What a panel's last coefficients may add to the distribution function.
    rounds : int
        Of halving, at most.

    Returns
    -------
    cuts : numpy.ndarray, shape (panel + 1,)
    arrays : list of numpy.ndarray, each of shape (panel * point, ...)
    """
    done: list[tuple[float, float, list[np.ndarray]]] = []
    edges = list(pairwise(cuts.tolist()))
    for left in range(rounds, -1, -1):
        points = np.concatenate([panel_points(np.array(edge))[0][0] for edge in edges])
        found = evaluate(points)
        done += [(*edge, [array[k * PER_PANEL : (k + 1) * PER_PANEL] for array in found])
                 for k, edge in enumerate(edges)]  # fmt: skip
        done.sort(key=lambda panel: panel[0])
        rough = _roughness(done)
        if left == 0 or not (rough > tolerance).any():
            break
        split = [panel for panel, bad in zip(done, rough > tolerance, strict=True) if bad]
        done = [panel for panel, bad in zip(done, rough > tolerance, strict=True) if not bad]
        edges = [edge for low, high, _ in split for edge in ((low, (low + high) / 2), ((low + high) / 2, high))]
    arrays = [np.concatenate(column) for column in zip(*(panel[2] for panel in done), strict=True)]
    return np.array([done[0][0], *(panel[1] for panel in done)]), arrays


def _roughness(panels: list[tuple[float, float, list[np.ndarray]]]) -> np.ndarray:
    height = np.array([found[0] for _, _, found in panels])
    half = np.array([(high - low) / 2 for low, high, _ in panels])
    density = np.exp(height - height.max())
    last = np.abs(density @ _BASIS[:, -2:]).sum(axis=1) / PER_PANEL
    return half * last / (half * (density @ _BASIS[:, 0])).sum() / 2


def choose_panels(
    rough: Callable[[np.ndarray], np.ndarray], low: float, high: float, scan: int = 80, levels: Any = LEVELS
) -> np.ndarray:
    """Cut a range where a rough log density says that its probability is.

    Parameters
    ----------
    rough : callable
        Log density, unnormalised, of coordinates (point,).
    low, high : float
    scan : int
        Points at which it is looked at, three times, each time nearer to where the probability is.
    levels : sequence of float
        Probabilities at whose rough quantiles to cut.
    """
    start, end = low, high
    for last in (False, False, True):
        at = np.linspace(low, high, scan)
        height = rough(at)
        height = height - height.max()
        if last:
            break
        near = np.flatnonzero(height > -FAR)
        low, high = at[max(near[0] - 1, 0)], at[min(near[-1] + 1, scan - 1)]
    mass = np.exp(height)
    share = np.concatenate([[0.0], np.cumsum((mass[1:] + mass[:-1]) / 2)])
    share /= share[-1]
    rising = np.concatenate([[True], np.diff(share) > 0])
    upper = np.concatenate([np.cumsum(((mass[1:] + mass[:-1]) / 2)[::-1])[::-1], [0.0]])
    upper /= upper[0]
    falling = np.concatenate([np.diff(upper) < 0, [True]])
    cuts = [(p, np.interp(p, share[rising], at[rising])) if p < 0.5 else
            (p, np.interp(p - 1, -upper[falling], at[falling])) for p in levels]  # fmt: skip
    if mass[0] > EDGE:  # the range ends where there is density: no tail to be cut off
        cuts = [(0.0, start), *(cut for cut in cuts if cut[0] >= 0.1)]
    if mass[-1] > EDGE:
        cuts = [*(cut for cut in cuts if cut[0] <= 0.9), (1.0, end)]
    return np.unique([value for _, value in cuts])
