"""Kaplan–Meier curves of the arms of a trial, with their limits and the patients at risk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.results import Result, literal, new_axes
from smm_bayes.trial.curves import SurvivalCurve, kaplan_meier_limits
from smm_bayes.trial.curves import kaplan_meier as curve_of
from smm_bayes.trial.patients import Patients

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class KaplanMeier(Result, Mapping[str, SurvivalCurve]):
    """Kaplan–Meier curve of each arm, by the name that the trial has for it.

    Attributes
    ----------
    patients : Patients
    curves : dict of str to SurvivalCurve
    """

    patients: Patients
    curves: dict[str, SurvivalCurve]

    def __getitem__(self, arm: str) -> SurvivalCurve:
        return self.curves[arm]

    def __iter__(self) -> Iterator[str]:
        return iter(self.curves)

    def __len__(self) -> int:
        return len(self.curves)

    def table(self, probability: float = 0.95) -> pd.DataFrame:
        """Give every step as a row.

        Parameters
        ----------
        probability : float
            Of the pointwise confidence limits (log-log).

        Returns
        -------
        pandas.DataFrame
            ``arm``, ``time``, ``at_risk`` just before it, ``events`` at it, ``survival`` from it on, ``lower``,
            ``upper``.
        """
        import pandas as pd

        return pd.concat([self._rows(arm, probability) for arm in self.curves], ignore_index=True)

    def _rows(self, arm: str, probability: float) -> pd.DataFrame:
        import pandas as pd

        time, event, entry = self._columns(arm)
        curve, (lower, upper) = self.curves[arm], kaplan_meier_limits(time, event, entry, level=probability)
        late = np.zeros(len(time)) if entry is None else entry
        at_risk = [int(((late < step) & (time >= step)).sum()) for step in curve.time]
        events = [int((event & (time == step)).sum()) for step in curve.time]
        return pd.DataFrame({"arm": arm, "time": curve.time, "at_risk": at_risk, "events": events,
                             "survival": curve.survival, "lower": lower, "upper": upper})  # fmt: skip

    def _columns(self, arm: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Time, event and entry of an arm's patients."""
        mine = self.patients.arm == self.patients.arm_names.index(arm)
        entry = self.patients.entry[mine] if self.patients.entry is not None and self.patients.delayed.any() else None
        return self.patients.time[mine], self.patients.event[mine], entry

    def summary(self) -> str:
        """Say events, patients and the median of every arm."""
        said = []
        for arm, curve in self.curves.items():
            _, event, _ = self._columns(arm)
            median = f"median {curve.median:.1f} months" if np.isfinite(curve.median) else "median not reached"
            said.append(f"{arm}: {event.sum()} events in {len(event)} patients, {median}")
        return f"{'; '.join(said)}. Data: {self.patients.provenance}."

    @literal
    def plot(self, ax: Axes | None = None, *, probability: float = 0.95) -> Axes:
        """Draw the curves with bands of pointwise limits."""
        axes = new_axes(ax)
        for arm in self.curves:
            found = self._rows(arm, probability)
            last = float(self._columns(arm)[0].max())
            time = np.array([0.0, *found["time"], last])
            line, = axes.step(time, [1.0, *found["survival"], self.curves[arm].at(last)], where="post", label=arm)
            low, high = ([1.0, *found[name], *found[name].tail(1)] for name in ("lower", "upper"))
            if len(found):
                axes.fill_between(time, low, high, step="post", alpha=0.2, color=line.get_color(), linewidth=0)
        axes.set(xlabel="months", ylabel="free of the event", ylim=(0, 1.01), xlim=(0, None))
        axes.set_title(f"Data: {self.patients.provenance}")
        axes.legend(frameon=False)
        return axes

    def __repr__(self) -> str:
        return f"KaplanMeier: {self.summary()}"


def kaplan_meier(patients: Patients) -> KaplanMeier:
    """Estimate survival of each arm by Kaplan and Meier; events of every cause count.

    Parameters
    ----------
    patients : Patients
        Times in months. Where only some causes count, give ``patients.count_only(...)``.

    Returns
    -------
    KaplanMeier
        The curve of each arm by the name that the trial has for it, as in a dictionary.

    References
    ----------
    Kaplan EL, Meier P. J Am Stat Assoc 1958;53:457-81, doi:10.1080/01621459.1958.10501452.

    Examples
    --------
    >>> import pandas as pd, smm_bayes as smm
    >>> rows = pd.DataFrame({"patient": list("abcd"), "arm": ["old", "old", "new", "new"],
    ...                      "time": [3.0, 14, 9, 20], "event": [1, 0, 1, 0]})
    >>> patients = smm.read_patients(rows, arms={"control": "old", "experimental": "new"})
    >>> curves = smm.kaplan_meier(patients)
    >>> float(curves["old"].at(6.0))
    0.5
    >>> curves.table()[["arm", "time", "at_risk", "events", "survival"]]
       arm  time  at_risk  events  survival
    0  old   3.0        2       1       0.5
    1  new   9.0        2       1       0.5
    """
    made = KaplanMeier(patients, {})
    return KaplanMeier(patients, {arm: curve_of(*made._columns(arm)) for arm in patients.arm_names})
