"""Power priors: what they accept, what they refuse and say."""

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from smm_bayes.borrowing import (
    BetaPower,
    HazardHistory,
    NormalisedPowerPrior,
    PowerPrior,
    ResponseHistory,
    power_prior_data,
    power_prior_model,
)
from smm_bayes.errors import SpecificationError
from smm_bayes.survival import EventTable, GammaPrior, TimeGrid

GRID = TimeGrid((6, 12))


def table(arms=("control",), causes=("progression",), grid=GRID):
    shape = (len(arms), len(causes), len(grid))
    events = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    return EventTable(events, 100 * np.ones((shape[0], shape[2])), grid, arms, causes)


@pytest.fixture
def history():
    return HazardHistory.of({"first": table(), "second": table()}, GammaPrior(0.5, 20))


def test_trials_that_do_not_fit_are_all_named():
    other = TimeGrid((6, 24))
    with pytest.raises(SpecificationError, match=r"(?s)2 problems.*'second'.*cuts \(6.0, 24.0\).*'third'.*counts death"):
        HazardHistory.of({"first": table(), "second": table(grid=other), "third": table(causes=("death",))})
    with pytest.raises(SpecificationError, match="one earlier trial at least"):
        HazardHistory.of({})
    with pytest.raises(SpecificationError, match=r"say which with arm \(got None\)"):
        HazardHistory.of({"first": table(arms=("control", "experimental"))})


def test_the_arm_of_a_table_of_two(history):
    both = table(arms=("control", "experimental"))
    for arm, index in (("control", 0), ("experimental", 1)):
        chosen = HazardHistory.of({"first": both, "second": table()}, arm=arm)
        np.testing.assert_array_equal(chosen.sums[0, 0], both.events[index].ravel())
        np.testing.assert_array_equal(chosen.current_sums(both)[0], both.events[index].ravel())
        np.testing.assert_array_equal(chosen.sums[1, 0], table().events.ravel())  # one arm needs no name
    with pytest.raises(SpecificationError, match="say which with arm"):
        history.current_sums(both)
    data = power_prior_data(NormalisedPowerPrior(chosen), both)
    np.testing.assert_array_equal(data["events_data"], both.events[1].ravel())


def test_responses_that_cannot_be_are_all_named():
    with pytest.raises(SpecificationError, match=r"(?s)3 problems.*'a'.*11 of 10.*'b'.*-1 of 10.*a and b must be above 0"):
        ResponseHistory.of({"a": (11, 10), "b": (-1, 10)}, a=0)
    with pytest.raises(SpecificationError, match="one earlier trial at least"):
        ResponseHistory.of({})
    with pytest.raises(SpecificationError, match="got 5 of 4"):
        PowerPrior(ResponseHistory.of({"a": (1, 10)}), [1]).update((5, 4))


@pytest.mark.parametrize("powers", [[0.5], [0.5, 1.1], [-0.1, 0.5], [0.5, np.nan], [[0.5, 0.5]]])
def test_powers_that_are_none_are_refused(history, powers):
    with pytest.raises(SpecificationError, match=r"one power from 0 \(ignored\) to 1 \(pooled\) for each of first, second"):
        PowerPrior(history, powers)


def test_priors_of_powers_that_are_none_are_refused(history):
    for p, q in ((0, 1), (1, -1), (np.inf, 1)):
        with pytest.raises(SpecificationError, match="p and q above 0"):
            BetaPower(p, q)
    with pytest.raises(SpecificationError, match=r"each of first, second; got first"):
        NormalisedPowerPrior(history, {"first": BetaPower()})


def test_a_response_rate_has_no_hazards():
    rates = ResponseHistory.of({"a": (1, 10)})
    prior = NormalisedPowerPrior(rates)
    with pytest.raises(SpecificationError, match="history is of response rates"):
        PowerPrior(rates, [1]).hazards()
    with pytest.raises(SpecificationError, match="needs a history of hazards"):
        prior.log_density(np.ones(1), np.zeros(1))
    with pytest.raises(SpecificationError, match="needs a history of hazards"):
        power_prior_model(prior, table())


def test_four_trials_need_a_generator(history):
    four = NormalisedPowerPrior(HazardHistory.of(dict.fromkeys("abcd", table())))
    with pytest.raises(SpecificationError, match="4 trials need rng"):
        four.posterior(table())
    found = four.posterior(table(), rng=np.random.default_rng(1))
    assert 0 < found.error < 0.01


def test_nothing_changes_once_made(history):
    prior = PowerPrior(history, [0.5, 1])
    with pytest.raises(ValueError, match="read-only"):
        prior.powers[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        history.sums[0] = 1
    with pytest.raises(FrozenInstanceError):
        prior.history = None


def test_quantiles_outside_are_refused_and_ends_are_ends(history):
    margin = NormalisedPowerPrior(history).posterior(table()).power("first")
    np.testing.assert_array_equal(margin.quantile([0, 1]), [0, 1])
    np.testing.assert_array_equal(margin.cdf([-1, 0, 1, 2]), [0, 0, 1, 1])
    np.testing.assert_array_equal(margin.pdf([-0.5, 1.5]), [0, 0])
    with pytest.raises(SpecificationError, match=r"within \[0, 1\]"):
        margin.quantile(1.2)
    with pytest.raises(SpecificationError, match="no trial 'third'; there are first, second"):
        NormalisedPowerPrior(history).posterior().power("third")


def test_what_is_printed(history):
    said = repr(PowerPrior(history, [0.5, 1]))
    assert said.startswith("PowerPrior: first at 0.5, second at 1\n  (0, 6]: Gamma(2, 170): mean 0.0118")
    prior = NormalisedPowerPrior(history, {"first": BetaPower(), "second": BetaPower(2, 1)})
    assert repr(prior) == ("NormalisedPowerPrior: first: flat prior of the power; second: prior of the power Beta(2, 1), "
                           "mean 0.667")  # fmt: skip
    lines = repr(prior.posterior(table())).split("\n")
    assert lines[1].startswith("  power of first: mean ")
    assert lines[2].startswith("    had the current data agreed perfectly its mean would be 0.5")
    assert lines[2].endswith("even then, under the flat prior of the power")
    assert lines[5].startswith("  (0, 6]: mean 0.0")
    assert "agreed" not in repr(prior.posterior())


def test_cells_of_several_causes_have_names():
    history = HazardHistory.of({"first": table(causes=("progression", "death"))})
    assert history.labels[0] == "progression (0, 6]"
    assert history.labels[-1] == "death (12, inf)"
    assert ResponseHistory.of({"a": (1, 2)}).labels == ("rate",)
