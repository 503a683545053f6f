"""Figures of MRD within a trial, and the tables beside them. Numbers on the axes are compared, never pictures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from smm_bayes.errors import SpecificationError
from smm_bayes.priors.clinical import HazardRatioPrior
from smm_bayes.reporting import mrd, plots
from smm_bayes.surrogacy import (
    CoxRatio,
    Fading,
    InteractionPrior,
    JointLaw,
    JointPriors,
    JointShape,
    JointTable,
    MilestoneEffects,
    MrdSchedule,
    SharePrior,
    StatusPriors,
    hazard_ratio_table,
    joint_summary,
    landmark_patients,
    law_without_effect,
    mrd_rates,
    simulate_joint,
    simulated_ratios,
)
from smm_bayes.survival import BaselinePrior, SurvivalPriors, TimeGrid
from smm_bayes.trial import Patients

GRID, SCHEDULE, CAUSES = TimeGrid((12,)), MrdSchedule((4.0, 8.0), 0.5, 0.5), ("progression", "death")
PRIORS = JointPriors({"progression": HazardRatioPrior()})


@pytest.fixture(autouse=True)
def no_figure_stays():
    yield
    plt.close("all")


@pytest.fixture
def landmark():
    """From month 8: on Old one negative and two not (events at 2 and 6), on New two negative (event at 3)."""
    rows = [(0, 10, 0, 0), (0, 14, 1, 0), (0, 20, -1, 1), (1, 11, 0, 1), (1, 17, -1, 1), (1, 15, -1, -1), (0, 5, 0, 0)]
    arm, time, cause, negative = (np.array(column) for column in zip(*rows, strict=True))
    patients = Patients(
        patient=np.arange(len(rows)).astype(str).astype(object), arm=arm, time=time.astype(float), event=cause >= 0,
        cause=cause, censoring=np.where(cause >= 0, "", "administrative").astype(object), enrolled=None,
        arms=("control", "experimental"), arm_names=("Old", "New"), causes=CAUSES, provenance="simulated",
    )  # fmt: skip
    return landmark_patients(patients, negative, 8.0)


def law_of(log_ratio):
    """One patient in fifty a month progresses, one in two hundred dies."""
    given = {
        "log_hazard": np.log(np.broadcast_to(np.array([0.02, 0.005])[:, None], (2, 2, 2))),
        "log_mrd_hazard_ratio": np.array([log_ratio]), "status_level": np.array([-0.5, 0.0]),
        "status_log_odds_ratio": np.array([0.5, 0.5]), "status_persistence": np.array([2.0]),
    }  # fmt: skip
    return JointLaw.of(given, JointShape.of(GRID, SCHEDULE.months, CAUSES), PRIORS)


def posterior_of(draws):
    """Draws (chain, draw, ...) by name, with dims numbered."""
    return xr.Dataset({name: (["chain", "draw", *(f"{name}_{k}" for k in range(values.ndim - 2))], values)
                       for name, values in draws.items()})  # fmt: skip


def beside(ax):
    """Words on the right of the axes."""
    return [text.get_text() for text in ax.texts if hasattr(text, "xyann") and text.xyann[0] > 0]


def bars(ax):
    """Ends of every drawn interval, by height."""
    return {float(line.get_ydata()[0]): tuple(map(float, line.get_xdata())) for line in ax.lines
            if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]}  # fmt: skip


def test_landmark_curves_by_hand(landmark):
    curves = mrd.landmark_curves(landmark)
    assert set(curves.index) == {("control", "negative"), ("control", "not negative"), ("experimental", "negative")}
    not_negative = curves.loc[[("control", "not negative")]]
    assert not_negative["time"].tolist() == [0, 2, 6, 6]
    assert not_negative["survival"].tolist() == pytest.approx([1, 0.5, 0, 0])
    assert curves.loc[[("experimental", "negative")]]["survival"].tolist() == pytest.approx([1, 0.5, 0.5])
    at_risk = mrd.landmark_at_risk(landmark, np.array([0, 3, 6, 9]))
    assert at_risk.loc[[("control", "not negative")]].to_numpy().tolist() == [[2, 1, 1, 0]]
    assert at_risk.loc[[("experimental", "negative")]].to_numpy().tolist() == [[2, 2, 1, 1]]


def test_landmark_plot_draws_estimates_the_model_and_who_is_at_risk(landmark):
    time = np.linspace(0, 12, 13)
    law = law_of(-1.0)
    after = law.survival_after(8.0, time)
    ax = mrd.plot_landmark(landmark, np.stack([after - 0.01, after, after + 0.02]), time, horizon=12)
    steps = {line.get_label(): line for line in ax.lines if line.get_drawstyle() == "steps-post"}
    assert set(steps) == {"Old, negative", "Old, not negative", "New, negative"}
    assert steps["Old, not negative"].get_ydata().tolist() == pytest.approx([1, 0.5, 0, 0])
    assert to_hex(steps["New, negative"].get_color()) == plots.COLOURS["experimental"]
    dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    expected = [after[0, 1], after[0, 0], after[1, 1]]  # no curve of a group without patients
    assert all(drawn == pytest.approx(value) for drawn, value in zip(dashed, expected, strict=True))
    assert set(beside(ax)) == set(steps)
    assert ax.get_title() == "Data: simulated; dashed: joint model, median"
    assert ax.get_xlabel().startswith("Months since the landmark at month 8\nPatients at risk:")
    counts = [text.get_text() for text in ax.texts if not hasattr(text, "xyann")]
    assert counts[: len(ax.get_xticks())] == [str(int(tick <= 12)) for tick in ax.get_xticks()]
    assert mrd.plot_landmark(landmark).get_title() == "Data: simulated"


def test_labels_keep_their_order_and_stand_apart():
    placed = np.array(mrd._apart([0.5, 0.9, 0.51, 0.5], 0.1))
    assert np.diff(np.sort(placed)).min() >= 0.1 - 1e-12
    assert placed[1] == placed.max() <= 0.9
    assert placed[2] > placed[3] > placed[0]


def test_rates_are_drawn_with_their_denominators():
    rng = np.random.default_rng(1)
    arm = np.repeat([0, 1], 40)
    patients, status = simulate_joint(law_of(0.0), SCHEDULE, arm, rng=rng, cutoff=30.0, missing=0.2)
    rates = mrd_rates(patients, status)
    ax = mrd.plot_mrd_rates(rates, data="simulated", denominators=["randomised", "assessed"])
    table = rates.table()
    shown = table[table["denominator"].isin(["randomised", "assessed"])]
    drawn = [line for line in ax.lines if line.get_label() in ("control", "experimental")]
    for line in drawn:
        mine = shown[shown["arm"] == line.get_label()]
        assert line.get_xdata().tolist() == mine["rate"].tolist()
        ends = [(a[0], b[0]) for a, b in ax.collections[drawn.index(line)].get_segments()]
        assert ends == list(zip(mine["lower"], mine["upper"], strict=True))
    assert beside(ax)[0] == "{negative} of {number}".format(**shown[shown["arm"] == "control"].iloc[0])
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[:2] == ["4 months, of randomised", "4 months, of assessed"]
    assert len(names) == len(shown) / 2
    assert ax.get_title(loc="right") == "Data: simulated"


def test_milestone_draws_the_difference_and_its_parts():
    rng = np.random.default_rng(2)
    survival, later = rng.uniform(0.8, 1, (2, 500, 2)), rng.uniform(0.3, 0.9, (2, 500, 2, 2))
    first = rng.uniform(0.2, 0.8, (2, 500, 2, 1))
    effects = MilestoneEffects(survival, np.concatenate([first, 1 - first], axis=-1), later, landmark=8, time=36,
                               delta_min=0.05)  # fmt: skip
    ax = mrd.plot_milestone(effects, data="real")
    table = effects.table()
    for y, name in enumerate(("difference", "before_landmark", "mrd", "residual")):
        assert bars(ax)[float(y)] == (table.loc[name, "lower"], table.loc[name, "upper"])
    assert "month 36" in ax.get_xlabel()
    assert ax.get_title(loc="right") == "Data: real"


def ratios():
    joint = pd.DataFrame({"median": [0.4], "lower": [0.2], "upper": [1.1], "mcse": [0.01]}, index=["progression"])
    naive, from_landmark = CoxRatio(np.log(0.15), 0.8, (5, 5), (4, 1)), CoxRatio(-np.inf, np.inf, (5, 5), (4, 0))
    return hazard_ratio_table(naive, from_landmark, joint, month=8.8)


def test_hazard_ratios_say_which_is_biased_and_what_is_beyond_the_axis():
    table = ratios()
    assert table["note"].tolist()[0] == "biased by construction"
    assert table.loc["landmark at month 8.8", ["ratio", "lower", "upper"]].tolist() == [0.0, 0.0, np.inf]
    ax = mrd.plot_hazard_ratios(table, data="simulated")
    drawn = bars(ax)
    assert drawn[0.0] == pytest.approx((0.15 * np.exp(-0.8 * 1.959964), 0.15 * np.exp(0.8 * 1.959964)), rel=1e-5)
    assert drawn[1.0] == mrd.LIMITS
    assert drawn[2.0] == (0.2, 1.1)
    arrows = {line.get_marker(): line.get_ydata().tolist() for line in ax.lines if line.get_marker() in "<>"}
    assert arrows == {"<": [1], ">": [1]}
    assert "biased by construction" in ax.get_yticklabels()[0].get_text()
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "white" for line in points] == [True, False, False]
    assert beside(ax) == ["0.15 (0.03 to 0.72)", "0.00 (0.00 to inf)", "0.40 (0.20 to 1.10)"]
    assert ax.get_xscale() == "log"


def test_plots_use_the_axes_they_are_given(landmark):
    _, axes = plt.subplots(1, 2)
    assert mrd.plot_landmark(landmark, ax=axes[0]) is axes[0]
    assert mrd.plot_hazard_ratios(ratios(), ax=axes[1], data="real") is axes[1]


def test_hazard_ratio_table_takes_one_cause():
    joint = pd.DataFrame({"median": [0.4, 0.5], "lower": [0.2, 0.2], "upper": [1, 1]})
    with pytest.raises(SpecificationError, match="one row, of one cause; got 2"):
        hazard_ratio_table(CoxRatio(0.0, 1.0, (5, 5), (4, 1)), CoxRatio(0.0, 1.0, (5, 5), (4, 1)), joint, month=8)


def test_naive_ratio_is_biased_where_mrd_does_nothing_and_the_landmark_is_not():
    rng = np.random.default_rng(3)
    found = simulated_ratios(law_of(0.0), SCHEDULE, np.repeat([0, 1], 150), 120, rng=rng, cutoff=48.0, missing=0.1)
    naive, from_landmark = found.loc["ever negative v never"], found.loc["landmark"]
    assert naive["trials"] == from_landmark["trials"] == 120
    assert naive["upper"] < 0.85  # ratio of 1 is true
    assert naive["covered"] < 0.8
    assert abs(np.log(from_landmark["ratio"])) < 4 * from_landmark["mcse"]
    assert from_landmark["covered"] > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 120)


@pytest.mark.parametrize("interaction", [False, True])
def test_law_without_effect_has_the_medians_and_one_hazard_whatever_the_status(interaction):
    rng = np.random.default_rng(10)
    draws = {"log_hazard": np.log(rng.uniform(0.01, 0.05, (2, 51, 2, 2, 2))),
             "log_mrd_hazard_ratio": rng.normal(-1, 0.3, (2, 51, 1)), "status_level": rng.normal(size=(2, 51, 2)),
             "status_log_odds_ratio": rng.normal(size=(2, 51, 2)), "status_persistence": rng.normal(size=(2, 51, 1))}  # fmt: skip
    if interaction:
        draws["log_mrd_interaction"] = rng.normal(1, 0.1, (2, 51))
    shape = JointShape.of(GRID, SCHEDULE.months, CAUSES)
    law = law_without_effect(posterior_of(draws), shape, PRIORS)
    assert law.log_hazard.shape == (2, 4, 2, 4)
    assert np.ptp(law.log_hazard, axis=1).max() < 1e-12  # over the paths
    assert law.log_hazard[:, 0] == pytest.approx(np.median(draws["log_hazard"], axis=(0, 1))[..., shape.interval])
    share = 1 / (1 + np.exp(-np.median(draws["status_level"][..., 0])))
    assert law.negative(0)[0] == pytest.approx(share)


def test_landmark_ratio_finds_an_effect():
    rng = np.random.default_rng(4)
    found = simulated_ratios(law_of(np.log(0.35)), SCHEDULE, np.repeat([0, 1], 300), 60, rng=rng, cutoff=48.0)
    assert abs(np.log(found.loc["landmark", "ratio"] / 0.35)) < 4 * found.loc["landmark", "mcse"]


@pytest.mark.parametrize(("trials", "words"), [(1, "at least two trials"), (0, "got 0")])
def test_simulated_ratios_need_two_trials(trials, words):
    with pytest.raises(SpecificationError, match=words):
        simulated_ratios(law_of(0.0), SCHEDULE, np.repeat([0, 1], 50), trials, rng=np.random.default_rng(5))


def test_ratios_of_trials_without_events_are_refused_in_words():
    law = law_of(-20.0)  # nobody progresses while negative
    with pytest.raises(SpecificationError, match="in fewer than two trials the ratio is finite; simulate larger ones"):
        simulated_ratios(law, SCHEDULE, np.repeat([0, 1], 60), 3, rng=np.random.default_rng(1), cutoff=100.0)


# ---- summary


def fake_posterior(draws, names, coords):
    """Prior draws in the shape of a posterior."""
    dims = {"log_mrd_hazard_ratio": ["acting"], "status_level": ["visit"], "status_log_odds_ratio": ["visit"],
            "status_persistence": ["later"], "log_odds_missing": ["visit"], "log_hazard_ratio": ["cause"],
            "level": ["cause"], "smoothness": ["cause"]}  # fmt: skip
    return xr.Dataset({name: (["chain", "draw", *dims.get(name, [])], draws[name].reshape(4, -1, *draws[name].shape[1:]))
                       for name in names}, coords=coords)  # fmt: skip


def test_summary_names_every_parameter_and_what_is_mostly_prior():
    survival = SurvivalPriors({cause: BaselinePrior(30, 120) for cause in CAUSES})
    priors = JointPriors({"progression": HazardRatioPrior(0.5, 2.0)}, StatusPriors(SharePrior(0.2, 0.7)),
                         Fading(InteractionPrior()), missing_log_odds=0.0)  # fmt: skip
    rng = np.random.default_rng(6)
    arm = np.repeat([0, 1], 20)
    patients, status = simulate_joint(law_of(0.0), SCHEDULE, arm, rng=rng, cutoff=30.0)
    table = JointTable.of(patients, status, GRID)
    draws = survival.sample(CAUSES, 2, GRID, 8000, rng=rng) | priors.sample(CAUSES, 2, 2, 8000, rng=rng)
    draws["status_level"] = draws["status_level"].mean() + 0.1 * (draws["status_level"] - draws["status_level"].mean())
    names = ["log_mrd_hazard_ratio", "log_mrd_interaction", "log_mrd_half_life", "status_level",
             "status_log_odds_ratio", "status_persistence", "log_odds_missing", "log_hazard_ratio", "level",
             "smoothness"]  # fmt: skip
    coords = {"acting": ["progression"], "visit": ["4", "8"], "later": ["8"], "cause": list(CAUSES)}
    found = joint_summary(fake_posterior(draws, names, coords), table, survival, priors, rng=np.random.default_rng(7))
    assert len(found) == 1 + 1 + 1 + 2 + 2 + 1 + 2 + 2 + 2 + 2
    taught = found.loc["share negative, control, not negative before"]
    assert taught["contraction"].to_numpy() == pytest.approx([0.99, 0.99], abs=0.005)
    assert taught["median"].to_numpy() == pytest.approx([0.2, 0.2], abs=0.01)
    assert (taught["note"] == "").all()
    assert list(taught.index) == ["4 months", "8 months"]
    rest = found[found.index.get_level_values("quantity") != "share negative, control, not negative before"]
    assert rest["contraction"].abs().max() < 0.12  # the draws are the prior's own
    assert (rest["note"] == "mostly the prior").all()
    ratio = found.loc[("hazard ratio, MRD-negative over not", "progression")]
    assert ratio["median"] == pytest.approx(0.5, rel=0.05)
    assert ratio["upper"] == pytest.approx(2.0, rel=0.1)
    assert found.loc[("half-life of the MRD effect, months", ""), "median"] == pytest.approx(36, rel=0.05)
    assert (found["mcse"] > 0).all()


def test_summary_leaves_out_what_the_model_has_not():
    from smm_bayes.survival import GammaPrior

    rng = np.random.default_rng(8)
    patients, status = simulate_joint(law_of(0.0), SCHEDULE, np.repeat([0, 1], 20), rng=rng, cutoff=30.0)
    table, priors = JointTable.of(patients, status, GRID), JointPriors({"death": HazardRatioPrior()})
    draws = priors.sample(CAUSES, 2, 2, 4000, rng=rng)
    coords = {"acting": ["death"], "visit": ["4", "8"], "later": ["8"]}
    posterior = fake_posterior(draws, list(draws), coords)
    found = joint_summary(posterior, table, GammaPrior(), priors, rng=np.random.default_rng(9), probability=0.8)
    assert found.index.get_level_values("of").tolist() == ["death", "4 months", "8 months", "4 months", "8 months",
                                                           "8 months"]  # fmt: skip
    with pytest.raises(SpecificationError, match="probability must be between 0 and 1"):
        joint_summary(posterior, table, GammaPrior(), priors, rng=np.random.default_rng(9), probability=1.0)
