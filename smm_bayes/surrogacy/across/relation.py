"""The relation across trials that a forecast uses: from pairs or from a published regression, never from both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.priors.normal import Normal, SDPrior
from smm_bayes.results import Result, tails
from smm_bayes.surrogacy.across.posterior import AcrossTrials
from smm_bayes.surrogacy.across.published import PublishedRegression
from smm_bayes.surrogacy.across.summary import thresholds

if TYPE_CHECKING:
    import pandas as pd

PAIRS, PUBLISHED = "pairs", "published regression"
ODDS_RATIOS = (1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True, eq=False, repr=False)
class Relation(Result):
    r"""Draws of :math:`\theta_P \sim N(a + b\theta_M, \psi^2)` of trials, all from one source.

    Published regressions were made of many of the trials that the pairs are of. A relation from both would count
    them twice; the other source is for comparing (:func:`compare`).

    Attributes
    ----------
    intercept, slope, residual_sd : numpy.ndarray, shape (draw,)
    source : {"pairs", "published regression"}
    name : str
        Of the trials or the publication.
    trials : int
    trust : str
        Of the least trusted number.
    log_odds_ratios : (float, float) or None
        Smallest and largest estimate of the trials; None where it is not published.

    Raises
    ------
    SpecificationError
        For draws of different lengths, that are not finite or with a residual SD below 0, and an unknown source.
    """

    intercept: np.ndarray
    slope: np.ndarray
    residual_sd: np.ndarray
    source: str
    name: str
    trials: int
    trust: str
    log_odds_ratios: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Check the draws, and protect them."""
        columns = {name: np.array(getattr(self, name), float) for name in ("intercept", "slope", "residual_sd")}
        with Problems("relation", SpecificationError).collecting() as problems:
            if len({column.shape for column in columns.values()}) > 1 or columns["slope"].ndim != 1:
                problems.add("intercept, slope and residual_sd must be as many draws each; found shapes "
                             f"{', '.join(str(column.shape) for column in columns.values())}")  # fmt: skip
            for name, column in columns.items():
                if not column.size or not np.all(np.isfinite(column)):
                    problems.add(f"{name} must be finite draws, one at least")
            if np.any(columns["residual_sd"] < 0):
                problems.add(f"residual_sd must be 0 or more; found {columns['residual_sd'].min()}")
            if self.source not in (PAIRS, PUBLISHED):
                problems.add(f"source must be {PAIRS!r} or {PUBLISHED!r}, one of them; found {self.source!r}")
        for name, column in columns.items():
            column.setflags(write=False)
            object.__setattr__(self, name, column)

    @classmethod
    def from_pairs(cls, posterior: AcrossTrials, draws: int = 1000, *, rng: np.random.Generator) -> Relation:
        """Take the relation from the pairs of trials."""
        found, pairs = posterior.draws(draws, rng=rng), posterior.pairs
        limits = float(pairs.log_odds_ratio.min()), float(pairs.log_odds_ratio.max())
        return cls(found.intercept, found.slope, found.residual_sd, PAIRS, ", ".join(pairs.trials), len(pairs),
                   pairs.trust, limits)  # fmt: skip

    @classmethod
    def from_published(
        cls, published: PublishedRegression, draws: int = 1000, *, intercept: Normal | None = None,
        residual_sd: SDPrior | None = None, rng: np.random.Generator,
    ) -> Relation:  # fmt: skip
        """Take the relation from a published regression; see :meth:`.PublishedRegression.draw`."""
        found = published.draw(draws, intercept=intercept, residual_sd=residual_sd, rng=rng)
        return cls(*found, PUBLISHED, published.name, published.trials, published.trust)

    def __len__(self) -> int:
        return len(self.slope)

    def thinned(self, draws: int) -> Relation:
        """Keep so many draws, evenly spaced."""
        kept = np.linspace(0, len(self) - 1, min(draws, len(self))).round().astype(int)
        return Relation(self.intercept[kept], self.slope[kept], self.residual_sd[kept], self.source, self.name,
                        self.trials, self.trust, self.log_odds_ratios)  # fmt: skip

    def quantities(self) -> dict[str, np.ndarray]:
        """Draws of the parameters, of hazard ratios on the line and of the threshold as a log odds ratio."""
        ratios = {f"hazard ratio at odds ratio {ratio:g}": np.exp(self.intercept + self.slope * math.log(ratio))
                  for ratio in ODDS_RATIOS}  # fmt: skip
        return {"slope": self.slope, "intercept": self.intercept, "residual SD": self.residual_sd, **ratios,
                "threshold": thresholds(self.intercept, self.slope, self.residual_sd)}  # fmt: skip

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give every quantity as a row: median and the limits that leave out equal tails."""
        import pandas as pd

        at = [0.5, *tails(probability)]
        rows = {name: np.quantile(draws, at, method="inverted_cdf") for name, draws in self.quantities().items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["median", "lower", "upper"])

    def summary(self) -> str:
        """Say where it is from and what it is."""
        b, p = (np.quantile(x, [0.5, 0.025, 0.975]) for x in (self.slope, self.residual_sd))
        return (f"relation from {self.source}: {self.name} ({self.trials} trials, the least trusted number "
                f"{self.trust}); slope {b[0]:.2f} (95 % {b[1]:.2f} to {b[2]:.2f}), residual SD {p[0]:.2f} "
                f"({p[1]:.2f} to {p[2]:.2f})")  # fmt: skip

    def __repr__(self) -> str:
        return self.summary()


def compare(relation: Relation, other: Relation) -> pd.DataFrame:
    """Set a relation beside one of the other source, as an external check.

    The trials of both may be partly the same, so that this shows disagreement; agreement is no further evidence.

    Returns
    -------
    pandas.DataFrame
        A row a quantity: ``median``, ``lower`` and ``upper`` (95 %) of both, and ``above``: the probability that the
        first one's is above the other's, were they independent (0.5 where they agree).

    Raises
    ------
    SpecificationError
        When both are of the same source.
    """
    import pandas as pd

    if relation.source == other.source:
        raise SpecificationError(f"both relations are from {relation.source}; compare one from {PAIRS} with one from "
                                 f"a {PUBLISHED}")  # fmt: skip
    rows = {}
    for (name, first), second in zip(relation.quantities().items(), other.quantities().values(), strict=True):
        columns: list[float] = []
        for draws in (first, second):
            columns += np.quantile(draws, [0.5, 0.025, 0.975], method="inverted_cdf").tolist()
        ordered = np.sort(second)
        below = (np.searchsorted(ordered, first, "left") + np.searchsorted(ordered, first, "right")) / 2
        rows[name] = [*columns, float(below.mean() / len(second))]
    head = [f"{what}, {source}" for source in (relation.source, other.source) for what in ("median", "lower", "upper")]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[*head, "above"])
