"""Self-adapting mixture weights: how far a prior may be trusted, by the data it meets."""

from __future__ import annotations

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.mixtures.beta import BetaMixture
from smm_bayes.priors.mixtures.gamma import GammaMixture
from smm_bayes.priors.mixtures.mixture import Mixture
from smm_bayes.priors.mixtures.normal import NormalMixture

DATA = {"BetaMixture": ("responders", "patients"), "GammaMixture": ("events", "exposure"),
        "NormalMixture": ("mean", "standard_error")}  # fmt: skip


def sam_weight(
    prior: Mixture, *, difference: float | None = None, ratio: float | None = None, odds: float = 1.0,
    centre: float | None = None, **data: float,
) -> float:  # fmt: skip
    r"""Weight of an informative prior that adapts itself to the data (SAM).

    The data's likelihood L at the prior's centre :math:`\theta_h` is compared with that at a clinically relevant
    distance :math:`\delta` from it,

    .. math:: R = \frac{L(\theta_h)}{\max\{L(\theta_h + \delta), L(\theta_h - \delta)\}}, \qquad
        w = \frac{\mathrm{odds}\cdot R}{1 + \mathrm{odds}\cdot R}.

    The vague component has the weight 1 - w: ``prior.robustify(1 - sam_weight(prior, ...), ...)``. The weight is made
    from the data, which are then used again: the operating characteristics of a design have to be simulated with it.

    Parameters
    ----------
    prior : BetaMixture, GammaMixture or NormalMixture
    difference : float
        :math:`\delta`, on the scale of the parameter. A value beyond the parameter's range has likelihood 0.
    ratio : float
        In place of ``difference``, for rates and hazards: :math:`\theta_h` is compared with :math:`\theta_h` times and
        divided by the ratio.
    odds : float
        Prior odds that prior and data agree.
    centre : float, optional
        :math:`\theta_h`, the prior's mean unless given.
    **data
        ``responders`` and ``patients`` (beta); ``events`` and ``exposure`` (gamma); ``mean`` and ``standard_error``
        (normal).

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    SpecificationError
        When data are missing or of another kind of prior, or impossible, or not exactly one of difference and ratio
        is given.

    References
    ----------
    Yang P, Zhao Y, Nie L, Vallejo J, Yuan Y. Biometrics 2023;79:2857-2868, doi:10.1111/biom.13927.
    """
    from scipy.special import expit

    wanted = DATA.get(type(prior).__name__)
    if wanted is None:
        raise SpecificationError(f"need a beta, gamma or normal mixture; got {type(prior).__name__}")
    if set(data) != set(wanted):
        raise SpecificationError(f"data of a {type(prior).__name__} are {wanted[0]} and {wanted[1]}; got "
                                 f"{', '.join(sorted(data)) or 'none'}")  # fmt: skip
    if not 0 < odds < np.inf:
        raise SpecificationError(f"odds must be above 0; got {odds}")
    first, second = (float(data[name]) for name in wanted)
    _check_data(prior, first, second)
    middle = prior.mean if centre is None else float(centre)
    if not prior._range[0] < middle < prior._range[1]:
        raise SpecificationError(f"the centre must be within the parameter's range; got {middle}")
    away = _alternatives(prior, middle, difference, ratio)
    likelihood = [_log_likelihood(prior, theta, first, second) for theta in (middle, *away)]
    return float(expit(np.log(odds) + likelihood[0] - max(likelihood[1:])))


def _check_data(prior: Mixture, first: float, second: float) -> None:
    if isinstance(prior, BetaMixture):
        fit = 0 <= first <= second < np.inf
    elif isinstance(prior, GammaMixture):
        fit = 0 <= first < np.inf and 0 <= second < np.inf and (first == 0 or second > 0)
    else:
        fit = np.isfinite(first) and 0 < second < np.inf
    if not fit:
        one, two = DATA[type(prior).__name__]
        raise SpecificationError(f"data cannot be: {one} {first}, {two} {second}")


def _alternatives(
    prior: Mixture, centre: float, difference: float | None, ratio: float | None
) -> tuple[float, float]:
    if (difference is None) == (ratio is None):
        raise SpecificationError("give difference or ratio, and not both")
    if difference is not None:
        if not 0 < difference < np.inf:
            raise SpecificationError(f"difference must be above 0; got {difference}")
        away = centre - difference, centre + difference
    else:
        assert ratio is not None
        if isinstance(prior, NormalMixture) or not 1 < ratio < np.inf:
            raise SpecificationError(f"ratio must be above 1, and goes with rates and hazards; got {ratio}")
        away = centre / ratio, centre * ratio
    if not any(prior._range[0] <= theta <= prior._range[1] for theta in away):
        raise SpecificationError(f"both {away[0]:.4g} and {away[1]:.4g} are outside the parameter's range; choose a "
                                 "smaller difference")  # fmt: skip
    return away


def _log_likelihood(prior: Mixture, theta: float, first: float, second: float) -> float:
    """Log likelihood of one value, up to a constant of the data."""
    from scipy.special import xlog1py, xlogy

    if not prior._range[0] <= theta <= prior._range[1]:
        return -np.inf
    if isinstance(prior, BetaMixture):
        return float(xlogy(first, theta) + xlog1py(second - first, -theta))
    if isinstance(prior, GammaMixture):
        return float(xlogy(first, theta) - second * theta)
    return -0.5 * ((first - theta) / second) ** 2
