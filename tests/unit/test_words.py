"""Tables of a report: what they hold adds up."""

import numpy as np
import pytest

from smm_bayes.analysis.decision import Source
from smm_bayes.analysis.interim import read_inputs
from smm_bayes.reporting import words

SPEC = "models/krd_vs_rd/spec.toml"


@pytest.fixture(scope="module")
def inputs(request):
    return read_inputs(request.config.rootpath / SPEC)


def test_mrd_table_counts_the_snapshot(inputs):
    table = words.mrd_table(inputs.patients, (4 * 28 / 30.4375, 9 * 28 / 30.4375))
    counted = {(int(row.assessed), int(row.negative)) for row in table.itertuples()}
    assert counted == {(22, 2), (19, 4), (52, 21), (44, 30)}


def test_priors_in_words_name_what_the_model_uses(inputs):
    said = dict(words.prior_rows(inputs))
    assert "KRd then lenalidomide v Rd" in said
    assert "hazard ratio of progression" not in said  # a contrast takes its place
    assert "hazard ratio of death" in said


def test_prior_of_this_trial_follows_from_the_contrasts(inputs):
    drawn = inputs.model.prior(20_000, rng=np.random.default_rng(1))
    ratio = drawn["log_hazard_ratio"][:, 0]
    contrast = drawn["log_contrast"][:, 2]
    assert np.median(ratio) == pytest.approx(0, abs=0.02)
    assert ratio.std() > contrast.std()  # the trial's own effect spreads around the contrast


def test_a_source_without_its_probability_has_no_row():
    class Shown:
        probability_of_success = 0.3
        sources = (Source(name="a", trust="published", source="x", probability_without=0.2, mcse_without=0.01),
                   Source(name="b", trust="published", source="x"))  # fmt: skip

    rows = words.source_rows(Shown())
    assert len(rows) == 1
    assert "moved the answer by +0.100" in rows[0][1]
