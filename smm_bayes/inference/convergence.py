"""Whether a fit may be used for a decision, and if not, why."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.results import Result

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MAX_RHAT = 1.01
MIN_ESS = 400
ASTRAY = 1.1  # R-hat of one fit among many


@dataclass(frozen=True)
class Convergence(Result):
    """Worst diagnostics over every parameter of a fit.

    Attributes
    ----------
    max_rhat : float
        Largest rank-normalised split R-hat.
    min_ess_bulk, min_ess_tail : float
        Smallest effective sample sizes.
    divergences : int
    worst : str
        Parameter with the largest R-hat.
    complete : bool
        False when sampling was interrupted.

    References
    ----------
    Vehtari A et al. Bayesian Analysis 2021;16:667-718, doi:10.1214/20-BA1221.
    """

    max_rhat: float
    min_ess_bulk: float
    min_ess_tail: float
    divergences: int
    worst: str
    complete: bool = True

    @property
    def reasons(self) -> list[str]:
        """Why the fit may not be used for a decision; empty when it may."""
        found = []
        if not self.complete:
            found.append("sampling was interrupted")
        if not self.max_rhat <= MAX_RHAT:
            found.append(f"R-hat {self.max_rhat:.3f} of {self.worst} is above {MAX_RHAT}")
        if not self.min_ess_bulk >= MIN_ESS:
            found.append(f"bulk effective sample size {self.min_ess_bulk:.0f} is below {MIN_ESS}")
        if not self.min_ess_tail >= MIN_ESS:
            found.append(f"tail effective sample size {self.min_ess_tail:.0f} is below {MIN_ESS}")
        if self.divergences:
            found.append(f"{self.divergences} divergent transitions")
        return found

    @property
    def passed(self) -> bool:
        """Whether the fit may be used for a decision."""
        return not self.reasons

    def to_dict(self) -> dict[str, object]:
        """Diagnostics by name, with ``passed``."""
        return {**asdict(self), "passed": self.passed}

    def table(self) -> pd.DataFrame:
        """Give every diagnostic as a row: value, what is asked of it, and whether that is met."""
        import pandas as pd

        rows = {
            "largest R-hat": (self.max_rhat, f"{MAX_RHAT} at most", self.max_rhat <= MAX_RHAT),
            "smallest bulk sample size": (self.min_ess_bulk, f"{MIN_ESS} at least", self.min_ess_bulk >= MIN_ESS),
            "smallest tail sample size": (self.min_ess_tail, f"{MIN_ESS} at least", self.min_ess_tail >= MIN_ESS),
            "divergences": (float(self.divergences), "none", not self.divergences),
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "asked", "met"])

    def summary(self) -> str:
        """Say whether the fit may be used for a decision, and why not."""
        verdict = "passed" if self.passed else "FAILED: " + "; ".join(self.reasons)
        return (
            f"R-hat at most {self.max_rhat:.3f}, effective sample size at least {self.min_ess_bulk:.0f} (bulk) and "
            f"{self.min_ess_tail:.0f} (tail), {self.divergences} divergences: {verdict}"
        )

    def __str__(self) -> str:
        return self.summary()


def diagnose(posterior: xr.Dataset, divergences: int, *, complete: bool = True) -> Convergence:
    """Compute the diagnostics of every parameter in ``posterior`` (chain, draw, ...).

    A quantity that is the same in every draw (a constant) is left out, and so is one that has the draws of another
    (the control arm's hazard, which is the baseline). With fewer than four draws nothing can be computed and the fit
    does not pass.
    """
    if posterior.sizes["draw"] < 4:
        return Convergence(np.inf, 0.0, 0.0, divergences, "everything", complete)
    names, columns = _columns(posterior)
    return _judge(names, columns, divergences, complete)


def diagnose_parts(posteriors: list[xr.Dataset], divergences: int, *, complete: bool = True) -> Convergence:
    """Judge the chains of several fits of one model to different data as one.

    Each draw is replaced by its rank within its own fit, so that what differs between the data does not count. The
    first chains of all fits in a row are one long chain, the second another, and so on: R-hat and effective sample
    sizes are those of the long chains. R-hat of many short chains could not come near 1, however good each is. What
    has one value or two only is left out, for its ranks differ between fits by how often each value comes. A fit
    whose own R-hat is above 1.1 has a chain that went astray, and its R-hat is reported.

    References
    ----------
    Margossian CC et al. Bayesian Analysis 2024, doi:10.1214/24-BA1453 (nested R-hat: why short chains are put
    together).
    """
    if len({dataset.sizes["chain"] for dataset in posteriors}) > 1 or posteriors[0].sizes["draw"] < 4:
        return Convergence(np.inf, 0.0, 0.0, divergences, "everything", complete)
    found = [_columns(dataset, unique=False) for dataset in posteriors]
    names = found[0][0]
    kept = ~np.all([_two_valued(columns) for _, columns in found], axis=0)
    ranks = np.concatenate([_ranks(columns[..., kept]) for _, columns in found], axis=1)
    whole = _judge([name for name, keep in zip(names, kept, strict=True) if keep], ranks, divergences, complete)
    worst = max((_crude_rhat(columns[..., kept]) for _, columns in found), default=1.0)
    return replace(whole, max_rhat=worst) if worst > ASTRAY else whole


def _columns(posterior: xr.Dataset, *, unique: bool = True) -> tuple[list[str], np.ndarray]:
    """Every parameter as one column (chain, draw, column) with its name; constants and copies left out if asked."""
    found: dict[object, tuple[str, np.ndarray]] = {}
    for name, variable in posterior.data_vars.items():
        draws = variable.transpose("chain", "draw", ...).values
        for column in np.moveaxis(draws.reshape(*draws.shape[:2], -1), -1, 0):
            if not unique:
                found[len(found)] = (str(name), column)
            elif not np.all(column == column[0, 0]):
                found.setdefault(column.tobytes(), (str(name), column))
    return [name for name, _ in found.values()], np.stack([column for _, column in found.values()], axis=-1)


def _judge(names: list[str], columns: np.ndarray, divergences: int, complete: bool) -> Convergence:
    import arviz as az
    import xarray as xr

    every = xr.DataArray(columns, dims=("chain", "draw", "of"))
    rhat, bulk, tail = az.rhat(every).values, az.ess(every).values, az.ess(every, method="tail").values
    return Convergence(
        max_rhat=float(np.max(rhat)),  # not a number where any is
        min_ess_bulk=float(np.min(bulk)),
        min_ess_tail=float(np.min(tail)),
        divergences=divergences,
        worst=names[int(np.argmax(np.where(np.isnan(rhat), np.inf, rhat)))],
        complete=complete,
    )


def _two_valued(columns: np.ndarray) -> np.ndarray:
    """Whether a column has two values at most."""
    low, high = columns.min(axis=(0, 1)), columns.max(axis=(0, 1))
    return np.all((columns == low) | (columns == high), axis=(0, 1))


def _ranks(columns: np.ndarray) -> np.ndarray:
    """Rank of every draw among all draws of its fit, column by column; equal draws share theirs."""
    from scipy.stats import rankdata

    flat = columns.reshape(-1, columns.shape[-1])
    return rankdata(flat, axis=0).reshape(columns.shape)


def _crude_rhat(columns: np.ndarray) -> float:
    """Largest R-hat without ranks or splitting: enough for a chain that went astray."""
    within = columns.var(axis=1, ddof=1).mean(axis=0)
    between = columns.mean(axis=1).var(axis=0, ddof=1) if len(columns) > 1 else np.zeros_like(within)
    used = within > 0
    return float(np.sqrt(1 + between[used] / within[used]).max(initial=1.0))
