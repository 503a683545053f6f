"""Endpoints of any courses: a walk through the days, what must hold between endpoints, and data cuts that commute."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smm_bayes.errors import DataError
from smm_bayes.trial import Courses, cut_by_date, cut_by_events
from smm_bayes.trial.calendar import DAYS_PER_MONTH
from smm_bayes.trial.endpoints import DURATION_OF_RESPONSE, ENDPOINTS, OS, PFS, PFS2, TIME_TO_RESPONSE, TTP

MILESTONES = ("response", "progression", "new_therapy", "second_progression", "progression_after_therapy", "death")
STRATEGIES = ("ignored", "censored", "event")
REASONS = ("administrative", "lost", "withdrawn", "other")
VARIANTS = [
    replace(endpoint, new_therapy=strategy, censored_at=where, competing_as=how)
    for endpoint, strategy, where, how in itertools.product(
        ENDPOINTS.values(), STRATEGIES, ("last_assessment", "last_alive"), ("cause", "censored"))
    if endpoint is not PFS2 or strategy == "ignored"
]  # fmt: skip


def one_course(rng, scale, continuous, known):
    """Days since enrolment of everything that happened to one patient; few different days, so that many coincide."""
    day = lambda low, high: int(rng.integers(low, high + 1))  # noqa: E731
    end = day(2, scale)
    course = dict.fromkeys((*MILESTONES, "last_before_therapy"))
    if rng.random() < 0.4:
        course["death"] = end
    if rng.random() < 0.6:
        course["progression"] = day(1, end)
    latest = min(end, (course["progression"] or end + 1) - 1, (course["death"] or end + 1) - 1)
    if latest >= 1 and rng.random() < 0.5:
        course["response"] = day(1, latest)
    if rng.random() < 0.5:
        course["new_therapy"] = day(1, end)
    if course["progression"] and course["progression"] < end and rng.random() < 0.5:
        course["second_progression"] = day(course["progression"] + 1, end)
    if course["new_therapy"] and course["progression"]:  # a third progression is in no other column
        after = [day for day in (course["progression"], course["second_progression"]) if (day or 0) > course["new_therapy"]]
        if after:
            course["progression_after_therapy"] = after[0]
        elif course["second_progression"] and course["new_therapy"] < end and rng.random() < 0.5:
            course["progression_after_therapy"] = day(course["new_therapy"] + 1, end)
    found = [course[name] or 0 for name in ("response", "progression", "second_progression", "progression_after_therapy")]
    course["last_assessment"] = end if continuous else day(max(found), end)
    if known and course["new_therapy"]:
        until = min(course["new_therapy"], course["last_assessment"])
        course["last_before_therapy"] = day(max([0] + [f for f in found[:2] if f <= course["new_therapy"]]), until)
    course["last_alive"] = end
    course["censoring"] = "" if course["death"] else REASONS[rng.integers(4)]
    return course


def simulate(seed, size, scale, continuous=False, known=False):
    """Courses, and the same in days since enrolment."""
    rng = np.random.default_rng(seed)
    days = [one_course(rng, scale, continuous, known) for _ in range(size)]
    enrolled = np.sort(rng.integers(0, 30, size))
    enrolled -= enrolled[0]

    def column(name):
        return (enrolled + [np.nan if d[name] is None else d[name] for d in days]) / DAYS_PER_MONTH

    courses = Courses(
        patient=np.array([f"P{n}" for n in range(size)], dtype=object), arm=np.arange(size) % 2,
        enrolled=enrolled / DAYS_PER_MONTH, censoring=np.array([d["censoring"] for d in days], dtype=object),
        arms=("control", "experimental"), arm_names=("control", "experimental"), provenance="simulated",
        last_before_therapy=column("last_before_therapy") if known else None,
        data_cutoff=float(column("last_alive").max()),
        **{name: column(name) for name in (*MILESTONES, "last_assessment", "last_alive")},
    )  # fmt: skip
    return courses, days


def walk(course, endpoint):
    """Time and end of one patient, by looking at one day after the other; None for a patient who is not in the endpoint."""
    zero = 0 if endpoint.start == "enrolment" else course["response"]
    therapy = course["new_therapy"]
    if zero is None or (zero and endpoint.new_therapy != "ignored" and therapy is not None and therapy <= zero):
        return None
    for day in range(zero + 1, course["last_alive"] + 1):
        for cause, milestones in endpoint.events.items():
            if any(course[milestone] == day for milestone in milestones):
                censored = cause in endpoint.competing and endpoint.competing_as == "censored"
                return day - zero, "other" if censored else cause
        if day == therapy and endpoint.new_therapy == "event":
            censored = "new_therapy" in endpoint.competing and endpoint.competing_as == "censored"
            return day - zero, "other" if censored else "new_therapy!"
        if day == therapy and endpoint.new_therapy == "censored":
            until = therapy
            if endpoint.censored_at == "last_assessment":
                until = course["last_before_therapy"]
                until = min(therapy, course["last_assessment"]) if until is None else until
            return until - zero, "new_therapy"
    return course[endpoint.censored_at] - zero, course["censoring"]


def derived(endpoint, courses):
    """Patients, or None where nobody has responded."""
    try:
        return endpoint.patients(courses)
    except DataError as error:
        assert "nobody has responded" in str(error)
        return None


def days_of(patients):
    days = patients.time * DAYS_PER_MONTH
    np.testing.assert_allclose(days, np.round(days), atol=1e-9)
    return np.round(days).astype(int)


def ends_of(patients):
    return [f"{patients.causes[cause]}{'!' * (patients.causes[cause] == 'new_therapy')}" if cause >= 0 else reason
            for cause, reason in zip(patients.cause, patients.censoring, strict=True)]  # fmt: skip


def first_after(course):
    """First progression after the new therapy by the first two progressions; None where both were before."""
    known = [course[name] for name in ("progression", "second_progression")]
    return next((day for day in known if day and course["new_therapy"] and day > course["new_therapy"]), None)


ANY = {"seed": st.integers(0, 2**32 - 1), "size": st.integers(1, 30), "scale": st.integers(2, 60)}


@settings(deadline=None, max_examples=100)
@given(known=st.booleans(), continuous=st.booleans(), **ANY)
def test_as_by_walking_through_the_days(seed, size, scale, known, continuous):
    courses, days = simulate(seed, size, scale, continuous, known)
    for endpoint in VARIANTS:
        expected = {name: walk(course, endpoint) for name, course in zip(courses.patient, days, strict=True)}
        expected = {name: end for name, end in expected.items() if end is not None}
        patients = derived(endpoint, courses)
        if patients is None:
            assert not expected
            continue
        assert patients.patient.tolist() == list(expected)
        assert days_of(patients).tolist() == [day for day, _ in expected.values()], str(endpoint)
        assert ends_of(patients) == [end for _, end in expected.values()], str(endpoint)


@settings(deadline=None, max_examples=100)
@given(**ANY)
def test_pfs2_does_without_its_own_dates_where_two_progressions_say_all(seed, size, scale):
    courses, days = simulate(seed, size, scale)
    bare = replace(courses, progression_after_therapy=None)
    unknown = [bool(c["second_progression"] and c["new_therapy"] and c["second_progression"] <= c["new_therapy"]
                    < c["last_assessment"]) for c in days]  # fmt: skip
    if any(unknown):
        with pytest.raises(DataError, match=rf"both recorded progressions were before the new therapy \({sum(unknown)} of"):
            PFS2.patients(bare)
    else:
        assert [first_after(course) for course in days] == [course["progression_after_therapy"] for course in days]
        same(PFS2.patients(bare), PFS2.patients(courses))


@settings(deadline=None, max_examples=200)
@given(known=st.booleans(), **ANY)
def test_what_must_hold_between_endpoints(seed, size, scale, known):
    courses, _ = simulate(seed, size, scale, known=known)
    pfs, ttp, os, pfs2 = (endpoint.patients(courses) for endpoint in (PFS, TTP, OS, PFS2))
    assert (pfs.time <= os.time + 1e-9).all()
    assert (pfs.time <= pfs2.time + 1e-9).all()
    without = np.isfinite(courses.death) & np.isnan(courses.progression)
    assert pfs.events == ttp.count_only("progression").events + without.sum()
    assert os.events == np.isfinite(courses.death).sum()
    censored = replace(TTP, competing_as="censored").patients(courses)
    assert censored.events == np.isfinite(courses.progression).sum()
    for endpoint in (one for one in ENDPOINTS.values() if one is not PFS2):
        plain, composite, without = (derived(replace(endpoint, new_therapy=s), courses) for s in ("ignored", "event", "censored"))
        if composite is None:
            assert without is None
            continue
        same = np.isin(plain.patient, composite.patient)
        assert (composite.time <= plain.time[same] + 1e-9)[plain.event[same]].all()
        assert (without.time <= plain.time[same] + 1e-9).all()
        assert composite.events >= plain.event[same].sum()
        assert (without.time <= composite.time + 1e-9).all()
        assert without.events <= plain.event[same].sum()
        np.testing.assert_array_equal(without.event, composite.event & (composite.cause < len(without.causes)))


@settings(deadline=None, max_examples=200)
@given(known=st.booleans(), strategy=st.sampled_from(STRATEGIES), **ANY)
def test_time_to_response_and_its_duration_add_up_to_pfs(seed, size, scale, known, strategy):
    courses, _ = simulate(seed, size, scale, known=known)
    response, duration, pfs = (
        derived(replace(endpoint, new_therapy=strategy), courses) for endpoint in (TIME_TO_RESPONSE, DURATION_OF_RESPONSE, PFS)
    )
    responders = response.patient[response.cause == 0]
    if duration is None:
        duration = pfs.take(np.zeros(size, bool))
    lasting = np.isin(response.patient, duration.patient)
    assert set(duration.patient) <= set(responders)
    assert len(duration) == len(responders) or strategy != "ignored"
    if strategy != "ignored":  # who starts a new therapy on the day of response has no duration
        at_once = courses.response == courses.new_therapy
        assert set(duration.patient) == set(responders) - set(courses.patient[at_once])
    np.testing.assert_allclose(response.time[lasting] + duration.time, pfs.time[lasting], atol=1e-9)
    assert ends_of(duration) == list(itertools.compress(ends_of(pfs), lasting))
    np.testing.assert_allclose(duration.enrolled, (response.enrolled + response.time)[lasting], atol=1e-9)


def same(left, right):
    for name in ("patient", "arm", "cause", "event", "censoring", "causes", "endpoint"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name
    for name in ("time", "enrolled", "data_cutoff"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), atol=1e-9, err_msg=name)


@settings(deadline=None, max_examples=60)
@given(cutoff=st.one_of(st.integers(0, 90).map(lambda day: day / DAYS_PER_MONTH), st.floats(0, 3)), **ANY)
def test_cut_then_derive_is_derive_then_cut_where_assessments_are_continuous(seed, size, scale, cutoff):
    courses, _ = simulate(seed, size, scale, continuous=True)
    known = courses.cut_by_date(cutoff)
    for endpoint in VARIANTS:
        early, late = derived(endpoint, known), derived(endpoint, courses)
        if early is not None:
            same(early, cut_by_date(late, cutoff))
        elif late is not None:
            with pytest.raises(DataError, match="nobody had been enrolled"):
                cut_by_date(late, cutoff)


@settings(deadline=None, max_examples=100)
@given(known=st.booleans(), first=st.floats(0, 3), second=st.floats(0, 3), **ANY)
def test_cuts_follow_one_another(seed, size, scale, known, first, second):
    courses, _ = simulate(seed, size, scale, known=known)
    twice = courses.cut_by_date(max(first, second)).cut_by_date(min(first, second))
    once = courses.cut_by_date(min(first, second))
    for name, values in once.dates().items():
        np.testing.assert_allclose(getattr(twice, name), values, atol=1e-9, err_msg=name)
    assert twice.censoring.tolist() == once.censoring.tolist()
    for endpoint in (PFS, OS, TTP):  # events of a cut are the events up to it, whatever the assessments
        everyone = endpoint.patients(courses)
        happened = everyone.event & (everyone.enrolled + everyone.time <= once.data_cutoff + 1e-9)
        assert endpoint.patients(once).events == happened.sum()


def test_cut_by_events_is_on_the_day_of_the_event():
    courses, _ = simulate(1, 200, 60)
    patients = PFS.patients(courses)
    cut = cut_by_events(patients, 50)
    again = PFS.patients(courses.cut_by_date(cut.data_cutoff))
    assert again.events == cut.events >= 50
    assert (again.time <= cut.time + 1e-9).all()
    np.testing.assert_array_equal(again.event, cut.event)
