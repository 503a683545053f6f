"""Hidden states that change a patient's hazards: the law of their paths, and what is known of each patient's path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smm_bayes.errors import Problems, SpecificationError, name_rows

TOLERANCE = 1e-6  # of probabilities that must add up to 1


@dataclass(frozen=True, eq=False)
class HiddenPaths:
    r"""Paths of a hidden status over visits, of which every patient has one, with hazards of its own.

    The status :math:`Z_k` at visit :math:`v_1 < v_2 < \dots` is defined for who is event-free at :math:`v_k`, and
    may depend on the time before :math:`v_k` through :math:`Z_{k-1}` only. A path :math:`p = (z_1, z_2, \dots)` has

    .. math:: \log \pi_{ap} = \sum_k \log P(Z_k = z_k \mid \text{event-free at } v_k, z_{k-1}, a),

    for arm a: a product of conditional probabilities, not the share of patients who are seen on it. Given that
    patient i of arm a was event-free for t months, and what was observed of the patient's status, the path is p with
    probability proportional to

    .. math:: \exp\{\log \pi_{ap} + w_{ip} - H_{ap}(t)\},

    :math:`H_{ap}` being the cumulative hazard of all causes. Paths that part after t only have equal
    :math:`H_{ap}(t)`, so that what is still to come is drawn from its conditional law.

    Parameters
    ----------
    log_probability : numpy.ndarray, shape (chain, draw, arm, path)
        :math:`\log \pi_{ap}` of every posterior draw; minus infinity where a path cannot be.
    log_weight : numpy.ndarray, shape (patient, path)
        :math:`w_{ip}`: log probability of what was observed of the patient's status given the path. 0 for a path that
        agrees with it and minus infinity for one that does not, where the status is observed without error; 0 for
        every path where nothing was.

    Raises
    ------
    SpecificationError
        Naming every problem: dimensions, values that are none, probabilities that do not add up to 1, patients
        without a possible path.
    """

    log_probability: np.ndarray
    log_weight: np.ndarray

    def __post_init__(self) -> None:
        """Keep copies that nobody writes to, and refuse what is not a law of paths."""
        with Problems("hidden paths", SpecificationError).collecting() as problems:
            for name, dims in (("log_probability", "(chain, draw, arm, path)"), ("log_weight", "(patient, path)")):
                values = np.array(getattr(self, name), dtype=float, order="C")
                values.setflags(write=False)
                object.__setattr__(self, name, values)
                if values.ndim != dims.count(",") + 1 or 0 in values.shape:
                    problems.add(f"{name} must have shape {dims}, none of them 0; got {values.shape}")
                elif np.isnan(values).any() or np.isposinf(values).any():
                    problems.add(f"{name} has values that are NaN or +inf; give logarithms, -inf for what cannot be")
                elif name == "log_probability":
                    _check_law(values, problems)
                elif len(rows := np.flatnonzero(np.isneginf(values).all(axis=1))):
                    problems.add(f"log_weight, {name_rows(rows.tolist())} (counted from 0): no path is possible "
                                 "(-inf everywhere); leave at least one path finite")  # fmt: skip
            law, weight = self.log_probability.shape, self.log_weight.shape
            if (len(law), len(weight)) == (4, 2) and law[3] != weight[1]:
                problems.add(f"log_probability has {law[3]} paths and log_weight {weight[1]}; give the same")

    @property
    def paths(self) -> int:
        """Number of paths."""
        return self.log_weight.shape[1]

    def check(self, problems: Problems, *, chains: int, draws: int, arm: np.ndarray, arms: int) -> None:
        """Note where the paths do not fit posterior draws and patients (``arm`` is each patient's)."""
        wanted = (chains, draws, arms)
        if self.log_probability.shape[:3] != wanted:
            problems.add(f"paths.log_probability must have shape {(*wanted, self.paths)} like the hazards; "
                         f"got {self.log_probability.shape}")  # fmt: skip
        if len(self.log_weight) != len(arm):
            problems.add(f"paths.log_weight has {len(self.log_weight)} rows for {len(arm)} patients; "
                         "give one row a patient, in their order")  # fmt: skip
        if self.log_probability.shape[:3] != wanted or len(self.log_weight) != len(arm):
            return
        possible = np.isfinite(self.log_probability).reshape(-1, arms, self.paths)
        stuck = []
        for role in range(arms):
            patterns, which = np.unique(np.isfinite(self.log_weight), axis=0, return_inverse=True)
            never = ~(possible[:, role] @ patterns.T).all(axis=0)  # of a pattern: in some draw none of its paths
            stuck += np.flatnonzero(never[which.ravel()] & (arm == role)).tolist()
        if stuck:
            problems.add(f"paths.log_weight, {name_rows(sorted(stuck))} (counted from 0): in some posterior draw every "
                         "path that agrees with the patient has probability 0; mend log_probability")  # fmt: skip

    def __repr__(self) -> str:
        known = int((np.isfinite(self.log_weight).sum(axis=1) == 1).sum())
        return f"HiddenPaths: {self.paths} paths; {len(self.log_weight)} patients, the path known of {known}"


def _check_law(log_probability: np.ndarray, problems: Problems) -> None:
    """Probabilities of the paths of an arm add up to 1 in every draw."""
    off = np.abs(np.exp(np.minimum(log_probability, 1.0)).sum(axis=-1) - 1)
    if off.max() > TOLERANCE:
        problems.add(f"the probabilities of the paths of an arm must add up to 1; the worst draw is off by "
                     f"{off.max():.3g}; give log P(path | arm) by the chain of conditional probabilities")  # fmt: skip
