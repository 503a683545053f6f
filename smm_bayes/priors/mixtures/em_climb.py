"""Expectation and maximisation (EM): climbing the likelihood of a mixture from several starts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures.em_families import Family, Parameters

SHORT, LONG = 40, 3000  # iterations from every start, and from the best
ROUGH, FINE = 0.1, 1e-5  # rise of the log likelihood that is left to gain: while components are counted, and at the end
RANDOM = 4  # starts besides the two that need no chance


class Climb(NamedTuple):
    """Weights and parameters of components, and the log likelihood after every step."""

    weights: np.ndarray
    parameters: Parameters
    heights: list[float]


def climb(
    family: Family, whole: np.ndarray, share: np.ndarray, steps: int, left: float, start: Parameters | None = None
) -> Climb:
    """Run EM from ``share`` (draw, component), the responsibilities, until not more than ``left`` is to be gained.

    ``whole`` are the draws' weights. Rises shrink by a nearly constant factor; what is left is the sum of their series.
    """
    heights: list[float] = []
    parameters = start
    for _ in range(steps):
        counted = share * whole[:, None]
        total = counted.sum(axis=0)
        if np.any(total < 1e-10 * whole.sum()):
            return Climb(total / total.sum(), (), [-np.inf])  # a component died: another start will do better
        parameters = family.estimate(counted, parameters)
        joint = family.log_density(parameters) + np.log(total / total.sum())
        top = joint.max(axis=1)
        share = np.exp(joint - top[:, None])
        each = share.sum(axis=1)
        heights.append(float(whole @ (top + np.log(each))))
        if not np.isfinite(heights[-1]):
            return Climb(total / total.sum(), (), [-np.inf])
        if _to_gain(heights) <= left:
            break
        share /= each[:, None]
    assert parameters is not None
    return Climb(total / total.sum(), parameters, heights)


def _to_gain(heights: list[float]) -> float:
    if len(heights) < 3:
        return np.inf
    before, last = heights[-2] - heights[-3], heights[-1] - heights[-2]
    noise = 1e-13 * abs(heights[-1])
    if last <= noise:
        return 0.0
    return last * last / (before - last) if before > last else np.inf


def _starts(family: Family, whole: np.ndarray, components: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Responsibilities to start from: by place, by distance from the middle, and around draws picked by chance."""
    if components == 1:
        return [np.ones((len(whole), 1))]
    line = family.line
    middle = np.average(line, axis=0, weights=whole)
    spread = np.sqrt(np.average((line - middle) ** 2, axis=0, weights=whole))
    away = (line - middle) / spread
    found = []
    for key in (away[:, 0], (away**2).sum(axis=1)):
        order = np.argsort(key, kind="stable")
        passed = np.cumsum(whole[order]) - whole[order] / 2
        group = np.empty(len(whole), int)
        group[order] = np.minimum(passed / whole.sum() * components, components - 1).astype(int)
        found.append(0.9 * np.eye(components)[group] + 0.1 / components)
    for _ in range(RANDOM):
        centres = away[rng.choice(len(whole), size=components, p=whole / whole.sum())]
        gap = ((away[:, None] - centres) ** 2).sum(axis=-1) * components
        near = np.exp(-0.5 * (gap - gap.min(axis=1, keepdims=True)))
        found.append(near / near.sum(axis=1, keepdims=True))
    return found


def fit_components(family: Family, whole: np.ndarray, components: int, rng: np.random.Generator) -> Climb:
    """Climb a little from every start, and on from the highest."""
    short = [climb(family, whole, share, SHORT, ROUGH) for share in _starts(family, whole, components, rng)]
    best = max(short, key=lambda one: one.heights[-1])
    return _further(family, whole, best, ROUGH)


def _further(family: Family, whole: np.ndarray, found: Climb, left: float) -> Climb:
    from scipy.special import softmax

    if not np.isfinite(found.heights[-1]):
        return found
    share = softmax(family.log_density(found.parameters) + np.log(found.weights), axis=1)
    last = climb(family, whole, share, LONG, left, found.parameters)
    return max(found, Climb(last.weights, last.parameters, found.heights + last.heights),
               key=lambda one: one.heights[-1])  # fmt: skip


def choose(
    family: Family, whole: np.ndarray, components: int | None, criterion: str, largest: int, rng: np.random.Generator
) -> Climb:
    """Climb with each number of components, and give the one that the criterion likes best, heaviest part first."""
    counts = [components] if components is not None else range(1, largest + 1)
    size = float(whole.sum())
    best, least = None, np.inf
    for count in counts:
        free = count * (family.each + 1) - 1
        if len(whole) <= free:
            break
        found = fit_components(family, whole, count, rng)
        score = -2 * found.heights[-1] + free * (np.log(size) if criterion == "bic" else 2.0)
        if score < least:
            best, least = found, score
    if best is None:
        count = counts[0]
        raise SpecificationError(
            f"{len(whole)} draws are too few, or too much alike, for {count * (family.each + 1) - 1} parameters of "
            f"{count} component{'s' * (count > 1)}; give more draws or ask for fewer components"
        )
    best = _further(family, whole, best, FINE)
    order = np.argsort(-best.weights, kind="stable")
    return Climb(best.weights[order], tuple(values[order] for values in best.parameters), best.heights)
