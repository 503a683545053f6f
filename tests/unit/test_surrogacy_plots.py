"""Plots of surrogacy across trials show what they were given."""

from dataclasses import replace

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from smm_bayes.errors import SpecificationError
from smm_bayes.reporting.surrogacy import plot_leave_one_out, plot_pairs, plot_prior_pairs
from smm_bayes.reporting.transport import plot_tipping, plot_transport, predicted_table
from smm_bayes.surrogacy import (
    AcrossPriors,
    AcrossTrials,
    Relation,
    Transport,
    Transported,
    TrialPair,
    TrialPairs,
    leave_one_out,
)

PAIRS = TrialPairs((
    TrialPair("one", 0.4, 0.2, -0.2, 0.15, cuts=("final", "final")), TrialPair("two", 0.9, 0.2, -0.45, 0.1, "recalled"),
    TrialPair("three", 1.5, 0.3, -0.6, 0.2, "derived", cuts=("early", "late")), TrialPair("four", 1.1, 0.2, -0.5, 0.15),
))  # fmt: skip
RELATION = Relation.from_pairs(AcrossTrials(PAIRS), 400, rng=np.random.default_rng(1))


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_pairs_with_names_trust_and_threshold():
    ax = plot_pairs(PAIRS, RELATION)
    assert [text.get_text() for text in ax.texts] == ["one", "two", "three", "four"]
    said = legend(ax)
    assert {"published", "derived", "recalled", "data cuts differ or are not known", "new trial, 95 %", "line, 95 %"} <= set(said)
    (threshold,) = (float(text.split(": ")[1]) for text in said if text.startswith("threshold"))
    # there 97.5 % of new trials are below 1
    rng = np.random.default_rng(2)
    new = rng.normal(RELATION.intercept + RELATION.slope * np.log(threshold), RELATION.residual_sd, (200, 400))
    assert (new < 0).mean() == pytest.approx(0.975, abs=0.01)
    sizes = np.concatenate([dots.get_sizes() for dots in ax.collections if len(dots.get_offsets()) == 1 or dots.get_sizes().size == 2])
    assert sizes.max() == pytest.approx(260)
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_a_relation_without_threshold_says_so():
    flat = Relation([0.1, 0.2], [0.0, 0.1], [0.0, 0.0], "published regression", "it", 9, "published")
    assert "no threshold in this range" in legend(plot_pairs(PAIRS, flat))


def test_left_out_trials():
    found = leave_one_out(AcrossTrials(PAIRS))
    given = plt.subplots()[1]
    ax = plot_leave_one_out(found, given)
    assert ax is given
    assert [label.get_text() for label in ax.get_yticklabels()] == list(PAIRS.trials)
    assert f"predicted, 95 %: {found.covered(0.95)} of 4 within" in legend(ax)
    with pytest.raises(SpecificationError, match="there are no probabilities"):
        plot_leave_one_out(replace(found, limits={}))


def test_prior_of_pairs_has_its_bands():
    ax = plot_prior_pairs(AcrossPriors(), odds_ratios=(0.5, 8.0), rng=np.random.default_rng(1))
    assert legend(ax) == ["95 %", "50 %", "median"]
    assert ax.get_xlim() == pytest.approx((0.5, 8.0))


def test_transport_widens_and_says_where_the_trials_end():
    far = Transported.of(RELATION, Transport(), rng=np.random.default_rng(1))
    ax = plot_transport(far, largest=12.0)
    new, trials = (band.get_paths()[0].vertices[:, 1] for band in ax.collections[:2])
    assert np.ptp(new) > np.ptp(trials)
    assert "hatched: outside the trials" in legend(ax)
    low, high = np.exp(RELATION.log_odds_ratios)
    spans = sorted((patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches)
    assert np.ravel(spans) == pytest.approx([1.0, low, high, 12.0])
    unknown = Relation([-0.1, -0.2], [-0.4, -0.5], [0.1, 0.2], "published regression", "it", 9, "published")
    assert "hatched: the trials' range is unknown" in legend(plot_transport(Transported.of(unknown, Transport(), rng=np.random.default_rng(1))))


def test_nothing_carried_over_has_no_figure():
    nothing = Transported.of(RELATION, Transport.nothing(), rng=np.random.default_rng(1))
    with pytest.raises(SpecificationError, match="nothing is predicted"):
        plot_transport(nothing)


def test_tipping_cells_and_the_line_between_them():
    rows = [(scale, shift, extra, 0.9 - 0.3 * (extra > 0.3) - 0.2 * (scale < 1) + shift)
            for scale in (0.5, 1.0) for shift in (0.0, 0.05) for extra in (0.1, 0.5, np.inf)]
    table = pd.DataFrame(rows, columns=["scale", "shift", "extra_sd", "answer"])
    ax = plot_tipping(table, 0.8, answer="P(benefit)")
    assert [text.get_text() for text in ax.texts] == ["0.70", "0.90", "0.40", "0.60", "0.40", "0.60"]
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "not used"
    edges = sorted((tuple(line.get_xdata()), tuple(line.get_ydata())) for line in ax.lines)
    assert edges == [((1, 1), (0, 1)), ((1, 2), (1, 1))]  # around the one cell above
    assert plot_tipping(table, 0.8, shift=0.05).texts[1].get_text() == "0.95"
    with pytest.raises(SpecificationError, match=r"no row has shift 0\.3"):
        plot_tipping(table, 0.8, shift=0.3)


def test_predicted_hazard_ratios_by_setting():
    rng = np.random.default_rng(1)
    known = Relation([-0.1] * 20, [-0.4] * 20, [0.2] * 20, "pairs", "some", 9, "published", (0.0, 1.2))
    settings = {"same": Transported.of(known, Transport.identity(), rng=rng),
                "far": Transported.of(known, Transport(0.5, 0.1, 0.3), rng=rng)}  # fmt: skip
    table = predicted_table(settings, (2, 5))
    middle, sd = 0.5 * -0.4 * np.log(2), np.hypot(0.2, 0.3)
    limits = table.loc[("far", 2), ["lower", "median", "upper"]].to_numpy(float)
    assert np.log(limits) == pytest.approx(middle + sd * np.array([-1.959964, 0, 1.959964]), abs=1e-5)
    assert table.loc[("far", 2), "below 1"] == pytest.approx(ndtr(-middle / sd))
    assert table.loc[("far", 2), "mcse"] == pytest.approx(0, abs=1e-12)  # every draw is the same
    assert list(table["extrapolated"]) == [False, True] * 2
    spread = predicted_table({"same": Transported.of(RELATION, Transport.identity(), rng=rng)}, (2,))
    assert 0 < spread["mcse"].iloc[0] < 0.05
