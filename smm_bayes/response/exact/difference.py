r"""Probability of a difference of two parameters, for one pair of posteriors or for all pairs of two sets.

:math:`P(g(\theta_E) - g(\theta_C) > t) = \int p_C(\theta)\,P(\theta_E > g^{-1}(g(\theta) + t))\,d\theta`, in closed
form for normals. For betas and gammas the integral runs over a line u, with
:math:`\theta = low + width\,\mathrm{expit}(u)` (or :math:`low + e^u`) between the values that leave both parameters in
their range, so that both ends are exponentially flat; all pairs of outcomes share its nodes and are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.numerics.adaptive import pieces
from smm_bayes.response.exact.posteriors import Posteriors

if TYPE_CHECKING:
    from smm_bayes.priors.mixtures.mixture import Mixture

LINKS = {"Normal": ("identity",), "Gamma": ("identity", "log"), "Beta": ("identity", "log", "logit")}
GROWTH = 1.25  # of the pieces in the tails
REST = 40.0  # mass beyond the last nodes is below exp(-REST)


def probability_of_difference(
    experimental: Mixture, control: Mixture, threshold: float = 0.0, *, link: str = "identity"
) -> float:  # fmt: skip
    r"""Probability that :math:`g(\theta_E) - g(\theta_C)` exceeds ``threshold``, the two being independent.

    Parameters
    ----------
    experimental, control : Mixture
        Of one family.
    threshold : float
        On the link's scale: for a ratio above 2 give ``log(2)`` with link "log".
    link : {"identity", "log", "logit"}

    Raises
    ------
    SpecificationError
        When the families differ, or the link does not go with them.
    """
    require_link(experimental, control, link)
    return float(table_of_differences(Posteriors.of(experimental), Posteriors.of(control), threshold, link)[0, 0])


def require_link(experimental: Mixture, control: Mixture, link: str) -> None:
    """Refuse two families, or a link that does not go with one."""
    families = experimental.FAMILY, control.FAMILY
    if families[0] != families[1]:
        raise SpecificationError(f"both arms need mixtures of one family; got {families[0]} and {families[1]}")
    if link not in LINKS[families[0]]:
        raise SpecificationError(
            f"a {families[0]} mixture goes with link {' or '.join(LINKS[families[0]])}; got {link!r}"
        )


def table_of_differences(experimental: Posteriors, control: Posteriors, threshold: float, link: str) -> np.ndarray:
    """Probability of more than ``threshold`` for every pair, shape (experimental outcome, control outcome)."""
    if experimental.family == "Normal":
        one = Posteriors("Normal", experimental.weights[:, None], experimental.first[:, None],
                         experimental.second[:, None])  # fmt: skip
        return normal_difference(one, control, threshold)
    line = _beta_line if experimental.family == "Beta" else _gamma_line
    nodes, below_range = line(experimental, control, threshold, link)
    if nodes is None:
        return np.broadcast_to(below_range, (len(experimental.weights), len(control.weights)))
    tail = _beta_tail if experimental.family == "Beta" else _gamma_tail
    density = _beta_density if experimental.family == "Beta" else _gamma_density
    # below its range the control parameter leaves any experimental one more than the threshold above it
    return tail(experimental, nodes) @ density(control, nodes).T + below_range


def normal_difference(experimental: Posteriors, control: Posteriors, threshold: float) -> np.ndarray:
    """Probability of more than ``threshold`` for normal posteriors that broadcast against each other."""
    from scipy.special import ndtr

    mean = experimental.first[..., :, None] - control.first[..., None, :]
    sd = np.hypot(experimental.second[..., :, None], control.second[..., None, :])
    weights = experimental.weights[..., :, None] * control.weights[..., None, :]
    return (weights * ndtr((mean - threshold) / sd)).sum(axis=(-2, -1))


@dataclass(frozen=True, eq=False)
class _Nodes:
    """Nodes of u with what both arms need there: logs of values and of their complements, exact at both ends."""

    log_experimental: np.ndarray  # value that the experimental parameter must exceed
    log_control: np.ndarray
    log_step: np.ndarray  # log of weight times dθ/du
    log_rest_experimental: np.ndarray | None = None  # log(1 - value), for response rates
    log_rest_control: np.ndarray | None = None


def _grid(core: tuple[float, float], width: float, left: float, right: float) -> tuple[np.ndarray, np.ndarray]:
    """Give nodes and weights: pieces of one width in the core, growing over tails of lengths left and right."""

    def tail(length: float) -> np.ndarray:
        count = int(np.ceil(np.log1p(length * (GROWTH - 1) / width) / np.log(GROWTH)))
        return np.cumsum(width * GROWTH ** np.arange(count))

    inner = np.linspace(*core, int(np.ceil((core[1] - core[0]) / width)) + 2)
    cuts = np.unique(np.concatenate([core[0] - tail(left), inner, core[1] + tail(right)]))
    points, weights = pieces(cuts[:-1], cuts[1:])
    return points.ravel(), weights.ravel()


def _beta_line(e: Posteriors, c: Posteriors, threshold: float, link: str) -> tuple[_Nodes | None, np.ndarray]:
    from scipy.special import betainc, log_expit

    centre = np.concatenate([np.log(p.first / p.second).ravel() for p in (e, c)])
    width = min(1.0, 2 * min(float(np.sqrt(1 / p.first + 1 / p.second).min()) for p in (e, c)))
    left, right = (REST / min(1.0, float(x.min())) for x in (c.first, c.second))
    u, w = _grid((float(centre.min()), float(centre.max())), width, left, right)
    up, down = log_expit(u), log_expit(-u)
    nothing = np.zeros(len(c.weights))
    if link == "logit":
        nodes = _Nodes(log_expit(u + threshold), up, np.log(w) + up + down, log_expit(-u - threshold), down)
        return nodes, nothing
    ratio = np.exp(threshold)
    low, high = (max(0.0, -threshold), min(1.0, 1 - threshold)) if link == "identity" else (0.0, min(1.0, 1 / ratio))
    if link == "identity":
        nothing = (c.weights * betainc(c.first, c.second, min(low, 1.0))).sum(axis=-1)
    if not low < high:
        return None, nothing
    moved = (low + threshold, high + threshold) if link == "identity" else (0.0, high * ratio)

    def logs(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        # an end that should be 0 or 1 is so to the last digit
        low, rest = (x if x > 1e-15 else 0.0 for x in (low, 1 - high))
        with np.errstate(divide="ignore"):
            spread = np.log(1 - low - rest)
            return np.logaddexp(np.log(low), spread + up), np.logaddexp(np.log(rest), spread + down)

    (log_e, rest_e), (log_c, rest_c) = logs(*moved), logs(low, high)
    return _Nodes(log_e, log_c, np.log(w) + np.log(high - low) + up + down, rest_e, rest_c), nothing


def _gamma_line(e: Posteriors, c: Posteriors, threshold: float, link: str) -> tuple[_Nodes | None, np.ndarray]:
    from scipy.special import gammainc

    centre = np.concatenate([np.log(p.first / p.second).ravel() for p in (e, c)])
    last = max(float(np.log((p.first + 10 * np.sqrt(p.first) + REST) / p.second).max()) for p in (e, c))
    width = min(1.0, 2 * min(float((p.first**-0.5).min()) for p in (e, c)))
    u, w = _grid((float(centre.min()), last), width, REST / min(1.0, float(c.first.min())), 1.0)
    if link == "log":
        return _Nodes(u + threshold, u, np.log(w) + u), np.zeros(len(c.weights))
    low = max(0.0, -threshold)
    with np.errstate(divide="ignore"):
        nodes = _Nodes(np.logaddexp(np.log(low + threshold), u), np.logaddexp(np.log(low), u), np.log(w) + u)
    return nodes, (c.weights * gammainc(c.first, c.second * low)).sum(axis=-1)


def _beta_density(c: Posteriors, nodes: _Nodes) -> np.ndarray:
    from scipy.special import betaln

    total = np.zeros((len(c.weights), len(nodes.log_step)))
    for k in range(c.weights.shape[-1]):
        a, b = c.first[:, k, None], c.second[:, k, None]
        log_density = (a - 1) * nodes.log_control + (b - 1) * nodes.log_rest_control - betaln(a, b)
        total += c.weights[:, k, None] * np.exp(log_density + nodes.log_step)
    return total


def _gamma_density(c: Posteriors, nodes: _Nodes) -> np.ndarray:
    from scipy.special import gammaln

    total, value = np.zeros((len(c.weights), len(nodes.log_step))), np.exp(nodes.log_control)
    for k in range(c.weights.shape[-1]):
        shape, rate = c.first[:, k, None], c.second[:, k, None]
        log_density = (shape - 1) * nodes.log_control - rate * value + shape * np.log(rate) - gammaln(shape)
        total += c.weights[:, k, None] * np.exp(log_density + nodes.log_step)
    return total


def _beta_tail(e: Posteriors, nodes: _Nodes) -> np.ndarray:
    r"""Survival functions; from count to count :math:`S_{a+1,b-1}(x) = S_{a,b}(x) + x^a (1-x)^{b-1} / (a B(a, b))`."""
    from scipy.special import betaln

    x, y = nodes.log_experimental, nodes.log_rest_experimental
    assert y is not None
    total = np.zeros((len(e.weights), len(x)))
    for k in range(e.weights.shape[-1]):
        a, b = e.first[:, k, None], e.second[:, k, None]
        if e.consecutive:
            step = np.exp(a[:-1] * x + (b[:-1] - 1) * y - np.log(a[:-1]) - betaln(a[:-1], b[:-1]))
            each = np.cumsum(np.concatenate([_beta_sf(a[:1], b[:1], x, y), step]), axis=0)
        else:
            each = _beta_sf(a, b, x, y)
        total += e.weights[:, k, None] * each
    return total


def _gamma_tail(e: Posteriors, nodes: _Nodes) -> np.ndarray:
    r"""Survival functions; from count to count :math:`S_{s+1}(x) = S_s(x) + (rx)^s e^{-rx} / \Gamma(s+1)`."""
    from scipy.special import gammaln

    x = nodes.log_experimental
    total = np.zeros((len(e.weights), len(x)))
    for k in range(e.weights.shape[-1]):
        s, log_scaled = e.first[:, k, None], x + np.log(e.second[:, k, None])
        if e.consecutive:
            step = np.exp(s[:-1] * log_scaled[:-1] - np.exp(log_scaled[:-1]) - gammaln(s[:-1] + 1))
            each = np.cumsum(np.concatenate([_gamma_sf(s[:1], log_scaled[:1]), step]), axis=0)
        else:
            each = _gamma_sf(s, log_scaled)
        total += e.weights[:, k, None] * each
    return total


def _beta_sf(a: np.ndarray, b: np.ndarray, log_x: np.ndarray, log_rest: np.ndarray) -> np.ndarray:
    """Beta survival function from logs; beyond floating point the first term of its series."""
    from scipy.special import betainc, betaincc, betaln

    norm = betaln(a, b)
    small, large = log_x < -REST, log_rest < -REST
    middle = np.where(log_x < log_rest, betaincc(a, b, np.exp(log_x)), betainc(b, a, np.exp(log_rest)))
    first = -np.expm1(np.where(small, np.minimum(a * log_x - np.log(a) - norm, 0), 0))
    last = np.exp(np.where(large, np.minimum(b * log_rest - np.log(b) - norm, 0), 0))
    return np.where(small, first, np.where(large, last, middle))


def _gamma_sf(shape: np.ndarray, log_scaled: np.ndarray) -> np.ndarray:
    """Gamma survival function from the log of rate times value; below floating point the first term of its series."""
    from scipy.special import gammaincc, gammaln

    small = log_scaled < -REST
    first = -np.expm1(np.where(small, np.minimum(shape * log_scaled - gammaln(shape + 1), 0), 0))
    return np.where(small, first, gammaincc(shape, np.exp(log_scaled)))
