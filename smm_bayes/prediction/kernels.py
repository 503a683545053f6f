"""Numba kernels: completing a trial and summing up its final analysis. Single-threaded; they release the GIL."""

from __future__ import annotations

import numpy as np
from numba import njit

from smm_bayes.prediction.stream import STATE_SIZE, exponential, start, uniform

AT_EVENTS, AT_DATE, AT_FOLLOW_UP = 0, 1, 2
SLACK = 1e-9  # months: an event on the day of a cut is known, whatever the rounding


@njit(cache=True, nogil=True)
def log_rank(time: np.ndarray, event: np.ndarray, experimental: np.ndarray) -> tuple[float, float]:
    """Observed minus expected events of the experimental arm, and the hypergeometric variance (ties as drawn)."""
    order = np.argsort(time)
    size = len(order)
    at_risk, at_risk_experimental = size, 0
    for position in range(size):
        at_risk_experimental += experimental[position]
    score, variance, position = 0.0, 0.0, 0
    while position < size:
        now = time[order[position]]
        leaving, leaving_experimental, events, events_experimental = 0, 0, 0, 0
        while position < size and time[order[position]] == now:
            row = order[position]
            leaving += 1
            leaving_experimental += experimental[row]
            if event[row]:
                events += 1
                events_experimental += experimental[row]
            position += 1
        if events:
            share = at_risk_experimental / at_risk
            score += events_experimental - events * share
            if at_risk > 1:
                variance += events * share * (1 - share) * (at_risk - events) / (at_risk - 1)
        at_risk -= leaving
        at_risk_experimental -= leaving_experimental
    return score, variance


@njit(cache=True, nogil=True)
def draw_event(
    state: np.ndarray, survived: float, hazards: np.ndarray, total: np.ndarray, starts: np.ndarray
) -> tuple[float, int]:
    """Draw time and cause of an event given survival to ``survived``; infinite time where no hazard is left."""
    size = len(starts)
    interval = 0
    while interval + 1 < size and survived > starts[interval + 1]:
        interval += 1
    left, at = exponential(state), survived
    while True:
        end = starts[interval + 1] if interval + 1 < size else np.inf
        rate = total[interval]
        if rate > 0 and (end == np.inf or rate * (end - at) >= left):
            at += left / rate
            if at > end:
                at = end
            break
        if end == np.inf:
            return np.inf, -1
        left -= rate * (end - at)
        at = end
        interval += 1
    cause, causes = 0, hazards.shape[0]
    if causes == 1:
        return at, 0
    level = uniform(state) * total[interval]
    running = hazards[0, interval]
    while cause + 1 < causes and level >= running:
        cause += 1
        running += hazards[cause, interval]
    return at, cause


@njit(cache=True, nogil=True)
def _sum_up(
    enrolled: np.ndarray, arm: np.ndarray, time: np.ndarray, cause: np.ndarray, size: int, date: float, limit: float,
    counted: np.ndarray, starts: np.ndarray, shown: np.ndarray, hit: np.ndarray, who: np.ndarray,
    number: np.ndarray, events: np.ndarray, cell_events: np.ndarray, cell_exposure: np.ndarray,
) -> tuple[float, float]:  # fmt: skip
    """Cut a complete trial at ``date`` and ``limit`` months a patient, and fill its sufficient statistics."""
    kept = 0
    for row in range(size):
        if enrolled[row] > date + SLACK:
            continue
        follow_up = min(date - enrolled[row], limit)
        known = time[row] <= follow_up + SLACK
        at = time[row] if known else max(follow_up, 0.0)
        group = arm[row]
        number[group] += 1
        what = cause[row] if known else -1
        counts = what >= 0 and counted[what]
        if what >= 0:
            events[group, what] += 1
        shown[kept], hit[kept], who[kept] = at, counts, group
        kept += 1
        interval = 0
        while interval + 1 < len(starts) and at > starts[interval + 1]:
            cell_exposure[group, interval] += starts[interval + 1] - starts[interval]
            interval += 1
        cell_exposure[group, interval] += at - starts[interval]
        if counts:
            cell_events[group, interval] += 1
    if number.shape[0] < 2:
        return 0.0, 0.0
    return log_rank(shown[:kept], hit[:kept], who[:kept])


@njit(cache=True, nogil=True)
def _final_date(
    kind: int, target: int, date: float, follow_up: float, cap: float, cutoff: float,
    enrolled: np.ndarray, time: np.ndarray, cause: np.ndarray, size: int, counted: np.ndarray, when: np.ndarray,
) -> tuple[float, bool]:  # fmt: skip
    """Calendar time of the final analysis, and whether what triggers it happened before the cap."""
    if kind == AT_EVENTS:
        found, last = 0, cutoff
        for row in range(size):
            if time[row] < np.inf:
                last = max(last, enrolled[row] + time[row])
            if cause[row] >= 0 and counted[cause[row]]:
                when[found] = enrolled[row] + time[row]
                found += 1
        if found < target:
            return (cap if cap < np.inf else last), False
        trigger = max(np.sort(when[:found])[target - 1], cutoff)
    elif kind == AT_DATE:
        trigger = date
    else:
        trigger = np.max(enrolled[:size]) + follow_up
    return min(trigger, cap), trigger <= cap


@njit(cache=True, nogil=True)
def complete_trials(
    seed: np.uint64, first: int, hazards: np.ndarray, draw: np.ndarray, starts: np.ndarray,
    enrolled: np.ndarray, arm: np.ndarray, time: np.ndarray, cause: np.ndarray, followed: np.ndarray,
    new_arms: np.ndarray, rate: np.ndarray, dropout: np.ndarray, cutoff: float,
    kind: int, target: int, date: float, follow_up: float, limit: float, cap: float, counted: np.ndarray,
    cell_starts: np.ndarray,
    out_date: np.ndarray, out_reached: np.ndarray, out_number: np.ndarray, out_events: np.ndarray,
    out_score: np.ndarray, out_variance: np.ndarray, out_cell_events: np.ndarray, out_cell_exposure: np.ndarray,
) -> None:  # fmt: skip
    """Complete replicates ``first``, ``first + 1``, … of a trial, one for each row of the outputs.

    Patients ``followed`` get their remaining time given what they survived; new patients arrive from ``cutoff`` on
    as a Poisson process; everyone may be lost at the rate ``dropout``. Nothing observed is changed.
    """
    known, extra = len(time), len(new_arms)
    size = known + extra
    starting = np.empty(size)
    group = np.empty(size, np.int64)
    length = np.empty(size)
    what = np.empty(size, np.int64)
    shown, hit, who, when = np.empty(size), np.empty(size, np.bool_), np.empty(size, np.int64), np.empty(size)
    state = np.empty(STATE_SIZE, np.uint64)
    starting[:known], group[:known] = enrolled, arm
    for index in range(len(out_date)):
        start(state, seed, np.uint64(first + index))
        by_cause = hazards[draw[index]]
        total = by_cause.sum(axis=1)
        length[:known], what[:known] = time, cause
        group[known:] = new_arms
        for later in range(extra - 1, 0, -1):
            other = int(uniform(state) * (later + 1))
            group[known + later], group[known + other] = group[known + other], group[known + later]
        at = cutoff
        for row in range(size):
            new = row >= known
            if new:
                at += exponential(state) / rate[index]
                starting[row] = at
            elif not followed[row]:
                continue
            survived = 0.0 if new else time[row]
            length[row], what[row] = draw_event(state, survived, by_cause[group[row]], total[group[row]], starts)
            if dropout[index] > 0:
                lost = survived + exponential(state) / dropout[index]
                if lost < length[row]:
                    length[row], what[row] = lost, -1
        out_date[index], out_reached[index] = _final_date(
            kind, target, date, follow_up, cap, cutoff, starting, length, what, size, counted, when
        )
        out_score[index], out_variance[index] = _sum_up(
            starting, group, length, what, size, out_date[index], limit, counted, cell_starts, shown, hit, who,
            out_number[index], out_events[index], out_cell_events[index], out_cell_exposure[index],
        )  # fmt: skip


@njit(cache=True, nogil=True)
def hazard_ratios(events: np.ndarray, exposure: np.ndarray, out: np.ndarray) -> None:
    """Maximum-likelihood log hazard ratio of every replicate, from cells (replicate, arm, interval)."""
    for index in range(len(out)):
        experimental, total = events[index, 1].sum(), events[index].sum()
        if experimental == 0 or experimental == total:
            out[index] = -np.inf if experimental == 0 and total > 0 else np.nan if total == 0 else np.inf
            continue
        beta = 0.0
        for _ in range(60):
            score, information, ratio = experimental, 1e-12, np.exp(beta)
            for cell in range(events.shape[2]):
                count = events[index, 0, cell] + events[index, 1, cell]
                if count > 0:
                    weight = ratio * exposure[index, 1, cell]
                    share = weight / (exposure[index, 0, cell] + weight)
                    score -= count * share
                    information += count * share * (1 - share)
            step = min(max(score / information, -2.0), 2.0)
            beta += step
            if abs(step) < 1e-10:
                break
        out[index] = beta


@njit(cache=True, nogil=True)
def posterior_below(
    events: np.ndarray, exposure: np.ndarray, log_threshold: float, mean: float, sd: float, shape: float, rate: float,
    out: np.ndarray,
) -> None:  # fmt: skip
    """Posterior probability that the log hazard ratio is below a threshold, by quadrature, for every replicate.

    Baseline hazards are Gamma(shape, rate) in each interval and integrated out in closed form; the log hazard
    ratio β ~ Normal(mean, sd), so p(β | data) ∝ N(β)·e^{β·d₁}·Π_j (rate + E₀ⱼ + e^β·E₁ⱼ)^{−(shape + d_j)}.
    """
    cells, coarse, fine = events.shape[2], 400, 200
    value = np.empty(coarse + 1)
    for index in range(len(out)):
        experimental = events[index, 1].sum()
        low, high, largest = mean - 10 * sd, mean + 10 * sd, -np.inf
        for _ in range(2):  # where the mass is
            width, largest = (high - low) / coarse, -np.inf
            for point in range(coarse + 1):
                value[point] = _log_marginal(
                    low + width * point, events[index], exposure[index], experimental, cells, mean, sd, shape, rate
                )
                largest = max(largest, value[point])
            first, last = coarse, 0
            for point in range(coarse + 1):
                if value[point] > largest - 40:
                    first, last = min(first, point), max(last, point)
            high = low + width * min(last + 1, coarse)
            low = low + width * max(first - 1, 0)
        if log_threshold <= low or log_threshold >= high:
            out[index] = 1.0 if log_threshold >= high else 0.0
            continue
        below, above = 0.0, 0.0
        for side in range(2):  # Simpson's rule on either side of the threshold
            start, end = (low, log_threshold) if side == 0 else (log_threshold, high)
            width, area = (end - start) / fine, 0.0
            for point in range(fine + 1):
                weight = 1.0 if point in (0, fine) else 4.0 if point % 2 else 2.0
                height = _log_marginal(
                    start + width * point, events[index], exposure[index], experimental, cells, mean, sd, shape, rate
                )
                area += weight * np.exp(height - largest)
            if side == 0:
                below = area * width
            else:
                above = area * width
        out[index] = below / (below + above)


@njit(cache=True, nogil=True)
def _log_marginal(
    beta: float, events: np.ndarray, exposure: np.ndarray, experimental: float, cells: int,
    mean: float, sd: float, shape: float, rate: float,
) -> float:  # fmt: skip
    """Log posterior density of the log hazard ratio, up to a constant."""
    value, ratio = -0.5 * ((beta - mean) / sd) ** 2 + beta * experimental, np.exp(beta)
    for cell in range(cells):
        held = rate + exposure[0, cell] + ratio * exposure[1, cell]
        value -= (shape + events[0, cell] + events[1, cell]) * np.log(held)
    return value
