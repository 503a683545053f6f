"""Curves of the joint model that stand beside those of a landmark analysis."""

from __future__ import annotations

import numpy as np

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy.joint.law import JointLaw


def survival_after(law: JointLaw, month: float, time: np.ndarray | float, *, visit: int = -1) -> np.ndarray:
    r"""Survival from a landmark on, by arm and MRD status at a visit, of who is event-free at the landmark.

    .. math:: P_a(T > v + t \mid T > v, Z_k = z) = \frac{\sum_p P(p)\, S_{ap}(v + t)}{\sum_p P(p)\, S_{ap}(v)}

    over the paths p with :math:`Z_k = z`.

    Parameters
    ----------
    law : JointLaw
    month : float
        The landmark v in months from enrolment, at the visit or later.
    time : array_like of float
        Months t from the landmark.
    visit : int
        The visit k of the status.

    Returns
    -------
    numpy.ndarray, shape (..., arm, state, time)
        State 0 is not negative.

    Raises
    ------
    SpecificationError
        When the landmark is before the visit.
    """
    if not month >= law.months[visit] - 1e-9:
        raise SpecificationError(f"the landmark must be at the visit, {law.months[visit]:g} months, or later; got "
                                 f"{month}")  # fmt: skip
    share = np.exp(law.log_path)[..., None]
    now, later = (share * law.by_path.survival(at) for at in (month, month + np.atleast_1d(np.asarray(time, float))))
    here = [law.states[:, visit] == state for state in (0, 1)]
    kept = [later[..., rows, :].sum(axis=-2) / now[..., rows, :].sum(axis=-2) for rows in here]
    return np.stack(kept, axis=-2)
