"""Laws of hidden paths and weights that do not fit are refused, every problem at once."""

import numpy as np
import pytest

from smm_bayes.errors import SpecificationError
from smm_bayes.prediction import EventCount, FinalAnalysis, LogRank, Prediction, probability_of_success
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.law import Law


def completed(patients, log_hazard, grid, *, paths=None, **options):
    """Complete a trial from log hazards; with paths, pairs of shares and of what is known, they have a dim more."""
    if paths is None:
        return probability_of_success(patients, Law.plain(log_hazard, grid, patients.arms, patients.causes), **options)
    share, known = paths
    law = Law(log_hazard, share, grid, patients.arms, patients.causes)
    return probability_of_success(patients, law, known=known, **options)

GRID = TimeGrid((6,))


def law(*shape, paths=2):
    return np.full((*shape, paths), -np.log(paths))


def test_a_law_says_what_is_wrong():
    log_hazard = np.full((1, 3, 2, 2, 1, 2), -4.0)
    bad = law(1, 3, 2)
    bad[0, 1, 0, 0] = -3.0
    names = ("control", "experimental"), ("event",)
    for hazards, share, words in (
        (log_hazard, bad, "add up to 1; the worst draw is off by 0.45"),
        (log_hazard, np.where(np.arange(2) == 0, np.nan, law(1, 3, 2)), "add up to 1"),
        (log_hazard, law(3, 2), r"its dims without the last two; got \(1, 3, 2, 2, 1, 2\) and \(3, 2, 2\)"),
        (log_hazard * np.nan, law(1, 3, 2), "not finite"), (-log_hazard * np.inf, law(1, 3, 2), "not finite"),
        (log_hazard[:, :, :1], law(1, 3, 1), r"ending in \(2, 2, 1, 2\)"),
    ):  # fmt: skip
        with pytest.raises(SpecificationError, match=words):
            Law(hazards, share, GRID, *names)
    never = log_hazard.copy()
    never[..., 0, 0, :] = -np.inf  # an event that cannot happen is no fault
    assert Law(never, law(1, 3, 2), GRID, *names).components == 2


def predict(patients, log_hazard, **options):
    options = {"final": FinalAnalysis("date", date=60.0), "rule": EventCount(at_least=1), "seed": 1, "replicates": 20,
               **options}  # fmt: skip
    return completed(patients, log_hazard, GRID, **options)


def test_paths_that_do_not_fit_hazards_or_patients_are_refused(simulate):
    patients = simulate()
    size = len(patients)
    by_path = np.full((1, 4, 2, 2, 2, 2), -4.0)
    paths = (law(1, 4, 2), np.zeros((size, 2)))
    assert 0 <= predict(patients, by_path, paths=paths).probability <= 1
    wrong = np.zeros((size - 1, 4))
    wrong[0, 0] = np.inf
    with pytest.raises(SpecificationError, match="2 problems") as error:
        predict(patients, by_path, replicates=0, paths=(law(1, 4, 2), wrong))
    for words in (f"known must have shape (patient, component) = ({size}, 2); got ({size - 1}, 4)", "replicates"):
        assert words in str(error.value)
    wrong = np.zeros((size, 2))
    wrong[0, 0] = np.inf
    with pytest.raises(SpecificationError, match="known has values that are NaN or"):
        predict(patients, by_path, paths=(law(1, 4, 2), wrong))
    other = Law(by_path, law(1, 4, 2), GRID, ("control", "experimental"), ("death", "progression"))
    with pytest.raises(SpecificationError, match="give the law of these patients"):
        probability_of_success(patients, other, final=FinalAnalysis("date", date=60.0), rule=LogRank(), seed=1)
    flat = Law(by_path[0], law(4, 2), GRID, patients.arms, patients.causes)
    with pytest.raises(SpecificationError, match=r"leading dims \(chain, draw\); got \(4,\)"):
        probability_of_success(patients, flat, final=FinalAnalysis("date", date=60.0), rule=LogRank(), seed=1)


def test_a_patient_whose_paths_a_draw_rules_out_is_named(simulate):
    patients = simulate()
    sure = law(1, 4, 2)
    sure[0, 2, 1] = [0.0, -np.inf]  # in one draw, the experimental arm is never on path 1
    weight = np.zeros((len(patients), 2))
    row = int(np.flatnonzero(patients.arm == 1)[3])
    weight[row, 0] = -np.inf
    with pytest.raises(SpecificationError, match=rf"row {row} \(counted from 0\): in some posterior draw"):
        predict(patients, np.full((1, 4, 2, 2, 2, 2), -4.0), paths=(sure, weight))
    weight[row] = 0
    weight[np.flatnonzero(patients.arm == 0)[3], 0] = -np.inf
    predict(patients, np.full((1, 4, 2, 2, 2, 2), -4.0), paths=(sure, weight))


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
