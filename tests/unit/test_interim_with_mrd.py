"""The pipeline with patients' MRD and a relation across trials: its answers, its inputs refused, what is read back."""

import math
import tomllib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis import AnalysisSpec, read_inputs
from smm_bayes.analysis.interim import run_interim
from smm_bayes.analysis.outputs import load, save
from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy import Transport, Transported

ROOT = Path(__file__).parents[2]
FLAGSHIP = ROOT / "models/krd_vs_rd/spec.toml"


def written(path, *, without=(), changed=()):
    """The flagship's specification in another folder, without sections and with words exchanged."""
    text = FLAGSHIP.read_text().replace("../../data", str(ROOT / "data"))
    lines, keep = [], True
    for line in text.splitlines():
        if line.startswith("["):
            keep = not any(line.strip("[]").split(".")[0] == name for name in without)
        if keep and not line.startswith(tuple(f'"{name}.' for name in without)):
            lines.append(line)
    text = "\n".join(lines)
    for old, new in changed:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


ALONE = (("[model.prior.hazard_ratio.death]", "[model.prior.hazard_ratio.progression]\nmedian = 1.0\nupper = 2.7\n\n"
          "[model.prior.hazard_ratio.death]"), ('primary = "events"', 'primary = "mrd"'))  # fmt: skip


@pytest.fixture(scope="module")
def interim(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "spec.toml"
    inputs = read_inputs(written(path, without=("evidence",), changed=ALONE))
    return run_interim(inputs, seed=5, workers=2)


def test_answers_add_sources_and_say_what_each_moved(interim):
    answers = interim.decision.answers
    added = [one for one in answers if one.how == "added"]
    assert [one.name for one in added] == ["this trial's events", "with patients' MRD", "with surrogacy across trials"]
    assert [one.primary for one in answers] == [False, True, False, False, False]
    assert [one.sources for one in added] == [
        ["this trial's events"], ["this trial's events", "patients' MRD"],
        ["this trial's events", "patients' MRD", "surrogacy across trials"],
    ]  # fmt: skip
    assert added[0].moved is added[0].reference is None
    for before, one in pairwise(added):
        assert one.reference == before.name
        assert one.moved == pytest.approx(one.probability - before.probability)
        assert 0 < one.mcse_moved < math.hypot(one.mcse, before.mcse) + 1e-12
    assert interim.decision.probability_of_success == added[1].probability == interim.prediction.probability
    first, last = left_out = [one for one in answers if one.how == "left out"]
    assert [one.name for one in left_out] == [
        "without patients' MRD (and surrogacy across trials, which needs it)", "without surrogacy across trials",
    ]  # fmt: skip
    assert (first.probability, first.sources) == (added[0].probability, added[0].sources)
    assert first.moved == pytest.approx(added[2].probability - added[0].probability)
    assert last.moved == pytest.approx(added[2].moved)
    assert {one.reference for one in left_out} == {added[2].name}


def test_the_answer_with_mrd_is_looked_at_under_other_assumptions(interim):
    """Priors of hazards by weights; hazards to come not, since what a patient survived tells of MRD that is not known."""
    rows = interim.decision.sensitivity
    priors = [one for one in rows if one.group == "priors"]
    assert {one.how for one in priors} <= {"by weights", "not computed"}
    assert sum(one.how == "by weights" for one in priors) > len(priors) / 2
    assert all("known by what the patient survived" in one.note for one in rows if one.group == "hazards to come")
    named = {one.name: one for one in rows if one.how == "other sources"}
    assert {"with surrogacy across trials", "with surrogacy across trials, its gap at the higher end"} <= set(named)
    low, high = (named[f"with surrogacy across trials, its gap at the {end} end"].probability for end in ("lower", "higher"))
    assert low <= high


def test_mrd_is_summed_up(interim):
    found = interim.decision.mrd
    ratio = found.hazard_ratio["progression"]
    assert ratio.lower < ratio.median < ratio.upper
    share = {(one.arm, one.visit): one for one in found.shares}
    for one in share.values():  # fewer of all randomised than of patients who are event-free
        assert one.of_all_randomised.median < one.among_event_free.median
    assert share["experimental", 8.3].among_event_free.median > share["control", 8.3].among_event_free.median
    assert {name.split(":")[0] for name in found.contraction} == {
        "status_level", "status_log_odds_ratio", "status_persistence", "log_mrd_hazard_ratio",
    }  # fmt: skip
    assert found.milestone.month == 36
    assert found.milestone.proportion is None
    assert "no proportion explained" in found.milestone.note
    assert found.relation.extrapolated
    assert len(found.relation.tipping) == 1 + 4 * 3 * 4
    assert found.relation.pareto_k < 0.7
    assert found.relation.transport.keys() == {"scale", "shift", "extra SD"}


def test_a_relation_that_carries_nothing_over_changes_nothing(interim):
    model, factor = interim.mrd.model, interim.mrd.model.factor
    nothing = Transported.of(factor.transported.relation, Transport.nothing(), rng=np.random.default_rng(1))
    weight = factor.carried_by(nothing).log_weight(model.law(interim.mrd.fit.posterior))
    found = interim.mrd.prediction.reweighted(weight)
    assert (found.probability, found.difference, found.difference_mcse) == (interim.mrd.prediction.probability, 0.0, 0.0)


def test_wider_gaps_move_the_answer_less(interim):
    model, factor = interim.mrd.model, interim.mrd.model.factor
    moved = []
    for extra in (0.0, 0.5, 2.0, 50.0):
        carried = Transported.of(factor.transported.relation, Transport(0.7, 0.0, extra), rng=np.random.default_rng(1))
        weight = factor.carried_by(carried).log_weight(model.law(interim.mrd.fit.posterior))
        moved.append(abs(interim.mrd.prediction.reweighted(weight).difference))
    assert np.all(np.diff(moved) < 0)
    assert moved[-1] < 0.1 * moved[0]


def test_hazards_of_everyone_are_reported_where_mrd_is_primary(interim):
    law = interim.mrd.model.law(interim.fit.posterior)
    log_hazard = interim.log_hazard.values
    grid = interim.inputs.spec.grid
    events = np.exp(log_hazard).sum(axis=3)[..., :-1]
    free = np.exp(-np.cumsum(events * np.diff(grid.starts), axis=-1))
    # mean hazards over intervals in which patients leave differ a little from minus the slope of log survival
    true = law.survival(grid.starts[1:])
    np.testing.assert_allclose(free.mean(axis=(0, 1)), true.mean(axis=(0, 1)), atol=1e-3)
    assert np.abs(free - true).max() < 0.02
    assert np.abs(log_hazard - interim.fit.posterior["log_hazard"].values).max() > 0.05


def test_results_are_read_back(interim, tmp_path):
    save(interim, tmp_path)
    again = load(interim.inputs, tmp_path)
    assert again.decision == interim.decision
    np.testing.assert_array_equal(again.mrd.prediction.success, interim.mrd.prediction.success)
    assert again.mrd.related.weighted == interim.mrd.related.weighted
    assert again.mrd.related.probability == interim.decision.answers[2].probability


@pytest.mark.parametrize(("changed", "said"), [
    ((("visits = [3.7, 8.3]", "visits = [8.3, 3.7]"),), "mrd.visits: must be months that increase"),
    ((("before = 0.5", "before = 4.5"),), "before must be below the first visit"),
    ((("visit = 8.3", "visit = 8.0"),), "surrogacy.visit 8 is not one of the visits 3.7, 8.3"),
    ((("horizon = 36 # months", "horizon = 8"),), r"surrogacy.horizon \(8\) must be after the visit at 8.3 months"),
    ((("[mrd.prior.hazard_ratio.progression]", "[mrd.prior.hazard_ratio.relapse]"),), "mrd.prior.hazard_ratio.relapse"),
    ((("[mrd.surrogacy.pairs]", "[mrd.surrogacy.published]\ntrials = 13\nslope = \"x\"\n\n[mrd.surrogacy.pairs]"),),
     "never both"),
    ((("perseus-003\", \"perseus-004", "perseus-003\", \"perseus-444"),), "mrd.surrogacy: .*perseus-444"),
    ((("facts = [\"perseus-003\"", "facts = [\"pollux-003\", \"perseus-003\""),), "pollux-003 is recalled"),
    ((("sensitivity = 1e-5", "sensitivity = 1e-6"),), "sensitivity"),
    ((("mrd = \"", "# mrd = \""),), "give snapshot.mrd its file"),
    ((('primary = "events"', 'primary = "best"'),), "mrd.primary"),
    ((('name = "E3A06"', 'name = "PERSEUS"'),), "PERSEUS: a trial of the relation whose patients enter this analysis"),
    ((("month = 36\n", "month = 8\n"),), r"milestone.month \(8\) must be after the last visit at 8.3 months"),
    ((("extra_sd = { half_normal = 0.3 }", "extra_sd = -1"),), "extra_sd must be 0 or more"),
])  # fmt: skip
def test_bad_sections_are_refused_before_anything_is_sampled(tmp_path, changed, said):
    path = written(tmp_path / "spec.toml", changed=changed)
    with pytest.raises((SpecificationError, Exception), match=said) as raised:
        read_inputs(path)
    assert type(raised.value).__module__ == "smm_bayes.errors"


@pytest.mark.parametrize("words", ['method = "robust"', 'method = "commensurate"\ndiscrepancy = "spike-and-slab"'])
def test_every_relation_between_trials_goes_with_mrd(tmp_path, words):
    changed = (('method = "robust"\nexchangeable = 0.8', words), ('"evidence.borrowing.exchangeable" = ', "# "))
    inputs = read_inputs(written(tmp_path / "spec.toml", changed=changed))
    model = inputs.joint.build()
    assert {"first_layer", "log_mrd_hazard_ratio"} <= set(model.named_vars)
    assert np.isfinite(model.compile_logp(mode="FAST_COMPILE")(model.initial_point()))
    assert set(inputs.joint.data()[0]) <= set(model.named_vars)


def test_every_problem_of_a_section_is_said_at_once(tmp_path):
    changed = (("visits = [3.7, 8.3]", "visits = [8.3, 3.7]"), ("median = 0.5\nupper = 1.6", "median = 0.5\nupper = 0.4"))
    with pytest.raises(SpecificationError) as raised:
        AnalysisSpec.load(written(tmp_path / "spec.toml", changed=changed))
    assert "2 problems" in str(raised.value)


def test_an_analysis_can_be_made_without_mrd(tmp_path):
    inputs = read_inputs(written(tmp_path / "spec.toml", changed=(('primary = "events"', 'primary = "mrd"'),)))
    assert inputs.primary == "mrd"
    assert inputs.without_mrd().primary == "events"
    assert inputs.without_mrd().model is inputs.model


def test_flagship_names_its_primary_answer():
    content = tomllib.loads(FLAGSHIP.read_text())
    assert content["mrd"]["primary"] == "events"
