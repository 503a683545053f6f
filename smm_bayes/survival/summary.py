"""Draws summarised: median, credible interval, Monte Carlo error, probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.results import tails

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

SAMPLE = ("chain", "draw")


def labelled(values: np.ndarray, coords: Mapping[str, object], name: str) -> xr.DataArray:
    """Name the dims of an array, in the order of ``coords``."""
    import xarray as xr

    return xr.DataArray(values, dims=tuple(coords), coords=dict(coords), name=name)


def months(time: np.ndarray | float, what: str = "time") -> np.ndarray:
    """Times as a one-dimensional array; refuse what is no time after the start."""
    at = np.atleast_1d(np.asarray(time, dtype=float))
    if at.ndim != 1 or not at.size or not np.all(np.isfinite(at)) or np.any(at < 0):
        raise SpecificationError(f"{what} must be finite months, 0 or later; got {time}")
    return at


def month(time: float, what: str = "time") -> float:
    """One time; refuse several."""
    at = months(time, what)
    if at.size != 1:
        raise SpecificationError(f"{what} must be one number of months; got {time}")
    return float(at[0])


def summarise(draws: xr.DataArray, probability: float = 0.95) -> pd.DataFrame:
    """Median, credible interval, and Monte Carlo error of the median, one row for every element.

    Parameters
    ----------
    draws : xarray.DataArray
        (chain, draw, ...), finite; for medians of survival see :func:`summarise_median`.
    probability : float
        Probability inside the equal-tailed credible interval.

    Returns
    -------
    pandas.DataFrame
        ``median``, ``lower``, ``upper``, ``mcse`` (ArviZ), indexed by the other dims.

    Raises
    ------
    SpecificationError
        When ``probability`` is not between 0 and 1.

    Examples
    --------
    >>> import numpy as np, smm_bayes as smm
    >>> from smm_bayes.survival import labelled
    >>> draws = np.random.default_rng(1).normal(size=(4, 1000, 2))
    >>> named = labelled(draws, {"chain": range(4), "draw": range(1000), "arm": ["control", "experimental"]}, "effect")
    >>> smm.summarise(named, probability=0.8).round(1)
                  median  lower  upper  mcse
    arm
    control         -0.0   -1.3    1.3   0.0
    experimental    -0.0   -1.3    1.2   0.0
    """
    low, high = tails(probability)
    quantiles = draws.quantile([0.5, low, high], dim=SAMPLE)
    median, lower, upper = (quantiles.isel(quantile=index, drop=True) for index in range(3))
    error = monte_carlo_error(draws, "median")
    return as_frame({"median": median, "lower": lower, "upper": upper, "mcse": error}, draws)


def summarise_median(draws: xr.DataArray, horizon: float, probability: float = 0.95) -> pd.DataFrame:
    """Summarise median survival whose draws are +inf where it is not reached.

    Parameters
    ----------
    draws : xarray.DataArray
        (chain, draw, ...), months, from :func:`~smm_bayes.survival.estimands.Estimands.median_survival`.
    horizon : float
        Months.
    probability : float
        Probability inside the equal-tailed credible interval.

    Returns
    -------
    pandas.DataFrame
        ``probability`` that the median is at most ``horizon`` with its Monte Carlo error ``probability_mcse`` (0 where
        all draws agree), ``median``, ``lower`` and ``upper`` (inf: not reached), ``mcse`` of the median (NaN where
        any draw is infinite) and ``shown``, the same in words; indexed by the other dims.

    Raises
    ------
    SpecificationError
        When ``probability`` is not between 0 and 1.

    Notes
    -----
    The p quantile is the smallest draw that at least a share p of the draws do not exceed. It is finite if and only if
    the share of finite draws is at least p. Interpolation would have to choose a number between a median and infinity.
    """
    low, high = tails(probability)
    one = draws.isel(chain=0, draw=0, drop=True)
    ordered = np.sort(draws.transpose(..., *SAMPLE).values.reshape(*one.shape, -1), axis=-1)
    places = [max(int(np.ceil(p * ordered.shape[-1] - 1e-9)) - 1, 0) for p in (0.5, low, high)]
    median, lower, upper = (one.copy(data=ordered[..., place]) for place in places)
    finite = (draws < np.inf).all(SAMPLE)
    reached = (draws <= horizon).astype(float)
    found = as_frame({
        "probability": reached.mean(SAMPLE), "probability_mcse": monte_carlo_error(reached, "mean"),
        "median": median, "lower": lower, "upper": upper,
        "mcse": monte_carlo_error(draws.where(finite, 0.0), "median").where(finite),
    }, draws)  # fmt: skip
    words = (found[name].map(_month) for name in ("median", "lower", "upper"))
    return found.assign(shown=[f"{middle} ({first} to {last})" for middle, first, last in zip(*words, strict=True)])


def monte_carlo_error(draws: xr.DataArray, method: str) -> xr.DataArray:
    """Monte Carlo error of the mean or the median of draws, by ArviZ."""
    import arviz as az

    error = az.mcse(draws, method=method)
    return error[draws.name] if hasattr(error, "data_vars") else error


def contraction(draws: xr.DataArray, prior: np.ndarray) -> xr.DataArray:
    """How much the data taught: 1 − posterior variance / prior variance, of every element.

    Near 1 the data say it all; near 0 or below, what is shown is mostly the prior.

    Parameters
    ----------
    draws : xarray.DataArray
        Posterior (chain, draw, ...).
    prior : numpy.ndarray, shape (draw, ...)
        Draws from the prior.
    """
    return 1 - draws.var(SAMPLE) / np.asarray(prior).var(axis=0)


def mostly_prior(
    log_hazard: xr.DataArray, prior: np.ndarray, *, limit: float = 0.5
) -> dict[str, list[tuple[str, float]]]:
    """Intervals in which the data say little, by cause, each with the share of its posterior that is the prior's.

    The share is posterior over prior variance of the log hazard, in the arm where it is largest.

    Parameters
    ----------
    log_hazard : xarray.DataArray
        Posterior (chain, draw, arm, cause, interval).
    prior : numpy.ndarray, shape (draw, arm, cause, interval)
        Draws from the prior.
    limit : float
        Share from which an interval is named.
    """
    share = 1 - contraction(log_hazard.transpose(*SAMPLE, "arm", "cause", "interval"), prior)
    worst = share.max("arm")
    return {
        str(cause): [(str(label), float(value)) for label, value in
                     zip(worst["interval"].values, worst.sel(cause=cause).values, strict=True) if value > limit]
        for cause in worst["cause"].values
    }  # fmt: skip


def as_frame(columns: Mapping[str, xr.DataArray], draws: xr.DataArray) -> pd.DataFrame:
    """Put summaries beside each other, one row for every element of ``draws`` without its chains."""
    import pandas as pd

    others = _others(draws)
    if not others:
        return pd.DataFrame({name: [float(values)] for name, values in columns.items()}, index=[draws.name])
    return pd.DataFrame({name: values.transpose(*others).to_series() for name, values in columns.items()})


def _others(draws: xr.DataArray) -> list[str]:
    return [str(name) for name in draws.dims if name not in SAMPLE]


def _month(value: float) -> str:
    return "not reached" if np.isinf(value) else f"{value:.1f}"
