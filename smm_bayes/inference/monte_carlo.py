r"""Monte Carlo error of a mean over posterior draws that come from several equally likely data sets.

Earlier trials are known by reconstructions, of which each is fitted and the draws are pooled. With means
:math:`m_1, \dots, m_R` of the data sets, each with error :math:`s_r` given its data set,

.. math:: \bar m = \frac1R \sum_r m_r, \qquad \mathrm{Var}(\bar m) = \frac{\mathrm{Var}(m_r)}{R}, \qquad
          \mathrm{Var}(m_r) = \tau^2 + \mathrm{E}(s_r^2),

since the data sets are a random sample: another seed makes others. The variance of the means between data sets over
their number is an unbiased estimate of it and holds both parts, the spread of data sets and the error within each.
Where it happens to be below the part within, :math:`\sum_r s_r^2 / R^2`, that takes its place. One data set says
nothing of others: the error is then that given the data set.

References
----------
Rubin DB. Multiple imputation for nonresponse in surveys. Wiley 1987, chapter 3. Vehtari A et al. Bayesian Analysis
2021;16:667-718, doi:10.1214/20-BA1221 (autocorrelated draws).
"""

from __future__ import annotations

import numpy as np

from smm_bayes.errors import SpecificationError


def series_error(by_draw: np.ndarray) -> float:
    """Standard error of the mean over (chain, draw), with the draws' autocorrelation; 0 for equal values."""
    if by_draw.size < 2 or np.ptp(by_draw) == 0:
        return 0.0
    if by_draw.shape[1] < 4:  # too short to see the autocorrelation
        return float(by_draw.std(ddof=1) / np.sqrt(by_draw.size))
    from arviz_stats.base import array_stats

    return float(array_stats.mcse(by_draw, chain_axis=0, draw_axis=1))


def error_within(by_draw: np.ndarray, data_sets: int = 1) -> float:
    """Standard error of the mean given the data sets, whose chains follow each other, as many of each.

    Parameters
    ----------
    by_draw : numpy.ndarray, shape (chain, draw)
    data_sets : int

    Raises
    ------
    SpecificationError
        When the chains cannot be shared out evenly.
    """
    return float(np.sqrt(sum(series_error(part) ** 2 for part in split(by_draw, data_sets)))) / data_sets


def mean_error(by_draw: np.ndarray, data_sets: int = 1) -> float:
    """Standard error of the mean over draws and data sets (see the module); arguments as in :func:`error_within`."""
    within = error_within(by_draw, data_sets)
    if data_sets == 1:
        return within
    means = np.array([part.mean() for part in split(by_draw, data_sets)])
    return max(within, float(means.std(ddof=1) / np.sqrt(data_sets)))


def split(by_draw: np.ndarray, data_sets: int) -> np.ndarray:
    """Bring chains into shape (data set, chain, draw)."""
    if data_sets < 1 or len(by_draw) % data_sets:
        raise SpecificationError(f"{len(by_draw)} chains cannot come from {data_sets} data sets, as many from each")
    return by_draw.reshape(data_sets, -1, *by_draw.shape[1:])


def reciprocal_variance_error(values: np.ndarray, data_sets: int = 1) -> float:
    r"""Standard error of :math:`1 / \mathrm{Var}(x)` of draws, to first order.

    The influence of a draw on :math:`1/V` is :math:`-\{(x - \bar x)^2 - V\} / V^2`; the error is that of its mean.

    Parameters
    ----------
    values : numpy.ndarray, shape (chain, draw)
    data_sets : int
        That the chains come from.
    """
    squares = (values - values.mean()) ** 2
    return mean_error((squares - squares.mean()) / squares.mean() ** 2, data_sets)
