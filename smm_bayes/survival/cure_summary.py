"""How much the data say about cure: the parameters of a mixture cure model beside their priors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.survival.cure_priors import CurePriors
from smm_bayes.survival.summary import contraction, summarise

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from smm_bayes.survival.cure_table import CureTable

LITTLE = 0.3  # contraction below which the prior is most of what is shown
SENTENCE = "The data say little about {}; what is shown is mostly the prior."
PRIOR_DRAWS = 20_000
RATIOS = {"log_odds_ratio": "odds ratio of being cured", "log_hazard_ratio_uncured": "hazard ratio of the uncured"}


def cure_summary(
    posterior: xr.Dataset, table: CureTable, priors: CurePriors, *, rng: np.random.Generator, probability: float = 0.95
) -> pd.DataFrame:
    """Cured shares, effects and the late hazard, with what the data taught of each.

    Parameters
    ----------
    posterior : xarray.Dataset
        Of :func:`~smm_bayes.survival.cure.cure_model`.
    table : CureTable
        That the model was fitted to.
    priors : CurePriors
    rng : numpy.random.Generator
        For draws from the prior.
    probability : float
        Probability inside the equal-tailed credible intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by quantity and arm (or the contrast): ``median``, ``lower``, ``upper``, ``mcse`` of the median,
        ``contraction`` (1 − posterior variance / prior variance, of shares as they are, of the others on the log
        scale), ``note``: a sentence where the contraction is below 0.3, else empty.

    Raises
    ------
    SpecificationError
        When ``probability`` is not between 0 and 1.

    Notes
    -----
    A cured share above the share that is event-free at the end is refuted by any data, and that alone may contract it.
    Where the late hazard contracts little, fit again with another prior of it and compare the cured shares.
    """
    import pandas as pd

    arms = table.table.arms
    prior = priors.sample(table.other_causes, len(arms), table.table.grid, PRIOR_DRAWS, rng=rng)
    rows = [_row("cured share", str(arm), posterior["cured"].sel(arm=arm, drop=True), prior["cured"][:, index], "cure",
                 probability) for index, arm in enumerate(arms)]  # fmt: skip
    for name, label in RATIOS.items():
        if name in posterior:
            rows.append(_row(label, "experimental / control", posterior[name], prior[name], f"the {label}", probability,
                             log=True))  # fmt: skip
    late = posterior["log_hazard_uncured"].isel(arm=0, interval=-1, drop=True)
    half = (np.log(np.log(2)) - late).rename("half")  # a constant hazard λ takes log(2)/λ months
    drawn, label = prior["log_hazard_uncured"][:, 0, -1], "months to half of the uncured, last interval"
    rows.append(_row(label, str(arms[0]), half, drawn, "the late hazard of the uncured", probability, log=True))
    return pd.DataFrame(rows).set_index(["quantity", "arm"])


def _row(
    quantity: str, arm: str, draws: xr.DataArray, prior: np.ndarray, what: str, probability: float, *, log: bool = False
) -> dict[str, object]:
    left = float(contraction(draws, prior))
    shown = summarise(draws.copy(data=np.exp(draws.values)) if log else draws, probability).iloc[0]
    note = SENTENCE.format(what) if left < LITTLE else ""
    return {"quantity": quantity, "arm": arm, **{str(name): value for name, value in shown.items()},
            "contraction": left, "note": note}
