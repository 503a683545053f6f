"""Laws of hidden paths and weights that do not fit are refused, every problem at once."""

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction import EventCount, FinalAnalysis, HiddenPaths, LogRank, Prediction, probability_of_success
from smm_bayes.survival import TimeGrid

GRID = TimeGrid((6,))


def law(*shape, paths=2):
    return np.full((*shape, paths), -np.log(paths))


def test_paths_say_all_that_is_wrong():
    bad = law(1, 3, 2)
    bad[0, 1, 0, 0] = -3.0
    weight = np.zeros((5, 3))
    weight[2] = -np.inf
    with pytest.raises(SpecificationError, match="3 problems") as error:
        HiddenPaths(bad, weight)
    for words in ("add up to 1", "row 2", "no path is possible", "2 paths and log_weight 3"):
        assert words in str(error.value)
    with pytest.raises(SpecificationError, match="2 problems") as error:
        HiddenPaths(np.where(np.arange(2) == 0, np.nan, law(1, 3, 2)), np.array([[0.0, np.inf]]))
    assert "log_probability has values" in str(error.value)
    assert "log_weight has values" in str(error.value)
    with pytest.raises(SpecificationError, match="2 problems") as error:
        HiddenPaths(law(3, 2), np.zeros(4))
    assert "(chain, draw, arm, path)" in str(error.value)
    assert "(patient, path)" in str(error.value)
    with pytest.raises(SpecificationError, match="none of them 0"):
        HiddenPaths(law(1, 3, 2), np.zeros((0, 2)))


def test_paths_are_kept_as_they_are():
    weight = np.zeros((3, 2))
    weight[0, 1] = -np.inf
    paths = HiddenPaths(law(1, 3, 2), weight)
    weight[:] = 5
    assert paths.log_weight[1, 0] == 0
    assert not paths.log_weight.flags.writeable
    assert paths.paths == 2
    assert repr(paths) == "HiddenPaths: 2 paths; 3 patients, the path known of 1"


def predict(patients, log_hazard, **options):
    options = {"final": FinalAnalysis("date", date=60.0), "rule": EventCount(at_least=1), "seed": 1, "replicates": 20,
               **options}  # fmt: skip
    return probability_of_success(patients, log_hazard, GRID, **options)


def test_paths_that_do_not_fit_hazards_or_patients_are_refused(simulate):
    patients = simulate()
    size = len(patients)
    by_path = np.full((1, 4, 2, 2, 2, 2), -4.0)
    paths = HiddenPaths(law(1, 4, 2), np.zeros((size, 2)))
    assert 0 <= predict(patients, by_path, paths=paths).probability <= 1
    with pytest.raises(SpecificationError, match=r"arm, path, cause, interval\) ending in \(2, 2, 2, 2\); got"):
        predict(patients, by_path[:, :, :, 0], paths=paths)
    with pytest.raises(SpecificationError, match=r"arm, cause, interval\) ending in \(2, 2, 2\); got"):
        predict(patients, by_path)
    with pytest.raises(SpecificationError, match="5 problems") as error:
        predict(patients, by_path[:, :3] * np.nan, replicates=0,
                paths=HiddenPaths(law(1, 4, 2, paths=4), np.zeros((size - 1, 4))))  # fmt: skip
    for words in ("ending in (2, 4, 2, 2)", "not finite", "must have shape (1, 3, 2, 4)", f"{size - 1} rows for {size}",
                  "replicates"):  # fmt: skip
        assert words in str(error.value)


def test_a_patient_whose_paths_a_draw_rules_out_is_named(simulate):
    patients = simulate()
    sure = law(1, 4, 2)
    sure[0, 2, 1] = [0.0, -np.inf]  # in one draw, the experimental arm is never on path 1
    weight = np.zeros((len(patients), 2))
    row = int(np.flatnonzero(patients.arm == 1)[3])
    weight[row, 0] = -np.inf
    with pytest.raises(SpecificationError, match=rf"row {row} \(counted from 0\): in some posterior draw"):
        predict(patients, np.full((1, 4, 2, 2, 2, 2), -4.0), paths=HiddenPaths(sure, weight))
    weight[row] = 0
    weight[np.flatnonzero(patients.arm == 0)[3], 0] = -np.inf
    predict(patients, np.full((1, 4, 2, 2, 2, 2), -4.0), paths=HiddenPaths(sure, weight))


def test_weights_and_differences_that_do_not_fit_are_refused(simulate):
    patients = simulate()
    log_hazard = np.full((2, 5, 2, 2, 2), -4.0)
    found = predict(patients, log_hazard, rule=LogRank())
    with pytest.raises(SpecificationError, match=r"shape \(2, 5\); got \(5, 2\)"):
        found.reweighted(np.zeros((5, 2)))
    with pytest.raises(SpecificationError, match="NaN or \\+inf"):
        found.reweighted(np.full((2, 5), np.nan))
    with pytest.raises(SpecificationError, match="rules out every draw"):
        found.reweighted(np.full((2, 5), -np.inf))
    for other in (predict(patients, log_hazard, rule=LogRank(), seed=2), predict(patients, log_hazard, replicates=40),
                  predict(patients, log_hazard[:1])):  # fmt: skip
        with pytest.raises(SpecificationError, match="same seed and layout"):
            found.difference(other)
    by_hand = Prediction(0.5, 0.1, found.success, found.columns, found.rule, found.final, patients)
    for ask in (lambda: by_hand.draw, lambda: by_hand.reweighted(np.zeros((2, 5))), lambda: found.difference(by_hand)):
        with pytest.raises(SpecificationError, match="does not know the posterior draws"):
            ask()
