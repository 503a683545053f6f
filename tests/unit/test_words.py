"""Tables of a report: what they hold adds up."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from smm_bayes.analysis.interim import describe_outcome, read_inputs
from smm_bayes.errors import SpecificationError
from smm_bayes.evidence.consistency import Finding, KnownInconsistency
from smm_bayes.evidence.made import Reconstructions
from smm_bayes.evidence.reconstruct import ArmSummary, FollowUp, PseudoArm
from smm_bayes.reporting import words
from smm_bayes.survival.grid import TimeGrid
from smm_bayes.survival.law import Law

SPEC = "models/krd_vs_rd/spec.toml"


@pytest.fixture(scope="module")
def inputs(request):
    return read_inputs(request.config.rootpath / SPEC)


def test_mrd_table_counts_the_snapshot(inputs):
    table = words.mrd_table(inputs.patients, (4 * 28 / 30.4375, 9 * 28 / 30.4375))
    counted = {(int(row.assessed), int(row.negative)) for row in table.itertuples()}
    assert counted == {(22, 2), (19, 4), (52, 21), (44, 30)}


def test_mrd_table_counts_only_valid_results(inputs):
    mrd, visits = inputs.patients.mrd, (4 * 28 / 30.4375, 9 * 28 / 30.4375)
    first = np.flatnonzero(mrd.negative & (np.abs(mrd.time - visits[0]) < 1))[0]
    spoiled = replace(inputs.patients, mrd=replace(mrd, valid=np.arange(len(mrd)) != first))
    whole, fewer = words.mrd_table(inputs.patients, visits), words.mrd_table(spoiled, visits)
    lost = (whole - fewer)[["assessed", "negative"]]
    assert lost.to_numpy().sum() == 2
    assert (lost["assessed"] == lost["negative"]).all()


def test_priors_in_words_name_what_the_model_uses(inputs):
    said = dict(words.prior_rows(inputs))
    assert "KRd then lenalidomide v Rd" in said
    assert "hazard ratio of progression" not in said  # a contrast takes its place
    assert "hazard ratio of death" in said


def test_prior_of_this_trial_follows_from_the_contrasts(inputs):
    drawn = inputs.model.prior(20_000, rng=np.random.default_rng(1))
    ratio = drawn["log_hazard_ratio"][:, 0]
    contrast = drawn["log_contrast"][:, 2]
    assert np.median(ratio) == pytest.approx(np.log(0.6), abs=0.02)
    assert ratio.std() > contrast.std()  # the trial's own effect spreads around the contrast


def test_rows_print_aligned_and_show_as_escaped_html():
    rows = words.Rows([("p", "< 0.05"), ("events", "40")])
    assert repr(rows) == "p       < 0.05\nevents  40"
    assert (
        rows._repr_html_()
        == '<table class="mathjax_ignore tex2jax_ignore"><tr><th>p</th><td>&lt; 0.05</td></tr>'
        "<tr><th>events</th><td>40</td></tr></table>"
    )
    assert repr(words.Rows()) == ""


@pytest.mark.parametrize("ratio", [None, SimpleNamespace(median=0.624, lower=0.301, upper=1.276)])
def test_the_answer_says_probability_error_and_events(ratio):
    decision = SimpleNamespace(
        probability_of_success=0.2834, mcse=0.0041, success_rule="one-sided log-rank p below 0.05", final_analysis="at 40 events",
        events=SimpleNamespace(observed=17), information_fraction=0.425, hazard_ratio=ratio, data="simulated",
        trigger="", fit_check=None,
    )  # fmt: skip
    said = words.answer(SimpleNamespace(decision=decision))
    assert (
        "succeeds is 28.3% (Monte Carlo error 0.4%), success being one-sided log-rank p below 0.05 at 40 events."
        in said
    )
    assert "17 counted events so far, information fraction 42%" in said
    if ratio:
        assert "hazard ratio now is 0.62 (95 % credible interval 0.30 to 1.28)" in said
        assert said.endswith("Data: simulated.")


def test_what_happened_stands_beside_what_was_predicted(request):
    inputs = read_inputs(request.config.rootpath / "models/mgus2/spec.toml")
    happened = describe_outcome(inputs)
    name = "control:progression"
    limits = {name: (50.0, 30.0, happened[name]), "hazard_ratio": (1.0, 0.9, 1.1), "date": (1.0, 0.0, 2.0)}
    prediction = SimpleNamespace(probability=0.8, patients=inputs.patients, intervals=lambda: limits)
    interim = SimpleNamespace(inputs=inputs, prediction=prediction)
    rows = words.outcome_rows(interim)
    assert rows[0] == ("success", "yes; predicted probability 0.80")
    assert len(rows) == 3  # no row for the date
    assert rows[1] == (f"progression, {inputs.patients.arm_names[0]}",
                       "39; predicted 50 (30 to 39): inside the 95 % interval")  # fmt: skip
    assert rows[2][1] == f"{happened['hazard_ratio']:.2f}; predicted 1.00 (0.90 to 1.10): OUTSIDE the 95 % interval"
    assert words.observed_statistic(interim) == happened["hazard_ratio"]


def test_nothing_is_said_of_an_outcome_nobody_knows():
    interim = SimpleNamespace(inputs=SimpleNamespace(outcome=lambda: None))
    assert words.outcome_rows(interim) is None
    assert words.observed_statistic(interim) is None


def test_prior_curves_start_at_one_and_fall(inputs):
    curves = words.prior_survival(inputs, np.array([0.0, 12.0, 36.0]), rng=np.random.default_rng(1), draws=50)
    assert curves.shape == (50, 3)
    assert curves[:, 0] == pytest.approx(1)
    assert (np.diff(curves, axis=1) < 0).all()


def test_agreement_counts_the_difference_in_monte_carlo_errors():
    draws = xr.DataArray(np.random.default_rng(1).normal(2, 1, (4, 1000, 2)), dims=("chain", "draw", "arm"),
                         coords={"arm": ["a", "b"]}, name="x")  # fmt: skip
    table = words.agreement(draws, np.array([2.0, 3.0]))
    assert table["posterior"].tolist() == pytest.approx(draws.mean(("chain", "draw")).values)
    assert abs(table.loc["a", "errors"]) < 4
    assert table.loc["b", "errors"] == pytest.approx(-1 / 0.016, rel=0.2)  # 1 / sqrt(4000)


def test_contraction_compares_prior_and_posterior_variance():
    rng = np.random.default_rng(1)
    prior = {"log_hazard": rng.normal(size=(20_000, 1, 1, 2)), "scale": rng.normal(size=20_000)}
    shrunk = rng.normal(size=(4, 2000, 1, 1, 2)) * np.array([0.5, 1.0])
    dims, coords = ("chain", "draw", "arm", "cause", "interval"), {"cause": ["death"], "interval": ["first", "second"]}
    posterior = xr.Dataset({"log_hazard": (dims, shrunk), "scale": (dims[:2], rng.normal(size=(4, 2000)) / 2)}, coords)
    inputs = SimpleNamespace(
        model=SimpleNamespace(prior=lambda draws, rng: prior, law_of=lambda of: Law.plain(
            of["log_hazard"], TimeGrid((6,)), ("experimental",), ("death",))),
        spec=SimpleNamespace(grid=TimeGrid((6,))),
    )  # fmt: skip
    interim = SimpleNamespace(inputs=inputs, fit=SimpleNamespace(posterior=posterior), log_hazard=posterior["log_hazard"])
    said = dict(words.contraction_rows(interim, rng=rng))
    assert float(said["contraction of scale"]) == pytest.approx(0.75, abs=0.03)
    name, left = said["intervals mostly prior, death"].split()
    assert name == "second"  # of the first a quarter is left
    assert float(left) == pytest.approx(1, abs=0.06)
    assert words.mostly_prior_rows(interim, rng=rng) == [("intervals mostly prior, death", said["intervals mostly prior, death"])]
    prior["log_hazard"] = 10 * prior["log_hazard"]
    assert words.mostly_prior_rows(interim, rng=rng) == []


def test_tables_of_probabilities():
    two = {"early": SimpleNamespace(probability=0.1, mcse=0.01), "late": SimpleNamespace(probability=0.6, mcse=0.02)}
    assert words.probability_table(two).loc["late"].tolist() == [0.6, 0.02]


def test_probability_by_reconstruction_and_its_spread():
    prediction = SimpleNamespace(success=np.array([1, 1, 1, 0, 0, 0, 0, 0], bool), error_within=0.01)
    table = words.reconstruction_table(prediction, 2)
    assert table["probability"].tolist() == [0.75, 0.0]
    assert table["mcse"].tolist() == pytest.approx([0.01 * np.sqrt(2)] * 2)
    assert table.index.tolist() == [1, 2]
    assert words.spread(table) == pytest.approx(np.sqrt(0.75**2 / 2 - 2 * 0.01**2))
    assert words.spread(table.assign(mcse=1.0)) == 0  # all of it is Monte Carlo error
    for number in (0, 3):
        with pytest.raises(SpecificationError, match="cannot come from"):
            words.reconstruction_table(prediction, number)


def test_findings_meet_their_explanations_whatever_the_order():
    found = [Finding("conflict", ("a-1", "a-2"), 1, 2, "1 and 2"), Finding("total", ("a-1", "a-2"), 1, 2, "3, not 4")]
    table = words.findings_table(found, [KnownInconsistency("conflict", ("a-2", "a-1"), "swapped")])
    assert table["explanation"].tolist() == ["swapped", ""]  # another rule about the same facts is another question
    assert table["facts"].tolist() == ["a-1, a-2"] * 2
    assert table["finding"].tolist() == ["1 and 2", "3, not 4"]
    assert words.findings_table([], []).empty


def summary(name, milestones=(), n=4, events=2):
    return ArmSummary("T", name, "TTP", n, events, FollowUp(10, 40), tuple((t, s, 2) for t, s in milestones))


def test_milestones_imply_a_hazard_ratio():
    control = summary("Old", [(12, 0.8), (36, 0.3)])
    assert words.milestone_ratio(control, summary("New", [(12, 0.9), (36, 0.77)])) == pytest.approx(0.21708, abs=1e-5)
    assert words.milestone_ratio(control, summary("New", [(12, 0.9), (24, 0.85)])) == pytest.approx(
        np.log(0.9) / np.log(0.8)  # the last that both have
    )
    for other in (summary("New"), summary("New", [(24, 0.9)]), summary("New", [(36, 1.0)])):
        assert np.isnan(words.milestone_ratio(control, other))


def arm(summary, times):
    events = np.arange(len(times)) < summary.events
    return PseudoArm(summary, np.array(times, float), np.where(events, "progression", "").astype(object),
                     np.where(events, "", "administrative").astype(object), np.zeros(len(times)))  # fmt: skip


def reconstructions(fact=None):
    old, new = summary("Old", [(36, 0.5)]), summary("New", [(36, 0.75)])
    declared = SimpleNamespace(name="t", hazard_ratio=fact, summaries={"control": old, "experimental": new})
    same, late = [6, 12, 38, 39], [30, 36, 38, 39]
    arms = {"control": (arm(old, same), arm(old, [1, 2, 38, 39])), "experimental": (arm(new, same), arm(new, late))}
    return Reconstructions(declared, arms, seed=1)


def test_ratio_table_spans_the_pairs():
    row = words.ratio_table([reconstructions()]).loc["t"]
    assert row["maximum"] == pytest.approx(1)  # the pair of equal arms
    late = row["minimum"]  # in the others both control events come first: the score of Cox's likelihood is 0 there
    assert 2 / late - 4 / (4 + 4 * late) - 4 / (3 + 4 * late) - 4 / (2 + 4 * late) - 3 / (
        2 + 3 * late
    ) == pytest.approx(0)
    assert row["5 %"] == row["median"] == late
    assert row["95 %"] == row["maximum"]
    assert row["milestones"] == pytest.approx(np.log(0.75) / np.log(0.5))
    assert row[["published", "lower", "upper"]].isna().all()


def test_ratio_table_shows_what_was_published():
    table = words.ratio_table([reconstructions(SimpleNamespace(value=0.4, lower=0.2, upper=0.9))])
    assert table.loc["t", ["published", "lower", "upper"]].tolist() == [0.4, 0.2, 0.9]


def test_one_arm_has_no_row_in_the_ratio_table():
    both = reconstructions()
    alone = Reconstructions(both.declaration, {"experimental": both.arms["experimental"]}, seed=1)
    with pytest.raises(SpecificationError, match="t has one arm"):
        words.ratio_table([alone])


def test_events_between_counts_the_end_and_not_the_start():
    arms = reconstructions().arms["control"]  # events at 6 and 12; at 1 and 2
    assert words.events_between(arms, 6, 12).tolist() == [1, 0]
    assert words.events_between(arms, 0, 6).tolist() == [1, 2]
    assert words.events_between(arms, 12, 40).tolist() == [0, 0]  # who is censored has no event
