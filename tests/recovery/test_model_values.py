"""Model values: fitted without compiling twice, taken by ArviZ, kept in files, compared and checked by patient."""

import copy
import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace

import arviz as az
import numpy as np
import pytest
import xarray as xr

import smm_bayes as smm
from smm_bayes.errors import DataError, IncompleteError, SpecificationError
from smm_bayes.inference import values
from smm_bayes.inference.compiled import CompiledModel
from smm_bayes.inference.convergence import Convergence
from smm_bayes.inference.model import Model
from smm_bayes.survival import PatternTable, RegressionPriors, regression_data, regression_model
from smm_bayes.survival.by_patient import by_patient
from smm_bayes.survival.regression import pattern_log_likelihood
from smm_bayes.survival.regression_priors import CovariatePrior

GRID = smm.TimeGrid((12, 24))
GAMMA = smm.GammaPrior(0.5, 50)


@dataclass(frozen=True, eq=False)
class Regression:
    """A regression as a value, as the protocol asks for it."""

    table: PatternTable
    priors: RegressionPriors
    patients: smm.Patients

    @classmethod
    def of(cls, patients, grid, priors, **given):
        return cls(PatternTable.of(patients, grid, **given), priors, patients)

    def build(self):
        return regression_model(self.table, self.priors)

    def data(self):
        return [regression_data(self.table, self.priors)]

    def statements(self):
        return self.priors.statements(self.table)

    def prior(self, draws, *, rng):
        return self.priors.sample(self.table, draws, rng=rng)

    def log_likelihood(self, parameters):
        return pattern_log_likelihood(parameters, self.table, self.priors)

    def simulated(self, data, truth, *, rng):
        return replace(self, table=data)

    def patient_log_likelihood(self, posterior):
        return by_patient(self, posterior)


@pytest.fixture(scope="module")
def patients():
    """Times of 240 patients with a hazard ratio of 0.6, cut at 36 months."""
    rng, size = np.random.default_rng(1), 240
    arm, enrolled = np.arange(size) % 2, np.sort(rng.uniform(0, 18, size))
    time = 25 * rng.exponential(size=size) / 0.6**arm
    event = time <= 36 - enrolled
    return smm.Patients(
        patient=np.arange(size).astype(str).astype(object), arm=arm, time=np.minimum(time, 36 - enrolled), event=event,
        cause=np.where(event, 0, -1), censoring=np.where(event, "", "administrative").astype(object), enrolled=enrolled,
        arms=("control", "experimental"), arm_names=("old", "new"), causes=("event",), provenance="simulated",
        data_cutoff=36.0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def model(patients):
    return smm.OneTrial.of(patients, GRID, GAMMA)


@pytest.fixture(scope="module")
def fitted(model):
    return smm.fit(model, seed=1).require_convergence()


@pytest.fixture
def compiling(monkeypatch):
    """Count the models that are compiled."""
    counted, made = [], CompiledModel.__post_init__

    def count(compiled):
        counted.append(compiled)
        made(compiled)

    monkeypatch.setattr(CompiledModel, "__post_init__", count)
    return counted


def test_a_value_of_the_same_shape_and_priors_is_not_compiled_again(fitted, patients, compiling):
    later = smm.cut(patients, 24.0)
    again = smm.fit(smm.OneTrial.of(later, GRID, GAMMA), seed=1)
    other = fitted.with_data(later)
    assert not compiling
    assert again.seconds["compile"] < fitted.seconds["compile"] / 5
    assert again == other
    assert again != fitted
    table = GRID.tabulate(later)  # the posterior is that of the new data: Gamma(0.5 + d, 50 + E)
    mean, error = again.posterior["hazard"].mean(("chain", "draw")), az.mcse(again.posterior["hazard"])
    expected = (0.5 + table.events) / (50 + table.cell_exposure)
    assert np.abs((mean.transpose("arm", "cause", "interval") - expected) / error).max() < 4.5
    np.testing.assert_array_equal(again.data["observed_data"]["events"].values, table.events.ravel())


def test_what_is_compiled_serves_what_computes_the_same_and_nothing_else(fitted, model, patients, compiling):
    values.compiled_for(model)
    assert not compiling
    swapped = replace(patients, arms=("control", "experimental"), causes=("death",))
    same, *others = (values._key(one.build()) for one in (
        smm.OneTrial.of(smm.cut(patients, 24.0), GRID, GAMMA), smm.OneTrial.of(patients, GRID, smm.GammaPrior(0.6, 50)),
        smm.OneTrial.of(patients, smm.TimeGrid((12, 25)), GAMMA), smm.OneTrial.of(swapped, GRID, GAMMA),
        smm.OneTrial.of(patients, smm.TimeGrid((12,)), GAMMA),
    ))  # fmt: skip
    assert same == values._key(model.build())
    assert len({same, *others}) == 5


def test_a_value_brings_its_data_and_patients_must_be_its_own(model, patients):
    assert isinstance(model, Model)
    with pytest.raises(SpecificationError, match="brings its own data"):
        smm.fit(model, seed=1, data=model.data()[0])
    with pytest.raises(SpecificationError, match="not those whom the table counts"):
        smm.OneTrial(model.table, GAMMA, smm.cut(patients, 24.0))


@pytest.mark.parametrize("call", [
    az.summary, az.rhat, az.ess, az.mcse, az.loo, az.psense_summary, az.extract, az.plot_trace, az.plot_trace_dist,
    az.plot_rank, az.plot_forest, az.plot_energy, az.plot_ppc_dist, az.plot_psense_dist, az.convert_to_datatree,
    lambda fit: az.compare({"one": fit, "the same": fit}), lambda fit: az.plot_forest({"one": fit, "two": fit}),
    lambda fit: az.plot_khat(az.loo(fit, pointwise=True)), lambda fit: az.plot_prior_posterior(fit.with_prior(200)),
])  # fmt: skip
def test_arviz_takes_a_fit(fitted, call):
    assert call(fitted) is not None


@pytest.mark.parametrize("again", [
    copy.copy, copy.deepcopy, lambda fit: pickle.loads(pickle.dumps(fit)), lambda fit: replace(fit, seconds={}),
    lambda fit: in_a_file(fit),
], ids=["copied", "copied deeply", "pickled", "replaced", "in a file"])  # fmt: skip
def test_arviz_takes_a_fit_however_it_came(fitted, again):
    found = again(fitted)
    assert az.summary(found).equals(az.summary(fitted))
    assert az.loo(found).elpd == az.loo(fitted).elpd


def test_a_fit_from_another_process_is_a_tree_at_once(fitted, tmp_path):
    (tmp_path / "fit.pickle").write_bytes(pickle.dumps(fitted))
    code = "import pickle, sys; fit = pickle.load(open(sys.argv[1], 'rb')); import xarray; " \
           "print(isinstance(fit, xarray.DataTree))"  # fmt: skip
    done = subprocess.run([sys.executable, "-P", "-c", code, tmp_path / "fit.pickle"], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert done.stdout == "True\n"


def in_a_file(fit):
    with tempfile.TemporaryDirectory() as folder:
        fit.save(f"{folder}/fit.nc")
        return smm.Fit.load(f"{folder}/fit.nc")


def test_arviz_sees_patients_and_the_whole_likelihood(fitted, model, patients):
    assert az.loo(fitted).n_data_points == len(patients)
    by_patient, cells = fitted["log_likelihood"]["time"], fitted["cell_log_likelihood"]["events"]
    np.testing.assert_allclose(by_patient.sum("patient"), cells.sum("cell"), rtol=1e-10)
    assert by_patient["patient"].values.tolist() == patients.patient.tolist()
    without = smm.fit(replace(model, patients=None), seed=1)
    assert without.seconds["compile"] < 5
    for call in (az.loo, lambda fit: fit["log_likelihood"], lambda fit: fit.log_likelihood):
        with pytest.raises(SpecificationError, match="of sums over patients only"):
            call(without)


def test_predicted_events_are_those_of_the_posterior(fitted, model):
    """Negative binomial with Gamma(0.5 + d, 50 + E) hazards."""
    drawn, table = fitted["posterior_predictive"]["events"], model.table
    assert drawn.sizes == {"chain": 4, "draw": 1000, "cell": 6}
    shape, exposure = 0.5 + table.events.ravel(), table.cell_exposure.ravel()
    mean = shape / (50 + exposure) * exposure
    variance = mean + shape * (exposure / (50 + exposure)) ** 2
    assert np.abs((drawn.mean(("chain", "draw")) - mean) / np.sqrt(variance / 4000)).max() < 4.5
    np.testing.assert_allclose(drawn.var(("chain", "draw")), variance, rtol=0.15)


def test_the_prior_is_added_when_asked_for(fitted):
    drawn = fitted.with_prior(4000)["prior"]
    assert drawn["log_hazard"].sizes == {"chain": 1, "draw": 4000, "arm": 2, "cause": 1, "interval": 3}
    assert float(np.exp(drawn["log_hazard"]).mean()) == pytest.approx(0.01, rel=0.05)
    assert "prior" not in fitted


def test_a_file_of_a_fit_gives_it_back(fitted, model, patients, tmp_path):
    fitted.save(tmp_path / "fit.nc")
    found = smm.Fit.load(tmp_path / "fit.nc", model)
    assert found == fitted
    for name in ("convergence", "attempts", "seed", "fingerprint", "seconds", "description"):
        assert getattr(found, name) == getattr(fitted, name)
    assert len(found.description) > 1
    assert smm.loo(smm.Fit.load(tmp_path / "fit.nc")).elpd == smm.loo(fitted).elpd
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        assert "posterior" in stored.children
    other = smm.OneTrial.of(smm.cut(patients, 24.0), GRID, GAMMA)
    with pytest.raises(DataError, match="of other data or another model"):
        smm.Fit.load(tmp_path / "fit.nc", other)
    assert [path.name for path in tmp_path.iterdir()] == ["fit.nc"]


def test_a_file_of_something_else_is_refused_in_one_sentence(fitted, tmp_path):
    fitted.data.to_netcdf(tmp_path / "tree.nc", engine="h5netcdf")
    (tmp_path / "words.nc").write_text("no fit")
    (tmp_path / "half.nc").write_bytes((tmp_path / "tree.nc").read_bytes()[:1000])
    for name in ("tree.nc", "words.nc", "half.nc"):
        with pytest.raises(DataError, match="holds no fit; give one that Fit"):
            smm.Fit.load(tmp_path / name)
    with pytest.raises(DataError, match="there is no such file"):
        smm.Fit.load(tmp_path / "none.nc")
    with pytest.raises(DataError, match="this is a folder"):
        smm.Fit.load(tmp_path)


def test_fits_are_values(fitted):
    for other in (copy.copy(fitted), copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        assert other == fitted
        assert hash(other) == hash(fitted)
        assert other.model is not None
    assert replace(fitted, seed=2) != fitted
    moved = fitted.data.copy(deep=True)
    moved["posterior"]["log_hazard"].values[0, 0] += 1e-9
    assert replace(fitted, data=moved) != fitted
    assert fitted != 1
    assert Convergence(1.0, 500, 500, 0, "x") == Convergence(1.0, 500, 500, 0, "x")


def test_a_fit_says_what_it_is(fitted):
    said = fitted.summary()
    assert said.startswith("4 chains of 1000 draws; R-hat at most")
    assert said.endswith("passed.")
    assert {"mean", "r_hat"} <= set(fitted.table().columns)
    axes = fitted.plot()
    assert axes.get_ylabel() == "share of the chain"
    assert fitted.plot(axes) is axes
    assert "<table" in fitted._repr_html_()
    assert {"posterior", "convergence", "save"} <= set(dir(fitted))
    with pytest.raises(AttributeError, match="nothing"):
        _ = fitted.nothing
    broken = replace(fitted, convergence=replace(fitted.convergence, complete=False))
    with pytest.raises(IncompleteError, match="sampling was interrupted"):
        broken.require_convergence()


def test_a_check_needs_the_fit_alone(fitted, patients):
    found = smm.check_fit(fitted, rng=1)
    assert len(found.loo) == len(patients)
    given = smm.check_fit(fitted, patients, GRID, rng=np.random.default_rng(1))
    other = smm.check_fit(fitted, rng=2)
    mine, same, its = (one.compared.discrepancies["events"].replicated for one in (found, given, other))
    np.testing.assert_array_equal(mine, same)
    assert (mine != its).any()
    with pytest.raises(SpecificationError, match="does not know its patients"):
        smm.check_fit(replace(fitted, model=None), rng=1)


@pytest.fixture(scope="module")
def breast_cancer():
    """686 real patients with node-positive breast cancer, by hormonal therapy."""
    from sksurv.datasets import load_gbsg2

    covariates, outcome = load_gbsg2()
    frame = covariates.assign(
        patient=[str(number) for number in range(len(covariates))], event=outcome["cens"].astype(int), time=outcome["time"],
        decade=(covariates["age"] / 10).round() * 10, nodes=np.minimum(covariates["pnodes"], 12.0),
    )  # fmt: skip
    return smm.read_patients(frame, arms={"control": "no", "experimental": "yes"}, columns={"arm": "horTh"}, unit="day",
                             covariates=("decade", "nodes"))  # fmt: skip


@pytest.fixture(scope="module")
def regressions(breast_cancer):
    """Without and with age, in decades; it says next to nothing of these patients."""
    survival = smm.SurvivalPriors({"event": smm.BaselinePrior(60, 240)}, {"event": smm.HazardRatioPrior(0.8, 2.0)})
    priors = RegressionPriors(survival, {"decade": CovariatePrior(1.0, 20.0, per=10, centre=50)})
    grid = smm.TimeGrid((12, 24, 36, 48))
    made = {"no age": Regression.of(breast_cancer, grid, RegressionPriors(survival, {})),
            "age": Regression.of(breast_cancer, grid, priors, covariates=("decade",))}  # fmt: skip
    return {name: smm.fit(model, seed=1).require_convergence() for name, model in made.items()}


def test_regressions_are_compared_by_patient(regressions, breast_cancer):
    """The difference is near that of Akaike's criterion, halved, from maximum likelihood on the same intervals.

    Both estimate the same to terms that vanish with the number of patients, where priors are wide.
    """
    import statsmodels.api as sm

    found = smm.compare(regressions).table()
    assert all(az.loo(fit).n_data_points == 686 for fit in regressions.values())
    akaike = {}
    for name, fit in regressions.items():
        table = fit.model.table
        row, interval = (index.ravel() for index in np.indices(table.exposure.shape))
        used = table.exposure.ravel() > 0
        columns = [np.eye(len(table.grid))[interval], table.arm[row][:, None], table.covariates[row]]
        model = sm.GLM(table.events[:, 0].ravel()[used], np.column_stack(columns)[used], family=sm.families.Poisson(),
                       offset=np.log(table.exposure.ravel()[used]))  # fmt: skip
        fitted = model.fit()
        events, expected = table.events[:, 0].ravel()[used], fitted.fittedvalues
        akaike[name] = float((events * np.log(expected) - expected - events * np.log(table.exposure.ravel()[used])).sum()
                             - len(fitted.params))  # fmt: skip
    difference = float(found.loc["no age", "elpd"] - found.loc["age", "elpd"])
    assert difference == pytest.approx(akaike["no age"] - akaike["age"], abs=0.25)
    assert found.index[0] == "no age"


def test_a_regression_is_checked(regressions):
    found = smm.check_fit(regressions["age"], rng=1, draws=100)
    assert set(found.predictive.p_values) == {"events", "residuals: event, control", "residuals: event, experimental"}
    assert len(found.loo) == 686
    assert "covariate_effect[event, decade]" in found.sensitivity.index
