"""What a final analysis will show: the simulated trials, their share of success and its Monte Carlo error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes import markup
from smm_bayes.errors import SpecificationError
from smm_bayes.prediction.final import FinalAnalysis
from smm_bayes.prediction.monte_carlo import Layout, error_within, proportion_error
from smm_bayes.prediction.reweighting import Difference, Reweighted, paired_difference, reweight
from smm_bayes.prediction.success import SuccessRule
from smm_bayes.trial.calendar import calendar_date
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the final analysis will show, given the interim.

    Attributes
    ----------
    probability, mcse : float
        Probability of success and its Monte Carlo standard error: of the completed trials, of the posterior draws with
        their autocorrelation, and of the data sets where several equally likely ones were fitted.
    success : numpy.ndarray of bool, shape (replicate,)
    columns : dict of str to numpy.ndarray
        One row a replicate: ``date``, ``reached``, ``z``, ``hazard_ratio``, ``enrolled`` and the events by
        arm and cause.
    rule : SuccessRule
    final : FinalAnalysis
    patients : Patients
        The interim.
    layout : Layout, optional
        Which posterior draw each replicate is made from.
    seed : int, optional
        Of the completed trials.
    trigger : str
        What is known of the trigger of the final analysis already: reached before the data cut-off, due, or out of
        reach. Empty where it is still to come. It goes first wherever the answer is shown.
    """

    probability: float
    mcse: float
    success: np.ndarray
    columns: dict[str, np.ndarray]
    rule: SuccessRule
    final: FinalAnalysis
    patients: Patients
    layout: Layout | None = None
    seed: int | None = None
    trigger: str = ""

    @property
    def draw(self) -> np.ndarray:
        """Posterior draw of every replicate as chain * draws + draw, shape (replicate,)."""
        return self._known_layout().draw

    def reweighted(self, log_weight: np.ndarray, *, name: str = "", base: Prediction | None = None) -> Reweighted:
        """Give the probability of success under a posterior with a further factor, from the same completed trials.

        Parameters
        ----------
        log_weight : numpy.ndarray, shape (chain, draw)
            Log of the factor at every posterior draw, up to a constant; what it says of draws that were not used is
            ignored.
        name : str
            What the factor is.
        base : Prediction, optional
            From which the difference is: made from the same draws with the same seed; this one by default.

        Returns
        -------
        Reweighted
            Look at ``reliable``, or call ``require_reliable()``.

        Raises
        ------
        SpecificationError
            When the shape is not that of the posterior, a value is NaN or +inf, or none of a used draw is finite.
        """
        layout, log_weight = self._known_layout(), np.asarray(log_weight, dtype=float)
        if log_weight.shape != (layout.chains, layout.draws):
            raise SpecificationError(
                f"log_weight must have one value a posterior draw, shape {(layout.chains, layout.draws)}; "
                f"got {log_weight.shape}"
            )
        from_ = None if base is None else self._paired(base)
        return reweight(layout.by_draw(self.success), log_weight[:, layout.used], name, layout.data_sets, from_)

    def difference(self, other: Prediction) -> Difference:
        """Subtract the probability of success of another prediction made with the same seed and layout.

        The replicates are paired: they share the random numbers of the completed trials, and the posterior draws too
        if both come from one fit. Two fits have draws of their own, whose error is counted as well.

        Raises
        ------
        SpecificationError
            When seed, posterior draws or replicates are not the same.
        """
        layout = self._known_layout()
        return paired_difference(layout.by_draw(self.success), self._paired(other), layout.data_sets)

    def _paired(self, other: Prediction) -> np.ndarray:
        """Give the successes of another prediction (chain, used draw, repeat), of the same random numbers."""
        mine, its = self._known_layout(), other._known_layout()
        if mine != its or self.seed is None or self.seed != other.seed:
            raise SpecificationError(
                f"a difference needs two predictions with the same seed and layout; found seeds {self.seed} and "
                f"{other.seed}, {mine} and {its}. Complete both trials with one seed, as many posterior draws and "
                "replicates"
            )
        return its.by_draw(other.success)

    @property
    def error_within(self) -> float:
        """Monte Carlo error given the data sets that were fitted: of completed trials and posterior draws alone."""
        layout = self._known_layout()
        floor = proportion_error(self.probability, len(self.success))
        return max(error_within(layout.by_draw(self.success).mean(axis=2), layout.data_sets), floor)

    def _known_layout(self) -> Layout:
        if self.layout is None:
            raise SpecificationError(
                "this prediction does not know the posterior draws of its replicates; make it with "
                "probability_of_success"
            )
        return self.layout

    @property
    def replicates(self) -> pd.DataFrame:
        """One row a simulated trial."""
        import pandas as pd

        return pd.DataFrame({"success": self.success, **self.columns})

    @property
    def probability_reached(self) -> float:
        """Probability that what triggers the final analysis happens before the cap."""
        return float(np.mean(self.columns["reached"]))

    @property
    def event_columns(self) -> list[str]:
        """Names of the columns that hold events by arm and cause."""
        return [f"{arm}:{cause}" for arm in self.patients.arms for cause in self.patients.causes]

    @property
    def counted_events(self) -> np.ndarray:
        """Counted events at the final analysis, all arms together."""
        hit = self.final.counted(self.patients.causes)
        names = [f"{arm}:{cause}" for arm in self.patients.arms
                 for cause, counts in zip(self.patients.causes, hit, strict=True) if counts]  # fmt: skip
        return np.sum([self.columns[name] for name in names], axis=0)

    def intervals(self, probability: float = 0.95) -> dict[str, tuple[float, float, float]]:
        """Median, lower and upper predictive limit of every numeric column with events in all."""
        tail = (1 - probability) / 2
        values = {name: self.columns[name] for name in (*self.event_columns, "date")}
        if len(self.patients.arms) > 1:
            values["hazard_ratio"] = self.columns["hazard_ratio"]
        values["counted events"] = self.counted_events
        return {
            name: tuple(float(np.quantile(column, q, method="inverted_cdf")) for q in (0.5, tail, 1 - tail))  # type: ignore[misc]
            for name, column in values.items()
        }

    def summary(self) -> list[tuple[str, str]]:
        """What the reader asks first, as label and value."""
        rows = [("trigger", self.trigger)] if self.trigger else []
        rows += [("success rule", str(self.rule)), ("final analysis", str(self.final)),
                ("probability of success", f"{self.probability:.3f} (Monte Carlo error {self.mcse:.3f})")]  # fmt: skip
        if np.isfinite(self.final.cap) and self.final.at != "date":
            rows.append(("probability that the trigger is reached", f"{self.probability_reached:.3f}"))
        for name, (middle, low, high) in self.intervals().items():
            if name == "date" and self.patients.origin is not None:
                words = [calendar_date(value, self.patients.origin).isoformat() for value in (middle, low, high)]
                rows.append(("date of the final analysis", f"{words[0]} ({words[1]} to {words[2]})"))
            elif name == "hazard_ratio":
                rows.append(("final hazard ratio", f"{middle:.2f} ({low:.2f} to {high:.2f})"))
            elif name != "date":
                arm, _, cause = name.partition(":")
                label = f"{cause}, {self.patients.arm_name(arm)}" if cause else name
                rows.append((label, f"{middle:.0f} ({low:.0f} to {high:.0f})"))
        rows.append(("simulated trials", f"{len(self.success):,}"))
        return rows

    def __repr__(self) -> str:
        return f"Prediction: probability of success {self.probability:.3f} ± {self.mcse:.2g}; {self.rule}; {self.final}"

    def _repr_html_(self) -> str:
        return markup.table(self.summary(), caption="Prediction (median and 95 % predictive interval)")
