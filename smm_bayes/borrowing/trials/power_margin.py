"""The distribution of one power: density, distribution function and quantiles, the other powers integrated out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.results import Result, plot_density

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from smm_bayes.borrowing.trials.power import BetaPower, NormalisedPowerPrior

NODES = 80  # of the rule for one power
GRADE = 3  # powers are the cubes of the nodes


@lru_cache(maxsize=64)
def beta_rule(p: float, q: float, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights under which sums are expectations over Beta(p, q), nodes close to 0."""
    from scipy.special import roots_jacobi

    x, weights = roots_jacobi(nodes, q - 1, GRADE * p - 1)
    u = (1 + x) / 2
    weights = weights * (1 + u + u**2) ** (q - 1)  # (1 - u^3) = (1 - u)(1 + u + u^2)
    return u**GRADE, weights / weights.sum()


@dataclass(frozen=True, eq=False)
class PowerMargin(Result):
    """Distribution of one power, a number from 0 to 1.

    Attributes
    ----------
    prior : BetaPower
    mean, sd : float
    total : float
        Prior expectation of the evidence, by which the density is divided.
    """

    prior: BetaPower
    mean: float
    sd: float
    total: float
    _polynomial: Any  # of the evidence, in the cube root of the power

    @classmethod
    def of(
        cls, prior: NormalisedPowerPrior, trial: int, current: np.ndarray | None, others: np.ndarray,
        shares: np.ndarray, mean: float, sd: float,
    ) -> PowerMargin:  # fmt: skip
        """Make the distribution of the power of one trial.

        Parameters
        ----------
        prior : NormalisedPowerPrior
        trial : int
        current : numpy.ndarray or None
            Sums of the current data.
        others : numpy.ndarray, shape (node, trial - 1)
            Nodes of the other powers, with prior weights ``shares`` (node,).
        shares : numpy.ndarray
        mean, sd : float
        """
        from scipy.interpolate import BarycentricInterpolator

        own = prior.priors[trial]
        powers, weights = beta_rule(own.p, own.q, NODES)
        evidence = np.array([
            prior.history.log_evidence(np.insert(others, trial, power, axis=1), current) for power in powers
        ])  # fmt: skip
        found = np.exp(evidence - evidence.max()) @ shares
        return cls(own, mean, sd, float(weights @ found), BarycentricInterpolator(powers ** (1 / GRADE), found))

    def _evidence(self, power: np.ndarray) -> np.ndarray:
        return np.maximum(self._polynomial(np.cbrt(power)), 0.0) / self.total

    def pdf(self, power: Any) -> np.ndarray:
        """Density at powers from 0 to 1; 0 elsewhere."""
        from scipy.stats import beta

        power = np.asarray(power, float)
        inside = (power >= 0) & (power <= 1)
        return np.where(inside, beta.pdf(power, self.prior.p, self.prior.q) * self._evidence(np.clip(power, 0, 1)), 0)

    def cdf(self, power: Any) -> np.ndarray:
        """Probability of a power of at most ``power``."""
        return np.vectorize(self._cdf, otypes=[float])(power)

    def _cdf(self, power: float) -> float:
        if not 0 < power < 1:
            return float(power >= 1)
        from scipy.special import betaln

        p, q = self.prior.p, self.prior.q
        scale = np.exp(-betaln(p, q))
        if power <= 0.5:  # over a = power * v, so that the rule of v holds what is singular at 0
            nodes, weights = beta_rule(p, 1.0, NODES)
            at = power * nodes
            return float(scale * power**p / p * (weights @ (self._evidence(at) * (1 - at) ** (q - 1))))
        nodes, weights = beta_rule(q, 1.0, NODES)
        at = (1 - power) * nodes
        return float(1 - scale * (1 - power) ** q / q * (weights @ (self._evidence(1 - at) * (1 - at) ** (p - 1))))

    def quantile(self, p: Any) -> np.ndarray:
        """Power that is not exceeded with probability ``p``.

        Raises
        ------
        SpecificationError
            When a probability is outside [0, 1].
        """
        from scipy.optimize import brentq

        p = np.asarray(p, float)
        if not np.all((p >= 0) & (p <= 1)):
            raise SpecificationError(f"a quantile needs probabilities within [0, 1]; got {p}")
        return np.vectorize(
            lambda q: q if q in (0.0, 1.0) else brentq(lambda u: self._cdf(u**GRADE) - q, 0, 1, xtol=1e-14) ** GRADE,
            otypes=[float],
        )(p)

    @property
    def median(self) -> float:
        """Median power."""
        return float(self.quantile(0.5))

    def interval(self, probability: float = 0.95) -> tuple[float, float]:
        """Equal-tailed interval that holds ``probability``."""
        low, high = self.quantile([(1 - probability) / 2, (1 + probability) / 2])
        return float(low), float(high)

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give mean, standard deviation, median and the limits that leave out equal tails, as one row."""
        import pandas as pd

        row = (self.mean, self.sd, self.median, *self.interval(probability))
        return pd.DataFrame([row], columns=["mean", "sd", "median", "lower", "upper"])

    def summary(self) -> str:
        """Give the same in words."""
        return repr(self)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the density."""
        return plot_density(self, ax, xlabel="power")

    def __repr__(self) -> str:
        low, high = self.interval()
        return f"mean {self.mean:.3g}, SD {self.sd:.3g}, 95 % between {low:.3g} and {high:.3g}"
