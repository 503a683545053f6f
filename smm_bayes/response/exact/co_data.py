r"""Probability of success of ongoing trials given each other: several trials in one meta-analysis.

Trial i has the estimate :math:`y_i \sim N(\theta_i, s_i^2)` of its effect :math:`\theta_i \sim N(\mu, \tau_{g(i)}^2)`
with :math:`\mu \sim N(m, s_\mu^2)` and a between-trial SD :math:`\tau_g` of its stratum g. Given the SDs everything is
normal, and given a common factor z the effects are independent; so the effects are a mixture over nodes of the SDs of
:math:`\theta_i = m_i + l_i z + \sqrt{v_i}\,e_i`, with z and all :math:`e_i` standard normal.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.numerics.adaptive import integrate, pieces
from smm_bayes.response.exact.arms import NormalArm
from smm_bayes.response.exact.designs import REACH, OneSampleDesign
from smm_bayes.response.exact.trial_effects import TrialEffects

NODES = 8  # in a piece of the between-trial SD
ABOVE = np.array([1, 1.5, 2, 3, 4, 6, 9])  # cuts from the prior's scale on, in its units
MOST = 300_000  # nodes
LEFT_OUT = 1e-13  # probability of nodes that are dropped


def exchangeable_effects(
    estimates: Any, standard_errors: Any, *, between_trial_sd: float | Sequence[float], mean: float = 0.0,
    mean_sd: float, strata: Sequence[Hashable] | None = None,
) -> TrialEffects:  # fmt: skip
    r"""Posterior of the effects of exchangeable trials, exact to about ten digits.

    Parameters
    ----------
    estimates : array_like, shape (trial,)
    standard_errors : array_like, shape (trial,)
        Infinite for a trial without data yet; its estimate then does not count.
    between_trial_sd : float, or one a stratum
        Scale s of the half-normal prior :math:`\tau \sim N^+(0, s^2)`, in the order in which strata first appear.
    mean, mean_sd : float
        Normal prior of :math:`\mu`.
    strata : sequence, optional
        Stratum of each trial; trials of one stratum share a between-trial SD, all share :math:`\mu`.

    Raises
    ------
    SpecificationError
        Naming every value out of range.

    References
    ----------
    Neuenschwander B, Roychoudhury S, Schmidli H. Stat Biopharm Res 2016;8:345-354, doi:10.1080/19466315.2016.1174149.
    """
    y, error = np.atleast_1d(np.array(estimates, float)), np.atleast_1d(np.array(standard_errors, float))
    labels = list(strata) if strata is not None else [0] * len(y)
    kinds = list(dict.fromkeys(labels))
    scales = np.atleast_1d(np.array(between_trial_sd, float))
    _check(y, error, scales, (mean, mean_sd), len(labels), len(kinds))
    nodes = [_half_normal_nodes(scale, float(error.min())) for scale in scales]
    if np.prod([len(x) for x, _ in nodes]) > MOST:
        raise SpecificationError(f"exchangeable_effects: at most 2 strata fit in the quadrature; got {len(kinds)}")
    index = np.stack([grid.ravel() for grid in np.meshgrid(*(np.arange(len(x)) for x, _ in nodes), indexing="ij")])
    by_stratum = np.stack([x[i] for (x, _), i in zip(nodes, index, strict=True)], axis=1)
    sd = by_stratum[:, [kinds.index(label) for label in labels]]
    log_prior = sum(log_weight[i] for (_, log_weight), i in zip(nodes, index, strict=True))
    return effects_given_sd(sd, log_prior, y, error, mean=mean, mean_sd=mean_sd)


def _half_normal_nodes(scale: float, error: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of a between-trial SD and logs of prior times weight, in pieces halved to well below any standard error."""
    halvings = int(np.ceil(7 + max(0.0, np.log2(scale / error)))) if np.isfinite(error) else 7
    cuts = scale * np.concatenate([[0.0], 2.0 ** np.arange(-halvings, 0), ABOVE])
    x, w = (part.ravel() for part in pieces(cuts[:-1], cuts[1:], NODES))
    return x, np.log(w / scale) - (x / scale) ** 2 / 2


def effects_given_sd(
    sd: np.ndarray, log_prior: np.ndarray, estimates: np.ndarray, standard_errors: np.ndarray, *, mean: float,
    mean_sd: float,
) -> TrialEffects:  # fmt: skip
    r"""Effects of trials from nodes of their between-trial SDs, of any prior.

    Parameters
    ----------
    sd : numpy.ndarray, shape (node, trial)
        Above 0.
    log_prior : numpy.ndarray, shape (node,)
        Log of prior density times quadrature weight, up to a constant.
    estimates, standard_errors : numpy.ndarray, shape (trial,)
        A trial with infinite standard error has no data.
    mean, mean_sd : float
        Normal prior of the common mean.
    """
    from scipy.special import softmax

    informed = np.isfinite(standard_errors)
    y = np.where(informed, estimates, mean)
    total = 1 / (sd**2 + np.where(informed, standard_errors, 1.0) ** 2) * informed  # precision of y about the mean
    precision = mean_sd**-2 + total.sum(axis=1)
    shift = (total * (y - mean)).sum(axis=1) / precision
    log_total = np.log(np.where(informed, total, 1.0)).sum(axis=1)
    distance = (total * (y - mean) ** 2).sum(axis=1) - precision * shift**2
    weights = softmax(log_prior + 0.5 * (log_total - np.log(precision) - distance))
    order = np.argsort(weights)
    kept = np.sort(order[np.searchsorted(np.cumsum(weights[order]), LEFT_OUT):])
    sd, weights, precision, shift = sd[kept], weights[kept], precision[kept, None], shift[kept, None]
    with np.errstate(divide="ignore"):
        pull = 1 / (1 + (sd / standard_errors) ** 2)  # towards the common mean
    variance = sd**2 * pull
    centre, loading = pull * (mean + shift) + (1 - pull) * y, pull * precision**-0.5
    return TrialEffects(weights / weights.sum(), centre, loading, variance)


def joint_probability_of_success(designs: Mapping[int, OneSampleDesign], effects: TrialEffects) -> float:
    r"""Probability that several ongoing trials all succeed at their final analyses.

    Parameters
    ----------
    designs : mapping of int to OneSampleDesign
        By position of the trial among the effects: its rule, and its :class:`NormalArm` with what is still to come. The
        arm's prior is what its final analysis will start from, usually the posterior of its own data alone.
    effects : TrialEffects

    Returns
    -------
    float
        :math:`\sum_\tau w_\tau \int \phi(z) \prod_i P(\hat\theta_i \in R_i \mid z, \tau)\,dz`.

    Raises
    ------
    SpecificationError
        When a position is not one of the effects', or a design is not of a normal arm.
    """
    from scipy.special import ndtr

    _check_designs(designs, effects.mean.shape[1])
    certain = [bool(0 in d.boundary) for d in designs.values() if d.arm.empty]
    going = {i: d for i, d in designs.items() if not d.arm.empty}
    if not all(certain) or not going:
        return float(all(certain))

    def all_succeed(z: np.ndarray, which: np.ndarray) -> np.ndarray:
        product = np.ones((len(effects.weights), len(z)))
        for trial, design in going.items():
            mean = effects.mean[:, trial, None] + effects.loading[:, trial, None] * z
            sd = np.sqrt(effects.variance[:, trial, None] + design.arm.standard_error**2)  # type: ignore[attr-defined]
            low, high = float(design.boundary.lowest), float(design.boundary.highest)
            inside = ndtr((high - mean) / sd) if np.isfinite(high) else np.full_like(mean, high > 0)
            if low > -np.inf:
                inside -= ndtr((low - mean) / sd)
            product *= np.maximum(inside, 0)
        return effects.weights @ product * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)

    return float(integrate(all_succeed, np.linspace(-REACH, REACH, 13)[None], tolerance=1e-12)[0])


def _check(
    y: np.ndarray, error: np.ndarray, scales: np.ndarray, prior: tuple[float, float], labels: int, kinds: int
) -> None:  # fmt: skip
    mean, mean_sd = prior
    problems = Problems("exchangeable_effects", SpecificationError)
    if not (y.ndim == 1 and y.shape == error.shape and len(y) == labels and len(y) > 0):
        problems.add("give an estimate, a standard error (and a stratum) a trial; "
                     f"got {y.size}, {error.size} and {labels}")  # fmt: skip
    else:
        for trial in np.flatnonzero(~(error > 0) | ~(np.isfinite(y) | np.isinf(error))):
            problems.add(f"trial {trial}: needs a finite estimate and a standard error above 0; "
                         f"got {y[trial]} and {error[trial]}")  # fmt: skip
    if len(scales) != kinds or not np.all((scales > 0) & np.isfinite(scales)):
        problems.add(f"between_trial_sd must be {kinds} number(s) above 0, one a stratum; got {scales.tolist()}")
    if not (0 < mean_sd < np.inf and np.isfinite(mean)):
        problems.add(f"mean must be finite and mean_sd above 0; got {mean} and {mean_sd}")
    problems.raise_if_any()


def _check_designs(designs: Mapping[int, OneSampleDesign], trials: int) -> None:
    problems = Problems("joint_probability_of_success", SpecificationError)
    if not designs:
        problems.add("give a design for one trial or more")
    for trial, design in designs.items():
        if not 0 <= trial < trials:
            problems.add(f"trial {trial} is not one of the {trials} trials, counted from 0")
        if not isinstance(design.arm, NormalArm):
            problems.add(f"trial {trial} needs a design with a NormalArm; got {type(design.arm).__name__}")
    problems.raise_if_any()
