"""How much the data say of every parameter of the joint model: posterior beside prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.surrogacy.joint.priors import JointPriors
from smm_bayes.surrogacy.joint.table import JointTable
from smm_bayes.survival.cure_summary import LITTLE
from smm_bayes.survival.model_priors import GammaPrior, SurvivalPriors
from smm_bayes.survival.summary import contraction, summarise

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

PRIOR_DRAWS = 20_000
NOTE = "mostly the prior"


def _as_is(values: np.ndarray) -> np.ndarray:
    return values


def _share(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


# every parameter, what it is shown as, and how
SHOWN: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "log_mrd_hazard_ratio": ("hazard ratio, MRD-negative over not", np.exp),
    "log_mrd_interaction": ("ratio of it between the arms", np.exp),
    "log_mrd_half_life": ("half-life of the MRD effect, months", np.exp),
    "status_level": ("share negative, control, not negative before", _share),
    "status_log_odds_ratio": ("odds ratio of negative, experimental over control", np.exp),
    "status_persistence": ("odds ratio of negative, negative before over not", np.exp),
    "log_odds_missing": ("share of results missing, not negative", _share),
    "log_hazard_ratio": ("hazard ratio, experimental over control, beside MRD", np.exp),
    "ratio_smoothness": ("step of that log hazard ratio", _as_is),
    "log_half_life": ("half-life of that log hazard ratio, months", np.exp),
    "level": ("hazard a month, control, not negative", np.exp),
    "smoothness": ("step of the log hazard", _as_is),
}


def joint_summary(
    posterior: xr.Dataset, table: JointTable, survival: SurvivalPriors | GammaPrior, priors: JointPriors, *,
    rng: np.random.Generator, probability: float = 0.95,
) -> pd.DataFrame:  # fmt: skip
    """Every parameter of the joint model, with what the data taught of it.

    Parameters
    ----------
    posterior : xarray.Dataset
        Of :func:`~smm_bayes.surrogacy.joint.model.joint_model`.
    table : JointTable
        That the model was fitted to.
    survival : SurvivalPriors or GammaPrior
        Hazards under Gamma priors have no parameters beside themselves, and no row.
    priors : JointPriors
    rng : numpy.random.Generator
        For draws from the prior.
    probability : float
        Probability inside the equal-tailed credible intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``quantity`` and ``of`` (visit, cause): ``median``, ``lower``, ``upper``, ``mcse`` of the median;
        ``contraction``, 1 − posterior variance / prior variance of the parameter on the model's own scale (log, or log
        odds of a share); ``note``, ``mostly the prior`` where that is below 0.3, else empty.

    Raises
    ------
    SpecificationError
        When ``probability`` is not between 0 and 1, or a cause has no prior.
    """
    import pandas as pd

    shape = table.shape
    causes, arms = shape.causes, len(shape.arms)
    prior = survival.sample(causes, arms, shape.grid, PRIOR_DRAWS, rng=rng)
    prior |= priors.sample(causes, len(shape.months), arms, PRIOR_DRAWS, rng=rng)
    rows = [_rows(name, posterior[name], prior[name], probability) for name in SHOWN if name in posterior]
    return pd.concat(rows)


def _rows(name: str, draws: xr.DataArray, prior: np.ndarray, probability: float) -> pd.DataFrame:
    label, transform = SHOWN[name]
    draws = draws.transpose("chain", "draw", ...)
    shown = summarise(draws.copy(data=transform(draws.values)), probability)
    left = np.atleast_1d(contraction(draws, prior).values)
    of = [""] if draws.ndim == 2 else [_of(str(draws.dims[-1]), value) for value in shown.index]
    shown = shown.assign(contraction=left, note=np.where(left < LITTLE, NOTE, ""), quantity=label, of=of)
    return shown.set_index(["quantity", "of"])


def _of(dim: str, value: object) -> str:
    return f"{value} months" if dim in ("visit", "later") else str(value)
