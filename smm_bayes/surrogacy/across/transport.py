r"""Carrying a relation across trials to another setting, and how wide a gap it stands.

The relation comes from trials of other disease settings. In the new one

.. math:: \theta_P = a + s + b k \theta_M + N(0, \psi^2 + g^2)

with a scale k of the slope, a shift s and an extra residual SD g. :math:`\theta_P` is the log of a ratio of hazards: a
user's horizon h gives :math:`\log(\log S_1(h) / \log S_0(h))`, for which published log hazard ratios stand under
proportional hazards.

In an analysis the relation REPLACES, with a stated weight w, what the prior says of :math:`\theta_P`; see
:meth:`Transported.log_weight`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.clinical import RatioPrior
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.priors.spread import HalfNormal
from smm_bayes.results import Result, plot_intervals
from smm_bayes.surrogacy.across.conditional import ConditionalDensity
from smm_bayes.surrogacy.across.predictive import Predicted
from smm_bayes.surrogacy.across.relation import ODDS_RATIOS, Relation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LIMITS = (0.025, 0.5, 0.975)
FLAG = 0.1  # probability of lying outside the trials' range from which the report warns
BLOCK = 2**18  # normals that are computed at a time: what fits the processor's cache


@dataclass(frozen=True)
class Transport:
    """How far a relation may be from that of another setting; each part a number or a prior.

    Parameters
    ----------
    scale : float or RatioPrior
        k, on the slope; 0 makes negativity uninformative.
    shift : float or Normal
        s, on the log hazard ratio.
    extra_sd : float or SDPrior
        g; infinity carries nothing over at all.
    """

    scale: float | RatioPrior = field(default_factory=lambda: RatioPrior(0.7, 1.4))
    shift: float | Normal = field(default_factory=lambda: Normal(0.0, 0.2))
    extra_sd: float | SDPrior = field(default_factory=lambda: HalfNormal(0.3))

    def __post_init__(self) -> None:
        """Refuse what is neither a number nor a prior."""
        kinds = {"scale": RatioPrior, "shift": Normal, "extra_sd": SDPrior}
        with Problems("transport", SpecificationError).collecting() as problems:
            for name, kind in kinds.items():
                value = getattr(self, name)
                if isinstance(value, kind):
                    continue
                number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
                if not number or not (math.isfinite(value) or (name == "extra_sd" and value == math.inf)):
                    problems.add(f"{name} must be a finite number or a {kind.__name__}; found {value!r}")
                elif name != "shift" and value < 0:
                    problems.add(f"{name} must be 0 or more; found {value}")

    @classmethod
    def identity(cls) -> Transport:
        """Take the relation as it is."""
        return cls(1.0, 0.0, 0.0)

    @classmethod
    def nothing(cls) -> Transport:
        """Carry nothing over."""
        return cls(1.0, 0.0, math.inf)

    @property
    def is_informative(self) -> bool:
        """Whether anything is carried over."""
        return isinstance(self.extra_sd, SDPrior) or math.isfinite(self.extra_sd)

    def statements(self) -> dict[str, str]:
        """Every part in words, by what it does to hazard ratios."""
        if not self.is_informative:
            return {"transport": "the relation of other settings is not used"}
        return {"scale": self._scale_words(), "shift": self._shift_words(), "extra SD": self._extra_words()}

    def _scale_words(self) -> str:
        if not isinstance(self.scale, RatioPrior):
            return f"the slope is {self.scale:.3g} times that of the trials (fixed)"
        low = self.scale.median**2 / self.scale.upper
        return (f"the slope is {self.scale.median:.2g} times that of the trials, 95 % between {low:.2g} and "
                f"{self.scale.upper:.2g} times")  # fmt: skip

    def _shift_words(self) -> str:
        if not isinstance(self.shift, Normal):
            return f"hazard ratios are {math.exp(self.shift):.3g} times those of the trials' line (fixed)"
        low, middle, high = (math.exp(float(self.shift.quantile(p))) for p in (0.025, 0.5, 0.975))
        return f"hazard ratios are {middle:.2g} times those of the trials' line, 95 % between {low:.2g} and {high:.2g}"

    def _extra_words(self) -> str:
        if not isinstance(self.extra_sd, SDPrior):
            return f"and 95 % within a further {math.exp(1.96 * self.extra_sd):.3g}-fold (fixed)"
        middle, high = (math.exp(1.96 * float(self.extra_sd.quantile(p))) for p in (0.5, 0.95))
        return f"and 95 % within a further {middle:.2g}-fold (median; at most {high:.2g}-fold with 95 % probability)"

    def sample(self, size: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw scale, shift and extra SD, shape (draw,) each."""
        k, s, g = self.scale, self.shift, self.extra_sd
        scale = np.exp(rng.normal(k.mean, k.sd, size)) if isinstance(k, RatioPrior) else np.full(size, float(k))
        shift = s.sample(size, rng=rng) if isinstance(s, Normal) else np.full(size, float(s))
        return scale, shift, g.sample(size, rng=rng) if isinstance(g, SDPrior) else np.full(size, float(g))


@dataclass(frozen=True)
class Extrapolation:
    """Whether a setting's effect on negativity is beyond what the trials showed.

    Attributes
    ----------
    probability : float
        That the log odds ratio is outside the range of the trials' estimates; NaN where that is not known.
    limits : (float, float) or None
        The range.
    """

    probability: float
    limits: tuple[float, float] | None

    @property
    def is_flagged(self) -> bool:
        """Whether it has to be said loudly."""
        return not self.probability < FLAG

    def __str__(self) -> str:
        """Say it."""
        if self.limits is None:
            return "the range of the published trials' odds ratios is not known: the line may be used beyond it"
        low, high = (math.exp(limit) for limit in self.limits)
        said = f"outside the trials' odds ratios, {low:.3g} to {high:.3g}, with probability {self.probability:.2f}"
        return f"EXTRAPOLATION: {said}" if self.is_flagged else said


@dataclass(frozen=True, eq=False, repr=False)
class Transported(Result):
    r"""A relation in a new setting, :math:`\theta_P \sim N(c_r + d_r\theta_M, v_r)` over draws r.

    Attributes
    ----------
    intercept, slope, sd : numpy.ndarray, shape (draw,)
        :math:`a + s`, :math:`bk` and :math:`\sqrt{\psi^2 + g^2}`.
    relation : Relation
    transport : Transport
    """

    intercept: np.ndarray
    slope: np.ndarray
    sd: np.ndarray
    relation: Relation
    transport: Transport

    @classmethod
    def of(cls, relation: Relation, transport: Transport, *, rng: np.random.Generator) -> Transported:
        """Carry every draw of a relation over, with a draw of the transport.

        Raises
        ------
        SpecificationError
            When a draw has no spread at all: no density could be given.
        """
        scale, shift, extra = transport.sample(len(relation), rng=rng)
        sd = np.hypot(relation.residual_sd, extra)
        if np.any(sd <= 0):
            raise SpecificationError("transport: a relation without residual SD and without extra_sd has no density; "
                                     "give extra_sd above 0")  # fmt: skip
        return cls(relation.intercept + shift, relation.slope * scale, sd, relation, transport)

    def log_density(self, theta_m: np.ndarray, theta_p: np.ndarray) -> np.ndarray:
        r"""Log of the average over draws of :math:`N(\theta_P; c_r + d_r\theta_M, v_r)`.

        A density of :math:`\theta_P`: its integral is 1. It is no factor of a posterior: that has a prior of
        :math:`\theta_P` in it already, in whose place it comes by :meth:`log_weight`.
        A transport that carries nothing over has no density and gives 0 everywhere.

        Parameters
        ----------
        theta_m, theta_p : numpy.ndarray
            Log odds ratios and log hazard ratios of one shape.
        """
        theta_m, theta_p = np.broadcast_arrays(np.asarray(theta_m, float), np.asarray(theta_p, float))
        if not self.transport.is_informative:
            return np.zeros(theta_m.shape)
        x, y, found = theta_m.ravel(), theta_p.ravel(), np.empty(theta_m.size)
        constant = -np.log(self.sd) - 0.5 * np.log(2 * np.pi) - np.log(len(self.sd))
        rows = max(1, BLOCK // len(self.sd))
        for start in range(0, x.size, rows):
            at = slice(start, start + rows)
            height = y[at, None] - self.intercept - x[at, None] * self.slope
            height /= self.sd
            np.square(height, out=height)
            height *= -0.5
            height += constant
            top = height.max(axis=1)
            height -= top[:, None]
            found[at] = top + np.log(np.exp(height, out=height).sum(axis=1))
        return found.reshape(theta_m.shape)

    def log_ratio(self, theta_m: np.ndarray, theta_p: np.ndarray, prior: ConditionalDensity) -> np.ndarray:
        """Log of the relation's density of the effect on events over the prior's; 0 where nothing is carried over."""
        if not self.transport.is_informative:
            return np.zeros(np.broadcast_shapes(np.shape(theta_m), np.shape(theta_p)))
        return self.log_density(theta_m, theta_p) - prior.log_density(theta_m, theta_p)

    def log_weight(
        self, theta_m: np.ndarray, theta_p: np.ndarray, prior: ConditionalDensity, weight: float
    ) -> np.ndarray:
        r"""Log of what turns the prior of the effect on events into a mixture of itself and the relation.

        .. math:: \log\left[(1 - w) + w\, \frac{f(\theta_P \mid \theta_M)}{q(\theta_P \mid \theta_M)}\right]

        Draws of a posterior that was made without the relation are weighted with it, and data never enter it again:
        the trial they are of must not be one of the relation's trials. Weight 0, and a transport that carries nothing
        over, give 0 everywhere.

        Parameters
        ----------
        theta_m, theta_p : numpy.ndarray
            Log odds ratios and log hazard ratios of one shape.
        prior : ConditionalDensity
            q, the density of :math:`\theta_P` given :math:`\theta_M` before any data, without the relation.
        weight : float
            w, the prior probability that the relation holds here, 0 to 1.
        """
        if weight == 0:
            return np.zeros(np.broadcast_shapes(np.shape(theta_m), np.shape(theta_p)))
        ratio = self.log_ratio(theta_m, theta_p, prior)
        if weight == 1 or not self.transport.is_informative:
            return ratio
        return np.logaddexp(math.log1p(-weight), math.log(weight) + ratio)

    def at(self, theta_m: float) -> Predicted:
        """Distribution of the log hazard ratio of a trial whose log odds ratio is known.

        Raises
        ------
        SpecificationError
            When nothing is carried over: nothing is predicted.
        """
        if not self.transport.is_informative:
            raise SpecificationError("transport: with an infinite extra_sd nothing is predicted; give a finite one")
        equal = np.full(len(self.sd), 1 / len(self.sd))
        return Predicted(equal, self.intercept + self.slope * theta_m, self.sd)

    def predict(self, theta_m: np.ndarray | float, probabilities: Sequence[float] = LIMITS) -> np.ndarray:
        """Quantiles of the log hazard ratio, shape (probability, ...), given known log odds ratios."""
        theta_m = np.asarray(theta_m, float)
        found = [self.at(float(value)).quantile(np.array(probabilities)) for value in theta_m.ravel()]
        return np.array(found).T.reshape(len(probabilities), *theta_m.shape)

    def sample(self, theta_m: np.ndarray, *, rng: np.random.Generator) -> np.ndarray | None:
        """Draw a log hazard ratio for every draw of the log odds ratio; None where nothing is carried over."""
        if not self.transport.is_informative:
            return None
        drawn = rng.integers(len(self.sd), size=np.shape(theta_m))
        return rng.normal(self.intercept[drawn] + self.slope[drawn] * theta_m, self.sd[drawn])

    def split(self, parts: int = 10) -> tuple[Transported, ...]:
        """Split the draws, for Monte Carlo errors: the SD of an answer over the parts, over the root of their number.

        Raises
        ------
        SpecificationError
            For fewer than two parts, or more than there are draws.
        """
        if not 2 <= parts <= len(self.sd):
            raise SpecificationError(f"parts must be 2 to {len(self.sd)}, the number of draws; found {parts}")
        rows = np.array_split(np.arange(len(self.sd)), parts)
        return tuple(Transported(self.intercept[at], self.slope[at], self.sd[at], self.relation, self.transport)
                     for at in rows)  # fmt: skip

    def extrapolates(self, theta_m: np.ndarray) -> Extrapolation:
        """Compare draws of the log odds ratio with the range of the trials' estimates."""
        limits = self.relation.log_odds_ratios
        if limits is None:
            return Extrapolation(math.nan, None)
        outside = (np.asarray(theta_m) < limits[0]) | (np.asarray(theta_m) > limits[1])
        return Extrapolation(float(outside.mean()), limits)

    def table(self, odds_ratios: Sequence[float] = ODDS_RATIOS, probability: float = 0.95) -> pd.DataFrame:
        """Give the hazard ratio predicted of a trial at each odds ratio: median and limits, probability below 1."""
        import pandas as pd

        rows = [self.at(math.log(ratio)).table(probability) for ratio in odds_ratios]
        return pd.concat(rows).set_index(pd.Index(odds_ratios, name="odds_ratio"))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the predicted hazard ratio by odds ratio, median and 95 % interval."""
        return plot_intervals(self.table(), ax, xlabel="hazard ratio predicted at the odds ratio", line=1.0)

    def summary(self) -> str:
        """Say what is carried over, and how."""
        return repr(self)

    def __repr__(self) -> str:
        return f"{self.relation!r}\n  carried over: {'; '.join(self.transport.statements().values())}"
