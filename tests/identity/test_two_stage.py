"""Simon's designs against enumeration by hand and simulation, and what is inferred after them."""

from itertools import pairwise, product

import numpy as np
import pytest
from scipy import stats

from smm_bayes.errors import SpecificationError
from smm_bayes.response.binomial import above_table, pmf, pmf_table
from smm_bayes.response.two_stage import TwoStageDesign, two_stage_designs
from smm_bayes.response.two_stage_result import TwoStageResult

DESIGN = TwoStageDesign(4, 19, 15, 54, p0=0.2, p1=0.4)


def outcomes(design):
    """Every end of a trial: stage, responses, patients, and its probability at a rate."""
    first, second = np.arange(design.n1 + 1), np.arange(design.n - design.n1 + 1)

    def at(p):
        one, two = stats.binom.pmf(first, design.n1, p), stats.binom.pmf(second, design.n - design.n1, p)
        found = {(1, int(x)): one[x] for x in first[: design.r1 + 1]}
        for x, y in product(first[design.r1 + 1 :], second):
            found[2, int(x + y)] = found.get((2, int(x + y)), 0) + one[x] * two[y]
        return found

    return at


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.3, 0.999, 1.0])
def test_tables_of_binomials(p):
    size, x = np.arange(61)[:, None], np.arange(61)
    mass, above = pmf_table(60, p), above_table(pmf_table(60, p))
    assert mass == pytest.approx(stats.binom.pmf(x, size, p), rel=1e-11, abs=1e-300)
    assert above[:, 1:] == pytest.approx(stats.binom.sf(x, size, p), rel=1e-11, abs=1e-300)
    assert above[:, 0] == pytest.approx(np.ones(61), abs=1e-14)
    assert pmf(60, np.array([0.5, p]))[1] == pytest.approx(mass[60], rel=1e-13, abs=1e-300)


@pytest.mark.parametrize("p", [0.0, 0.05, 0.2, 0.4, 1.0])
def test_operating_characteristics_are_sums_over_every_outcome(p):
    ends = outcomes(DESIGN)(p)
    stop = sum(chance for (stage, _), chance in ends.items() if stage == 1)
    success = sum(chance for (stage, s), chance in ends.items() if stage == 2 and s > DESIGN.r)
    assert DESIGN.early_stop_probability(p) == pytest.approx(stop, abs=1e-13)
    assert DESIGN.expected_n(p) == pytest.approx(19 * stop + 54 * (1 - stop), abs=1e-11)
    assert DESIGN.power(p) == DESIGN.type_one_error(p) == pytest.approx(success, abs=1e-13)


def test_operating_characteristics_take_many_rates_at_once():
    rates = np.array([[0.1, 0.2], [0.3, 0.4]])
    assert DESIGN.power(rates).shape == DESIGN.expected_n(rates).shape == (2, 2)
    assert DESIGN.power(rates)[1, 1] == pytest.approx(DESIGN.power())
    assert DESIGN.power(rates)[0, 1] == pytest.approx(DESIGN.type_one_error())


def test_simulated_trials_agree():
    rng, trials = np.random.default_rng(5), 200_000
    x, y = rng.binomial(19, 0.4, trials), rng.binomial(35, 0.4, trials)
    share = ((x > 4) & (x + y > 15)).mean()
    assert abs(share - DESIGN.power()) < 4 * np.sqrt(share * (1 - share) / trials)


def by_hand(p0, p1, alpha, beta, most):
    """Least expected n and its design for every n up to a largest one, from every (r1, n1, r) there is."""
    best = {}
    for n in range(2, most + 1):
        for n1, r1 in ((size, stop) for size in range(1, n) for stop in range(size)):
            x = np.arange(r1 + 1, n1 + 1)
            for r in range(r1, n):
                error, power = (stats.binom.pmf(x, n1, p) @ stats.binom.sf(r - x, n - n1, p) for p in (p0, p1))
                if error <= alpha and power >= 1 - beta:
                    stop = stats.binom.cdf(r1, n1, p0)
                    best.setdefault(n, []).append((n1 + (1 - stop) * (n - n1), r1, n1, r))
                    break  # a larger r has less power, and the same expected n
    return {n: min(found) for n, found in best.items()}


@pytest.mark.parametrize(("p0", "p1", "alpha", "beta", "most"), [(0.05, 0.4, 0.05, 0.2, 15), (0.3, 0.8, 0.1, 0.1, 14)])
def test_designs_are_those_of_an_enumeration_by_hand(p0, p1, alpha, beta, most):
    best, found = by_hand(p0, p1, alpha, beta, most), two_stage_designs(p0, p1, alpha=alpha, beta=beta)
    assert found.optimal.n < most
    assert found.minimax.n == min(best)
    assert found.optimal.expected_n() == pytest.approx(min(best.values())[0], abs=1e-12)
    for each in found.admissible:
        assert best[each.n] == (pytest.approx(each.expected_n()), each.r1, each.n1, each.r)
    for q in np.linspace(0.003, 0.997, 41):
        cost, n = min((q * n + (1 - q) * one[0], n) for n, one in best.items())
        chosen = [each.n for each, (low, high) in zip(found.admissible, found.weights, strict=True) if low <= q <= high]
        assert n in chosen, (q, cost)


def test_weights_of_admissible_designs_share_the_unit_interval():
    """Four of five designs, each of which expects fewer patients than any smaller one, are on the hull."""
    found = two_stage_designs(0.2, 0.35)
    assert len(found.admissible) == 4
    assert found.weights[0][1] == 1
    assert found.weights[-1][0] == 0
    assert all(low < high for low, high in found.weights)
    for (low, _), (_, high) in pairwise(found.weights):
        assert low == high
    for one, two in pairwise(found.admissible):
        assert one.n < two.n
        assert one.expected_n() > two.expected_n()


def test_no_larger_design_expects_fewer_patients_than_the_optimal_one():
    """The search ends by a bound; here it is followed far beyond by hand, for every first stage and its largest r1."""
    found = two_stage_designs(0.1, 0.3).optimal
    for n, n1 in ((n, n1) for n in range(found.n + 1, 2 * found.n) for n1 in range(1, 16)):
        r1 = max((r for r in range(-1, n1) if stats.binom.cdf(r, n1, 0.3) <= 0.2), default=-1)
        for r in range(max(r1, 0), n):
            tried = TwoStageDesign(r1, n1, r, n, 0.1, 0.3)
            if tried.expected_n() >= found.expected_n():
                break
            assert not (tried.type_one_error() <= 0.05 and tried.power() >= 0.8)


def test_estimates_average_as_they_should():
    """The unbiased estimate has the true rate as its mean; the proportion of responders is too low on average."""
    ends = outcomes(DESIGN)
    for p in (0.1, 0.2, 0.3):
        mean = {"umvue": 0.0, "proportion": 0.0, "bias_corrected": 0.0}
        for (stage, s), chance in ends(p).items():
            result = TwoStageResult(DESIGN, s, 19 if stage == 1 else 54)
            for name in mean:
                mean[name] += chance * getattr(result, name)
        assert mean["umvue"] == pytest.approx(p, abs=1e-12)
        assert mean["proportion"] < p
        assert abs(mean["bias_corrected"] - p) < abs(mean["proportion"] - p)


@pytest.mark.parametrize(("responses", "patients"), [(2, 19), (9, 54), (21, 54), (50, 54)])
def test_at_the_bias_corrected_rate_the_proportion_seen_is_the_mean(responses, patients):
    result = TwoStageResult(DESIGN, responses, patients)
    ends = outcomes(DESIGN)(result.bias_corrected)
    mean = sum(chance * s / (19 if stage == 1 else 54) for (stage, s), chance in ends.items())
    assert mean == pytest.approx(responses / patients, abs=1e-12)


def test_p_values_and_intervals_hold_their_level_at_every_rate():
    ends = outcomes(DESIGN)
    results = {key: TwoStageResult(DESIGN, key[1], 19 if key[0] == 1 else 54) for key in ends(0.5)}
    intervals = {key: result.interval(0.9) for key, result in results.items()}
    for p in np.linspace(0.01, 0.99, 25):
        low, high = (sum(chance for key, chance in ends(p).items() if side(intervals[key], p))
                     for side in (lambda i, p: i[0] > p, lambda i, p: i[1] < p))  # fmt: skip
        assert low <= 0.05 + 1e-9
        assert high <= 0.05 + 1e-9
    for level in (0.01, 0.05, 0.2):
        assert sum(chance for key, chance in ends(0.2).items() if results[key].p_value <= level) <= level + 1e-12


def test_success_is_a_p_value_of_at_most_the_type_one_error():
    for s in range(5, 55):
        result = TwoStageResult(DESIGN, s, 54)
        assert result.success == (s > DESIGN.r)
    assert not TwoStageResult(DESIGN, 4, 19).success


@pytest.mark.parametrize("patients", [40, 53, 60])
def test_a_second_stage_of_another_size_holds_the_type_one_error(patients):
    """The least number of responses that succeeds is the least that the planned error allows."""
    second = patients - 19
    need = min(s for s in range(5, patients + 1) if TwoStageResult(DESIGN, s, patients).success)
    x = np.arange(5, 20)

    def error(s):
        return stats.binom.pmf(x, 19, 0.2) @ stats.binom.sf(s - 1 - x, second, 0.2)

    assert error(need) <= DESIGN.type_one_error() < error(need - 1)


def test_the_median_unbiased_estimate_is_where_the_p_value_is_a_half():
    result = TwoStageResult(DESIGN, 21, 54)
    assert result.at_least(result.median_unbiased) == pytest.approx(0.5, abs=1e-12)
    assert result.interval(0.9)[0] < result.median_unbiased < result.interval(0.9)[1]


@pytest.mark.parametrize(("responses", "patients", "message"), [
    (3, 18, "the first stage has 19 patients and 18 are given"), (5, 19, "the trial goes on"),
    (4, 54, "had to stop"), (55, 54, "responses at most patients"), (2.5, 54, "whole numbers"), (True, 54, "whole"),
])  # fmt: skip
def test_ends_that_the_design_cannot_have(responses, patients, message):
    with pytest.raises(SpecificationError, match=message):
        TwoStageResult(DESIGN, responses, patients)


@pytest.mark.parametrize(("numbers", "message"), [
    ((5, 5, 6, 20), "r1 must be below n1"), ((1, 10, 5, 10), "n1 below n"), ((3, 10, 2, 20), "r from r1"),
    ((1.5, 10, 5, 20), "whole numbers"), ((1, 10, 20, 20), "n - 1"),
])  # fmt: skip
def test_numbers_that_are_no_design(numbers, message):
    with pytest.raises(SpecificationError, match=message):
        TwoStageDesign(*numbers, p0=0.1, p1=0.3)


def test_a_rate_beyond_one_is_refused():
    with pytest.raises(SpecificationError, match=r"within \[0, 1\]"):
        DESIGN.power(1.2)
    with pytest.raises(SpecificationError, match="probability must be between 0 and 1"):
        TwoStageResult(DESIGN, 21, 54).interval(1)
