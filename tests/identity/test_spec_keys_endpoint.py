"""Keys of further endpoints: each endpoint is what a specification of it alone would be, at the primary one's cut."""

from __future__ import annotations

import copy
import datetime
import math
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from smm_bayes.analysis.answers import predict
from smm_bayes.analysis.estimates import DIFFERENCE, estimates
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.errors import DataError, SmmBayesError, SpecificationError
from smm_bayes.survival.law import Law
from smm_bayes.trial.calendar import DAYS_PER_MONTH
from tests.identity.conftest import BASE

checks = pytest.mark.checks_key
DAY, START, CUT = datetime.date, datetime.date(2020, 1, 1), datetime.date(2022, 1, 1)
MARCH = DAY(2020, 3, 1)
HAZARD = {"progression": 0.03, "death": 0.01}
OS = {
    "name": "OS", "status": "secondary", "snapshot": {"parameter": "OS"},
    "model": {"cuts": [12, 24], "prior": {"baseline": {"event": {"median": 24, "upper": 96}},
                                          "hazard_ratio": {"event": {"median": 0.8, "upper": 2.0}}}},
    "success": {"rule": "event_count", "at_most": 20},
}  # fmt: skip


def with_survival(trial, number=40):
    """Patients of whom nobody died; two had a progression."""
    trial.followed(number)
    for row in list(trial.rows):
        still = row | {"PARAMCD": "OS", "CNSR": 1, "EVNTDESC": ""}
        trial.rows.append(still | {"AVAL": (CUT - START).days + 1, "ADT": CUT})
    return died(trial, 0)


def died(trial, patient, day=MARCH):
    """Let one of them have died instead."""
    rows = [row for row in trial.rows if row["PARAMCD"] == "OS"]
    rows[patient].update(CNSR=0, EVNTDESC="Death", ADT=day, AVAL=(day - START).days + 1)
    return trial


def completed(inputs, hazards, **options):
    """Complete a trial from constant hazards by cause, known exactly."""
    causes, arms = inputs.patients.causes, inputs.patients.arms
    log_hazard = np.log([hazards[cause] for cause in causes])[:, None]
    array = np.broadcast_to(log_hazard, (1, 4000, len(arms), len(causes), len(inputs.spec.grid)))
    known = xr.Dataset({"log_hazard": (("chain", "draw", "arm", "cause", "interval"), array)},
                       coords={"arm": list(arms), "cause": list(causes)})  # fmt: skip
    return predict(inputs, SimpleNamespace(posterior=known), seed=4, **options)


def said(trial, *, match, error=SmmBayesError, **changes):
    with pytest.raises(error, match=match):
        trial.inputs(endpoint=[OS | changes])


@checks("endpoint.name", "endpoint.status", "endpoint.snapshot.parameter", "endpoint.model", "endpoint.success")
def test_an_endpoint_is_what_it_would_be_alone(spec_file):
    """The same patients, model, final analysis and success as in a specification of overall survival by itself."""
    trial = with_survival(spec_file)
    (found,) = trial.inputs(endpoint=[OS, ]).others
    assert (found.endpoint, found.status, found.spec.rule.at_most) == ("OS", "secondary", 20)
    alone = trial.inputs({"snapshot.causes": None, "snapshot.parameter": "OS", "model": OS["model"]})
    for name in ("time", "event", "arm", "patient", "enrolled"):
        np.testing.assert_array_equal(getattr(found.patients, name), getattr(alone.patients, name))
    assert (found.final, str(found.spec.priors)) == (alone.final, str(alone.spec.priors))
    np.testing.assert_array_equal(completed(found, {"event": 0.02}).success, completed(alone, {"event": 0.02}).success)
    said(trial, status="primary", match=r"endpoint\.0\.status: .*'secondary' or 'exploratory'")
    said(trial, name="PFS", match="endpoint 'PFS': another endpoint has this name")
    said(trial, model=OS["model"] | {"cutz": [1]}, match=r"endpoint 'OS': key 'model\.cutz' is not known \(did you mean 'cuts'")
    said(trial, success={"rule": "log_rang"}, match="endpoint 'OS': success")
    said(trial, snapshot={"parameter": "PFS2"}, match="endpoint 'OS'", error=DataError)


@checks("endpoint.final")
def test_by_default_it_is_analysed_with_the_primary_one(spec_file):
    """At a number of progressions: given the date, each of 81 patients has died since the cut with 1 − e^{−λt}."""
    trial = with_survival(spec_file)
    inputs = trial.inputs({"prediction.replicates": 4000}, final={"at": "events", "events": 30}, endpoint=[OS])
    (other,) = inputs.others
    assert str(other.final) == "with that of the primary endpoint"
    dates = completed(inputs, HAZARD).columns["date"]
    assert dates.std() > 0.5
    found = completed(other, {"event": 0.02}, dates=dates)
    np.testing.assert_allclose(found.columns["date"], dates, atol=0.02)
    rest = dates - (CUT - START).days / DAYS_PER_MONTH
    gap = found.counted_events - 1 - 81 * (1 - np.exp(-0.02 * rest))
    assert abs(gap.mean()) < 4 * gap.std() / math.sqrt(len(gap))
    with pytest.raises(SpecificationError, match="give both or neither"):
        completed(other, {"event": 0.02})
    with pytest.raises(SpecificationError, match="give both or neither"):
        completed(inputs, HAZARD, dates=dates)
    with pytest.raises(SpecificationError, match=r"final\.at = 'primary' is of a further endpoint"):
        trial.inputs(final={"at": "primary"})


def test_a_date_or_a_follow_up_is_taken_over_and_an_own_final_analysis_goes_first(spec_file):
    trial = with_survival(spec_file)
    for final in ({"at": "date", "date": DAY(2024, 1, 1)}, {"at": "follow_up", "follow_up": 30}):
        inputs = trial.inputs(final=final | {"causes": ["progression"]}, endpoint=[OS])
        assert inputs.others[0].final.causes is None
        assert (inputs.others[0].final.date, inputs.others[0].final.limit) == (inputs.final.date, inputs.final.limit)
    own = trial.inputs(endpoint=[OS | {"final": {"at": "follow_up", "follow_up": 48}}]).others[0]
    assert own.final.follow_up == 48
    said(trial, final={"at": "follow_up"}, match="endpoint 'OS': final: at = 'follow_up' needs the key 'follow_up'")


@checks("endpoint.snapshot.causes", "endpoint.snapshot.censoring")
def test_its_causes_and_words_of_censoring(spec_file):
    trial = died(with_survival(spec_file), 3)
    rows = [row for row in trial.rows if row["PARAMCD"] == "OS"]
    rows[5]["CNSR"] = 7
    snapshot = {"parameter": "OS", "causes": {"death": ["Death"]}, "censoring": {"7": "withdrawn"}}
    model = copy.deepcopy(OS["model"])
    model["prior"] = {key: {"death": value["event"]} for key, value in model["prior"].items()}
    (found,) = trial.inputs(endpoint=[OS | {"snapshot": snapshot, "model": model}]).others
    assert (found.patients.causes, found.patients.events) == (("death",), 2)
    assert found.patients.censoring[5] == "withdrawn"
    assert "death" in str(found.final) or found.final.causes is None
    said(trial, snapshot=snapshot | {"causes": {"death": ["Dead"]}}, model=model, match="endpoint 'OS'.*'Death'")


@checks("endpoint.snapshot.endpoint")
def test_it_is_derived_from_the_same_table_of_dates(tmp_path, spec_file):
    (tmp_path / "courses.csv").write_text(
        "USUBJID,TRT01P,ENRLDT,PDDT,DTHDT,LSTASDT,LSTALVDT,EOSREAS\n"
        + "".join(f"{arm}{i},{arm},2020-01-01,{'2020-09-01' if i == 1 else ''},{'2021-03-01' if i < 3 else ''},"
                  f"2020-12-01,{'2021-03-01' if i < 3 else '2022-01-01'},\n" for arm in ("Rd", "KRd") for i in range(1, 9))
    )  # fmt: skip
    snapshot = {"courses": "courses.csv", "provenance": "simulated", "arms": BASE["snapshot"]["arms"],
                "endpoint": {"name": "PFS"}, "censoring": {"": "administrative"}}  # fmt: skip
    spec = spec_file.load(snapshot=snapshot, endpoint=[OS | {
        "snapshot": {"endpoint": {"name": "OS"}},
        "model": {"cuts": [12], "prior": {"baseline": {"death": {"median": 24, "upper": 96}}}},
    }])  # fmt: skip
    assert spec.by_endpoint["OS"].snapshot.endpoint.name == "OS"
    assert spec.by_endpoint["OS"].snapshot.courses == "courses.csv"


@checks("endpoint.evidence", "endpoint.mrd")
def test_earlier_trials_and_mrd_are_its_own(spec_file):
    """Those of the primary endpoint are not taken over; those it names are held to the rules of their sections."""
    trial = with_survival(spec_file)
    said(trial, evidence={"reference": "Rd"}, match=r"endpoint 'OS': key 'evidence\.")
    said(trial, mrd={"visits": [6]}, match="endpoint 'OS': .*mrd", error=SpecificationError)
    spec = trial.load(endpoint=[OS])
    assert spec.by_endpoint["OS"].evidence is spec.by_endpoint["OS"].mrd is None


@checks("estimand.measure", "estimand.months", "endpoint.estimand")
def test_estimands_are_those_of_constant_hazards(spec_file):
    """Event-free e^{−λt}, mean (1 − e^{−λh})/λ, incidence of progression λ₁(1 − e^{−λt})/λ; KRd half as often as Rd."""
    trial = with_survival(spec_file)
    asked = [{"measure": name, "months": month} for name, month in
             (("event_free_survival", 18), ("rmst", 20), ("cumulative_incidence", 12), ("rmst", 60))]  # fmt: skip
    inputs = trial.inputs({"final.causes": ["progression"]}, estimand=asked, endpoint=[OS | {"estimand": asked[:1]}])
    rate = np.array([[0.03, 0.01], [0.015, 0.005]])  # by arm and cause
    law = Law.plain(np.log(np.broadcast_to(rate[:, :, None], (1, 5, 2, 2, 3))), inputs.spec.grid, inputs.patients.arms,
                    inputs.patients.causes)  # fmt: skip
    found = estimates(inputs.spec.estimand, law, inputs.patients, inputs.final.counted(inputs.patients.causes))
    whole = rate.sum(axis=1)
    by_arm = {
        ("event_free_survival", 18): np.exp(-18 * whole), ("rmst", 20): (1 - np.exp(-20 * whole)) / whole,
        ("cumulative_incidence", 12): rate[:, 0] / whole * (1 - np.exp(-12 * whole)),
        ("rmst", 60): (1 - np.exp(-60 * whole)) / whole,
    }  # fmt: skip
    said = {(one.measure, one.months, one.of): one for one in found}
    assert len(said) == 12
    for (measure, month), (control, experimental) in by_arm.items():
        of = {"control": control, "experimental": experimental, DIFFERENCE: experimental - control}
        for name, value in of.items():
            assert said[measure, month, name].estimate.median == pytest.approx(value)
        assert said[measure, month, DIFFERENCE].probability_above_0 == (experimental > control)
        assert said[measure, month, "control"].beyond_follow_up == (month == 60)
    assert [one.model_dump() for one in inputs.others[0].spec.estimand] == asked[:1]


def test_the_data_cut_is_the_primary_ones(spec_file):
    """After the third progression nothing later is known of anybody, of no endpoint."""
    trial = with_survival(spec_file)
    firsts = [row for row in trial.rows if row["PARAMCD"] == "PFS" and row["CNSR"] == 1][:4]
    for month, row in enumerate(firsts, 3):
        day = DAY(2020, month, 1)
        row.update(CNSR=0, EVNTDESC="Progression", ADT=day, AVAL=(day - START).days + 1)
    died(trial, 7, DAY(2020, 8, 1))
    inputs = trial.inputs({"snapshot.cut_by_events": 4}, endpoint=[OS])
    (other,) = inputs.others
    assert other.patients.data_cutoff == inputs.patients.data_cutoff
    assert (other.patients.events, trial.inputs(endpoint=[OS]).others[0].patients.events) == (1, 2)
    assert other.patients.time.max() == pytest.approx(inputs.patients.time.max())


def test_patients_without_one_of_the_endpoints_are_named(spec_file):
    trial = with_survival(spec_file)
    trial.rows.pop()
    said(trial, match=r"endpoint 'OS': .*1 patients have a row of one endpoint only \(081\); the primary endpoint is of 82, this "
         "one of 81", error=DataError)  # fmt: skip
    later = with_survival(type(trial)(trial.folder))
    [row for row in later.rows if row["PARAMCD"] == "OS"][9].update(ADT=DAY(2022, 3, 1), AVAL=791)
    said(later, match="endpoint 'OS': .*the data cut-off is not that of the primary endpoint", error=DataError)


def test_read_inputs_is_whole(spec_file):
    inputs = with_survival(spec_file).inputs(endpoint=[OS, OS | {"name": "again", "status": "exploratory"}])
    assert [(one.endpoint, one.status) for one in (inputs, *inputs.others)] == [
        ("PFS", "primary"), ("OS", "secondary"), ("again", "exploratory"),
    ]  # fmt: skip
    assert read_inputs(inputs.spec.path).sha256 == inputs.sha256
