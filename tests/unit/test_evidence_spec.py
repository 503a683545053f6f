"""A specification with earlier trials: what it gives, and every way it can be wrong, each with its message."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.analysis.assumptions import assumptions
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.analysis.spec import AnalysisSpec
from smm_bayes.borrowing.trials.relations import POOLED, SEPARATE, Commensurate, Exchangeable, Power, Robust
from smm_bayes.errors import SmmBayesError, SpecificationError
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.effects import Separate, Varying, Waning

ROOT = Path(__file__).parents[2]
BORROWING = '[evidence.borrowing]\nmethod = "robust"\nexchangeable = 0.8\n'
OF_END_ORGAN = """facts = ["aquila-022", "aquila-023", "aquila-024", "aquila-025", "quiredex-009", "quiredex-050", "quiredex-051", \
"quiredex-052"]"""
FLAGSHIP = ROOT / "models/krd_vs_rd/spec.toml"


@pytest.fixture(scope="module")
def inputs():
    return read_inputs(FLAGSHIP)


def test_earlier_trials_are_read(inputs):
    trials = inputs.model.trials
    assert len(trials) == 20
    first = trials[0]
    assert first.names == ("QuiRedex 2013", "E3A06", "KRd pilots", "KRd v Rd")
    by_arm = {(c.trial, c.regimen): c for c in first.cohorts}
    assert by_arm["QuiRedex 2013", "observation"].events.sum(axis=1).tolist() == [47, 0]
    assert by_arm["QuiRedex 2013", "Rd"].events.sum(axis=1).tolist() == [13, 2]
    assert by_arm["E3A06", "lenalidomide"].events.sum() == 7
    assert by_arm["E3A06", "observation"].events.sum() == 21
    exposures = {round(float(t.cohorts[0].exposure.sum()), 3) for t in trials}
    assert len(exposures) == 20, "the reconstructions differ"
    table = inputs.table
    np.testing.assert_array_equal(first.cohorts[-1].events, table.events[1])


def test_sources_carry_the_trust_of_their_least_trusted_fact(inputs):
    trust = {source.name: source.trust for source in inputs.model.sources}
    assert trust == {"QuiRedex 2013": "derived", "E3A06": "recalled", "KRd pilots": "recalled"}


def test_a_silent_trial_has_no_events_and_no_exposure(inputs):
    silent = inputs.model.without("E3A06", reconstructions=3)
    assert len(silent.trials) == 3
    for cohort in silent.trials[0].cohorts:
        assert (cohort.exposure.sum() == 0) == (cohort.trial == "E3A06")


def test_assumptions_name_the_facts_that_speak_to_them(inputs):
    named = {one.key: one for one in assumptions(inputs.spec)}
    offset = named["evidence.endpoint.end-organ"]
    assert {"aquila-024", "aquila-025", "quiredex-050"} <= set(offset.facts)
    assert named["evidence.endpoint.clinical"].against == ("aquila-024", "aquila-025")
    assert {"evidence.endpoint.clinical", "evidence.contrast.Rd", "model.prior.baseline.progression",
            "mrd.prior.hazard_ratio.progression"} <= set(named)  # fmt: skip
    text = FLAGSHIP.read_text().replace('"intermediate and high risk"]', "intermediate and high risk]")
    for one in named.values():  # a comment says what the facts say
        comment = text.partition(f"[{one.key}]")[0].rpartition("\n\n")[2]
        assert comment.startswith("#") or "contrast" in one.key


@pytest.mark.parametrize(("old", "new", "words"), [
    (OF_END_ORGAN, 'facts = ["aquila-999"]',
     r"evidence.endpoint.end-organ: .*there is no fact aquila-999"),
    (OF_END_ORGAN, 'facts = ["dart-smm-001"]',
     r"evidence.endpoint.end-organ: .*quarantined, so for no model: dart-smm-001"),
    ('facts_against = ["aquila-007"]', 'facts_against = ["aquila-007", "mayo2008-004"]',
     r"model.prior.baseline.progression: mayo2008-004 cannot speak for and against it"),
    ('facts = ["quiredex-128"]', "facts = [1]", r"facts"),
])  # fmt: skip
def test_facts_of_an_assumption_are_checked(tmp_path, old, new, words):
    with pytest.raises(SpecificationError, match=words):
        read_inputs(changed(tmp_path, (old, new)))


def changed(tmp_path, *changes):
    text = FLAGSHIP.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    text = text.replace("../../data", str(ROOT / "data"))
    path = tmp_path / "spec.toml"
    path.write_text(text)
    return path


SMOOTH = 'baseline = "smooth"\n'
BAD = {
    "regimen without contrast": ([('regimen = "lenalidomide"\n', 'regimen = "thalidomide"\n')],
                                 "regimen 'lenalidomide' has no contrast"),
    "contrast from nowhere": ([('versus = "observation"', 'versus = "nothing"')], "'nothing' is neither the reference"),
    "contrast twice": ([('regimen = "lenalidomide"\nversus = "Rd"', 'regimen = "Rd"\nversus = "observation"')],
                       "contrast Rd is given twice"),
    "two cuts of one trial": ([('name = "E3A06"', 'name = "QuiRedex 2013"')], "never pool two cuts of one trial"),
    "endpoint without prior": ([("[evidence.endpoint.clinical]", "[evidence.endpoint.other]")],
                               "add evidence.endpoint.clinical with median and upper"),
    "cause that is none": ([('counts = [["progression", "death"]]', 'counts = [["relapse"]]')], "counts 'relapse'"),
    "cause counted twice": ([('counts = [["progression", "death"]]', 'counts = [["death"], ["death"]]')],
                            "counts must name each cause once"),
    "trial of this name": ([('name = "E3A06"', 'name = "KRd v Rd"')], "has the name of the trial being analysed"),
    "prior twice": ([("[model.prior.hazard_ratio.death]", "[model.prior.hazard_ratio.progression]")],
                    "with evidence its prior is a contrast"),
    "arm without regimen": ([('[evidence.regimens]\ncontrol = "Rd"\n', "[evidence.regimens]\n")],
                            "must name the regimen of every arm"),
    "separate hazards": ([('baseline = "smooth"\n', 'baseline = "smooth"\neffect = "separate"\n')],
                         "'separate' KRd then lenalidomide has hazards of its own; it can be neither the reference nor"),
    "experimental arm without contrast": ([('regimen = "KRd then lenalidomide"\n', 'regimen = "Dara"\n')],
                                          "evidence: regimen 'KRd then lenalidomide' has no contrast; give one, against"),
    "an effect of one regimen": ([(SMOOTH, f'{SMOOTH}effect = "varying"\n'),
                                  ('[evidence.regimens]\ncontrol = "Rd"',
                                   '[evidence.regimens]\ncontrol = "KRd then lenalidomide"')],
                                 "'varying' compares two regimens, but evidence.regimens names KRd then lenalidomide twice"),
    "upper below median": ([("median = 3.0\nupper = 12.0", "median = 3.0\nupper = 2.0")], "must be above median"),
    "unknown key": ([("reconstructions = 20", "reconstruction = 20")], "'evidence.reconstruction' is not known"),
    "recalled without need": ([('trust = "recalled" # how many', '# how many')],
                              "evidence.trial 'E3A06': made from e3a06-012 (recalled), e3a06-013 (recalled); "
                              "give trust = 'recalled' to use it all the same"),
    "trust that is none": ([('trust = "recalled" # how many', 'trust = "hearsay" # how many')], "evidence.trial.1.trust"),
    "no such file": ([("e3a06_2020_pfs.csv", "e3a06_2021_pfs.csv")], "e3a06_2021_pfs.csv"),
    "facts that are typed": ([('counts = [["progression"]]', 'counts = [["progression"]]\nfacts = ["krd-nci-010"]')],
                             "trust and sources are read from the record beside the table"),
    "regimen not in the table": ([('arms = { control = "observation", experimental = "Rd" }',
                                   'arms = { control = "observation", experimental = "lenalidomide" }')],
                                 "an arm that is not declared (found 'Rd')"),
    "too few reconstructions": ([("reconstructions = 20", "reconstructions = 50")], "holds 20 reconstructions"),
    "power out of range": ([(BORROWING, '[evidence.borrowing]\nmethod = "power"\npower = 1.5\n')],
                           "power must be within [0, 1]; got 1.5"),
    "power of nobody": ([(BORROWING, '[evidence.borrowing]\nmethod = "power"\npowers = { E3A07 = 0.5 }\n')],
                        "borrowing.powers: no trial 'E3A07'"),
    "setting of another method": ([(BORROWING, '[evidence.borrowing]\nmethod = "robust"\nspike = 0.5\n')],
                                  "method = 'robust' does not use spike"),
    "share out of range": ([(BORROWING, '[evidence.borrowing]\nmethod = "robust"\nexchangeable = 1\n')],
                           "exchangeable must be above 0 and below 1"),
    "quarantine without need": ([("reconstructions = 20", 'reconstructions = 20\nquarantined = { E3A06 = "because" }')],
                                "E3A06"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD.keys())
def test_bad_evidence_is_refused(tmp_path, changes, message):
    with pytest.raises(SmmBayesError) as error:
        read_inputs(changed(tmp_path, *changes))
    assert message in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("words", "relation"), [
    ('method = "robust"\nexchangeable = 0.5\nby = "interval"', Robust("interval", exchangeable=0.5)),
    ('method = "commensurate"\ndiscrepancy = "spike-and-slab"', Commensurate("spike-and-slab")),
    ('method = "power"\npower = 0.3\npowers = { E3A06 = 0 }', Power(0.3, {"E3A06": 0.0})),
    ('method = "pooled"', POOLED), ('method = "separate"', SEPARATE), ('method = "exchangeable"', Exchangeable()),
])  # fmt: skip
def test_the_method_of_borrowing_is_in_the_specification(tmp_path, words, relation):
    spec = changed(tmp_path, (BORROWING, f"[evidence.borrowing]\n{words}\n"))
    assert AnalysisSpec.load(spec).trials_priors.relation == relation


KRD = """[[evidence.contrast]]
regimen = "KRd then lenalidomide"
versus = "Rd"
median = 0.6
upper = 1.8
facts = ["perseus-004", "cepheus-004", "gmmg-hd7-004", "ikema-004", "candor-004"]
"""
WANING = """
[model.prior.waning]
stops = 32
median = 24
upper = 96
"""


@pytest.mark.parametrize(("changes", "effect", "said"), [
    ([(SMOOTH, f'{SMOOTH}effect = "separate"\n'), (KRD, "")], Separate(), "hazards of its own"),
    ([(SMOOTH, f'{SMOOTH}effect = "varying"\n')], Varying(), "varies, with its prior for the mean"),
    ([(SMOOTH, f'{SMOOTH}effect = "waning"\n'), (BORROWING, f"{BORROWING}{WANING}")], Waning(32, 24, 96),
     "KRd then lenalidomide v Rd wanes, alike in every trial that gave it; other contrasts are constant"),
])  # fmt: skip
def test_effects_may_change_over_time_with_earlier_trials(tmp_path, changes, effect, said):
    model = read_inputs(changed(tmp_path, *changes)).model
    assert model.priors.survival.effect == effect
    assert any(said in words for words in model.statements().values())
    drawn = model.prior(3, rng=np.random.default_rng(1))
    assert ("log_hazard_ratio" in drawn) == (effect != Separate())
    assert np.all(np.isfinite(model.log_likelihood(drawn)))


def test_bad_reconstructions_are_named_by_row(tmp_path):
    for name in ("e3a06_2020_pfs.csv", "e3a06_2020_pfs.json"):
        shutil.copy(ROOT / "data/patients/reconstructed" / name, tmp_path)
    table = tmp_path / "e3a06_2020_pfs.csv"
    lines = table.read_text().splitlines()
    head = lines[0].split(",")
    row = lines[4].split(",")
    row[head.index("cause")] = "PD"
    lines[4] = ",".join(row)
    table.write_text("\n".join(lines))
    path = changed(tmp_path, ("../../data/patients/reconstructed/e3a06_2020_pfs.csv", str(table)))
    with pytest.raises(SmmBayesError, match="column 'cause', row 5: a cause that is neither counted nor ignored") as error:
        read_inputs(path)
    assert "the table has been changed since it was made" in str(error.value)


def test_separate_hazards_are_a_choice_of_the_model(tmp_path):
    text = (ROOT / "models/mgus2/spec.toml").read_text().replace("../../data", str(ROOT / "data"))
    path = tmp_path / "spec.toml"
    separate = text.split("[[endpoint]]")[0].replace('baseline = "smooth"', 'baseline = "smooth"\neffect = "separate"')
    path.write_text(separate)
    with pytest.raises(SpecificationError, match="hazard_ratio is not used with effect = 'separate'"):
        AnalysisSpec.load(path)
    path.write_text(re.sub(r"\[model\.prior\.hazard_ratio\.\w+\]\nmedian = .*\nupper = .*\n", "", separate))
    spec = AnalysisSpec.load(path)
    assert spec.priors.separate
    drawn = spec.priors.sample(("progression", "death"), 2, TimeGrid((1, 2)), 4000, rng=np.random.default_rng(1))["log_hazard"]
    apart = drawn[:, 1] - drawn[:, 0]
    assert np.abs(apart.mean(axis=(0, 2))).max() < 0.1
    level = [np.sqrt(2) * spec.priors.baseline[cause].sd for cause in ("progression", "death")]
    np.testing.assert_allclose(apart.mean(axis=2).std(axis=0), level, rtol=0.05)  # two baselines, nothing in common
    assert len(TimeGrid(spec.model.cuts)) == len(spec.grid)


@pytest.mark.parametrize(("change", "words"), [
    (("cuts = [6, 12, 18, 24, 30, 36, 48, 60]", "cuts = []"), "changes between intervals, but there is one"),
    (("stops = 24", "stops = 80"), "it would never wane"),
    (('experimental = "Rd"', 'experimental = "Rd"\n[model.prior.ratio_smoothness]\nfold_change = 2'), "is of effect = 'varying'"),
    (("median = 24\nupper = 96", "time = 36\nsurvival = 0.5\nupper = 0.4"), "must be above survival"),
    (("median = 24\nupper = 96", "time = 36\nupper = 0.4"), "add what is missing"),
    (("median = 24\nupper = 96", "median = 24\ntime = 36\nsurvival = 0.3\nupper = 0.4"), "not both"),
])
def test_an_effect_that_could_do_nothing_is_refused(tmp_path, change, words):
    text = (ROOT / "models/quiredex_2013/spec_waning.toml").read_text().replace("../../data", str(ROOT / "data"))
    assert change[0] in text
    path = tmp_path / "spec.toml"
    path.write_text(text.replace(*change, 1))
    with pytest.raises(SpecificationError, match=words):
        AnalysisSpec.load(path)


def test_a_baseline_may_be_stated_by_survival(tmp_path):
    text = (ROOT / "models/quiredex_2013/spec.toml").read_text().replace("../../data", str(ROOT / "data"))
    path = tmp_path / "spec.toml"
    path.write_text(text.replace("median = 24\nupper = 96", "time = 24\nsurvival = 0.5\nupper = 0.8"))
    prior = AnalysisSpec.load(path).priors.baseline["progression"]
    assert prior.median == pytest.approx(24)
    assert prior.upper == pytest.approx(24 * np.log(2) / -np.log(0.8))


def test_every_trial_may_be_silent():
    """Without the current trial its patients are not asked for; without another they are those of before."""
    model = read_inputs(ROOT / "models/krd_vs_rd/spec.toml").model
    current = model.trials[0].current
    alone = model.without(*(source.name for source in model.sources), reconstructions=1)
    assert alone.patients is model.patients
    silent = model.without(current, reconstructions=2)
    assert silent.patients is None
    assert len(silent.data()) == 2
    assert not any(cohort.exposure.any() for cohort in silent.trials[0].cohorts if cohort.trial == current)
