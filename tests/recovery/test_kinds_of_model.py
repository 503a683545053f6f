"""Every kind of model that a specification names runs the whole interim; and a fit completes its trial by itself."""

import csv
import datetime
from functools import cache

import numpy as np
import pytest

import smm_bayes as smm
from smm_bayes.analysis.interim import read_inputs, run_interim

ORIGIN, CUTOFF = datetime.date(2020, 1, 1), datetime.date(2022, 7, 1)
BASE = """
schema_version = 1
trial = {{name = "T"}}
final = {{at = "date", date = 2024-07-01}}
success = {{rule = "log_rank", alpha = 0.2}}
prediction = {{replicates = 4000}}
sampling = {{draws = 500, tune = 500, chains = 2}}

[snapshot]
file = "adtte.csv"
parameter = "PFS"
provenance = "simulated"
arms = {{control = "Rd", experimental = "KRd"}}
causes = {{progression = ["Progression"], death = ["Death"]}}
censoring = {{1 = "administrative"}}

[model]
cuts = [9, 18]
{kind}
[model.prior.baseline]
{baseline}
death = {{median = 200, upper = 900}}
"""
PROGRESSION = "progression = {median = 24, upper = 96}"
KINDS = {
    "regression": ('kind = "regression"\nstrata = true\ncovariates = {AGE = {median = 1.0, upper = 2.0, per = 10, centre = 65}}\n'
                   'subgroups = {columns = ["RISK"]}\n', PROGRESSION),
    "cure": ('kind = "cure"\ncure = {share = {median = 0.3, upper = 0.6}, late_hazard = {median = 15, upper = 40}}\n', ""),
    "visits": ('kind = "visits"\nvisits = {every = [[1, 60]], window = 0.97}\n', PROGRESSION),
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of 80 patients, hazard ratio 0.6, a quarter cured, older patients worse."""
    rng, folder = np.random.default_rng(8), tmp_path_factory.mktemp("kinds")
    with (folder / "adtte.csv").open("w", newline="") as target:
        names = ["STUDYID", "USUBJID", "PARAMCD", "AVAL", "AVALU", "CNSR", "STARTDT", "ADT", "EVNTDESC", "CNSDTDSC", "TRT01P",
                 "STRATUM", "AGE", "RISK"]  # fmt: skip
        writer = csv.DictWriter(target, names)
        writer.writeheader()
        for row in range(80):
            start = ORIGIN + datetime.timedelta(days=int(rng.integers(0, 540)))
            age, days = int(rng.normal(65, 8)), 40 + 700 * rng.exponential() / 0.6 ** (row % 2)
            end = start + datetime.timedelta(days=int(days if rng.random() > 0.25 else 1e4))
            event = end <= CUTOFF
            end = min(end, CUTOFF)
            what = "Death" if rng.random() < 0.1 else "Progression"
            writer.writerow(dict(zip(names, [
                "T", f"{row:03d}", "PFS", (end - start).days + 1, "DAYS", int(not event), start, end, what if event else "", "",
                ("Rd", "KRd")[row % 2], "high" if row % 3 else "low", age, "ab"[row % 4 > 1],
            ], strict=True)))  # fmt: skip
    return folder


@pytest.fixture
def built_once(monkeypatch):
    """A value gives the same PyMC model whenever it is asked, so that interim and fit share what is compiled."""
    for kind in (smm.Regression, smm.Cure, smm.Visits):
        monkeypatch.setattr(kind, "build", cache(kind.build))


@pytest.mark.usefixtures("built_once")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_runs_the_whole_interim(table, kind):
    """An answer with its error, the check against the data, a hazard ratio; the fit by itself gives the same answer."""
    section, baseline = KINDS[kind]
    path = table / f"{kind}.toml"
    path.write_text(BASE.format(kind=section, baseline=baseline))
    inputs = read_inputs(path)
    found = run_interim(inputs, seed=3)
    decision = found.decision
    assert 0.02 < decision.probability_of_success < 0.98
    assert 0 < decision.mcse < 0.05
    assert decision.fit_check.verdict in ("passed", "use with caution")
    assert 0.2 < decision.hazard_ratio.median < 1.5
    fitted = smm.fit(inputs.model, seed=3, draws=500, tune=500, chains=2)
    assert fitted.seconds["compile"] < 5
    alone = smm.probability_of_success(inputs.patients, fitted, final=inputs.final, rule=inputs.spec.rule, seed=3,
                                       replicates=4000)  # fmt: skip
    assert abs(alone.probability - decision.probability_of_success) <= 4 * np.hypot(alone.mcse, decision.mcse)
