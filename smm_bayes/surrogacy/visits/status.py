"""What is known of each patient's MRD at scheduled visits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from smm_bayes.errors import DataError, Problems
from smm_bayes.trial.calendar import on_clock
from smm_bayes.trial.mrd import in_words

if TYPE_CHECKING:
    from smm_bayes.surrogacy.visits.schedule import MrdSchedule

NEGATIVE, POSITIVE, MISSING, NOT_YET = 1, 0, -1, -2


@dataclass(frozen=True, eq=False)
class MrdStatus:
    """MRD status of patients at scheduled visits.

    Parameters
    ----------
    schedule : MrdSchedule
    code : numpy.ndarray of int8, (patient, visit)
        ``NEGATIVE`` (1), ``POSITIVE`` (0), ``MISSING`` (-1): the patient was followed to the end of the window without
        event and has no valid result, or an assessment was not done or failed; ``NOT_YET`` (-2): the event, or the
        end of follow-up, came before the end of the window, and there is no result.
    at_risk : numpy.ndarray of bool, (patient, visit)
        Event-free and followed beyond the visit: time > v_k. Who was assessed in the window but had the event or was
        censored by v_k keeps the code and is not at risk.
    arm : numpy.ndarray of int, optional
        Position in ``arms``; for what is printed.
    arms : tuple of str
    outside : int
        Assessments outside of every window, which count for no visit.
    set_aside : mapping of str to int
        Assessments that count for nothing, by reason: before enrolment, after the event or the last assessment of the
        endpoint, without a word on the sensitivity asked for, by another assay.

    Raises
    ------
    DataError
        When shapes, codes or patients at risk are not possible.
    """

    schedule: MrdSchedule
    code: np.ndarray
    at_risk: np.ndarray
    arm: np.ndarray | None = None
    arms: tuple[str, ...] = ()
    outside: int = 0
    set_aside: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no patients can be."""
        code, at_risk = np.array(self.code), np.array(self.at_risk, dtype=bool)
        with Problems("MRD status", DataError).collecting() as problems:
            if code.ndim != 2 or code.shape[1] != len(self.schedule) or at_risk.shape != code.shape:
                problems.add(f"code and at_risk must have shape (patient, {len(self.schedule)}); got {code.shape} and "
                             f"{at_risk.shape}")  # fmt: skip
            else:
                if np.any(at_risk[:, 1:] & ~at_risk[:, :-1]):
                    problems.add("a patient is at risk at a visit and not at the one before; correct at_risk")
                known = self.arm is None or np.isin(self.arm, range(len(self.arms)))
                if not np.all(known) or (self.arm is not None and len(self.arm) != len(code)):
                    problems.add("arm must be a position in arms, one a patient; correct it")  # fmt: skip
            if not np.all(np.isin(code, (NEGATIVE, POSITIVE, MISSING, NOT_YET))):
                problems.add("code must be NEGATIVE (1), POSITIVE (0), MISSING (-1) or NOT_YET (-2); correct it")
        object.__setattr__(self, "code", code.astype(np.int8))
        object.__setattr__(self, "at_risk", at_risk)
        self.code.setflags(write=False)
        self.at_risk.setflags(write=False)

    def after_progression(self, progressed_by: np.ndarray) -> MrdStatus:
        """Count who progressed by a visit, is at risk at it and has no result as not negative.

        It is for endpoints that go on after progression. Such patients are not assessed because they progressed:
        taking their results as missing at random would take them for patients without progression. A result counts as
        it is, and who progressed only after the visit and has none stays missing. The status is for models of times:
        in a rate of the assessed these patients do not belong, and an assay error would be taken of them too.

        Parameters
        ----------
        progressed_by : numpy.ndarray, shape (patient,)
            Months from enrolment to progression; infinite or NaN where there was none.

        Raises
        ------
        DataError
            When there is not one number a patient, above 0.
        """
        progressed = np.nan_to_num(np.asarray(progressed_by, dtype=float), nan=np.inf)
        if progressed.shape != (len(self),) or np.any(progressed <= 0):
            raise DataError(f"progressed_by must be months above 0 of each of {len(self)} patients, infinite where "
                            f"there was no progression; got shape {progressed.shape}")  # fmt: skip
        by_then = on_clock(progressed)[:, None] <= np.array(self.schedule.months)
        return replace(self, code=np.where((self.code < 0) & by_then & self.at_risk, POSITIVE, self.code))

    def __len__(self) -> int:
        return len(self.code)

    def __repr__(self) -> str:
        aside = f"; set aside: {in_words(self.set_aside)}" if self.set_aside else ""
        lines = [f"MrdStatus: {len(self)} patients, {self.outside} assessments outside of every window{aside}"]
        arms = [("all", np.ones(len(self), bool))]
        if self.arm is not None:
            arms = [(name, self.arm == index) for index, name in enumerate(self.arms)]
        for k, month in enumerate(self.schedule.months):
            for name, mine in arms:
                code = self.code[mine, k]
                lines.append(f"  {month:.4g} months, {name}: {self.at_risk[mine, k].sum()} of {mine.sum()} at risk, "
                             f"{(code >= 0).sum()} assessed, {(code == NEGATIVE).sum()} negative, "
                             f"{(code == MISSING).sum()} missing, {(code == NOT_YET).sum()} not yet")  # fmt: skip
        return "\n".join(lines)
