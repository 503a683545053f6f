r"""How being MRD-negative changes the hazard from a visit on: constant, or fading, or lost; common to the arms or not.

The hazard of a cause that MRD acts on is multiplied by :math:`\exp(\gamma_a w(u))` while the status at the latest
visit is negative, u months after that visit. A constant effect has :math:`w = 1`. The others need informative priors:
with two visits and a hundred patients the data say next to nothing of them, and their contraction says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import Z_UPPER, RatioPrior


@dataclass(frozen=True)
class InteractionPrior(RatioPrior):
    """Prior of the ratio of the two arms' MRD hazard ratios, experimental over control.

    The default, 1 and 1.5, has 95 % between 0.67 and 1.5.
    """

    median: float = 1.0
    upper: float = 1.5

    OF = "ratio of hazard ratio"


@dataclass(frozen=True)
class MrdEffect:
    """An effect of MRD on the hazard.

    Parameters
    ----------
    interaction : InteractionPrior, optional
        Lets the arms' effects differ; one effect for both by default.
    """

    interaction: InteractionPrior | None = None

    @property
    def timed(self) -> bool:
        """Whether the effect changes with the time since the visit."""
        return False

    def statements(self) -> dict[str, str]:
        """Give the priors beside that of the hazard ratio, in words."""
        return {} if self.interaction is None else {"MRD effect by arm": str(self.interaction)}

    def log_ratio(self, log_ratio: Any, log_time: Any, since: np.ndarray, until: np.ndarray, xp: Any = np) -> Any:
        """Log hazard ratio by cell.

        Parameters
        ----------
        log_ratio : array or tensor
            At the visit; ends with a dim of length 1, along which the cells are laid.
        log_time : array or tensor or None
            Log of the half-life, of a timed effect; same shape.
        since, until : numpy.ndarray, shape (cell,)
            Months from the latest visit to the cell's start and end.
        xp : module
            NumPy, or PyTensor's tensors for a model.
        """
        return log_ratio * np.ones(len(since))

    def sample(self, arms: int, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw the effect's own parameters: ``log_mrd_interaction`` (draw,) and ``log_mrd_half_life`` (draw,)."""
        found = {}
        if self.interaction is not None and arms > 1:
            found["log_mrd_interaction"] = rng.normal(self.interaction.mean, self.interaction.sd, draws)
        return found


@dataclass(frozen=True)
class Constant(MrdEffect):
    """The same effect at all times after the visit."""


@dataclass(frozen=True)
class TimedEffect(MrdEffect):
    """An effect with a half-life.

    Parameters
    ----------
    median, upper : float
        Of the half-life in months: most plausible and upper plausible (97.5 %) value.
    """

    median: float = 36.0
    upper: float = 144.0

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        if not 0 < self.median < self.upper < math.inf:
            raise SpecificationError(
                f"half-life of the MRD effect: need 0 < median < upper; got median {self.median} and upper {self.upper}"
            )

    @property
    def timed(self) -> bool:
        """Whether the effect changes with the time since the visit."""
        return True

    @property
    def mean(self) -> float:
        """Mean of the log half-life."""
        return math.log(self.median)

    @property
    def sd(self) -> float:
        """Standard deviation of the log half-life."""
        return math.log(self.upper / self.median) / Z_UPPER

    def sample(self, arms: int, draws: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw the effect's own parameters."""
        found = super().sample(arms, draws, rng=rng)
        return found | {"log_mrd_half_life": rng.normal(self.mean, self.sd, draws)}

    def _range(self) -> str:
        low = self.median**2 / self.upper
        return f"every {low:.2g} to {self.upper:.3g} months (95 %), median {self.median:.3g}"


@dataclass(frozen=True)
class Fading(TimedEffect):
    r"""The log hazard ratio halves again and again after the visit, :math:`w(u) = 2^{-u/T}`.

    Within a cell it is replaced by its mean there.
    """

    def log_ratio(self, log_ratio: Any, log_time: Any, since: np.ndarray, until: np.ndarray, xp: Any = np) -> Any:
        """Log hazard ratio by cell."""
        return log_ratio * _mean_share(log_time, since, until, xp.exp)

    def statements(self) -> dict[str, str]:
        """Give the priors in words."""
        return super().statements() | {"fading": f"the log hazard ratio of MRD halves {self._range()}"}


@dataclass(frozen=True)
class Lost(TimedEffect):
    r"""Of the patients who were negative at the visit half are no longer so after each half-life T.

    Patients who lost negativity have the hazard of those never negative, so the hazard of those who were is
    multiplied by :math:`1 - q(u) + q(u) e^{\gamma}` with :math:`q(u) = 2^{-u/T}`; within a cell q is
    replaced by its mean there. (Patients who lost it leave by events sooner, so that q falls a little more slowly;
    that is left out.)
    """

    def log_ratio(self, log_ratio: Any, log_time: Any, since: np.ndarray, until: np.ndarray, xp: Any = np) -> Any:
        """Log hazard ratio by cell."""
        still = _mean_share(log_time, since, until, xp.exp)
        return xp.log1p(still * xp.expm1(log_ratio))

    def statements(self) -> dict[str, str]:
        """Give the priors in words."""
        return super().statements() | {"loss of negativity": f"half of the MRD-negative lose it {self._range()}"}


def _mean_share(log_time: Any, since: np.ndarray, until: np.ndarray, exp: Callable[[Any], Any]) -> Any:
    """Mean of 2^(-u/T) over each cell."""
    rate = math.log(2) * exp(-log_time)
    return (exp(-rate * since) - exp(-rate * until)) / (rate * (until - since))
