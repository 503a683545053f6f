"""Estimands of one posterior as one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.survival.summary import SAMPLE, as_frame, monte_carlo_error, months, summarise, summarise_median

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from smm_bayes.survival.estimands import Estimands

HOLDS: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "difference > 0": lambda draws: draws > 0,
    "ratio > 1": lambda draws: draws > 1,
    "ratio < 1": lambda draws: draws < 1,
}
COLUMNS = ("estimand", "arm", "cause", "time", "median", "lower", "upper", "mcse",
           "probability_of", "probability", "probability_mcse", "note")  # fmt: skip


def tabulated(estimands: Estimands, times: Sequence[float], probability: float) -> pd.DataFrame:
    """Put every estimand at the given times, and the medians, into :meth:`.Estimands.table`."""
    import pandas as pd

    at = months(np.asarray(times, dtype=float), "times")
    if at[0] <= 0 or np.any(np.diff(at) <= 0):
        raise SpecificationError(f"times must be above 0 and increasing; got {tuple(times)}")
    both, competing = estimands.two_arms, len(estimands.law.causes) > 1
    minus, over, more = "experimental - control", "experimental / control", "difference > 0"
    blocks: list[tuple[Callable[[float], xr.DataArray], str, str, bool]] = [
        (estimands.milestone_survival, "", "", True),
        (estimands.milestone_difference, minus, more, both),
        (estimands.rmst, "", "", True),
        (estimands.rmst_difference, minus, more, both),
        (estimands.rmst_ratio, over, "ratio > 1", both),
        (lambda time: estimands.window_hazard_ratio(0.0, time), over, "ratio < 1", both),
        (lambda time: estimands.cumulative_incidence_curve(time).isel(time=0, drop=True), "", "", competing),
        (estimands.cumulative_incidence_difference, minus, more, both and competing),
        (estimands.restricted_time_lost, "", "", competing),
        (estimands.restricted_time_lost_difference, minus, more, both and competing),
    ]
    found = [_rows(estimands, of, at, arm, what, probability) for of, arm, what, wanted in blocks if wanted]
    return pd.concat([*found, _medians(estimands, probability)], ignore_index=True)[list(COLUMNS)]


def _rows(
    estimands: Estimands, of: Callable[[float], xr.DataArray], at: np.ndarray, contrast: str, what: str,
    probability: float,
) -> pd.DataFrame:
    """One estimand at every time."""
    import pandas as pd
    import xarray as xr

    values = xr.concat([of(float(time)) for time in at], dim=pd.Index(at, name="time"))
    draws = values.transpose(*SAMPLE, ..., "time")
    rows = summarise(draws, probability).assign(probability=np.nan, probability_mcse=np.nan)
    if what:
        holds = HOLDS[what](draws).astype(float)
        rows["probability"] = as_frame({"p": holds.mean(SAMPLE)}, draws)["p"]
        rows["probability_mcse"] = as_frame({"p": monte_carlo_error(holds, "mean")}, draws)["p"]
    rows = rows.reset_index()
    given = {"arm": contrast, "cause": estimands.event}
    rows = rows.assign(**{name: value for name, value in given.items() if name not in rows})
    apart = "All causes compete." if "cause" in draws.dims else ""
    apart = "Cause-specific." if draws.name == "window_hazard_ratio" else apart
    notes = [_note(estimands, time, apart) for time in rows["time"]]
    return rows.assign(estimand=str(draws.name), probability_of=what, note=notes)


def _medians(estimands: Estimands, probability: float) -> pd.DataFrame:
    """Medians of the arms, within the stated horizon."""
    end = np.inf if estimands.horizon is None else estimands.horizon
    draws = estimands.median_survival(end)
    rows = summarise_median(draws, end, probability).reset_index()
    notes = []
    for arm, shown in zip(rows["arm"], rows["shown"], strict=True):
        missing = ["No mcse: some draws are not reached."] if np.isinf(draws.sel(arm=arm)).any() else []
        notes.append(" ".join([f"{shown} months.", *missing, _note(estimands, end)]).strip())
    return rows.assign(estimand=str(draws.name), cause=estimands.event, time=end, probability_of="median <= time",
                       note=notes)  # fmt: skip


def _note(estimands: Estimands, time: float, apart: str = "") -> str:
    """Say how other causes are taken (``apart``, else net of them), and what is extrapolated."""
    counted = estimands.causes
    others = [name for name in estimands.law.causes if counted and name not in counted]
    parts = [apart or f"Net of {' and '.join(others)}."] if others or apart == "All causes compete." else []
    if estimands.horizon is None:
        parts.append("No horizon stated.")
    elif time > estimands.horizon:
        parts.append(f"Extrapolated beyond month {estimands.horizon:g}.")
    return " ".join(parts)
