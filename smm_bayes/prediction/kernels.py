"""Numba kernels: completing a trial and summing up its final analysis. Single-threaded; they release the GIL.

What runs for every patient is inlined into one function that allocates nothing: Numba then leaves out the reference
counts of the arrays, which would cost more than the arithmetic.

Times drawn are rounded to whole ticks of the clock (:mod:`smm_bayes.trial.calendar`), and everything after that, dates
and follow-up, ties and intervals, is sums, differences and comparisons of whole numbers: exact.
"""

from __future__ import annotations

import numpy as np

from smm_bayes.compiling import kernel
from smm_bayes.prediction.stream import exponential, start, uniform
from smm_bayes.trial.calendar import TICKS_PER_MONTH

AT_EVENTS, AT_DATE, AT_FOLLOW_UP = 0, 1, 2
PATHS = 2**62  # added to the replicate: key of the stream for hidden paths, beyond any replicate


@kernel(inline="always")
def ticks(months: float) -> float:
    """Whole ticks in a time; twin of :func:`smm_bayes.trial.calendar.ticks`."""
    return np.rint(months * TICKS_PER_MONTH)


@kernel()
def log_rank(time: np.ndarray, event: np.ndarray, experimental: np.ndarray) -> tuple[float, float]:
    """Observed minus expected events of the experimental arm, and the hypergeometric variance (ties as drawn)."""
    size = len(time)
    times, codes = np.empty((2, size)), np.empty((3, size + 1), np.int64)
    at, what = times[0], codes[0]
    for row in range(size):
        at[row], what[row] = ticks(time[row]), 2 * event[row] + experimental[row]
    return _log_rank(at, what, size, times[1], codes[1], codes[2])


@kernel(inline="always")
def _sort(
    at: np.ndarray, what: np.ndarray, size: int, room: np.ndarray, room_what: np.ndarray, count: np.ndarray
) -> None:
    """Sort ``at`` and carry ``what`` along: into as many buckets as numbers, and insertion does the rest.

    A bucket that holds many makes it a Shell sort, so that numbers far from evenly spread do not take long either.
    """
    low, high, largest = np.inf, -np.inf, 0
    for row in range(size):
        low, high = min(low, at[row]), max(high, at[row])
    scale = size * (1 - 1e-9) / max(high - low, 1e-290)
    for bucket in range(size + 1):
        count[bucket] = 0
    for row in range(size):
        bucket = min(max(int((at[row] - low) * scale), 0), size - 1)
        count[bucket + 1] += 1
        largest = max(largest, count[bucket + 1])
    for bucket in range(size):
        count[bucket + 1] += count[bucket]
    for row in range(size):
        bucket = min(max(int((at[row] - low) * scale), 0), size - 1)
        place = count[bucket]
        count[bucket] = place + 1
        room[place], room_what[place] = at[row], what[row]
    for row in range(size):
        at[row], what[row] = room[row], room_what[row]
    gap = 1
    while 3 * gap + 1 < largest // 8:
        gap = 3 * gap + 1
    while gap > 0:
        for row in range(gap, size):
            moved, moved_what, hole = at[row], what[row], row
            while hole >= gap and at[hole - gap] > moved:
                at[hole], what[hole] = at[hole - gap], what[hole - gap]
                hole -= gap
            at[hole], what[hole] = moved, moved_what
        gap //= 3


@kernel(inline="always")
def _log_rank(
    at: np.ndarray, what: np.ndarray, size: int, room: np.ndarray, room_what: np.ndarray, count: np.ndarray
) -> tuple[float, float]:
    """Log-rank of times and ``what`` = 2·event + experimental, which are left sorted."""
    _sort(at, what, size, room, room_what, count)
    at_risk, at_risk_experimental = size, 0
    for position in range(size):
        at_risk_experimental += what[position] & 1
    score, variance, position = 0.0, 0.0, 0
    while position < size:
        now = at[position]
        leaving, leaving_experimental, events, events_experimental = 0, 0, 0, 0
        while position < size and at[position] == now:
            event, experimental = what[position] >> 1, what[position] & 1
            leaving += 1
            leaving_experimental += experimental
            events += event
            events_experimental += event & experimental
            position += 1
        if events:
            share = at_risk_experimental / at_risk
            score += events_experimental - events * share
            if at_risk > 1:
                variance += events * share * (1 - share) * (at_risk - events) / (at_risk - 1)
        at_risk -= leaving
        at_risk_experimental -= leaving_experimental
    return score, variance


@kernel(inline="always")
def draw_event(
    state: np.ndarray, survived: float, hazards: np.ndarray, total: np.ndarray, starts: np.ndarray
) -> tuple[float, int]:
    """Draw time and cause of an event given survival to ``survived``; infinite time where no hazard is left."""
    size, causes = len(starts), hazards.shape[0]
    goal, reached, before, interval = exponential(state), 0.0, 0.0, 0
    for later in range(1, size):  # every interval, without a branch: where it stops cannot be predicted
        reached += total[later - 1] * max(starts[later] - max(starts[later - 1], survived), 0.0)
        if goal > reached:
            before, interval = reached, later
    rate = total[interval]
    at, cause = np.inf, -1
    if rate > 0:
        at = max(starts[interval], survived) + (goal - before) / rate
        if interval + 1 < size:
            at = min(at, starts[interval + 1])
        cause = 0
        if causes > 1:
            level, running = uniform(state) * rate, 0.0
            for other in range(causes - 1):
                running += hazards[other, interval]
                cause += level >= running
    return at, cause


@kernel(inline="always")
def _add_up(by_cause: np.ndarray, total: np.ndarray, reached: np.ndarray, starts: np.ndarray) -> None:
    """Hazards of all causes by row (arm, or arm and path) and interval, and what they add up to at its start."""
    for row in range(total.shape[0]):
        level = 0.0
        for interval in range(total.shape[1]):
            total[row, interval] = 0.0
            for which in range(by_cause.shape[1]):
                total[row, interval] += by_cause[row, which, interval]
            if interval:
                level += total[row, interval - 1] * (starts[interval] - starts[interval - 1])
            reached[row, interval] = level


@kernel(inline="always")
def _draw_path(state: np.ndarray, log_share: np.ndarray, share: np.ndarray) -> int:
    """Draw a path with probability proportional to ``exp(log_share)``; ``share`` is room to work in."""
    paths, largest, running = len(log_share), -np.inf, 0.0
    for path in range(paths):
        largest = max(largest, log_share[path])
    for path in range(paths):
        running += np.exp(log_share[path] - largest)
        share[path] = running
    level, drawn = uniform(state) * running, 0
    for path in range(paths - 1):
        drawn += level >= share[path]  # "or equal" passes over paths of probability 0
    return drawn


@kernel(inline="always")
def _next_visit(visits: np.ndarray, time: float) -> float:
    """Planned visit at or after a time; after the last, visits go on at the last gap."""
    last = visits[-1]
    if time > last:
        gap = last - (visits[-2] if len(visits) > 1 else 0.0)
        return last + np.ceil((time - last) / gap) * gap
    return visits[np.searchsorted(visits, time)]


@kernel(inline="always")
def _last_visit(visits: np.ndarray, time: float) -> float:
    """Planned visit at or before a time, 0 before the first; after the last, visits go on at the last gap."""
    last = visits[-1]
    if time >= last:
        gap = last - (visits[-2] if len(visits) > 1 else 0.0)
        return last + np.floor((time - last) / gap) * gap
    place = np.searchsorted(visits, time, side="right")
    return visits[place - 1] if place else 0.0


@kernel(inline="always")
def _sum_up(
    enrolled: np.ndarray, arm: np.ndarray, time: np.ndarray, cause: np.ndarray, size: int, date: float, limit: float,
    counted: np.ndarray, starts: np.ndarray, shown: np.ndarray, kind: np.ndarray, room: np.ndarray,
    room_kind: np.ndarray, count: np.ndarray, since: np.ndarray, visits: np.ndarray,
    number: np.ndarray, events: np.ndarray, cell_events: np.ndarray, cell_exposure: np.ndarray,
) -> tuple[float, float]:  # fmt: skip
    """Cut a complete trial at ``date`` and ``limit`` of a patient, and fill its sufficient statistics.

    All times are in ticks, and ``cell_exposure`` is given in months. With ``visits`` (arm, visit) patients without
    an event are known to be so until their last visit, or until ``since``, where that is later.
    """
    kept = 0
    for row in range(size):
        if enrolled[row] > date:
            continue
        follow_up = min(date - enrolled[row], limit)
        known = time[row] <= follow_up
        group = arm[row]
        at = time[row] if known else follow_up
        if visits.shape[1] and (not known or cause[row] < 0):
            at = min(at, max(_last_visit(visits[group], at), since[row]))
        number[group] += 1
        what = cause[row] if known else -1
        counts = what >= 0 and counted[what]
        if what >= 0:
            events[group, what] += 1
        shown[kept], kind[kept] = at, 2 * counts + group
        kept += 1
        interval = 0
        while interval + 1 < len(starts) and at > starts[interval + 1]:
            cell_exposure[group, interval] += starts[interval + 1] - starts[interval]
            interval += 1
        cell_exposure[group, interval] += at - starts[interval]
        if counts:
            cell_events[group, interval] += 1
    for group in range(cell_exposure.shape[0]):
        for interval in range(cell_exposure.shape[1]):
            cell_exposure[group, interval] /= TICKS_PER_MONTH
    score, variance = 0.0, 0.0
    if number.shape[0] > 1:
        score, variance = _log_rank(shown, kind, kept, room, room_kind, count)
    return score, variance


@kernel(inline="always")
def _final_date(
    kind: int, target: int, date: float, follow_up: float, cap: float, cutoff: float,
    enrolled: np.ndarray, time: np.ndarray, cause: np.ndarray, size: int, counted: np.ndarray,
    when: np.ndarray, which: np.ndarray, room: np.ndarray, room_which: np.ndarray, count: np.ndarray,
) -> tuple[float, bool]:  # fmt: skip
    """Calendar time of the final analysis, and whether what triggers it happened before the cap; times in ticks.

    The analysis is of the data at hand at least: by events or follow-up it is not before ``cutoff``.
    """
    trigger, fallback = date, cap
    if kind == AT_EVENTS:
        found, last = 0, cutoff
        for row in range(size):
            if time[row] < np.inf:
                last = max(last, enrolled[row] + time[row])
            if cause[row] >= 0 and counted[cause[row]]:
                when[found] = enrolled[row] + time[row]
                found += 1
        if found < target:
            trigger, fallback = np.inf, (cap if cap < np.inf else last)
        else:
            _sort(when, which, found, room, room_which, count)
            trigger = max(when[target - 1], cutoff)
    elif kind == AT_FOLLOW_UP:
        trigger = -np.inf
        for row in range(size):
            trigger = max(trigger, enrolled[row])
        trigger = max(trigger + follow_up, cutoff)
    return min(trigger, fallback), trigger <= cap and trigger < np.inf


@kernel(error_model="numpy")
def complete_trials(
    seed: np.uint64, first: int, hazards: np.ndarray, draw: np.ndarray, starts: np.ndarray,
    enrolled: np.ndarray, arm: np.ndarray, months: np.ndarray, time: np.ndarray, cause: np.ndarray,
    followed: np.ndarray, new_arms: np.ndarray, rate: np.ndarray, dropout: np.ndarray, cutoff: float,
    kind: int, target: int, dates: np.ndarray, follow_up: float, limit: float, cap: float, counted: np.ndarray,
    cell_starts: np.ndarray, paths: int, log_probability: np.ndarray, log_weight: np.ndarray, within: np.ndarray,
    certain: np.ndarray, visits: np.ndarray, found: np.ndarray,
    out_date: np.ndarray, out_reached: np.ndarray, out_number: np.ndarray, out_events: np.ndarray,
    out_score: np.ndarray, out_variance: np.ndarray, out_cell_events: np.ndarray, out_cell_exposure: np.ndarray,
    states: np.ndarray, levels: np.ndarray, shares: np.ndarray, times: np.ndarray, codes: np.ndarray,
) -> None:  # fmt: skip
    """Complete replicates ``first``, ``first + 1``, … of a trial, one for each row of the outputs.

    Patients ``followed`` get their remaining time given what they survived; new patients arrive from ``cutoff`` on
    as a Poisson process; everyone may be lost at the rate ``dropout``. Nothing observed is changed. ``months`` and
    ``cutoff`` are in months, what draws need; ``time``, the same times, and all that counts in a final analysis
    (``enrolled``, ``dates``, ``follow_up``, ``limit``, ``cap``, ``cell_starts``) are in ticks. The last five
    arrays are room to work in: allocating here would cost more than the arithmetic.

    With ``visits`` (arm, visit; in ticks from enrolment) events of the causes ``found`` are seen at the next of them.

    With more than one hidden path, row ``arm * paths + path`` of ``hazards`` and ``log_probability`` is of that arm
    and path, and each path is drawn before the time, given what the patient survived (``within`` is the interval
    that it ended in) and ``log_weight``; where only one is possible it is ``certain``, else that is -1. Paths have a
    stream of their own: where the hazards do not depend on the path, the answer is that without paths, number by
    number.
    """
    known, extra = len(time), len(new_arms)
    size = known + extra
    state, path_state, total, reached = states[0], states[1], levels[0], levels[1]
    log_share, share = shares[0], shares[1]
    starting, length, shown, room, since = times[0], times[1], times[2], times[3], times[4]
    group, what, shown_kind, room_kind, count = codes[0], codes[1], codes[2], codes[3], codes[4]
    since[known:] = 0.0
    for row in range(known):
        starting[row], group[row], since[row] = enrolled[row], arm[row], time[row]
    for index in range(len(out_date)):
        start(state, seed, np.uint64(first + index))
        by_cause = hazards[draw[index]]
        _add_up(by_cause, total, reached, starts)
        if paths > 1:
            start(path_state, seed, np.uint64(first + index) + np.uint64(PATHS))
        for later in range(extra):
            group[known + later] = new_arms[later]
        for later in range(extra - 1, 0, -1):
            other = int(uniform(state) * (later + 1))
            group[known + later], group[known + other] = group[known + other], group[known + later]
        at = cutoff
        for row in range(size):
            new = row >= known
            if not new:
                length[row], what[row] = time[row], cause[row]
                if not followed[row]:
                    continue
            else:
                at += exponential(state) / rate[index]
                starting[row] = ticks(at)
            survived = 0.0 if new else months[row]
            law = group[row] * paths
            if paths > 1 and not new and certain[row] >= 0:
                uniform(path_state)  # as if it had been drawn
                law += certain[row]
            elif paths > 1:
                for path in range(paths):
                    log_share[path] = log_probability[draw[index], law + path]
                    if not new:
                        before = reached[law + path, within[row]]
                        before += total[law + path, within[row]] * (survived - starts[within[row]])
                        log_share[path] += log_weight[row, path] - before
                law += _draw_path(path_state, log_share, share)
            drawn, what[row] = draw_event(state, survived, by_cause[law], total[law], starts)
            if visits.shape[1] and what[row] >= 0 and found[what[row]]:
                drawn = _next_visit(visits[group[row]], ticks(drawn)) / TICKS_PER_MONTH
            if dropout[index] > 0:
                lost = survived + exponential(state) / dropout[index]
                if lost < drawn:
                    drawn, what[row] = lost, -1
            length[row] = ticks(drawn)
        final, out_reached[index] = _final_date(
            kind, target, dates[index], follow_up, cap, ticks(cutoff), starting, length, what, size, counted,
            shown, shown_kind, room, room_kind, count,
        )  # fmt: skip
        out_date[index] = final / TICKS_PER_MONTH
        out_score[index], out_variance[index] = _sum_up(
            starting, group, length, what, size, final, limit, counted, cell_starts,
            shown, shown_kind, room, room_kind, count, since, visits,
            out_number[index], out_events[index], out_cell_events[index], out_cell_exposure[index],
        )  # fmt: skip
