r"""Density of a new trial's parameter, :math:`\theta^* \sim N(\eta, \tau^2)`, over a posterior surface."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from smm_bayes.borrowing.meta_analysis.distribution import LINE, Coordinate, Tabulated
from smm_bayes.borrowing.meta_analysis.marginal import STRETCH, unstretch
from smm_bayes.borrowing.meta_analysis.surface import Surface
from smm_bayes.numerics.panels import choose_panels, refine

FINER = 4  # points of the mean are made so many times denser before normal densities are put on them
NARROW = 0.4  # a standard deviation below so many scales of the mean is integrated the other way round
WIDE = 2.0  # and one above so many needs no denser points
HERMITE = 10
PEAK = 8.0  # a panel is at most so many times as wide as a component that has its peak there
AROUND = 10  # points of the polynomial that interpolates the log density of the mean


def log_predictive(surface: Surface, theta: np.ndarray, log_extra: np.ndarray | None = None) -> np.ndarray:
    r"""Log of :math:`\sum_\tau \int g(\eta,\tau)\, p(\eta, \tau \mid y)\, N(\theta; \eta, \tau^2)\,d\eta`.

    Where :math:`\tau` is not small beside the spacing of the means, normal densities are put on (interpolated) means;
    where it is, the density of the mean is averaged over :math:`\theta - \tau z` by Gauss-Hermite quadrature.

    Parameters
    ----------
    surface : Surface
    theta : numpy.ndarray, shape (point,)
    log_extra : numpy.ndarray, shape (sd, mean), optional
        log g; none is g = 1.
    """
    away = (surface.mean - surface.centre[:, None]) / surface.scale[:, None]
    residual = surface.log_density + surface.bend * away**2
    if log_extra is not None:
        residual = residual + log_extra
    grid = _Grid(surface, residual)
    narrow, wide = surface.sd < NARROW * surface.scale, surface.sd > WIDE * surface.scale
    total = np.zeros(len(theta))
    top = 0.0
    if log_extra is not None:
        top = float((log_extra + np.log(np.maximum(surface.joint, 1e-290))).max())
    with np.errstate(under="ignore"):
        for rows, finer in ((wide, 1), (~(narrow | wide), FINER)):
            if rows.any():
                total += _put(grid, np.flatnonzero(rows), theta, top, finer)
        if narrow.any():
            total += _average(grid, np.flatnonzero(narrow), theta, top)
    with np.errstate(divide="ignore"):
        return np.log(total) + top


class _Grid:
    """Log density of the mean between the points of its grid, for every standard deviation."""

    def __init__(self, surface: Surface, residual: np.ndarray) -> None:
        self.surface, self.residual = surface, residual
        self.size = surface.mean.shape[1]
        scaled = unstretch((surface.mean[:, [0, -1]] - surface.centre[:, None]) / surface.scale[:, None])
        self.start, self.step = scaled[:, 0], (scaled[:, 1] - scaled[:, 0]) / (self.size - 1)

    def log_density(self, rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """At means (row, ...); minus infinity outside the grid."""
        lead = (slice(None), *(None,) * (mean.ndim - 1))
        away = (mean - self.surface.centre[rows][lead]) / self.surface.scale[rows][lead]
        at = (unstretch(away) - self.start[rows][lead]) / self.step[rows][lead]
        first = np.clip(np.floor(at).astype(int) - AROUND // 2 + 1, 0, self.size - AROUND)
        found = _interpolate(self.residual[rows], first, at - first) - self.surface.bend * away**2
        return np.where((at >= 0) & (at <= self.size - 1), found, -np.inf)


def _interpolate(values: np.ndarray, first: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Lagrange's polynomial through ``AROUND`` neighbours of values (row, point)."""
    flat, shape = first.reshape(len(values), -1), first.shape
    found = np.zeros(shape)
    for k in range(AROUND):
        basis = np.ones(shape)
        for other in range(AROUND):
            if other != k:
                basis *= (x - other) / (k - other)
        found += basis * np.take_along_axis(values, flat + k, axis=1).reshape(shape)
    return found


@lru_cache(maxsize=8)
def _finer(size: int, times: int) -> np.ndarray:
    """Matrix that interpolates values at ``size`` points so many times more densely."""
    at = np.arange(times * (size - 1) + 1) / times
    first = np.broadcast_to(np.clip(np.floor(at).astype(int) - AROUND // 2 + 1, 0, size - AROUND), (size, len(at)))
    return _interpolate(np.eye(size), first, at - first).T


def _put(grid: _Grid, rows: np.ndarray, theta: np.ndarray, top: float, times: int) -> np.ndarray:
    """Put normal densities on means, made so many times denser."""
    surface = grid.surface
    finer = _finer(grid.size, times)
    at = grid.start[rows, None] + grid.step[rows, None] / times * np.arange(len(finer))
    away = at * (1 + STRETCH * at * at)
    mean = surface.centre[rows, None] + surface.scale[rows, None] * away
    weight = surface.scale[rows, None] * (1 + 3 * STRETCH * at * at) * grid.step[rows, None] / times
    height = grid.residual[rows] @ finer.T - surface.bend * away**2
    sd = surface.sd[rows, None]
    joint = np.exp(height - top) * weight * surface.mass[rows, None] / (sd * np.sqrt(2 * np.pi))
    keep = joint > 1e-17 * joint.max()
    centre, sd, joint = mean[keep], np.broadcast_to(sd, mean.shape)[keep], joint[keep]
    scaled = (theta[:, None] - centre) * (np.sqrt(0.5) / sd)
    return np.exp(-(scaled * scaled)) @ joint


def _average(grid: _Grid, rows: np.ndarray, theta: np.ndarray, top: float) -> np.ndarray:
    """Density of the mean averaged over normal offsets."""
    z, weight = np.polynomial.hermite_e.hermegauss(HERMITE)
    weight = weight / weight.sum()
    mean = theta[None, :, None] - grid.surface.sd[rows, None, None] * z
    return np.einsum("r,rpz,z->p", grid.surface.mass[rows], np.exp(grid.log_density(rows, mean) - top), weight)


def tabulate(
    surface: Surface,
    coordinate: Coordinate,
    log_factor: Callable[[np.ndarray], np.ndarray] | None = None,
    log_extra: np.ndarray | None = None,
    moments: tuple[float, float] | None = None,
) -> Tabulated:
    """Tabulate the density of a new trial's parameter, times a factor of it.

    Parameters
    ----------
    surface : Surface
    coordinate : Coordinate
        From the line to the response.
    log_factor : callable, optional
        Log likelihood of data of its own.
    log_extra : numpy.ndarray, optional
        See :func:`log_predictive`.
    moments : tuple of float, optional
    """
    joint = surface.joint if log_extra is None else surface.joint * np.exp(log_extra - log_extra.max())
    mass = joint.sum(axis=1)
    used = mass > 1e-14 * mass.sum()
    joint, mean = joint[used] / mass[used][:, None], surface.mean[used]
    centre = (joint * mean).sum(axis=1)
    width = np.hypot(surface.sd[used], np.sqrt((joint * (mean - centre[:, None]) ** 2).sum(axis=1)))
    mass = mass[used] / mass[used].sum()

    def rough(theta: np.ndarray) -> np.ndarray:
        scaled = -0.5 * ((theta[:, None] - centre) / width) ** 2
        with np.errstate(divide="ignore"):
            found = np.log(np.exp(scaled) @ (mass / width))
        return np.maximum(found, -2000.0) + (log_factor(theta) if log_factor else 0.0)

    cuts = choose_panels(rough, float((centre - 8 * width).min()), float((centre + 8 * width).max()), scan=120)

    ends = np.diff(cuts)[[0, -1]]  # the rough density may be lopsided in another way: one panel more at each end
    cuts = np.concatenate([[cuts[0] - ends[0]], cuts, [cuts[-1] + ends[1]]])

    seen = mass > 1e-9
    cuts = _resolve(cuts, centre[seen], width[seen])

    def exact(theta: np.ndarray) -> list[np.ndarray]:
        return [log_predictive(surface, theta, log_extra) + (log_factor(theta) if log_factor else 0.0)]

    cuts, found = refine(cuts, exact)
    return Tabulated.of(cuts, found[0], coordinate, moments)


def _resolve(cuts: np.ndarray, centre: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Halve panels until none is so wide that a component's peak might lie between its points, unseen."""
    places, scale = (centre + width * np.array([[-2.0], [0.0], [2.0]])).ravel(), np.tile(width, 3)
    for _ in range(40):
        panel = np.clip(np.searchsorted(cuts, places) - 1, 0, len(cuts) - 2)
        coarse = np.unique(panel[np.diff(cuts)[panel] > PEAK * scale])
        if not len(coarse):
            break
        cuts = np.sort(np.append(cuts, (cuts[coarse] + cuts[coarse + 1]) / 2))
    return cuts


def tabulate_mean(surface: Surface, coordinate: Coordinate = LINE) -> Tabulated:
    """Tabulate the density of the population mean."""
    return tabulate(replace(surface, sd=np.zeros_like(surface.sd)), coordinate)
