"""The joint model of MRD and a time to event: what it refuses, and what it says of itself."""

import math
import re

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.surrogacy import MrdSchedule, MrdStatus
from smm_bayes.surrogacy.joint import (
    AssayError,
    Constant,
    Fading,
    InteractionPrior,
    JointLaw,
    JointPriors,
    JointShape,
    JointTable,
    Lost,
    MrdOddsRatioPrior,
    PersistencePrior,
    SharePrior,
    StatusPriors,
    joint_data,
    joint_model,
    simulate_joint,
)
from smm_bayes.survival import BaselinePrior, HazardRatioPrior, SurvivalPriors, TimeGrid

GRID, SCHEDULE = TimeGrid((6, 24)), MrdSchedule((4, 9), 0.5, 0.5)
CAUSES = ("progression", "death")
SURVIVAL = SurvivalPriors({"progression": BaselinePrior(40, 160), "death": BaselinePrior(200, 800)})
PRIORS = JointPriors({"progression": HazardRatioPrior(0.5, 1.5)})


def law(visits=SCHEDULE.months, priors=PRIORS):
    rng = np.random.default_rng(1)
    drawn = SURVIVAL.sample(CAUSES, 2, GRID, 1, rng=rng) | priors.sample(CAUSES, len(visits), 2, 1, rng=rng)
    return JointLaw.of({name: values[0] for name, values in drawn.items()}, JointShape.of(GRID, visits, CAUSES), priors)


@pytest.fixture
def trial():
    return simulate_joint(law(), SCHEDULE, np.arange(60) % 2, rng=np.random.default_rng(2), cutoff=40.0, missing=0.3)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: SharePrior(0.5, 0.4), "share: need 0 < median < upper < 1.*median 0.5 and upper 0.4"),
    (lambda: SharePrior(0.0, 0.4), "median 0.0"),
    (lambda: SharePrior(0.2, 1.0), "upper 1.0"),
    (lambda: SharePrior(0.2, math.nan), "upper nan"),
    (lambda: MrdOddsRatioPrior(3, 2), "odds_ratio: need 0 < median < upper; got median 3 and upper 2"),
    (lambda: PersistencePrior(-1, 2), "median -1"),
    (lambda: InteractionPrior(1, 1), "ratio_of_hazard_ratio: need 0 < median < upper"),
    (lambda: Fading(median=12, upper=12), "half-life of the MRD effect: need 0 < median < upper; got median 12"),
    (lambda: Lost(median=12, upper=math.inf), "upper inf"),
    (lambda: JointPriors({}), "hazard_ratio names no cause; name one that MRD acts on"),
    (lambda: JointPriors({}, missing_log_odds=math.nan), r"2 problems:\n(.|\n)*missing_log_odds must be a finite number; got nan"),
    (lambda: AssayError(0.5, 0.0), "missed and false_positive must be from 0 up to 0.5; got 0.5 and 0.0"),
    (lambda: AssayError(0.0, -0.1), "got 0.0 and -0.1"),
    (lambda: AssayError(math.nan, 0.1), "got nan and 0.1"),
])  # fmt: skip
def test_values_that_say_nothing_are_refused(make, words):
    with pytest.raises(SpecificationError, match=words):
        make()


def test_tables_of_other_patients_or_visits_are_refused(trial, simulate):
    patients, status = trial
    with pytest.raises(SpecificationError, match=re.escape("status has shape (60, 2); these patients and visits need (120, 2)")):
        JointTable.of(simulate(), status, GRID)
    with pytest.raises(SpecificationError, match=re.escape("landmarks must have shape (patient, visit) (60, 2); got (60,)")):
        JointTable.of(patients, status, GRID, landmarks=np.zeros(60))
    for wrong in (np.zeros((60, 2)), np.tile([1.0, np.nan], (60, 1)), np.tile([-np.inf, 3.0], (60, 1))):
        with pytest.raises(SpecificationError, match="landmarks must be finite and increase from visit to visit"):
            JointTable.of(patients, status, GRID, landmarks=wrong)
    late = patients.take(np.ones(60, bool), entry=np.minimum(1.0, patients.time / 2))
    with pytest.raises(SpecificationError, match=r"2 problems:\n(.|\n)*landmarks must have shape(.|\n)*delayed entry"):
        JointTable.of(late, status, GRID, landmarks=np.zeros(3))


def test_too_few_rows_are_refused_with_their_number(trial):
    needed = len(JointTable.of(*trial, GRID).rows)
    assert needed > 5
    with pytest.raises(SpecificationError, match=rf"{needed} patients .* room for {needed - 1} rows; ask for more"):
        JointTable.of(*trial, GRID, rows=needed - 1)
    padded = JointTable.of(*trial, GRID, rows=needed + 3).rows
    assert len(padded) == needed + 3
    assert padded.count.tolist() == [1] * needed + [0] * 3
    assert (padded.event[needed:] == -1).all()


def test_models_that_cannot_be_are_refused(trial):
    table, rough = JointTable.of(*trial, GRID), GRID.tabulate(trial[0])
    with pytest.raises(SpecificationError, match="hazard_ratio names relapse; the causes are progression, death"):
        joint_model(table, SURVIVAL, JointPriors({"relapse": HazardRatioPrior()}), rough=rough)
    with pytest.raises(SpecificationError, match="hazards_of must be 'not negative' or 'everyone'; got 'all'"):
        joint_model(table, SURVIVAL, PRIORS, rough=rough, hazards_of="all")
    with pytest.raises(SpecificationError, match="no prior for the baseline of cause 'death'"):
        joint_model(table, SurvivalPriors({"progression": BaselinePrior(40, 160)}), PRIORS, rough=rough)


def test_visits_of_ones_own_know_no_share_at_a_time_and_no_half_life(trial):
    landmarks = np.array(SCHEDULE.months) - np.linspace(0, 6, 60)[:, None]
    table, rough = JointTable.of(*trial, GRID, landmarks=landmarks), GRID.tabulate(trial[0])
    assert table.shape.own_visits
    timed = JointPriors(PRIORS.hazard_ratio, effect=Fading())
    with pytest.raises(SpecificationError, match=r"2 problems:\n(.|\n)*changes with time(.|\n)*everyone"):
        joint_model(table, SURVIVAL, timed, rough=rough, hazards_of="everyone")
    drawn = SURVIVAL.sample(CAUSES, 2, GRID, 1, rng=np.random.default_rng(1))
    with pytest.raises(SpecificationError, match="an arm has no law of paths and times"):
        JointLaw.of(drawn, table.shape, PRIORS)


def test_simulations_that_cannot_be_are_refused():
    rng = np.random.default_rng(1)
    with pytest.raises(SpecificationError, match="schedule has visits at 4, 9 months and the law at 4, 8; give"):
        simulate_joint(law((4.0, 8.0)), SCHEDULE, np.zeros(3, int), rng=rng)
    with pytest.raises(SpecificationError, match="visits at 4, 9 months and the law at 4; give the same"):
        simulate_joint(law((4.0,)), SCHEDULE, np.zeros(3, int), rng=rng)
    with pytest.raises(SpecificationError, match="enrolled after the data cut; choose a later one"):
        simulate_joint(law(), SCHEDULE, np.zeros(3, int), rng=rng, enrolled=np.arange(3.0), cutoff=1.5)


def test_a_milestone_is_after_its_visit():
    for month in (9.0, 3.0, math.nan):
        with pytest.raises(SpecificationError, match=f"milestone must be after the visit, at 9 months; got {month:g}"):
            law().milestone(month)
    assert law().milestone(5.0, visit=0)[0].shape == (2,)


def test_counts_are_not_drawn_given_exposure(trial):
    import pymc as pm

    model = joint_model(JointTable.of(*trial, GRID), SURVIVAL, PRIORS, rough=GRID.tabulate(trial[0]))
    with pytest.raises(NotImplementedError, match=r"simulate patients with JointLaw.sample"):
        pm.draw(model["rows"], mode="FAST_COMPILE")


@pytest.mark.parametrize("priors", [PRIORS, JointPriors(PRIORS.hazard_ratio, missing_log_odds=0.5)])
def test_a_refit_gives_the_model_its_own_data_and_no_other(trial, priors):
    """Names and shapes of what a refit hands over are those of the model, whatever the priors."""
    table, rough = JointTable.of(*trial, GRID), GRID.tabulate(trial[0])
    model = joint_model(table, SURVIVAL, priors, rough=rough)
    given = {name: values.shape for name, values in joint_data(table, SURVIVAL, priors, rough=rough).items()}
    assert given == {variable.name: variable.get_value().shape for variable in model.data_vars}


def test_table_and_priors_say_what_they_are(trial):
    table = JointTable.of(*trial, GRID)
    known = int(table.transitions[:, 0].sum())
    assert repr(table).startswith(f"JointTable: 2 visits at 4, 9 months; {known} patients at risk with every status known, "
                                  f"{len(table.rows)} without; events progression ")  # fmt: skip
    patients = trial[0]
    counts = [int((patients.cause == c).sum()) for c in (0, 1)]
    assert repr(table).endswith(f"events progression {counts[0]}, death {counts[1]}")
    assert repr(JointTable.of(*trial, GRID, singly=True, rows=70)).endswith(f"progression {counts[0]}, death {counts[1]}")
    said = JointPriors({"progression": HazardRatioPrior(0.5, 1.5)}, effect=Fading(InteractionPrior()),
                       missing_log_odds=math.log(2)).statements()  # fmt: skip
    assert said["hazard ratio of progression, MRD-negative over not"] == (
        "95 % of prior hazard ratios between 0.17 and 1.5, median 0.5")
    assert said["MRD-negative at a visit in control, of patients not negative before"] == (
        "95 % of prior shares between 0.026 and 0.7, median 0.2")
    assert said["odds ratio of MRD-negativity between the arms"].endswith("between 0.067 and 15, median 1")
    assert said["odds ratio of MRD-negativity by the visit before"].endswith("between 1 and 4e+02, median 20")
    assert said["MRD effect by arm"].endswith("between 0.67 and 1.5, median 1")
    assert said["fading"] == "the log hazard ratio of MRD halves every 9 to 144 months (95 %), median 36"
    assert said["missing results"] == "odds 2 times as large of the MRD-negative (fixed, not estimated)"
    assert "missing results" not in PRIORS.statements()
    assert Constant().statements() == {}
    assert Lost().statements()["loss of negativity"].startswith("half of the MRD-negative lose it every 9 to 144")


@pytest.mark.parametrize("prior", [SharePrior(0.2, 0.7), MrdOddsRatioPrior(), PersistencePrior(), Fading(), InteractionPrior()])
def test_priors_have_the_quantiles_they_are_stated_by(prior):
    upper = prior.mean + 1.959964 * prior.sd
    scale = (lambda x: 1 / (1 + math.exp(-x))) if isinstance(prior, SharePrior) else math.exp
    assert scale(prior.mean) == pytest.approx(prior.median)
    assert scale(upper) == pytest.approx(prior.upper, rel=1e-6)


@pytest.mark.parametrize(("kind", "arms", "visits", "names"), [
    (Constant(), 2, 2, {"status_level": 2, "status_log_odds_ratio": 2, "status_persistence": 1}),
    (Constant(InteractionPrior()), 2, 1, {"status_level": 1, "status_log_odds_ratio": 1, "log_mrd_interaction": None}),
    (Fading(InteractionPrior()), 1, 3, {"status_level": 3, "status_persistence": 2, "log_mrd_half_life": None}),
])  # fmt: skip
def test_draws_from_the_prior_have_the_models_names_and_its_moments(kind, arms, visits, names):
    priors = JointPriors({"death": HazardRatioPrior(0.8, 2), "progression": HazardRatioPrior(0.5, 1.5)}, effect=kind,
                         status=StatusPriors(SharePrior(0.3, 0.6)), missing_log_odds=1.0)  # fmt: skip
    drawn = priors.sample(CAUSES, visits, arms, 40_000, rng=np.random.default_rng(3))
    names = names | {"log_mrd_hazard_ratio": 2, "log_odds_missing": visits}
    assert {name: (values.shape[1] if values.ndim > 1 else None) for name, values in drawn.items()} == names
    of = {"status_level": priors.status.share, "status_log_odds_ratio": priors.status.odds_ratio,
          "status_persistence": priors.status.persistence, "log_mrd_half_life": kind,
          "log_mrd_interaction": kind.interaction}  # fmt: skip
    for name, values in drawn.items():
        columns = values.reshape(len(values), -1).T
        expected = [of.get(name)] * len(columns)
        if name == "log_mrd_hazard_ratio":  # in the order of the causes, not of the mapping
            expected = [priors.hazard_ratio[cause] for cause in CAUSES]
        for column, prior in zip(columns, expected, strict=True):
            if prior is not None:
                assert abs(column.mean() - prior.mean) < 4 * prior.sd / 200
                assert column.std() == pytest.approx(prior.sd, rel=0.02)


def test_status_of_simulated_patients_is_the_status_of_a_trial(trial):
    patients, status = trial
    assert isinstance(status, MrdStatus)
    np.testing.assert_array_equal(status.at_risk, patients.time[:, None] > SCHEDULE.months)
    assert (status.code[~status.at_risk] == -2).all()
    assert set(status.code[status.at_risk].tolist()) == {-1, 0, 1}
    assert patients.provenance == "simulated"
