"""Priors of latent exchangeability: the share of earlier patients who are like the current ones, and the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.clinical import BaselinePrior
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.model_priors import SurvivalPriors
from smm_bayes.survival.walk import draw_walk


@dataclass(frozen=True)
class ShareOfPatients:
    """Beta prior of the share of earlier patients who are exchangeable with the current control arm.

    Parameters
    ----------
    mean : float
    patients : float
        What the prior is worth; with mean 0.5 and 2 patients, the default, it is flat.
    lower, upper : float
        The prior is cut off outside, for a share that is known to be at least or at most so much.
    """

    mean: float = 0.5
    patients: float = 2.0
    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that name no distribution."""
        with Problems("share of exchangeable patients", SpecificationError).collecting() as problems:
            if not (0 < self.mean < 1 and 0 < self.patients < np.inf):
                problems.add(f"mean must be inside (0, 1) and patients above 0; got {self.mean} and {self.patients}")
            if not 0 <= self.lower < self.upper <= 1:
                problems.add(f"need 0 <= lower < upper <= 1; got {self.lower} and {self.upper}")

    @property
    def a(self) -> float:
        """First parameter of the beta distribution."""
        return self.mean * self.patients

    @property
    def b(self) -> float:
        """Second parameter."""
        return (1 - self.mean) * self.patients

    @property
    def cut(self) -> bool:
        """Whether some shares are excluded."""
        return self.lower > 0 or self.upper < 1

    @property
    def log_normaliser(self) -> float:
        """Log of the integral of share^(a - 1) (1 - share)^(b - 1) between the bounds."""
        from scipy.special import betaln
        from scipy.stats import beta

        law = beta(self.a, self.b)
        return float(betaln(self.a, self.b) + np.log(law.cdf(self.upper) - law.cdf(self.lower)))

    def sample(self, draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Draw shares, shape (draws,)."""
        from scipy.stats import beta

        law = beta(self.a, self.b)
        return law.ppf(rng.uniform(law.cdf(self.lower), law.cdf(self.upper), draws))

    def __str__(self) -> str:
        between = f", between {self.lower:g} and {self.upper:g}" if self.cut else ""
        return f"mean {self.mean:g}, worth {self.patients:g} patients{between}"


@dataclass(frozen=True)
class LatentPriors:
    """Priors of latent exchangeability.

    Parameters
    ----------
    survival : SurvivalPriors
        Of the current trial; its control arm is class 1.
    share : ShareOfPatients
        Of class 1 among the earlier patients.
    others : mapping of str to BaselinePrior, optional
        Baseline of the other classes by cause; a cause that is not named has that of the current trial.
    classes : int
        Class 1 and the others, who share what class 1 leaves: Dirichlet with all parameters but the first alike. From 3
        on, the others are put in order of their mean log hazard of the first cause, lowest first.

    Raises
    ------
    SpecificationError
        When there are fewer than two classes.
    """

    survival: SurvivalPriors
    share: ShareOfPatients = field(default_factory=ShareOfPatients)
    others: Mapping[str, BaselinePrior] = field(default_factory=dict)
    classes: int = 2

    def __post_init__(self) -> None:
        """Refuse a number of classes that is none."""
        if self.classes < 2 or self.classes != int(self.classes):
            raise SpecificationError(f"classes must be a whole number from 2; got {self.classes}")

    def of_others(self, causes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and SD of the other classes' mean log hazards, each (cause,)."""
        found = [self.others.get(cause, self.survival.for_cause(cause)[0]) for cause in causes]
        return np.array([prior.mean for prior in found]), np.array([prior.sd for prior in found])

    @property
    def split(self) -> np.ndarray:
        """Parameters of the Dirichlet prior of how the other classes share the rest, shape (other,)."""
        return np.full(self.classes - 1, self.share.b / (self.classes - 1))

    def statements(self) -> dict[str, str]:
        """Every prior in words."""
        said = self.survival.statements()
        said["share of exchangeable patients"] = str(self.share)
        said |= {f"baseline of {cause}, other classes": str(prior) for cause, prior in self.others.items()}
        return said | {"latent classes": str(self.classes)}

    def sample(
        self, causes: tuple[str, ...], arms: int, grid: TimeGrid, draws: int, *, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """Draw from the prior in NumPy: a code path apart from the PyMC model.

        Returns
        -------
        dict of str to numpy.ndarray
            What :meth:`SurvivalPriors.sample` draws, and ``class_share`` (draw, class), ``log_hazard_other`` (draw,
            other, cause, interval) and ``other_smoothness`` (draw, other, cause).
        """
        found = self.survival.sample(causes, arms, grid, draws, rng=rng)
        share = self.share.sample(draws, rng=rng)
        rest = rng.dirichlet(self.split, draws) * (1 - share)[:, None]
        mean, sd = self.of_others(causes)
        shape = (draws, self.classes - 1, len(causes))
        step = np.abs(rng.normal(0, self.survival.smoothness.scale, shape))
        curves = draw_walk(np.broadcast_to(mean, shape), np.broadcast_to(sd, shape), step, grid, rng=rng)
        order = np.argsort(curves[:, :, 0].mean(axis=-1), axis=1)
        curves = np.take_along_axis(curves, order[..., None, None], axis=1)
        return found | {
            "class_share": np.column_stack([share, np.take_along_axis(rest, order, axis=1)]),
            "log_hazard_other": curves, "other_smoothness": np.take_along_axis(step, order[..., None], axis=1),
        }  # fmt: skip
