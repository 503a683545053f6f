"""Simon's two-stage designs of one arm with a binary endpoint: exact, and every admissible one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from smm_bayes.errors import Problems, SpecificationError
from smm_bayes.response.binomial import TIE, above_table, pmf, pmf_table

LARGEST = 1000  # patients of a design that is looked for, by default
READ = ("Read r1/n1 as: stop after r1 or fewer responses of n1 patients; and r/n as: otherwise treat n in all, and "
        "succeed with more than r responses; for weights q in its last column a "
        "design has the least q n + (1 - q) E(N|p0) of all.")  # fmt: skip


@dataclass(frozen=True)
class TwoStageDesign:
    r"""Stop for futility after ``r1`` or fewer responses of ``n1``; succeed with more than ``r`` of ``n``.

    :math:`X_1 \sim \mathrm{Binomial}(n_1, p)` and :math:`X_2 \sim \mathrm{Binomial}(n - n_1, p)`; the trial succeeds
    when :math:`X_1 > r_1` and :math:`X_1 + X_2 > r`.

    Parameters
    ----------
    r1, n1, r, n : int
        :math:`0 \le r_1 < n_1 < n` and :math:`r_1 \le r < n`; ``r1`` = -1 never stops.
    p0, p1 : float
        Response rates that are too low to go on with, and worth it.

    Raises
    ------
    SpecificationError
        When the numbers do not describe a design.

    References
    ----------
    Simon R. Controlled Clinical Trials 1989;10:1-10, doi:10.1016/0197-2456(89)90015-9.

    Examples
    --------
    >>> design = TwoStageDesign(1, 10, 5, 29, p0=0.1, p1=0.3)
    >>> round(design.type_one_error(), 4), round(design.power(), 4), round(design.expected_n(), 2)
    (0.0471, 0.8051, 15.01)
    >>> print(design)
    stop after 1 or fewer responses of 10; otherwise 29 patients, success with 6 or more responses
    """

    r1: int
    n1: int
    r: int
    n: int
    p0: float
    p1: float

    def __post_init__(self) -> None:
        """Refuse numbers that are no design."""
        problems = Problems("two-stage design", SpecificationError)
        check_rates(problems, self.p0, self.p1)
        counts = (self.r1, self.n1, self.r, self.n)
        if not all(is_count(x) or x == -1 for x in counts):
            problems.add(f"r1, n1, r and n must be whole numbers; got {counts}")
        elif not (-1 <= self.r1 < self.n1 < self.n and self.r1 <= self.r < self.n and self.r >= 0):
            problems.add(f"r1 must be below n1, n1 below n, and r from r1 to n - 1; got r1 {self.r1}, n1 {self.n1}, "
                         f"r {self.r}, n {self.n}")  # fmt: skip
        problems.raise_if_any()

    def early_stop_probability(self, p: Any = None) -> Any:
        """Probability of stopping after the first stage at a response rate ``p``, ``p0`` unless given."""
        return _plain(pmf(self.n1, _rates(self.p0 if p is None else p))[..., : self.r1 + 1].sum(axis=-1))

    def expected_n(self, p: Any = None) -> Any:
        """Expected number of patients at ``p``, ``p0`` unless given."""
        return _plain(self.n1 + (1 - np.asarray(self.early_stop_probability(p))) * (self.n - self.n1))

    def type_one_error(self, p: Any = None) -> Any:
        """Probability of success at ``p``, ``p0`` unless given."""
        return self.power(self.p0 if p is None else p)

    def power(self, p: Any = None) -> Any:
        """Probability of success at ``p``, ``p1`` unless given; of the shape of ``p``."""
        return _plain(self.more_than(self.r, self.n - self.n1, self.p1 if p is None else p))

    def more_than(self, r: int, second: int, p: Any) -> np.ndarray:
        """Probability of going on and of more than ``r`` responses with ``second`` patients in the second stage."""
        rates = _rates(p)
        first = pmf(self.n1, rates)[..., self.r1 + 1 :]
        tail = above_table(pmf(second, rates))  # at least 0, 1, ..., second + 1
        least = np.clip(r + 1 - np.arange(self.r1 + 1, self.n1 + 1), 0, second + 1)
        return (first * tail[..., least]).sum(axis=-1)

    def numbers(self) -> dict[str, float]:
        """Give the design and its operating characteristics by name, as ``smm-bayes simon --json`` prints them."""
        return {
            "r1": self.r1, "n1": self.n1, "r": self.r, "n": self.n, "expected_n": self.expected_n(),
            "early_stop_probability": self.early_stop_probability(), "type_one_error": self.type_one_error(),
            "power": self.power(),
        }  # fmt: skip

    def __str__(self) -> str:
        return (f"stop after {self.r1} or fewer responses of {self.n1}; otherwise {self.n} patients, success with "
                f"{self.r + 1} or more responses")  # fmt: skip


@dataclass(frozen=True)
class TwoStageDesigns:
    r"""Every admissible design for given errors, from the minimax to the optimal one.

    Attributes
    ----------
    admissible : tuple of TwoStageDesign
        By increasing ``n``. Each minimises :math:`q\,n + (1 - q)\,E(N|p_0)` for some q: the lower convex hull of the
        points (n, expected n).
    weights : tuple of (float, float)
        From which q to which each does.

    References
    ----------
    Jung SH, Lee T, Kim KM, George SL. Statistics in Medicine 2004;23:561-569, doi:10.1002/sim.1600.
    """

    admissible: tuple[TwoStageDesign, ...]
    weights: tuple[tuple[float, float], ...]

    @property
    def minimax(self) -> TwoStageDesign:
        """Design of fewest patients; among these, of fewest expected at ``p0``."""
        return self.admissible[0]

    @property
    def optimal(self) -> TwoStageDesign:
        """Design of fewest patients expected at ``p0``."""
        return self.admissible[-1]

    def numbers(self) -> dict[str, Any]:
        """Give all designs by name, as ``smm-bayes simon --json`` prints them."""
        return {"optimal": self.optimal.numbers(), "minimax": self.minimax.numbers(),
                "admissible": [each.numbers() for each in self.admissible]}  # fmt: skip

    def __str__(self) -> str:
        head = f"{'':9}{'r1/n1':>9}{'r/n':>9}{'E(N|p0)':>9}{'stops|p0':>10}{'type I':>8}{'power':>8}   weight of n"
        lines = [head]
        for each, (low, high) in zip(self.admissible, self.weights, strict=True):
            name = "minimax" if each is self.minimax else "optimal" if each is self.optimal else ""
            name = "both" if len(self.admissible) == 1 else name
            lines.append(f"{name:9}{f'{each.r1}/{each.n1}':>9}{f'{each.r}/{each.n}':>9}{each.expected_n():>9.2f}"
                         f"{each.early_stop_probability():>10.4f}{each.type_one_error():>8.4f}{each.power():>8.4f}"
                         f"   {low:.3f} to {high:.3f}")  # fmt: skip
        return "\n".join(lines)


def two_stage_designs(
    p0: float, p1: float, *, alpha: float = 0.05, beta: float = 0.2, largest: int = LARGEST
) -> TwoStageDesigns:
    r"""Find every admissible two-stage design by enumeration.

    For each n, from the smallest that a most powerful randomised test allows, all (r1, n1, r) that can hold both
    errors are enumerated. A first stage that goes on at ``p1`` with probability :math:`1 - \beta` stops at ``p0`` with
    at most a known probability, which bounds the expected n from below: the search ends when no larger n can have a
    smaller expected n, so the optimum is proven.

    Parameters
    ----------
    p0, p1 : float
        Response rates, p0 < p1.
    alpha, beta : float
        Largest type I error at ``p0``, and largest probability of failing at ``p1``.
    largest : int
        Most patients a design may have.

    Returns
    -------
    TwoStageDesigns

    Raises
    ------
    SpecificationError
        When a number is out of range, or no design with up to ``largest`` patients holds both errors.

    Examples
    --------
    >>> found = two_stage_designs(0.1, 0.3, alpha=0.05, beta=0.2)
    >>> print(found.optimal)
    stop after 1 or fewer responses of 10; otherwise 29 patients, success with 6 or more responses
    >>> [each.n for each in found.admissible]
    [25, 26, 27, 29]
    """
    check_errors(p0, p1, alpha, beta, largest)
    hull: list[TwoStageDesign] = []
    for n, r1, n1, r in _best_by_n(float(p0), float(p1), float(alpha), float(beta), int(largest)):
        hull.append(TwoStageDesign(r1, n1, r, n, float(p0), float(p1)))
        while len(hull) > 2 and not _convex(*hull[-3:]):
            del hull[-2]
    if not hull:
        raise SpecificationError(
            f"two-stage designs: none with up to {largest} patients holds both errors for p0 = {p0:g} and p1 = {p1:g}; "
            "allow more patients (--largest-n), larger errors, or rates further apart"
        )
    slopes = [(b.n - a.n) / (b.n - a.n + a.expected_n() - b.expected_n()) for a, b in pairwise(hull)]
    limits = [0.0, *(1 - slope for slope in reversed(slopes)), 1.0]
    weights = [*pairwise(limits)][::-1]
    return TwoStageDesigns(tuple(hull), tuple(weights))


def _convex(a: TwoStageDesign, b: TwoStageDesign, c: TwoStageDesign) -> bool:
    """Whether the middle one is below the line between the others."""
    ea, eb, ec = (each.expected_n() for each in (a, b, c))
    return (ea - eb) * (c.n - b.n) > (eb - ec) * (b.n - a.n)


def _best_by_n(p0: float, p1: float, alpha: float, beta: float, largest: int) -> Iterator[tuple[int, int, int, int]]:
    """Give n, r1, n1 and r of designs of least expected n, by n, where that is less than with any smaller n."""
    size, least, n = 0, math.inf, 1
    while n < largest:
        n += 1
        if n > size:
            size = min(max(2 * size, 64), largest)
            mass = np.stack([pmf_table(size, p) for p in (p0, p1)])
            tail = above_table(mass)
            stop = _most_stopped(mass, beta)
            stage = np.arange(len(stop))
        if not math.isfinite(least) and not _most_powerful(mass[:, n, : n + 1], tail[:, n], alpha, beta):
            continue
        bound = stage[1:n] + (1 - stop[1:n]) * (n - stage[1:n])  # of the expected n, by n1
        first = 1 + np.flatnonzero(bound < least)
        if len(first):
            for r in _final_counts(mass[:, n, : n + 1], tail[:, n], alpha, beta):
                found = _first_stages(first, r, n, mass, tail, alpha, beta)
                if found is not None and found[0] < least - TIE:
                    least, best = found[0], (n, *found[1:], r)
            if math.isfinite(least) and best[0] == n:
                yield best
        if math.isfinite(least) and _settled(stop, n, least):
            return


def _most_stopped(mass: np.ndarray, beta: float) -> np.ndarray:
    """Largest probability of stopping at p0, by n1, of first stages that stop at p1 with at most beta."""
    allowed = np.cumsum(mass[1], axis=1) <= beta + TIE
    return (mass[0] * allowed).sum(axis=1)


def _settled(stop: np.ndarray, n: int, least: float) -> bool:
    """Whether no design of more than n patients can expect fewer than ``least``."""
    stage = np.arange(1, min(n, math.ceil(least)) + 1)
    return bool(np.all(stage + (1 - stop[stage]) * (n + 1 - stage) >= least))


def _most_powerful(mass: np.ndarray, tail: np.ndarray, alpha: float, beta: float) -> bool:
    """Whether the most powerful randomised test of n patients holds both errors; if not, no design does."""
    count = int(np.argmax(tail[1] < 1 - beta))  # the last count that is rejected, in part
    part = (1 - beta - tail[1, count]) / mass[1, count - 1] if count else 0.0
    return bool(tail[0, count] + part * mass[0, count - 1] <= alpha + TIE) if count else False


def _final_counts(mass: np.ndarray, tail: np.ndarray, alpha: float, beta: float) -> range:
    """Counts r that can hold both errors with some first stage.

    A first stage takes at most the power in excess from P(X > r | p1); counts above r are at least as much likelier
    at p1 as r + 1 is, which bounds what it takes from P(X > r | p0).
    """
    n = mass.shape[-1] - 1
    spare = tail[1, 1 : n + 1] - (1 - beta)  # of r = 0, 1, ..., n - 1
    taken = np.maximum(spare, 0) * np.divide(mass[0, 1:], mass[1, 1:], out=np.zeros(n), where=mass[1, 1:] > 0)
    possible = np.flatnonzero((spare >= -TIE) & (tail[0, 1 : n + 1] - taken <= alpha + TIE))
    return range(possible[0], possible[-1] + 1) if len(possible) else range(0)


def _first_stages(
    first: np.ndarray, r: int, n: int, mass: np.ndarray, tail: np.ndarray, alpha: float, beta: float
) -> tuple[float, int, int] | None:
    """Least expected n of the first stages that hold both errors with (r, n), with its r1 and n1."""
    end = min(r + 1, int(first[-1]))  # r + 1 and more responses in the first stage succeed whatever follows
    joint = mass[:, first, : end + 1] * tail[:, (n - first)[:, None], r + 1 - np.arange(end + 1)]
    if end == r + 1:
        joint[:, :, -1] = tail[:, first, end]
    success = np.cumsum(joint[:, :, ::-1], axis=2)[:, :, -2::-1]  # where r1 = 0, 1, ... stops
    holds = (success[0] <= alpha + TIE) & (success[1] >= 1 - beta - TIE)
    if not holds.any():
        return None
    stopped = np.cumsum(mass[0, first, :end], axis=1)
    expected = np.where(holds, first[:, None] + (1 - stopped) * (n - first)[:, None], np.inf)
    place = np.unravel_index(np.argmin(expected), expected.shape)
    return float(expected[place]), int(place[1]), int(first[place[0]])


def is_count(value: Any) -> bool:
    """Whether a value is a whole number from 0."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def check_rates(problems: Problems, p0: float, p1: float) -> None:
    """Note response rates that are none, or in the wrong order."""
    inside = [name for name, p in (("p0", p0), ("p1", p1)) if not 0 < p < 1]
    for name in inside:
        value = p0 if name == "p0" else p1
        problems.add(f"{name} must be a response rate above 0 and below 1; got {value:g}")
    if not inside and p1 <= p0:
        problems.add(f"p1, the rate worth going on with, must be above p0; got p0 {p0:g} and p1 {p1:g}")


def check_errors(p0: float, p1: float, alpha: float, beta: float, largest: int) -> None:
    """Refuse rates and errors between which there is no design to look for; every problem is named.

    Raises
    ------
    SpecificationError
    """
    with Problems("two-stage designs", SpecificationError).collecting() as problems:
        check_rates(problems, p0, p1)
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0 < value < 0.5:
                problems.add(f"{name} must be above 0 and below 0.5, such as 0.05; got {value:g}")
        if not (is_count(largest) and 2 <= largest <= 2000):
            problems.add(f"the largest n must be a whole number from 2 to 2000; got {largest}")


def _rates(p: Any) -> np.ndarray:
    rates = np.asarray(p, float)
    if not np.all((rates >= 0) & (rates <= 1)):
        raise SpecificationError(f"a response rate must be within [0, 1]; got {p}")
    return rates


def _plain(value: np.ndarray) -> Any:
    """Give a float for one rate, an array for many."""
    return float(value) if np.ndim(value) == 0 else value
