"""Scheduled MRD visits: what is refused, and which status a patient has at which visit."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.surrogacy import MISSING, NEGATIVE, NOT_YET, POSITIVE, MrdSchedule, MrdStatus
from smm_bayes.trial import MrdAssessments, Patients, cut_by_date

SCHEDULE = MrdSchedule((6, 12), before=1, after=2)


def patients(time, event, results=(), enrolled=None, assay=None):
    """Make patients P0, P1, ...; results are (row, month, word, sensitivity), word +, - or ? (not valid)."""
    size, event = len(time), np.array(event, dtype=bool)
    row, month, word, sensitivity = (np.array(list(column)) for column in zip(*results, strict=True)) if results else (
        np.zeros(0, int), np.zeros(0), np.zeros(0, str), np.zeros(0))  # fmt: skip
    mrd = MrdAssessments(row, month.astype(float), word == "-", sensitivity.astype(float), word != "?",
                         None if assay is None else np.array(assay, dtype=object))  # fmt: skip
    return Patients(
        patient=np.array([f"P{i}" for i in range(size)], dtype=object), arm=np.arange(size) % 2, time=np.array(time, float),
        event=event, cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object),
        enrolled=None if enrolled is None else np.array(enrolled, float), arms=("control", "experimental"),
        arm_names=("C", "E"), causes=("progression",), mrd=mrd, provenance="simulated",
        data_cutoff=None if enrolled is None else float(np.max(np.array(enrolled) + np.array(time))),
    )  # fmt: skip


def codes(time, event, *results):
    status = SCHEDULE.assign(patients([time, 40], [event, False], [*((0, *one, 1e-5) for one in results), (1, 6, "-", 1e-5)]))
    return status.code[0].tolist(), status.at_risk[0].tolist()


@pytest.mark.parametrize(
    ("months", "before", "after", "words"),
    [
        ((), 0, 0, ["0 visits"]),
        (tuple(range(1, 14)), 0, 0, ["13 visits"]),
        ((6, 6), 0, 0, ["increasing; got 6, 6"]),
        ((12, 6), 0, 0, ["increasing"]),
        ((0, 6), 0, 0, ["above 0"]),
        ((6, np.inf), 0, 0, ["finite"]),
        ((6, np.nan), 0, 0, ["finite"]),
        ((6, 12), -1, 0, ["0 or more months; got -1 and 0"]),
        ((6, 12), 0, np.nan, ["0 or more months"]),
        ((6, 12), 6, 0, ["below the first visit", "shortest gap"]),
        ((6, 12), 2, 4, ["below the shortest gap of visits, 6 months, .* got 6"]),
        ((12, 6), 0, -1, ["increasing", "0 or more"]),
    ],
)
def test_what_is_no_schedule_is_refused_at_once(months, before, after, words):
    with pytest.raises(SpecificationError) as refused:
        MrdSchedule(months, before, after)
    for word in words:
        refused.match(word)
    number = 1 + (before == 6) if "visits" not in words[0] else 1
    assert "2 problems" in str(refused.value) if len(words) == 2 else f"{number} problem" in str(refused.value)


def test_paths_are_numbered_by_their_bits():
    schedule = MrdSchedule((3, 6, 9, 12), 0.5, 0.5)
    assert (len(schedule), schedule.paths) == (4, 16)
    assert schedule.states.shape == (16, 4)
    assert (schedule.states @ 2 ** np.arange(4)).tolist() == list(range(16))
    assert schedule.states[5].tolist() == [1, 0, 1, 0]
    assert MrdSchedule((4,), 0, 0).states.tolist() == [[0], [1]]


def test_windows_hold_their_ends():
    days = np.array([5 * 30.4375, 8 * 30.4375]) / 30.4375
    at = np.array([4.999, *days, 8.001, 10.999, 11, 14, 14.001])
    assert SCHEDULE.visit(at).tolist() == [-1, 0, 0, -1, -1, 1, 1, -1]


@pytest.mark.parametrize(
    ("time", "event", "results", "code", "at_risk"),
    [
        (30, False, [(6, "-"), (12, "+")], [NEGATIVE, POSITIVE], [True, True]),
        (30, False, [], [MISSING, MISSING], [True, True]),
        (30, True, [(6, "?"), (13, "-")], [MISSING, NEGATIVE], [True, True]),
        (30, True, [(6, "?"), (7, "-"), (13, "-")], [NEGATIVE, NEGATIVE], [True, True]),
        (30, False, [(9, "-")], [MISSING, MISSING], [True, True]),  # outside of every window
        (5.5, True, [(5, "-")], [NEGATIVE, NOT_YET], [False, False]),  # assessed early, then the event before the visit
        (6, True, [], [NOT_YET, NOT_YET], [False, False]),  # at the visit itself: not beyond it
        (6.001, True, [], [NOT_YET, NOT_YET], [True, False]),
        (7.999, False, [], [NOT_YET, NOT_YET], [True, False]),
        (7.999, True, [(7, "?")], [MISSING, NOT_YET], [True, False]),
        (8, False, [], [MISSING, NOT_YET], [True, False]),
        (8, True, [(7.9, "+")], [POSITIVE, NOT_YET], [True, False]),
    ],
)
def test_status_at_each_visit(time, event, results, code, at_risk):
    assert codes(time, event, *results) == (code, at_risk)


def test_not_yet_at_an_early_cut_becomes_known_or_missing():
    late = patients([30, 30, 30], [False] * 3, [(0, 6, "-", 1e-5), (1, 7.5, "+", 1e-5)], enrolled=[0, 0, 0])
    early = cut_by_date(late, 7.0)
    assert SCHEDULE.assign(early).code[:, 0].tolist() == [NEGATIVE, NOT_YET, NOT_YET]
    assert SCHEDULE.assign(late).code[:, 0].tolist() == [NEGATIVE, POSITIVE, MISSING]


def test_the_line_that_a_reviewer_reads_first():
    status = SCHEDULE.assign(patients([30, 30, 7, 5.5], [0, 0, 0, 1], [
        (0, 6, "-", 1e-5), (1, 6, "+", 1e-5), (1, 9, "-", 1e-5), (3, 5, "-", 1e-5), (0, 20, "+", 1e-6)]))  # fmt: skip
    assert repr(status).splitlines() == [
        "MrdStatus: 4 patients, 2 assessments outside of every window",
        "  6 months, control: 2 of 2 at risk, 1 assessed, 1 negative, 0 missing, 1 not yet",
        "  6 months, experimental: 1 of 2 at risk, 2 assessed, 1 negative, 0 missing, 0 not yet",
        "  12 months, control: 1 of 2 at risk, 0 assessed, 0 negative, 1 missing, 1 not yet",
        "  12 months, experimental: 1 of 2 at risk, 0 assessed, 0 negative, 1 missing, 1 not yet",
    ]
    assert status.code.dtype == np.int8
    assert not status.code.flags.writeable
    assert repr(SCHEDULE).startswith("MrdSchedule: 2 visits, at 6, 12 months")


def test_without_assessments_there_is_no_status():
    for nobody in (patients([30], [0]), replace(patients([30], [0]), mrd=None)):
        with pytest.raises(DataError, match="there are none; give"):
            SCHEDULE.assign(nobody)


def test_contradictions_and_mixed_sensitivities_are_refused_at_once():
    results = [(0, 6, "-", 1e-5), (0, 7, "+", 1e-6), (1, 6, "+", 1e-5), (1, 7, "+", 1e-6), (0, 12, "+", 1e-5),
               (0, 13, "?", np.nan), (1, 12, "-", 1e-5), (1, 13, "+", 1e-5)]  # fmt: skip
    mixed = patients([30, 30], [0, 0], results, assay=["flow", "sequencing"] * 4)
    with pytest.raises(DataError) as refused:
        SCHEDULE.assign(mixed)
    text = str(refused.value)
    assert "3 problems" in text
    assert "sensitivities 1e-06, 1e-05 differ within the analysis; name one as sensitivity=" in text
    assert "visit at 6 months: valid results that contradict each other within its window, of P0; keep" in text
    assert "visit at 12 months: valid results that contradict each other within its window, of P1; keep" in text
    with pytest.raises(DataError, match=r"2 problems:\n.*6 months.*\n.*12 months"):
        SCHEDULE.assign(mixed, allow_mixed=True)
    with pytest.raises(DataError, match="1 problem: visit at 12 months"):
        SCHEDULE.assign(mixed, sensitivity=1e-5)
    assert SCHEDULE.assign(mixed, sensitivity=1e-6).code.tolist() == [[POSITIVE, POSITIVE], [POSITIVE, POSITIVE]]
    by_flow = SCHEDULE.assign(mixed, assay="flow").code
    assert by_flow.tolist() == [[NEGATIVE, POSITIVE], [POSITIVE, NEGATIVE]]
    with pytest.raises(DataError, match=r"2 problems:\n.*no valid result by assay 'pcr'; .*flow, sequencing\n"
                                        r".*no valid result at sensitivity 0.0001; there is none"):  # fmt: skip
        SCHEDULE.assign(mixed, sensitivity=1e-4, assay="pcr")
    with pytest.raises(DataError, match=r"no valid result at sensitivity 0.0001 or coarser: only the negative ones count "
                                        r"there, and 5 others say nothing of it; .*: 1e-06, 1e-05"):  # fmt: skip
        SCHEDULE.assign(mixed, sensitivity=1e-4)


def test_another_sensitivity_outside_of_the_windows_or_without_result_does_no_harm():
    results = [(0, 6, "-", 1e-5), (0, 9, "+", 1e-6), (1, 6, "?", 1e-4)]
    assert SCHEDULE.assign(patients([30, 30], [0, 0], results)).code[:, 0].tolist() == [NEGATIVE, MISSING]
    differ = [(0, 6, "-", 1e-5), (1, 6, "-", 1e-6)]
    assert SCHEDULE.assign(patients([30, 30], [0, 0], differ), allow_mixed=True).code[:, 0].tolist() == [1, 1]


def test_a_failure_yields_to_no_sensitivity_but_its_own():
    """Followed until the window is half over: missing if the assessment of this sensitivity failed, else not yet."""
    for sensitivity, code in ((1e-5, MISSING), (np.nan, MISSING), (1e-6, NOT_YET)):
        results = [(0, 6, "?", sensitivity), (1, 6, "-", 1e-5)]
        assert SCHEDULE.assign(patients([7, 30], [0, 0], results), sensitivity=1e-5).code[0, 0] == code


@pytest.mark.parametrize(
    ("code", "at_risk", "more", "word"),
    [
        ([[1]], [[True]], {}, r"shape \(patient, 2\); got \(1, 1\)"),
        ([[1, 0]], [[True]], {}, "shape"),
        ([[1, 2]], [[True, True]], {}, "code must be"),
        ([[1, 0]], [[False, True]], {}, "at risk at a visit and not at the one before"),
        ([[1, 0]], [[True, True]], {"arm": np.array([1]), "arms": ("control",)}, "position in arms"),
        ([[1, 0]], [[True, True]], {"arm": np.array([0, 0]), "arms": ("control",)}, "position in arms"),
    ],
)
def test_a_status_that_nobody_can_have_is_refused(code, at_risk, more, word):
    with pytest.raises(DataError, match=word):
        MrdStatus(SCHEDULE, np.array(code), np.array(at_risk), **more)
    assert "all: 1 of 1 at risk" in repr(MrdStatus(SCHEDULE, np.array([[1, -2]]), np.array([[True, False]])))
