"""Keys of spec.toml, each against a closed form: earlier trials, how they relate, MRD and surrogacy."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from smm_bayes.borrowing.trials.hierarchical import cohort_log_hazard, log_likelihood
from smm_bayes.errors import SpecificationError

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "data/patients/reconstructed/quiredex_2013_ttp.csv"
DRAWS, Z = 20_000, 1.959963984540054
checks = pytest.mark.checks_key

EVIDENCE = {
    "reference": "observation", "reconstructions": 3, "regimens": {"control": "Rd", "experimental": "KRd"},
    "trial": [{"name": "QuiRedex", "file": str(TABLE), "arms": {"control": "observation", "experimental": "Rd"},
               "counts": [["progression"], ["death"]], "endpoint": "end-organ"}],
    "contrast": [{"regimen": "Rd", "versus": "observation", "median": 0.4, "upper": 1.2},
                 {"regimen": "KRd", "versus": "Rd", "median": 0.9, "upper": 2.7}],
    "endpoint": {"end-organ": {"median": 1.3, "upper": 1.7}},
    "between": {"hazard": 2.5, "effect": 1.6},
}  # fmt: skip


def assert_quantile(draws: np.ndarray, probability: float, value: float) -> None:
    error = math.sqrt(probability * (1 - probability) / len(draws))
    assert abs(np.mean(draws <= value) - probability) < 4 * error


@pytest.fixture
def model_of(spec_file):
    """The model of a specification with earlier trials, some keys of section evidence changed."""

    def make(**changes):
        ratio = {"model.prior.hazard_ratio": {"death": {"median": 1.0, "upper": 2.7}}}
        return spec_file.inputs(ratio, evidence=EVIDENCE | changes).model

    spec_file.followed(10)

    return make


def hazards(model, seed: int = 1) -> tuple[dict[str, np.ndarray], dict[tuple[str, str], np.ndarray]]:
    """Prior draws, and the log hazard of progression (draw, interval) by trial and role."""
    trials = model.trials[0]
    drawn = model.priors.sample(trials, DRAWS, rng=np.random.default_rng(seed))
    by_cohort = cohort_log_hazard(drawn, trials, model.priors)[:, :, 0]
    return drawn, {(c.trial, c.role): by_cohort[:, i] for i, c in enumerate(trials.cohorts)}


@checks("evidence.reference", "evidence.regimens.control", "evidence.regimens.experimental",
        "evidence.contrast.regimen", "evidence.contrast.versus", "evidence.contrast.median", "evidence.contrast.upper",
        "evidence.borrowing.method")  # fmt: skip
def test_contrasts_lead_from_the_reference_to_every_arm(model_of) -> None:
    """Pooled, trials do not deviate: arms differ by the contrasts between their regimens alone."""
    model = model_of(borrowing={"method": "pooled"}, endpoint={"end-organ": {"median": 1.0001, "upper": 1.0002}})
    _, found = hazards(model)
    ratio = np.exp(found["T", "experimental"] - found["T", "control"])[:, 0]
    assert_quantile(ratio, 0.5, 0.9)
    assert_quantile(ratio, 0.975, 2.7)
    treated = np.exp(found["QuiRedex", "experimental"] - found["QuiRedex", "control"])[:, 1]
    assert_quantile(treated, 0.5, 0.4)
    assert_quantile(treated, 0.975, 1.2)
    median_time = math.log(2) / np.exp(found["QuiRedex", "control"].mean(axis=1))  # the reference has the baseline
    assert_quantile(median_time, 0.975, 96 * 1.0001)


@checks("evidence.endpoint.median", "evidence.endpoint.upper", "evidence.trial.endpoint")
def test_offset_of_a_definition_of_progression(model_of) -> None:
    """The same regimen, Rd, in both trials: this analysis counts 1.3 times as many progressions (at most 1.7)."""
    _, found = hazards(model_of(borrowing={"method": "pooled"}))
    more = np.exp(found["T", "control"] - found["QuiRedex", "experimental"])[:, 2]
    assert_quantile(more, 0.5, 1.3)
    assert_quantile(more, 0.975, 1.7)


def test_definition_of_progression_by_arm(model_of) -> None:
    """Patients on Rd were rescued before they had symptoms; those observed were not."""
    told = {"experimental": "end-organ"}
    _, found = hazards(model_of(borrowing={"method": "pooled"}, trial=[EVIDENCE["trial"][0] | {"endpoint": told}]))
    more = np.exp(found["T", "control"] - found["QuiRedex", "experimental"])[:, 2]
    assert_quantile(more, 0.5, 1.3)
    drawn, found = hazards(model_of(borrowing={"method": "pooled"}, trial=[EVIDENCE["trial"][0] | {"endpoint": told}]))
    np.testing.assert_allclose(found["QuiRedex", "control"], drawn["log_baseline"][:, 0], rtol=1e-12)


def test_an_arm_that_a_trial_has_not_has_no_endpoint(model_of) -> None:
    with pytest.raises(SpecificationError, match="endpoint names single; the arms are control, experimental"):
        model_of(trial=[EVIDENCE["trial"][0] | {"endpoint": {"single": "end-organ"}}])
    with pytest.raises(SpecificationError, match=r"endpoint 'end organ' has no prior \(did you mean 'end-organ'"):
        model_of(trial=[EVIDENCE["trial"][0] | {"endpoint": {"control": "end organ"}}])


@checks("evidence.population.median", "evidence.population.upper", "evidence.trial.population")
def test_offset_of_a_population(model_of) -> None:
    """Patients like those of this trial progress 1.8 times as often (at most 4 times), whatever they are given."""
    mixed = [EVIDENCE["trial"][0] | {"endpoint": "", "population": "mixed"}]
    stated = {"mixed": {"median": 1.8, "upper": 4.0}}
    _, found = hazards(model_of(borrowing={"method": "pooled"}, trial=mixed, population=stated))
    more = np.exp(found["T", "control"] - found["QuiRedex", "experimental"])[:, 2]
    assert_quantile(more, 0.5, 1.8)
    assert_quantile(more, 0.975, 4.0)
    drawn, found = hazards(model_of(borrowing={"method": "pooled"}, trial=mixed, population=stated))
    offset = drawn["population_offset"]
    np.testing.assert_allclose(found["QuiRedex", "control"], drawn["log_baseline"][:, 0] - offset, rtol=1e-12)
    with pytest.raises(SpecificationError, match="population 'mixed' has no prior; add evidence"):
        model_of(trial=mixed)


@checks("evidence.trial.name", "evidence.trial.file", "evidence.trial.arms", "evidence.trial.counts",
        "evidence.reconstructions")  # fmt: skip
def test_events_of_earlier_trials_are_those_of_the_table(model_of) -> None:
    """Each reconstruction's events and patient-months by arm, counted from the file by hand."""
    model = model_of()
    assert len(model.data()) == len(model.trials) == 3
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, trials in enumerate(model.trials, 1):
        assert trials.names == ("QuiRedex", "T")
        for cohort in trials.cohorts[:2]:
            mine = [r for r in rows if r["reconstruction"] == str(number) and r["regimen"] == cohort.regimen]
            for series, cause in enumerate(("progression", "death")):
                assert cohort.events[series].sum() == sum(r["cause"] == cause for r in mine)
            assert cohort.exposure.sum() == pytest.approx(sum(float(r["time"]) for r in mine), abs=1e-6)


@checks("evidence.trial.trust")
@pytest.mark.parametrize(("table", "arms", "counts", "least"), [
    ("quiredex_2013_ttp", {"control": "observation", "experimental": "Rd"}, [["progression"], ["death"]], "derived"),
    ("e3a06_2020_pfs", {"control": "observation", "experimental": "lenalidomide"}, [["progression", "death"]], "recalled"),
])  # fmt: skip
def test_less_trusted_facts_are_let_in_by_name(model_of, table, arms, counts, least) -> None:
    """Patients made from a fact trusted less than stated, or than ``derived`` where nothing is, are refused."""
    trial = {"name": "before", "file": str(TABLE.with_name(f"{table}.csv")), "arms": arms, "counts": counts}
    contrast = [*EVIDENCE["contrast"], {"regimen": "lenalidomide", "versus": "Rd", "median": 1, "upper": 2}]
    evidence = {"contrast": contrast if least == "recalled" else EVIDENCE["contrast"], "endpoint": {}}
    for stated in ("published", "derived", "recalled", None):
        given = trial if stated is None else trial | {"trust": stated}
        if ("published", "derived", "recalled").index(stated or "derived") < ("published", "derived", "recalled").index(least):
            with pytest.raises(SpecificationError, match=f"\\({least}\\).*give trust = '{least}' to use it all the same"):
                model_of(trial=[given], **evidence)
        else:
            (source,) = model_of(trial=[given], **evidence).sources
            assert source.trust == least


@checks("evidence.between.hazard", "evidence.between.effect", "evidence.borrowing.by")
@pytest.mark.parametrize("by", ["trial", "interval"])
def test_exchangeable_trials_deviate_as_far_as_stated(model_of, by: str) -> None:
    """A trial's hazard is within 2.5-fold and its hazard ratio within 1.6-fold of the typical one in 95 % of draws."""
    fixed = {"median": 1.0, "upper": 1.00001}
    model = model_of(endpoint={"end-organ": fixed}, borrowing={"method": "exchangeable", "by": by},
                     contrast=[{"regimen": "Rd", "versus": "observation", **fixed},
                               {"regimen": "KRd", "versus": "Rd", **fixed}])  # fmt: skip
    drawn, found = hazards(model)
    own = found["T", "control"] - drawn["log_baseline"][:, 0]
    assert_quantile(np.abs(own[:, 0]), 0.95, math.log(2.5))
    assert np.allclose(own, own[:, :1]) == (by == "trial")
    effect = np.abs(found["T", "experimental"] - found["T", "control"])[:, 0]
    assert_quantile(effect, 0.95, math.log(1.6))


@checks("evidence.borrowing.exchangeable", "evidence.borrowing.hazard_fold", "evidence.borrowing.effect_fold")
def test_robust_trials_stand_apart(model_of) -> None:
    fixed = {"median": 1.0, "upper": 1.00001}
    model = model_of(endpoint={"end-organ": fixed}, contrast=[{"regimen": "Rd", "versus": "observation", **fixed},
                     {"regimen": "KRd", "versus": "Rd", **fixed}],
                     borrowing={"method": "robust", "exchangeable": 0.7, "hazard_fold": 8, "effect_fold": 4})  # fmt: skip
    drawn, found = hazards(model)
    assert abs(drawn["first_layer"].mean() - 0.7) < 4 * math.sqrt(0.21 / drawn["first_layer"].size)
    apart = drawn["first_layer"][:, 1] == 0
    own = (found["T", "control"] - drawn["log_baseline"][:, 0])[apart, 0]
    assert_quantile(np.abs(own), 0.95, math.log(8))
    assert_quantile(np.abs(found["T", "experimental"] - found["T", "control"])[apart, 0], 0.95, math.log(4))


@checks("evidence.borrowing.discrepancy", "evidence.borrowing.spike", "evidence.borrowing.spike_fold",
        "evidence.borrowing.slab_fold")  # fmt: skip
def test_commensurate_trials_deviate_from_this_one(model_of) -> None:
    fixed = {"median": 1.0, "upper": 1.00001}
    same = {"endpoint": {"end-organ": fixed}, "contrast": [{"regimen": "Rd", "versus": "observation", **fixed},
                                                           {"regimen": "KRd", "versus": "Rd", **fixed}]}  # fmt: skip
    half_normal = model_of(**same, borrowing={"method": "commensurate", "discrepancy": "half-normal"})
    _, found = hazards(half_normal)
    away = np.abs(found["QuiRedex", "control"] - found["T", "control"])[:, 0]
    assert_quantile(away, 0.95, math.log(2.5))
    spike = model_of(**same, borrowing={"method": "commensurate", "discrepancy": "spike-and-slab", "spike": 0.35,
                                        "spike_fold": 1.2, "slab_fold": 6})  # fmt: skip
    drawn, found = hazards(spike)
    away, first = np.abs(found["QuiRedex", "control"] - found["T", "control"])[:, 0], drawn["first_layer"][:, 0] == 1
    assert abs(first.mean() - 0.35) < 4 * math.sqrt(0.35 * 0.65 / DRAWS)
    assert_quantile(away[first], 0.95, math.log(1.2))
    assert_quantile(away[~first], 0.95, math.log(6))


@checks("evidence.borrowing.power", "evidence.borrowing.powers")
def test_powers_multiply_the_log_likelihood_of_earlier_trials(model_of) -> None:
    pooled, powered, single = (model_of(borrowing=borrowing) for borrowing in (
        {"method": "pooled"}, {"method": "power", "power": 0.3},
        {"method": "power", "power": 0.3, "powers": {"QuiRedex": 0.8}}))  # fmt: skip
    drawn = {name: values[:5] for name, values in hazards(pooled)[0].items()}
    whole, part, named = (log_likelihood(drawn, m.trials[0], m.priors) for m in (pooled, powered, single))
    assert np.allclose(part, whole * [0.3, 1.0], rtol=1e-12)
    assert np.allclose(named, whole * [0.8, 1.0], rtol=1e-12)


@checks("evidence.quarantined")
def test_facts_set_apart_are_used_only_with_a_reason(spec_file) -> None:
    """A hazard ratio that is quarantined is refused as such; admitted with a reason, it is looked at like any other."""
    spec_file.followed(5)
    (spec_file.folder / "mrd.csv").write_text("USUBJID,MRDTM,MRDTMU,MRDRES,MRDSENS\n000,122,DAY,NEGATIVE,1e-5\n")
    mrd = {"visits": [4], "before": 0.5, "after": 0.5, "prior": {"hazard_ratio": {"progression": {
        "median": 0.5, "upper": 1.5}}}, "surrogacy": {"horizon": 30, "pairs": {"facts": [
            "perseus-003", "perseus-004", "ecog-e1911-003"]}}}  # fmt: skip
    changes = {"model.prior.hazard_ratio": {"death": {"median": 1.0, "upper": 2.7}}, "snapshot.mrd": "mrd.csv"}
    with pytest.raises(SpecificationError, match=r"ecog-e1911-003.*quarantined"):
        spec_file.inputs(changes, evidence=EVIDENCE, mrd=mrd)
    with pytest.raises(SpecificationError, match="no interval") as refused:
        spec_file.inputs(changes, evidence=EVIDENCE | {"quarantined": {"ecog-e1911-003": "for this test"}}, mrd=mrd)
    assert "is quarantined" not in str(refused.value)


ROWS = """STUDYID,USUBJID,PARAMCD,AVAL,AVALU,CNSR,EVNTDESC,CNSDTDSC,TRT01P
OLD,1,TTP,300,DAYS,0,PD,,Placebo
OLD,2,TTP,500,DAYS,0,Death,,Placebo
OLD,3,TTP,400,DAYS,0,PD,,Active
OLD,4,TTP,900,DAYS,1,,Lost to follow-up,Active
"""


@checks("evidence.trial.table", "evidence.trial.source", "evidence.trial.ignores", "evidence.trial.provenance")
def test_real_patients_of_an_earlier_trial(model_of, spec_file) -> None:
    """Its events and patient-months are those of the rows; a death that is ignored ends the time at risk."""
    (spec_file.folder / "old.csv").write_text(ROWS)
    table = {"file": "old.csv", "parameter": "TTP", "provenance": "real", "causes": {"progression": ["PD"],
             "death": ["Death"]}, "arms": {"control": "Placebo", "experimental": "Active"}}  # fmt: skip
    trial = {"name": "OLD", "arms": {"control": "observation", "experimental": "Rd"}, "counts": [["progression"]],
             "ignores": ["death"], "table": table, "source": "A registry", "endpoint": "end-organ"}  # fmt: skip
    model = model_of(trial=[trial])
    control, experimental = model.trials[0].cohorts[:2]
    assert [cohort.events.sum() for cohort in (control, experimental)] == [1, 1]
    assert control.exposure.sum() == pytest.approx(800 / 30.4375)
    assert experimental.exposure.sum() == pytest.approx(1300 / 30.4375)
    assert (model.sources[0].provenance, model.sources[0].source) == ("real", "A registry")
    with pytest.raises(SpecificationError, match="death"):
        model_of(trial=[trial | {"ignores": []}])
    with pytest.raises(SpecificationError, match="provenance"):
        model_of(trial=[trial | {"provenance": "real"}])


@checks("any prior: facts", "any prior: facts_against")
def test_an_assumption_names_facts_that_there_are(model_of) -> None:
    contrast = [dict(one) for one in EVIDENCE["contrast"]]
    contrast[0] |= {"facts": ["quiredex-009"], "facts_against": ["quiredex-010"]}
    assert model_of(contrast=contrast).trials
    for key in ("facts", "facts_against"):
        with pytest.raises(SpecificationError, match="quiredex-9999"):
            model_of(contrast=[contrast[0] | {key: ["quiredex-9999"]}, contrast[1]])
    with pytest.raises(SpecificationError, match="quiredex-010"):
        model_of(contrast=[contrast[0] | {"facts": ["quiredex-010"]}, contrast[1]])
