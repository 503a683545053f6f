"""Keys of section sensitivity, each against a closed form or an exact posterior."""

from __future__ import annotations

import datetime
import math
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from smm_bayes.analysis.answers import Answer, Answers, predict, primary_sources
from smm_bayes.analysis.sensitivity.defaults import default_rows
from smm_bayes.analysis.sensitivity.rows import Sensitivity
from smm_bayes.analysis.sensitivity.weights import log_weights
from smm_bayes.errors import SpecificationError
from smm_bayes.inference.posterior import Posterior
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.survival.gamma import GammaHazards
from smm_bayes.trial.calendar import DAYS_PER_MONTH

checks = pytest.mark.checks_key
NUMBER, CUT = 40, datetime.date(2022, 1, 1)
RATES = {"control": (0.04, 0.01), "experimental": (0.02, 0.01)}  # progression and death a month
LOST = [(datetime.date(2021, 1, 1), 10)]


def months(end: datetime.date) -> float:
    return (end - CUT).days / DAYS_PER_MONTH


def share(rate: float, others: float, end: datetime.date = datetime.date(2024, 1, 1), start: float = 0.0) -> float:
    """Probability of an event of constant hazard from the cut to ``end``, while others compete."""
    return rate / (rate + others) * (1 - math.exp(-(rate + others) * (months(end) - start)))


class Table:
    """The rows of a specification with known hazards: two arms of forty still followed, ten of each lost."""

    def __init__(self, spec_file, rows=(), changes=None, lost: int = 0, **sections) -> None:
        spec_file.followed(NUMBER)
        for arm in ("Rd", "KRd"):
            for _ in range(lost):
                spec_file.patient(arm, datetime.date(2020, 1, 1), datetime.date(2021, 1, 1), 2)
        given = {"prediction.replicates": 4000, "success": {"rule": "log_rank", "alpha": 0.025}, **(changes or {})}
        self.inputs = spec_file.inputs(given, sensitivity=[{"reason": "To see.", **row} for row in rows], **sections)
        causes, size = self.inputs.patients.causes, len(self.inputs.spec.grid)
        hazards = np.log([RATES[arm][: len(causes)] for arm in self.inputs.patients.arms])
        array = np.broadcast_to(hazards[..., None], (1, 4000, 2, len(causes), size))
        rng = np.random.default_rng(2)
        draws = {"log_hazard": (("chain", "draw", "arm", "cause", "interval"), array),
                 "log_hazard_ratio": (("chain", "draw", "cause"), rng.normal(size=(1, 4000, 2)))}  # fmt: skip
        self.posterior = xr.Dataset(draws, coords={"arm": list(self.inputs.patients.arms), "cause": list(causes)})
        self.use(self.posterior)

    def use(self, posterior: xr.Dataset, seed: int = 4) -> Table:
        """Answer from a posterior."""
        fit = SimpleNamespace(posterior=Posterior.of(xr.DataTree(posterior)))
        sources = primary_sources(self.inputs)
        self.answers = Answers(self.inputs, seed)
        prediction = predict(self.inputs, fit, seed=seed)
        self.base = Answer(sources, self.inputs.model, fit, prediction)
        self.answers._found[sources] = self.base
        self.sensitivity = Sensitivity(self.inputs, self.answers)
        return self

    def completed(self, number: int = 0):
        """The trial completed under one of the rows."""
        section = self.inputs.spec.sensitivity[number]
        return self.sensitivity._completed(section, section.changed(self.inputs.spec), self.base)


def assert_events(found, arm: str, cause: str, probability: float, number: int = NUMBER, before: int = 0) -> None:
    events = found.columns[f"{arm}:{cause}"] - before
    assert abs(events.mean() - number * probability) < 4 * math.sqrt(number * probability * (1 - probability) / len(events))


@checks("sensitivity.name", "sensitivity.reason")
def test_a_row_says_what_it_is(spec_file) -> None:
    row = {"name": "slower", "reason": "A question of the board.", "accrual": 0.5}
    enrolment = {"planned": {"control": 60, "experimental": 60}}
    found = Table(spec_file, [row], enrolment=enrolment).sensitivity.entries()
    assert [(one.name, one.reason, one.changed) for one in found] == [("slower", "A question of the board.", "enrolment × 0.5")]
    with pytest.raises(SpecificationError, match="sensitivity 'slower' is named twice"):
        spec_file.load(sensitivity=[row, row], enrolment=enrolment)


@checks("sensitivity.effect_gone_after", "sensitivity.control_hazard", "sensitivity.hazard")
def test_hazards_to_come(spec_file) -> None:
    """All causes count. Gone 36 months after enrolment is twelve months after the cut: own hazards before, control's after."""
    table = Table(spec_file, [{"name": "gone", "effect_gone_after": 36}, {"name": "control", "control_hazard": 1.5},
                              {"name": "both", "hazard": 0.5}])  # fmt: skip
    gone = table.completed(0)
    turn = 36 - (CUT - datetime.date(2020, 1, 1)).days / DAYS_PER_MONTH - 1 / DAYS_PER_MONTH  # the first day counts
    own = 0.02 / 0.03 * (1 - math.exp(-0.03 * turn))
    assert_events(gone, "experimental", "progression", own + math.exp(-0.03 * turn) * share(0.04, 0.01, start=turn), before=1)
    assert_events(table.completed(1), "control", "progression", share(0.06, 0.015), before=1)
    assert_events(table.completed(1), "experimental", "progression", share(0.02, 0.01), before=1)
    assert_events(table.completed(2), "control", "death", share(0.005, 0.02))
    rows = {one.name: one for one in table.sensitivity.entries()}
    for place, name in enumerate(("gone", "control", "both")):
        found, base = table.completed(place), table.base.prediction
        assert rows[name].probability == found.probability
        assert rows[name].moved == pytest.approx(found.probability - base.probability, abs=1e-12)
        discordant = (found.success != base.success).mean()
        assert rows[name].mcse_moved >= math.sqrt((discordant - rows[name].moved**2) / 4000) * 0.99  # paired, trial by trial
        assert rows[name].how == "completed anew"


@checks("sensitivity.dropout", "sensitivity.informative")
def test_losses(spec_file) -> None:
    """Losses compete at their rate; patients lost a year after enrolment are followed on from then on, three times as fast."""
    lost = 10
    table = Table(spec_file, [{"name": "lost", "dropout": {"experimental": 0.05}},
                              {"name": "on", "informative": {"experimental": 3.0}}], lost=lost)  # fmt: skip
    assert_events(table.completed(0), "experimental", "progression", share(0.02, 0.06), before=1)
    assert_events(table.completed(0), "control", "progression", share(0.04, 0.01), before=1)
    found, later = table.completed(1), (CUT - datetime.date(2021, 1, 1)).days / DAYS_PER_MONTH
    numbers, rates = (NUMBER, lost), (share(0.02, 0.01), share(0.06, 0.03, start=-later))
    mean = sum(n * p for n, p in zip(numbers, rates, strict=True))
    error = math.sqrt(sum(n * p * (1 - p) for n, p in zip(numbers, rates, strict=True)) / 4000)
    assert abs((found.columns["experimental:progression"] - 1).mean() - mean) < 4 * error
    with pytest.raises(SpecificationError, match="control"):
        spec_file.load(sensitivity=[{"name": "x", "reason": "y", "dropout": {"contrl": 0.1}}])


@checks("sensitivity.accrual")
def test_enrolment_at_another_pace(spec_file) -> None:
    """Half the pace: patients to come arrive by a date half as often, and none is refused where none is to come."""
    enrolment = {"planned": {"control": 500, "experimental": 500}, "prior_rate": 4.0, "prior_months": 1e6}
    table = Table(spec_file, [{"name": "slow", "accrual": 0.5}], enrolment=enrolment)
    for found, pace in ((table.base.prediction, 4.0), (table.completed(0), 2.0)):
        wanted = pace * months(datetime.date(2024, 1, 1))
        arrived = found.columns["enrolled"] - len(table.inputs.patients)
        assert abs(arrived.mean() - wanted) < 4 * math.sqrt(wanted / 4000)
    with pytest.raises(SpecificationError, match="accrual needs the section enrolment"):
        spec_file.load(sensitivity=[{"name": "x", "reason": "y", "accrual": 0.5}])


@checks("sensitivity.set")
def test_keys_that_are_set(spec_file) -> None:
    """A prior gives the ratio of two normals; a date another final analysis; a key as it is nothing, to the last bit."""
    old, new = HazardRatioPrior(0.8, 2.0), HazardRatioPrior(0.6, 1.2)
    key = "model.prior.hazard_ratio.progression"
    table = Table(spec_file, [
        {"name": "prior", "set": {key: {"median": 0.6, "upper": 1.2}}},
        {"name": "date", "set": {"final.date": "2026-01-01"}},
        {"name": "same", "set": {key: {"median": 0.8}}}, {"name": "level", "set": {"success.alpha": 0.1}},
    ])  # fmt: skip
    spec = table.inputs.spec
    values = table.posterior["log_hazard_ratio"].values[..., 0]
    wanted = stats.norm.logpdf(values, new.mean, new.sd) - stats.norm.logpdf(values, old.mean, old.sd)
    found = log_weights(table.inputs, table.base, spec.sensitivity[0].changed(spec))
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    later = share(0.04, 0.01, datetime.date(2026, 1, 1))
    assert_events(table.completed(1), "control", "progression", later, before=1)
    rows = {one.name: one for one in table.sensitivity.entries()}
    assert (rows["same"].probability, rows["same"].moved, rows["same"].mcse_moved) == (table.base.probability, 0.0, 0.0)
    assert rows["prior"].how == "by weights"
    assert rows["prior"].moved == pytest.approx(0.0, abs=4 * rows["prior"].mcse_moved)  # hazards do not depend on it here
    assert rows["level"].moved > 0


def test_a_prior_and_the_time_to_come_in_one_row(spec_file) -> None:
    """The change is from the primary answer, not from the trials of the changed future; its error is of the same draws."""
    prior = {"model.prior.hazard_ratio.progression": {"median": 0.6, "upper": 1.2}}
    table = Table(spec_file, [{"name": "both", "set": prior, "control_hazard": 1.5}, {"name": "future", "control_hazard": 1.5}])
    both, future = table.sensitivity.entries()
    assert both.how == "by weights"
    assert both.moved == pytest.approx(both.probability - table.base.probability, abs=1e-12)
    assert abs(both.moved - future.moved) < 4 * both.mcse  # hazards do not depend on the prior's parameter here
    assert both.moved > 4 * both.mcse_moved > 0


@pytest.mark.parametrize(("rows", "words"), [
    ({"set": {"model.prior.hazard_ratio.progresion.median": 0.5}}, r"no 'progresion' \(did you mean 'progression'\?\)"),
    ({"set": {"model.prior.hazard_ratio.progression": {"medan": 0.5}}}, r"medan' is not known \(did you mean 'median'\?\)"),
    ({"set": {"modl.prior": 2}}, r"no section that may change \(did you mean 'model'\?\)"),
    ({"set": {"snapshot.file": "x.csv"}}, "no section that may change"),
    ({"set": {"model.prior.hazard_ratio.progression.median": 3.0}}, r"upper \(2\) must be above median \(3\)"),
    ({"set": {"model.cuts.third": 3.0}}, "there is no 'third'"), ({"set": {"model.effect.kind": 3.0}}, "found a section"),
    ({"set": {"model.prior.smoothness.fold_change.x": 3.0}}, "fold_change has no keys; end there"), ({}, "changes nothing"), ({"refit": True, "hazard": 2}, "refit is of a changed model"),
    ({"control_hazrd": 2}, r"control_hazrd' is not known \(did you mean 'control_hazard'\?\)"), ({"hazard": 0}, "hazard"),
])  # fmt: skip
def test_a_wrong_row_is_refused_when_it_is_read(spec_file, rows, words) -> None:
    with pytest.raises(SpecificationError, match=words):
        spec_file.load(sensitivity=[{"name": "x", "reason": "y", **rows}])


def test_an_exact_posterior_under_another_gamma_prior(spec_file) -> None:
    """Conjugate hazards: draws weighted to a prior of more events agree with draws of that posterior, within 4 errors."""
    gamma = {"baseline": "gamma", "cuts": [12], "prior": {"gamma": {"shape": 2.0, "rate": 60.0}}}
    row = {"name": "more", "set": {"model.prior.gamma.shape": 2.5}}
    table = Table(spec_file, [row], {"success": {"rule": "event_count", "at_most": 16}}, model=gamma)
    dims = ("chain", "draw", "arm", "cause", "interval")

    def exact(shape: float, rate: float, seed: int) -> xr.Dataset:
        found = GammaHazards.prior(table.inputs.table, shape, rate).update(table.inputs.table)
        log_hazard = found.sample(4000, rng=np.random.default_rng(seed))[None]
        coords = {"arm": list(table.inputs.patients.arms), "cause": list(table.inputs.patients.causes)}
        return xr.Dataset({"log_hazard": (dims, log_hazard), "hazard": (dims, np.exp(log_hazard))}, coords=coords)

    wanted = table.use(exact(2.5, 60.0, 1)).base
    found = table.use(exact(2.0, 60.0, 2)).sensitivity.entries()[0]
    assert found.how == "by weights"
    assert abs(found.probability - wanted.probability) < 4 * math.hypot(found.mcse, wanted.mcse)
    assert found.moved < -4 * found.mcse_moved


def test_weights_that_cannot_be_relied_on_are_said(spec_file) -> None:
    """A prior that says far less than the one fitted: a few draws carry the answer, and the row has no number."""
    table = Table(spec_file, [{"name": "far", "set": {"model.prior.hazard_ratio.progression": {"median": 0.8, "upper": 200}}}])
    (found,) = table.sensitivity.entries()
    assert (found.how, found.probability, found.moved) == ("not computed", None, None)
    assert found.pareto_k > 0.7
    assert found.note.startswith("not by re-weighting: Pareto k")
    other = Table(spec_file, [{"name": "cuts", "set": {"model.cuts": [6, 12]}}])
    assert "intervals" in other.sensitivity.entries()[0].note


def test_every_trial_has_the_table(spec_file) -> None:
    """Without the section a list is made from the specification: each row is of one thing, and every name is another."""
    table = Table(spec_file, lost=2, enrolment={"planned": {"control": 60, "experimental": 60}})
    rows = default_rows(table.inputs)
    assert len({one.name for one in rows}) == len(rows) > 20
    assert all(len(one.set) + (not one.future.is_as_expected) == 1 for one in rows)
    assert all(not one.problems(table.inputs.spec) for one in rows)


@checks("sensitivity.refit")
def test_a_prior_by_weights_is_that_of_a_fit_of_its_own(spec_file) -> None:
    """The same change of the effect's prior by weights and by a fit agrees within 4 Monte Carlo errors of both."""
    for arm, events in (("Rd", 9), ("KRd", 4)):
        for number in range(events):
            spec_file.patient(arm, datetime.date(2020, 1, 1), datetime.date(2020, 3 + number, 1), 0, "Progression")
    change = {"model.prior.hazard_ratio.progression": {"median": 0.5, "upper": 1.2}, "model.prior.smoothness.fold_change": 1.6}
    table = Table(spec_file, [{"name": "weights", "set": change}, {"name": "fit", "set": change, "refit": True}])
    answers = Answers(table.inputs, 4)
    by_weights, fitted = Sensitivity(table.inputs, answers).entries()
    assert (by_weights.how, fitted.how) == ("by weights", "fitted anew")
    assert abs(by_weights.probability - fitted.probability) < 4 * math.hypot(by_weights.mcse, fitted.mcse)
    assert abs(by_weights.moved) > 4 * by_weights.mcse_moved
    assert abs(fitted.moved - by_weights.moved) < 4 * math.hypot(fitted.mcse_moved, by_weights.mcse_moved)


def test_names_of_a_trial_do_not_break_the_table(spec_file) -> None:
    """A cause whose name has dots and is as long as names may be: rows that its name can be put into are there."""
    cause = "relapse v. 2." + "x" * 900
    causes = {"progression": ["Progression"], cause: ["Death"]}
    baseline = {"progression": {"median": 24, "upper": 96}, cause: {"median": 700, "upper": 5600}}
    changes = {"snapshot.causes": causes, "model.prior.baseline": baseline, "model.prior.hazard_ratio": {"progression": {"median": 0.8, "upper": 2.0}}}
    rows = default_rows(spec_file.followed(3).inputs(changes))
    assert any(f"model.prior.baseline.{cause}" in one.set for one in rows)
    assert not any(f"model.prior.hazard_ratio.{cause}" in one.set for one in rows)
