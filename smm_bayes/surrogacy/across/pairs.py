"""Trials' effects on negativity and on progression-free survival, side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.evidence.facts import Facts
from smm_bayes.evidence.vocabulary import PRIMARY, TRUST

if TYPE_CHECKING:
    import pandas as pd

READING = {
    "registry": "read at its source", "published": "read at its source", "secondary": "second-hand",
    "derived": "computed from what is printed", "recalled": "recalled", "quarantined": "in doubt",
}  # fmt: skip
NUMBERS = ("log_odds_ratio", "odds_ratio_se", "log_hazard_ratio", "hazard_ratio_se")


@dataclass(frozen=True)
class TrialPair:
    r"""One randomised trial's two estimated effects, experimental over control.

    Attributes
    ----------
    trial : str
    log_odds_ratio, odds_ratio_se : float
        :math:`\hat\theta_M` and its standard error: of negative residual disease, all randomised patients counted.
        As published: mostly negative at any time, some at a landmark; patients who were not assessed are not negative.
    log_hazard_ratio, hazard_ratio_se : float
        :math:`\hat\theta_P` and its standard error: of progression or death.
    trust : str
        Of the least trusted number used.
    trusts : tuple of str
        Of every number used.
    setting : str
        Disease setting.
    cuts : (str, str)
        Data cuts of the odds ratio and of the hazard ratio; empty where the tables do not say.
    facts : tuple of str
        Ids of the facts used.
    source, note : str
    """

    trial: str
    log_odds_ratio: float
    odds_ratio_se: float
    log_hazard_ratio: float
    hazard_ratio_se: float
    trust: str = "published"
    setting: str = ""
    cuts: tuple[str, str] = ("", "")
    facts: tuple[str, ...] = ()
    source: str = ""
    note: str = ""
    trusts: tuple[str, ...] = ()

    @property
    def same_cut(self) -> bool | None:
        """Whether both are of one data cut; None where that of either is not known."""
        return self.cuts[0] == self.cuts[1] if all(self.cuts) else None

    @property
    def reading(self) -> str:
        """Whether its numbers were read at their source."""
        known = sorted(set(self.trusts) or {self.trust}, key=TRUST.index)
        return ", ".join(dict.fromkeys(READING[trust] for trust in known))

    def __str__(self) -> str:
        """Say both ratios with 95 % intervals, and what is known of their data cuts."""
        cut = {True: "", False: ", of different data cuts", None: ", of data cuts not known"}[self.same_cut]
        setting = f" ({self.setting})" if self.setting else ""
        return (f"{self.trial}{setting}: odds ratio {_words(self.log_odds_ratio, self.odds_ratio_se)}, hazard ratio "
                f"{_words(self.log_hazard_ratio, self.hazard_ratio_se)} [{self.trust}{cut}]")  # fmt: skip


def _words(log_ratio: float, se: float) -> str:
    low, middle, high = (math.exp(log_ratio + k * 1.959964 * se) for k in (-1, 0, 1))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


@dataclass(frozen=True, repr=False)
class TrialPairs:
    """Pairs of several trials, each trial once.

    Attributes
    ----------
    items : tuple of TrialPair
    left_out : tuple of (str, str)
        Trials that were looked at and give no pair, each with the reason.

    Raises
    ------
    SpecificationError
        For fewer than two trials, a trial twice, numbers that are not finite or standard errors not above 0.

    Examples
    --------
    >>> import numpy as np, smm_bayes as smm
    >>> odds, hazard = np.log([1.5, 2.0, 3.0, 4.0]), np.log([0.9, 0.7, 0.6, 0.5])
    >>> pairs = smm.TrialPairs.from_arrays(odds, [0.3] * 4, hazard, [0.15] * 4)
    >>> pairs.table()[["trial", "log_odds_ratio", "log_hazard_ratio"]].round(2)
      trial  log_odds_ratio  log_hazard_ratio
    0     1            0.41             -0.11
    1     2            0.69             -0.36
    2     3            1.10             -0.51
    3     4            1.39             -0.69
    """

    items: tuple[TrialPair, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check every number."""
        with Problems("pairs", SpecificationError).collecting() as problems:
            if len(self.items) < 2:
                why = "".join(f"; {trial}: {reason}" for trial, reason in self.left_out)
                problems.add(f"a relation needs two trials at least, found {len(self.items)}; add trials{why}")
            for name, times in sorted(Counter(self.trials).items()):
                if times > 1:
                    problems.add(f"trial {name!r} is there {times} times; keep one pair a trial")
            for pair in self.items:
                for name in NUMBERS:
                    value = getattr(pair, name)
                    if not math.isfinite(value) or (name.endswith("_se") and value <= 0):
                        rule = "must be above 0" if name.endswith("_se") else "must be finite"
                        problems.add(f"{pair.trial}: {name} {rule}, found {value}; correct it or leave the trial out")
                if pair.trust not in TRUST:
                    problems.add(f"{pair.trial}: there is no trust {pair.trust!r}; use one of {', '.join(TRUST)}")

    @classmethod
    def from_arrays(
        cls, log_odds_ratio: np.ndarray, odds_ratio_se: np.ndarray, log_hazard_ratio: np.ndarray,
        hazard_ratio_se: np.ndarray, trials: Iterable[str] | None = None, *, trust: str = "published",
    ) -> TrialPairs:  # fmt: skip
        """Make pairs of columns, shape (trial,) each."""
        columns = [np.asarray(c, float) for c in (log_odds_ratio, odds_ratio_se, log_hazard_ratio, hazard_ratio_se)]
        names = [str(k + 1) for k in range(columns[0].size)] if trials is None else list(map(str, trials))
        shapes = {column.shape for column in columns} | {(len(names),)}
        if len(shapes) > 1:
            raise SpecificationError(f"pairs: the columns must have one number a trial ({len(names)}), found shapes "
                                     f"{', '.join(map(str, sorted(shapes)))}")  # fmt: skip
        rows = zip(names, *(column.tolist() for column in columns), strict=True)
        return cls(tuple(TrialPair(name, odds, first, hazard, second, trust) for name, odds, first, hazard, second
                         in rows))  # fmt: skip

    @classmethod
    def from_facts(
        cls, facts: Facts, ids: Iterable[str] | None = None, trials: Iterable[str] | None = None, *,
        trust: str = PRIMARY, same_cut_only: bool = False, settings: Mapping[str, str] | None = None,
    ) -> TrialPairs:  # fmt: skip
        """Make pairs of published facts; see :func:`~.pairs_facts.pairs_from_facts`."""
        from smm_bayes.surrogacy.across.pairs_facts import pairs_from_facts

        found, left_out = pairs_from_facts(facts, ids, trials, trust, settings)
        if same_cut_only:
            why = {False: "the odds ratio and the hazard ratio are of different data cuts",
                   None: "the data cut of the odds ratio or of the hazard ratio is not known"}  # fmt: skip
            left_out = (*left_out, *((pair.trial, why[pair.same_cut]) for pair in found if pair.same_cut is not True))
            found = tuple(pair for pair in found if pair.same_cut is True)
        return cls(found, left_out)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def trials(self) -> tuple[str, ...]:
        """Names of the trials."""
        return tuple(pair.trial for pair in self.items)

    @cached_property
    def log_odds_ratio(self) -> np.ndarray:
        """Estimates of the effect on negativity, shape (trial,)."""
        return self._column("log_odds_ratio")

    @cached_property
    def odds_ratio_se(self) -> np.ndarray:
        """Their standard errors, shape (trial,)."""
        return self._column("odds_ratio_se")

    @cached_property
    def log_hazard_ratio(self) -> np.ndarray:
        """Estimates of the effect on progression-free survival, shape (trial,)."""
        return self._column("log_hazard_ratio")

    @cached_property
    def hazard_ratio_se(self) -> np.ndarray:
        """Their standard errors, shape (trial,)."""
        return self._column("hazard_ratio_se")

    def _column(self, name: str) -> np.ndarray:
        found = np.array([getattr(pair, name) for pair in self.items])
        found.setflags(write=False)
        return found

    @cached_property
    def spread(self) -> float:
        r"""Spread of the true effects on negativity by the method of moments (DerSimonian and Laird), 0 at least.

        .. math:: \hat\tau^2 = \frac{Q - (n - 1)}{\sum w_i - \sum w_i^2 / \sum w_i}, \quad w_i = s_{Mi}^{-2}

        References
        ----------
        DerSimonian R, Laird N. Controlled Clinical Trials 1986;7:177-188, doi:10.1016/0197-2456(86)90046-2.
        """
        weight = self.odds_ratio_se**-2
        middle = (weight * self.log_odds_ratio).sum() / weight.sum()
        excess = (weight * (self.log_odds_ratio - middle) ** 2).sum() - (len(self) - 1)
        return math.sqrt(max(excess / (weight.sum() - (weight**2).sum() / weight.sum()), 0.0))

    @property
    def trust(self) -> str:
        """Trust of the least trusted pair."""
        return max((pair.trust for pair in self.items), key=TRUST.index)

    def without(self, trial: str) -> TrialPairs:
        """Leave one trial out.

        Raises
        ------
        SpecificationError
            If there is no such trial, or fewer than two would stay.
        """
        if trial not in self.trials:
            raise SpecificationError(f"pairs: there is no trial {trial!r}; there are {', '.join(self.trials)}")
        return TrialPairs(tuple(pair for pair in self.items if pair.trial != trial), self.left_out)

    def summary(self) -> str:
        """Say every pair, and what gave none."""
        return repr(self)

    def __repr__(self) -> str:
        head = f"{len(self)} trials, the least trusted number {self.trust}"
        lines = [f"\n  {pair}" for pair in self.items]
        return head + "".join(lines + [f"\n  left out: {trial} ({reason})" for trial, reason in self.left_out])

    def _repr_html_(self) -> str:
        shown = self.table().drop(columns=["facts", "source"])
        left_out = [markup.paragraph(f"left out: {trial} ({reason})") for trial, reason in self.left_out]
        return markup.frame(shown, index=False) + "".join(left_out)

    def table(self) -> pd.DataFrame:
        """Turn into a pandas frame, one row a trial; ``same_cut`` is empty where it is not known."""
        import pandas as pd

        names = [field.name for field in fields(TrialPair) if field.name not in ("cuts", "trusts")]
        frame = pd.DataFrame([[getattr(pair, name) for name in names] for pair in self.items], columns=names)
        return frame.assign(
            facts=frame["facts"].map(" ".join), reading=[pair.reading for pair in self.items],
            odds_ratio_cut=[pair.cuts[0] for pair in self.items],
            hazard_ratio_cut=[pair.cuts[1] for pair in self.items],
            same_cut=pd.array([pair.same_cut for pair in self.items], dtype="boolean"),
        )  # fmt: skip

    def provenance(self) -> pd.DataFrame:
        """How each trial's two numbers are known: read at their source or not, and of which data cuts."""
        columns = ["reading", "odds_ratio_cut", "hazard_ratio_cut", "same_cut", "source"]
        return self.table().set_index("trial")[columns]
