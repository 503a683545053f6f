"""The answer carries its conditions: fit to the data, errors, what is assumed, what is due."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from smm_bayes.analysis.conditions import assumptions, fit_verdict
from smm_bayes.analysis.decision import ConflictEntry, Decision, FitVerdict, Source
from smm_bayes.borrowing.trials.cohorts import Cohort
from smm_bayes.borrowing.trials.conflict import _compare, contrast_gain, information, information_error
from smm_bayes.reporting.borrowing import borrowing_rows, borrowing_table
from smm_bayes.reporting.words import answer, condition_rows, fit_to_data, with_error
from smm_bayes.survival import GammaHazards, TimeGrid
from smm_bayes.survival.replicated import predictive_check
from smm_bayes.trial import cut_by_date
from tests import grounds

MISFIT = FitVerdict(verdict="use with caution", checked="event times", p_values={"events": 0.003}, least_p_value=0.05,
                    cells=16, cells_inside=11, sentence="The model does not fit events (p 0.003).")  # fmt: skip
GROUNDS = grounds.GROUNDS | {"mcse": 0.0066, "mcse_within": 0.0045}
GRID = TimeGrid((6, 12, 18))


def inputs_of(patients, **changes):
    spec = SimpleNamespace(grid=GRID, prediction=SimpleNamespace(dropout=False))
    return SimpleNamespace(**{"patients": patients, "spec": spec, "joint": None, "primary": "events", "model": None} | changes)


def drawn(patients, grid=GRID):
    """Draws of the exact posterior of the hazards."""
    table = grid.tabulate(patients)
    hazards = GammaHazards.prior(table, 1.0, 40.0).update(table).sample(2000, rng=np.random.default_rng(1))
    log_hazard = hazards.reshape(4, 500, *hazards.shape[1:])
    return xr.DataArray(log_hazard, dims=("chain", "draw", "arm", "cause", "interval"))


def growing(patients):
    """The same patients with hazards that rise: nobody has an event early."""
    return replace(patients, time=20.0 * (patients.time / 20.0) ** 0.3, enrolled=None, data_cutoff=None)


def test_a_model_that_describes_the_data_passes_and_one_that_does_not_is_never_called_passed(simulate):
    patients = simulate(size=400)
    good = fit_verdict(inputs_of(patients), drawn(patients), seed=3)
    assert good.verdict == "passed"
    assert good.sentence.startswith("The data look like data from the model")
    constant = SimpleNamespace(grid=TimeGrid(()))  # no hazard that rises with time is in this model
    rising = growing(patients)
    bad = fit_verdict(inputs_of(rising, spec=constant), drawn(rising, constant.grid), seed=3)
    assert bad.verdict == "use with caution"
    assert min(bad.p_values.values()) < bad.least_p_value
    assert f"events of {bad.cells_inside} of {bad.cells} cells" in bad.sentence
    decision = Decision(**GROUNDS, fit_check=bad)
    interim = SimpleNamespace(decision=decision)
    assert "Use with caution: The model does not fit" in answer(interim)
    said = dict(condition_rows(decision))
    assert said["fit to the data"].startswith("use with caution: The model does not fit")
    assert said["convergence"].startswith("converged: R-hat")
    for text in (repr(condition_rows(decision)), answer(interim), decision.fit_check.model_dump_json()):
        assert "passed" not in text
    assert "Use with caution" not in answer(SimpleNamespace(decision=Decision(**GROUNDS, fit_check=good)))
    assert fit_to_data(None) == "not checked"


def test_verdict_says_which_part_of_the_model_was_compared(simulate):
    patients = simulate(size=60)
    with_mrd = fit_verdict(inputs_of(patients, joint=object(), primary="mrd"), drawn(patients), seed=1)
    assert "MRD results themselves are not checked" in with_mrd.checked
    assert "MRD" not in fit_verdict(inputs_of(patients, joint=object()), drawn(patients), seed=1).checked


def test_many_discrepancies_have_enough_replicates_to_fail(simulate):
    """The least p-value that replicates can give is below what a p-value must not be below."""
    patients = simulate(size=80)
    flat = drawn(patients).values.reshape(-1, 2, 2, 4)
    found = predictive_check(flat, patients, GRID, rng=np.random.default_rng(1), draws=50)
    assert 1 / (1 + len(found.discrepancies["events"].replicated)) < found.least_p_value


def test_who_is_lost_from_now_on_is_said(simulate):
    patients = simulate(size=60)
    (none,) = assumptions(inputs_of(patients))
    assert none == "No patient is assumed lost to follow-up from now on (none was lost so far)."
    reasons = patients.censoring.copy()
    reasons[np.flatnonzero(~patients.event)[:3]] = "lost"
    lost = cut_by_date(patients, patients.data_cutoff)
    object.__setattr__(lost, "censoring", reasons)
    assert assumptions(inputs_of(lost)) == [
        "No patient is assumed lost to follow-up from now on (3 of 60 patients were lost or withdrew so far)."
    ]
    spec = SimpleNamespace(grid=GRID, prediction=SimpleNamespace(dropout=True))
    (rate,) = assumptions(inputs_of(lost, spec=spec))
    per_month = 3.5 / lost.time.sum()  # mean of the Gamma posterior
    assert f"at the rate seen so far, {1200 * per_month:.2g} per 100 patient-years" in rate


def test_what_is_due_stands_first():
    due = "The final analysis is due: its 40 events were reached on 2024-01-01."
    decision = Decision(**GROUNDS, trigger=due, fit_check=MISFIT, assumptions=["No patient is assumed lost."])
    rows = condition_rows(decision)
    assert rows[0] == ("final analysis", due)
    assert [label for label, _ in rows][1:] == ["probability of success", "convergence", "fit to the data", "specification", "assumed"]
    assert answer(SimpleNamespace(decision=decision)).startswith(due)
    assert json.loads(decision.model_dump_json())["trigger"] == due
    assert condition_rows(Decision(**GROUNDS))[0][0] == "probability of success"


def test_noise_is_called_noise():
    assert with_error(0.9, 0.5, 1) == "+0.9 ± 0.5 (within Monte Carlo error of 0)"
    assert with_error(0.9, 0.4, 1) == "+0.9 ± 0.4"
    assert with_error(-0.2, None, 1) == "-0.2"
    told = ConflictEntry(trial="a", regimen="old", counted="death", interval="all", events=3, predicted=9, lower=2, upper=30,
                         p_value=0.04, p_value_error=0.012)  # fmt: skip
    source = Source(name="a", trust="published", source="x", effective_events={"control": 1.2, "experimental": 3.0},
                    effective_events_error={"control": 0.8, "experimental": 0.8}, conflict=[told])  # fmt: skip
    decision = Decision(**GROUNDS | {"sources": [source]})
    (_, gained), _ = borrowing_rows(decision)
    assert "+1.2 ± 0.8 (within Monte Carlo error of 0) control, +3.0 ± 0.8 experimental" in gained
    assert "p 0.040 ± 0.012" in gained
    table = borrowing_table(decision).loc["a"]
    assert table["effective events, experimental"] == "3.0 ± 0.8"
    assert table["p"] == "0.040 ± 0.012"
    assert "with reconstructions of earlier trials 0.007" in dict(condition_rows(decision))["probability of success"]


@pytest.mark.parametrize("data_sets", [1, 8])
def test_what_a_source_adds_to_the_hazard_ratio_and_its_errors(data_sets):
    """Draws of a log hazard ratio of 30 events at 2:1 without a source, of 50 with it, which moves it by 0.3."""
    rng, share = np.random.default_rng(data_sets), 2 / 3
    sd = [1 / np.sqrt(events * share * (1 - share)) for events in (50, 30)]
    found = []
    for _ in range(300):
        shift = rng.normal(0, 0.1 * (data_sets > 1), (2, data_sets)).repeat(2, axis=1)[..., None]
        with_it, without = (one * rng.normal(size=(2 * data_sets, 500)) + moved for one, moved in zip(sd, shift, strict=True))
        found.append(contrast_gain(with_it + 0.3, without, share, data_sets=(data_sets, data_sets)))
    for name, wanted in {"events": 20.0, "shift": 0.3 / sd[0]}.items():
        values, errors = (np.array([getattr(one, name + end) for one in found]) for end in ("", "_error"))
        if data_sets == 1:
            assert abs(values.mean() - wanted) < 4 * values.std() / np.sqrt(300)
        assert 0.82 < np.sqrt(np.mean(errors**2)) / values.std() < 1.22
    nothing = contrast_gain(with_it, with_it, share)
    assert (nothing.events, nothing.shift) == (0, 0)


@pytest.mark.parametrize("data_sets", [1, 8])
def test_errors_of_conflict_and_effective_events_are_those_of_repeated_fits(data_sets):
    """Draws of a hazard whose mean differs between data sets, anew each time: the spread of what comes out is its error."""
    rng = np.random.default_rng(data_sets)
    arm = Cohort("a", "old", "single", (("event",),), np.array([[9.0]]), np.array([300.0]))
    found = []
    for _ in range(300):
        shift = np.repeat(rng.normal(0, 0.15 * (data_sets > 1), data_sets), 2)[:, None]
        log_hazard = np.log(0.022) + 0.35 * rng.normal(size=(2 * data_sets, 125)) + shift
        one = _compare(("a", "old", "event", "all"), slice(None), hazard=np.exp(log_hazard)[..., None], arms=[arm], row=0,
                       rng=rng, data_sets=data_sets)  # fmt: skip
        by_arm = log_hazard[..., None, None]
        worth = information(by_arm.reshape(-1, 1, 1), np.ones((1, 1)))[0]
        found.append((one.p_value, one.p_value_error, worth, information_error(by_arm, np.ones((1, 1)), data_sets)[0]))
    p, p_error, worth, worth_error = np.array(found).T
    assert 0.85 < np.sqrt(np.mean(p_error**2)) / p.std() < 1.18
    assert 0.82 < np.sqrt(np.mean(worth_error**2)) / worth.std() < 1.22


def test_reconstructions_that_are_compared_are_part_of_the_error():
    arms = [Cohort("a", "old", "single", (("event",),), np.array([[float(d)]]), np.array([300.0])) for d in (7, 9, 12, 14)]
    hazard = np.full((4, 100, 1), 0.022)
    options = {"row": 0, "rng": np.random.default_rng(1), "data_sets": 1}
    said = ("a", "old", "event", "all")
    several = _compare(said, slice(None), hazard=hazard, arms=arms, **options)
    each = [_compare(said, slice(None), hazard=hazard, arms=[arm], **options).p_value for arm in arms]
    assert several.p_value == pytest.approx(np.mean(each))
    assert several.p_value_error == pytest.approx(np.std(each, ddof=1) / 2)
