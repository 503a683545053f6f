r"""What a later data cut of the same trial adds: the effect after the first, and forecasts of the next.

With :math:`I = 1/se^2` the information of an estimate, the later one is
:math:`\hat\beta_2 = \{I_1\hat\beta_1 + (I_2 - I_1)\hat\beta_{12}\}/I_2`, with :math:`\hat\beta_{12}` the estimate
from what came in between, as for a log-rank test over disjoint times.
"""

from __future__ import annotations

import math

from smm_bayes.analysis.scores import Forecast
from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import RatioPrior


def later_effect(first: float, first_se: float, later: float, later_se: float) -> tuple[float, float]:
    """Give the log hazard ratio of what came between two data cuts of one trial, and its standard error.

    Parameters
    ----------
    first, later : float
        Log hazard ratios.
    first_se, later_se : float

    Raises
    ------
    SpecificationError
        When the later estimate knows no more than the first.
    """
    added = _added(first_se, later_se)
    value = (later / later_se**2 - first / first_se**2) / added
    return value, 1 / math.sqrt(added)


def forecast_later(first: float, first_se: float, later_se: float, *, waning: RatioPrior | None = None) -> Forecast:
    """Forecast a later estimate of a trial's log hazard ratio from the first, sampling error included.

    Parameters
    ----------
    first, first_se : float
        First estimate.
    later_se : float
        Standard error that the later one will have.
    waning : RatioPrior, optional
        Hazard ratio after the first cut over that before; without it hazards are proportional.
    """
    share = _added(first_se, later_se) * later_se**2  # of the later estimate, what comes after the first
    shift, spread = (waning.mean, waning.sd) if waning else (0.0, 0.0)
    return Forecast.normal(first + share * shift, math.hypot(math.sqrt(first_se**2 - later_se**2), share * spread))


def _added(first_se: float, later_se: float) -> float:
    """Information that was added."""
    if not 0 < later_se < first_se:
        raise SpecificationError(f"a later estimate needs a smaller standard error; got {first_se}, then {later_se}")
    return 1 / later_se**2 - 1 / first_se**2
