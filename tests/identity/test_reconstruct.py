"""Pseudo-patients reproduce what was published, differ in what was not, and say so when they do not fit."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from smm_bayes.cli import app
from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.evidence.declared import find, load_declarations
from smm_bayes.evidence.made import make, read_reconstructions
from smm_bayes.evidence.pairs import HazardRatioRange, hazard_ratio_range, reconstruct_pair
from smm_bayes.evidence.pseudo import PseudoArm
from smm_bayes.evidence.reconstruct import ArmSummary, FollowUp, check, reconstruct
from smm_bayes.trial.curves import SurvivalCurve, hazard_ratio, kaplan_meier, kaplan_meier_limits

ROOT = Path(__file__).parents[2]
STORED = ROOT / "data/patients/reconstructed"
ARMS = {
    "quiredex": {"control": "Observation", "experimental": "Rd"},
    "e3a06": {"control": "Observation", "experimental": "Lenalidomide"},
    "aquila": {"control": "ActiveMonitoring", "experimental": "Dara"},
    "krd": {"experimental": "KRd-R"},
    "gem": {"experimental": "KRd-ASCT-KRd-Rd"},
    "ascent": {"experimental": "D-KRd"},
}


@pytest.fixture(scope="module")
def declared():
    return load_declarations()


def stored(name):
    """The stored reconstructions: for each, for each arm, (time, progression or other event of the endpoint)."""
    names = ARMS[name.split("_")[0]]
    found = []
    for patients in read_reconstructions(STORED / f"{name}.csv", arms=names):
        assert patients.provenance == "reconstructed"
        event = patients.event
        if name.endswith("ttp"):
            event = event & (patients.cause == patients.causes.index("progression"))
        found.append({
            role: (patients.time[patients.arm == i], event[patients.arm == i], patients.cause[patients.arm == i])
            for i, role in enumerate(patients.arms)
        })  # fmt: skip
    return found


def summary(**changes):
    given = {
        "trial": "T", "arm": "A", "endpoint": "PFS", "n": 60, "events": 30, "milestones": ((24.0, 0.6, 2),),
        "median": None, "follow_up": FollowUp(24, 48),
    }  # fmt: skip
    return ArmSummary(**{**given, **changes})


def test_quiredex_time_to_progression():
    made = stored("quiredex_2013_ttp")
    assert len(made) == 20
    for arms in made:
        (c_time, c_event, c_cause), (e_time, e_event, e_cause) = arms["control"], arms["experimental"]
        assert (len(c_time), len(e_time)) == (62, 57)
        assert (c_event.sum(), e_event.sum()) == (47, 13)
        assert (c_cause == 1).sum() == 0
        assert (e_cause == 1).sum() == 2
        control, experimental = kaplan_meier(c_time, c_event), kaplan_meier(e_time, e_event)
        assert abs(control.at(36) - 0.30) <= 0.005
        assert abs(experimental.at(36) - 0.77) <= 0.005
        assert abs(control.median - 21) <= 0.5
        assert np.isinf(experimental.median)
        assert e_time.max() <= 57
        assert min(c_time[c_cause < 0].min(), e_time[e_cause < 0].min()) >= 27


def test_quiredex_overall_survival():
    made = stored("quiredex_2013_os")
    assert len(made) == 20
    for arms in made:
        for role, deaths, printed in (("control", 13, 0.80), ("experimental", 4, 0.94)):
            time, event, _ = arms[role]
            assert event.sum() == deaths
            assert abs(kaplan_meier(time, event).at(36) - printed) <= 0.005


def test_e3a06_milestones():
    made = stored("e3a06_2020_pfs")
    assert len(made) == 20
    printed = {"control": (90, 21, (0.89, 0.76, 0.66)), "experimental": (92, 7, (0.98, 0.93, 0.91))}
    for arms in made:
        for role, (n, events, values) in printed.items():
            time, event, _ = arms[role]
            assert (len(time), event.sum()) == (n, events)
            assert np.abs(kaplan_meier(time, event).at(np.array([12, 24, 36])) - values).max() <= 0.005


def test_aquila():
    made = stored("aquila_pfs")
    assert len(made) == 20
    for arms in made:
        (c_time, c_event, _), (e_time, e_event, _) = arms["control"], arms["experimental"]
        assert (len(c_time), len(e_time), c_event.sum(), e_event.sum()) == (196, 194, 99, 67)
        control, experimental = kaplan_meier(c_time, c_event), kaplan_meier(e_time, e_event)
        assert abs(control.at(60) - 0.408) <= 0.0005
        assert abs(experimental.at(60) - 0.631) <= 0.0005
        assert abs(control.median - 41.5) <= 0.05


@pytest.mark.parametrize("name", ["krd_nci_n18_pfs", "krd_nci_n54_ttp", "gem_cesar_2024_ttp", "ascent_pfs"])
def test_single_arms_leave_the_number_of_events_open(name, declared):
    (milestone,) = declared[name].summaries["experimental"].milestones
    made = stored(name)
    for arms in made:
        time, event, _ = arms["experimental"]
        assert abs(kaplan_meier(time, event).at(milestone[0]) - milestone[1]) <= 0.5 * 10.0 ** -milestone[2] + 1e-9
    assert len({int(arms["experimental"][1].sum()) for arms in made}) > 1


@pytest.mark.parametrize("name", ["quiredex_2013_ttp", "krd_nci_n54_ttp"])
def test_the_stored_files_are_made_from_the_facts(name, declared, tmp_path):
    made = make(declared[name])
    for path in made.write(tmp_path):
        assert path.read_bytes() == (STORED / path.name).read_bytes(), path.name
    facts = json.loads((tmp_path / f"{name}.json").read_text())["facts"]
    assert facts == declared[name].trust
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"{name}.csv", f"{name}.json"]


def test_every_declaration_is_stored(declared):
    assert {path.stem for path in STORED.glob("*.csv")} == set(declared)
    for name in declared:
        origin = json.loads((STORED / f"{name}.json").read_text())
        assert all(row["within_print"] == origin["number"] >= 20 for row in origin["met"])


def test_recalled_facts_are_said_to_be(declared):
    assert declared["e3a06_2020_pfs"].trust["e3a06-012"] == "recalled"
    assert "recalled" in declared["e3a06_2020_pfs"].note


def test_reconstructions_differ_in_what_is_open(declared):
    made = make(declared["aquila_pfs"], number=6)
    arms = made.arms["control"]
    for first in range(len(arms)):
        for second in range(first):
            assert not np.array_equal(np.sort(arms[first].time), np.sort(arms[second].time))
            assert not np.array_equal(np.sort(arms[first].enrolled), np.sort(arms[second].enrolled))
    assert len({int((arm.time[arm.event] <= 60).sum()) for arm in arms}) > 1  # the tail
    assert len({int((arm.time[arm.event] <= 24).sum()) for arm in arms}) > 1  # within a segment
    assert len({int((arm.censoring == "lost").sum()) for arm in arms}) > 1
    spread = [np.quantile(arm.time[arm.event], 0.25) for arm in arms]
    assert np.ptp(spread) > 1


def test_a_median_that_is_the_middle_of_a_flat_piece_is_met():
    """Four patients with events at 1, 2, 3 and 4: half survive from 2 to 3, so 2.5 is printed."""
    true = SurvivalCurve(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.75, 0.5, 0.25, 0.0]))
    assert true.median == 2.5
    told = summary(n=4, events=4, median=(2.5, 1), milestones=((2.2, 0.5, 2),), follow_up=FollowUp(24, 48), lost=0.0)
    made = reconstruct(told, rng=np.random.default_rng(3))
    assert check(made).all_within
    assert made.curve.at(2.2) == 0.5
    assert abs(made.curve.median - 2.5) <= 0.05


def test_hazard_ratios_that_the_summaries_allow(declared):
    rng = np.random.default_rng(18)
    arms = declared["quiredex_2013_ttp"].summaries
    found = hazard_ratio_range(arms["control"], arms["experimental"], 40, rng=rng)
    assert 0.14 < found.minimum < 0.18 < found.maximum < 0.25
    assert found.minimum <= found.lower <= found.median <= found.upper <= found.maximum
    assert found.holds(0.18, 2)
    assert not found.holds(0.30, 2)
    pair = reconstruct_pair(arms["control"], arms["experimental"], hazard_ratio=(0.18, 2), rng=rng)
    assert all(check(arm).all_within for arm in pair)
    assert abs(hazard_ratio(*((arm.time, arm.event) for arm in pair)) - 0.18) <= 0.005
    with pytest.raises(DataError, match=r"hazard ratio 0\.50 was not found.*nearest is 0\.2"):
        reconstruct_pair(arms["control"], arms["experimental"], hazard_ratio=(0.50, 2), rng=rng, rounds=1)


def test_a_corrupted_reconstruction_is_reported():
    arm = reconstruct(summary(median=(30.0, 0)), rng=np.random.default_rng(3))
    assert check(arm).all_within
    assert not check(arm).off
    late = np.where(arm.event & (arm.time <= 24), arm.time + 24, arm.time)
    worse = check(dataclasses.replace(arm, time=late))
    assert not worse.all_within
    assert {row.what for row in worse.off} == {"survival at 24 months", "median", "last contact, at most"}
    assert "NO" in repr(worse)
    fewer = arm.cause.copy()
    fewer[np.flatnonzero(arm.event)[0]] = ""
    assert "events" in {row.what for row in check(dataclasses.replace(arm, cause=fewer)).off}
    assert not check(arm, summary(n=61)).all_within
    assert worse.to_frame()["within"].sum() == len(worse.rows) - 3


def test_deaths_that_censor_and_deaths_that_count():
    rng = np.random.default_rng(5)
    apart = reconstruct(summary(deaths_without_progression=4), rng=rng)
    assert (apart.cause == "death").sum() == 4
    assert apart.event.sum() == 30 == (apart.cause == "progression").sum()
    counted = reconstruct(summary(deaths_without_progression=4, deaths_count=True), rng=rng)
    assert (counted.cause == "death").sum() == 4
    assert counted.event.sum() == 30 == (counted.cause != "").sum()


def test_all_contradictions_are_named_at_once():
    with pytest.raises(DataError) as caught:
        summary(events=61, milestones=((12.0, 0.4, 2), (24.0, 0.6, 2), (90.0, 0.3, 2)), median=(18.0, 0), lost=1.0)
    text = str(caught.value)
    for part in ("61 events among 60", "survival rises", "nobody is followed beyond 48", "below a half before the median",
                 "above a half after the median", "lost is 1"):  # fmt: skip
        assert part in text
    with pytest.raises(DataError, match="below a half before"):
        summary(milestones=((24.0, 0.4, 2),), median="not reached")
    with pytest.raises(DataError, match="3 problems"):
        FollowUp(30, 20, 60, 40)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"events": 3}, "survival 0.60 at 24 months|3 events"),
        ({"events": 59, "milestones": ((47.0, 0.9, 2),)}, "59 events"),
        ({"n": 10, "events": 5, "milestones": ((24.0, 0.66, 2),)}, "survival 0.66 at 24 months"),
    ],
)
def test_a_summary_that_cannot_be_met_is_refused(changes, named):
    with pytest.raises(DataError, match=named):
        reconstruct(summary(**changes), rng=np.random.default_rng(1), attempts=60)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(25, 120),
    scale=st.floats(12, 120),
    shape=st.floats(0.6, 1.8),
    leave=st.sampled_from([0.0, 0.2]),
    told=st.booleans(),
)
def test_summaries_of_real_patients_can_always_be_met(seed, n, scale, shape, leave, told):
    rng = np.random.default_rng(seed)
    enrolled, happens = 24 * rng.random(n), np.maximum(scale * rng.weibull(shape, n), 0.01)
    censored = np.where(rng.random(n) < leave, (54 - enrolled) * rng.random(n), 54 - enrolled)
    time, event = np.minimum(happens, censored), happens <= censored
    curve = kaplan_meier(time, event)
    milestones = tuple((float(t), round(float(curve.at(t)), 2), 2) for t in (12, 24, 36))
    median = "not reached" if np.isinf(curve.median) else (float(round(curve.median)), 0)
    given = ArmSummary(
        "T", "A", "PFS", n, int(event.sum()) if told else None, FollowUp.between(0, 24, 54), milestones,
        None if median != "not reached" and median[0] < 1 else median, lost=2 * leave,
    )  # fmt: skip
    made = reconstruct(given, rng=rng)
    assert check(made).all_within
    assert np.all(made.enrolled + made.time <= 54.02)


def test_kaplan_meier_against_sksurv():
    from sksurv.nonparametric import kaplan_meier_estimator

    rng = np.random.default_rng(8)
    time, event = np.round(rng.exponential(20, 90), 0) + 1, rng.random(90) < 0.6
    steps, survival = kaplan_meier_estimator(event, time)
    np.testing.assert_allclose(kaplan_meier(time, event).at(steps), survival, atol=1e-12)
    _, _, limits = kaplan_meier_estimator(event, time, conf_type="log-log")
    known = np.isin(steps, time[event])
    for found, target in zip(kaplan_meier_limits(time, event), limits, strict=True):
        np.testing.assert_allclose(found[survival[known] > 0], target[known & (survival > 0)], atol=1e-12)
    entry = np.minimum(np.round(rng.uniform(0, 12, 90), 0), time - 1)
    steps, survival = kaplan_meier_estimator(event, time, time_enter=entry)
    np.testing.assert_allclose(kaplan_meier(time, event, entry).at(steps), survival, atol=1e-12)
    assert kaplan_meier(np.array([1.0, 2.0]), np.array([True, False])).median == 1.0
    assert np.isinf(SurvivalCurve(np.array([]), np.array([])).median)


@pytest.mark.parametrize("ties", [False, True])
def test_cox_against_statsmodels(ties):
    from statsmodels.duration.hazard_regression import PHReg

    rng = np.random.default_rng(21)
    arm = np.repeat([0, 1], [70, 60])
    time = rng.exponential(np.where(arm == 1, 40, 18)) + 0.01
    event = rng.random(130) < 0.7
    if ties:
        time = np.ceil(time)
    ours = hazard_ratio((time[arm == 0], event[arm == 0]), (time[arm == 1], event[arm == 1]))
    theirs = PHReg(time, arm[:, None], status=event.astype(int), ties="efron").fit().params[0]
    assert np.log(ours) == pytest.approx(theirs, abs=1e-6)


def test_cox_at_its_edges():
    some, none = (np.array([1.0, 2.0, 3.0]), np.array([True, True, False])), (np.ones(3) * 4, np.zeros(3, dtype=bool))
    assert hazard_ratio(some, none) == 0
    assert hazard_ratio(none, some) == np.inf
    with pytest.raises(DataError, match="neither arm has an event"):
        hazard_ratio(none, none)


def test_range_of_two_pairs():
    first = reconstruct(summary(), rng=np.random.default_rng(1))
    found = HazardRatioRange.of([first], [first])
    assert found.pairs == 1
    assert found.minimum == pytest.approx(1.0)


def test_pseudo_arm_refuses_columns_of_other_lengths():
    arm = reconstruct(summary(), rng=np.random.default_rng(1))
    with pytest.raises(DataError, match="differ in length"):
        PseudoArm(arm.summary, arm.time[:-1], arm.cause, arm.censoring, arm.enrolled)


def test_the_seed_and_nothing_else_decides(declared):
    one, other, third = (make(declared["krd_nci_n18_pfs"], seed=seed, number=2) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.arms["experimental"][1].time, other.arms["experimental"][1].time)
    assert not np.array_equal(one.arms["experimental"][1].time, third.arms["experimental"][1].time)
    alone = make(declared["krd_nci_n18_pfs"], seed=1, number=1)
    np.testing.assert_array_equal(one.arms["experimental"][0].time, alone.arms["experimental"][0].time)


def test_declarations_name_every_problem(tmp_path, declared):
    for path in (ROOT / "data/evidence").glob("*.csv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (ROOT / "data/evidence/reconstructions.toml").read_text()
    wrong = text.replace("quiredex-017", "quiredex-016").replace("e3a06-001", "no-such-fact").replace(
        'trial = "AQUILA"', 'trial = "AQUILA"\ncolour = 1'
    )  # fmt: skip
    (tmp_path / "reconstructions.toml").write_text(wrong)
    with pytest.raises(DataError) as caught:
        load_declarations(tmp_path / "reconstructions.toml")
    for part in ("3 problems", "quiredex-016 is of QuiRedex, Rd", "no-such-fact", "'colour' is not a key"):
        assert part in str(caught.value)
    with pytest.raises(SpecificationError, match="there are quiredex_2013_ttp"):
        find("other", declared)


def test_command(tmp_path):
    run = CliRunner()
    listed = run.invoke(app, ["reconstruct"])
    assert "QuiRedex TTP: Observation n = 62, Rd n = 57" in listed.output
    done = run.invoke(app, ["reconstruct", "quiredex_2013_ttp", "--number", "3", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    for part in ("3 of 3", "hazard ratio over 9 pairs", "published 0.18"):
        assert part in done.output
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == [
        "quiredex_2013_ttp.csv", "quiredex_2013_ttp.json"]  # fmt: skip
    bad = run.invoke(app, ["reconstruct", "quiredex_2013_ttp", "--n", "3", "--curve", "x.csv"])
    assert isinstance(bad.exception, SpecificationError)
    assert bad.exception.exit_code == 2
