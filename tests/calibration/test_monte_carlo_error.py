"""The stated Monte Carlo errors of the flagship are those of repeating it, reconstructions and all."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

TABLE = Path(__file__).with_name("monte_carlo_error.csv")
REPEATS = 20
TRIALS = ("QuiRedex 2013", "E3A06", "KRd pilots", "all earlier trials")
WITHOUT = tuple(f"without {name}" for name in TRIALS)


@pytest.fixture(scope="module")
def rows():
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def of(rows, answer):
    """Probabilities of the repetitions and their stated errors."""
    mine = [row for row in rows if row["answer"] == answer]
    assert [int(row["repeat"]) for row in mine] == list(range(1, REPEATS + 1))
    return np.array([[float(row["probability"]), float(row["mcse"])] for row in mine]).T


def ratio(probability, stated):
    """Standard deviation of the answers over the root mean square of the stated errors."""
    return probability.std(ddof=1) / np.sqrt((stated**2).mean())


def bounds(share):
    """Where the ratio lies with probability ``share`` if the stated errors are right."""
    return np.sqrt(chi2.ppf([(1 - share) / 2, (1 + share) / 2], REPEATS - 1) / (REPEATS - 1))


def test_the_answers_of_repetitions_differ_by_their_stated_error(rows):
    low, high = bounds(0.95)
    assert low < ratio(*of(rows, "answer")) < high


@pytest.mark.parametrize("answer", WITHOUT)
def test_answers_without_a_source_differ_by_their_stated_error(rows, answer):
    """Four answers of which one in twenty may be outside: each is held to 98.75 %."""
    low, high = bounds(1 - 0.05 / len(WITHOUT))
    assert low < ratio(*of(rows, answer)) < high


def test_an_error_half_or_twice_as_large_would_be_seen(rows):
    low, high = bounds(0.95)
    probability, stated = of(rows, "answer")
    assert ratio(probability, stated / 2) > high
    assert ratio(probability, stated * 2) < low


def test_the_answer_of_the_specification_is_one_of_them(rows):
    """README gives 0.28 and 0.006, of the reconstructions that are stored."""
    probability, stated = of(rows, "answer")
    assert abs(probability.mean() - 0.276) < 4 * 0.006
    assert abs(np.sqrt((stated**2).mean()) - 0.006) < 0.001
