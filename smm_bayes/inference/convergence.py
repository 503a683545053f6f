"""Whether a fit may be used for a decision, and if not, why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

MAX_RHAT = 1.01
MIN_ESS = 400


@dataclass(frozen=True)
class Convergence:
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

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED: " + "; ".join(self.reasons)
        return (
            f"R-hat at most {self.max_rhat:.3f}, effective sample size at least {self.min_ess_bulk:.0f} (bulk) and "
            f"{self.min_ess_tail:.0f} (tail), {self.divergences} divergences: {verdict}"
        )


def diagnose(posterior: xr.Dataset, divergences: int, *, complete: bool = True) -> Convergence:
    """Compute the diagnostics of every parameter in ``posterior`` (chain, draw, ...).

    A quantity that is the same in every draw (a constant) is left out, and so is one that has the draws of another
    (the control arm's hazard, which is the baseline). With fewer than four draws nothing can be computed and the fit
    does not pass.
    """
    import arviz as az
    import xarray as xr

    if posterior.sizes["draw"] < 4:
        return Convergence(np.inf, 0.0, 0.0, divergences, "everything", complete)
    found: dict[bytes, tuple[str, np.ndarray]] = {}
    for name, variable in posterior.data_vars.items():
        draws = variable.transpose("chain", "draw", ...).values
        for column in np.moveaxis(draws.reshape(*draws.shape[:2], -1), -1, 0):
            if not np.all(column == column[0, 0]):
                found.setdefault(column.tobytes(), (str(name), column))
    names = [name for name, _ in found.values()]
    every = xr.DataArray(np.stack([column for _, column in found.values()], axis=-1), dims=("chain", "draw", "of"))
    rhat, bulk, tail = az.rhat(every).values, az.ess(every).values, az.ess(every, method="tail").values
    return Convergence(
        max_rhat=float(np.max(rhat)),  # not a number where any is
        min_ess_bulk=float(np.min(bulk)),
        min_ess_tail=float(np.min(tail)),
        divergences=divergences,
        worst=names[int(np.argmax(np.where(np.isnan(rhat), np.inf, rhat)))],
        complete=complete,
    )
