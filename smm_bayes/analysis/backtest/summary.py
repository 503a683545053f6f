"""What the scores of a backtest say: by variant and baseline, by axis, and against one variant, trial by trial."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from smm_bayes.analysis.backtest.declared import Variant
from smm_bayes.errors import SpecificationError

if TYPE_CHECKING:
    import pandas as pd

AXES = ("relation", "offsets", "population", "combination")
MODEL = "model"
MEASURES = ["in_50", "in_80", "in_95", "width_80", "log_score", "crps"]
GROUPS = {
    "progression": "endpoint == 'progression' and kind != 'hazard ratio given MRD'",
    "progression, published before": "endpoint == 'progression' and kind != 'hazard ratio given MRD' "
    "and from_ == 'earlier'",
    "death": "endpoint == 'death'",
    "hazard ratio given MRD": "kind == 'hazard ratio given MRD'",
    "all": "published == published",
}


def group(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Forecasts of one kind; see :data:`GROUPS`."""
    if name not in GROUPS:
        raise SpecificationError(f"no group {name!r}; take one of {', '.join(GROUPS)}")
    return table.rename(columns={"from": "from_"}).query(GROUPS[name]).rename(columns={"from_": "from"})


def by_variant(table: pd.DataFrame, *, by_trial: bool = True) -> pd.DataFrame:
    """Coverage, sharpness, log score and CRPS of every variant and baseline.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`backtest`.
    by_trial : bool
        Whether each trial counts once (means of its means, so that a trial with many milestones is not counted many
        times), or each number.
    """
    axes = ["method", *AXES]
    numbers = table.assign(**{name: table[name].astype(float) for name in MEASURES})
    counted = numbers.groupby(axes, sort=False).size().rename("forecasts")
    if by_trial:
        numbers = numbers.groupby([*axes, "study"], sort=False)[MEASURES].mean().reset_index()
    return numbers.groupby(axes, sort=False)[MEASURES].mean().join(counted).reset_index()


def by_axis(table: pd.DataFrame) -> pd.DataFrame:
    """Means over all other choices, of every choice of every axis; each trial counts once."""
    import pandas as pd

    every = by_variant(table[table["method"] == MODEL])
    rows = []
    for axis in AXES:
        means = every.groupby(axis, sort=False)[MEASURES].mean()
        rows.append(means.assign(axis=axis).rename_axis("choice").reset_index())
    return pd.concat(rows, ignore_index=True)[["axis", "choice", *MEASURES]]


def chosen(table: pd.DataFrame, variant: Variant | Mapping[str, str] | str) -> pd.DataFrame:
    """Rows of one variant, or of a baseline by its name."""
    if isinstance(variant, str):
        found = table[table["method"] == variant]
    else:
        names = vars(variant) if isinstance(variant, Variant) else variant
        found = table[table["method"] == MODEL]
        for axis, name in names.items():
            found = found[found[axis] == name]
    if found.empty or found["fact"].duplicated().any():
        raise SpecificationError(f"{variant} is no baseline and no variant of the backtest")
    return found


def against(
    table: pd.DataFrame, one: Variant | Mapping[str, str] | str, other: Variant | Mapping[str, str] | str
) -> dict[str, float]:
    """Compare two ways of forecasting on the forecasts that both made, trial by trial.

    Returns
    -------
    dict
        ``trials``, ``forecasts``, the mean ``difference`` in log score (each trial once; above 0 the first is better),
        its standard error over trials, and ``better``, the trials in which the first is better.
    """
    columns = ["fact", "study", "log_score"]
    both = chosen(table, one)[columns].merge(chosen(table, other)[columns], on=["fact", "study"])
    both["difference"] = both["log_score_x"] - both["log_score_y"]
    trials = both.groupby("study")["difference"].mean()
    return {
        "trials": len(trials), "forecasts": len(both), "difference": float(trials.mean()),
        "se": float(trials.std(ddof=1) / math.sqrt(len(trials))) if len(trials) > 1 else math.nan,
        "better": int((trials > 0).sum()),
    }  # fmt: skip


def compared(
    table: pd.DataFrame, ways: Mapping[str, Variant | Mapping[str, str] | str], reference: str
) -> pd.DataFrame:
    """Compare some ways of forecasting: coverage, sharpness and scores, and the difference from one of them.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`backtest`, all of it or one group.
    ways : mapping
        Variants and baselines by the name that is shown.
    reference : str
        The one that others are compared with.

    Returns
    -------
    pandas.DataFrame
        A row a way; each trial counts once. ``difference`` in mean log score from the reference and its ``se`` are
        on the forecasts that both made.
    """
    import pandas as pd

    rows = {}
    for name, way in ways.items():
        held = chosen(table, way)
        means = held.assign(**{each: held[each].astype(float) for each in MEASURES}).groupby("study")[MEASURES].mean()
        with_it = against(table, way, ways[reference])
        rows[name] = {"forecasts": len(held), "trials": len(means), **means.mean(),
                      **{each: with_it[each] for each in ("difference", "se", "better")}}  # fmt: skip
    found = pd.DataFrame.from_dict(rows, orient="index")
    return found.astype({"forecasts": int, "trials": int, "better": int})


def selected(table: pd.DataFrame) -> pd.DataFrame:
    """Score each trial by the variant that did best on the other trials: what choosing by such a table is worth.

    Returns
    -------
    pandas.DataFrame
        A row a trial: the variant chosen without it, and the mean log score of its forecasts by that variant.
    """
    import pandas as pd

    rows = table[table["method"] == MODEL]
    means = rows.pivot_table("log_score", list(AXES), "study", sort=False)
    found = []
    for study in means:
        place = int(means.drop(columns=str(study)).mean(axis=1).to_numpy().argmax())
        found.append([*means.reset_index()[list(AXES)].iloc[place], float(means[study].iloc[place])])
    return pd.DataFrame(found, index=pd.Index(list(means), name="study"), columns=[*AXES, "log_score"])
