"""What is written reads back as the same patients."""

from dataclasses import replace

import numpy as np
import pytest

from smm_bayes.errors import DataError
from smm_bayes.trial import MrdAssessments, Patients
from smm_bayes.trial.patients import REASONS
from smm_bayes.trial.writers import CENSORED, write_adtte, write_mrd

EQUAL = ("patient", "arm", "event", "cause", "censoring", "time", "enrolled", "stratum")


def varied(patients, seed=1):
    """Every reason for censoring, a stratum, MRD at odd times, some of it without valid result."""
    rng = np.random.default_rng(seed)
    size = len(patients)
    reason = np.where(patients.event, "", np.array(REASONS, dtype=object)[rng.integers(len(REASONS), size=size)])
    row = np.repeat(np.arange(size), 2)
    valid = rng.random(2 * size) < 0.8
    mrd = MrdAssessments(row, patients.time[row] * rng.random(2 * size), valid & (rng.random(2 * size) < 0.5),
                         np.where(valid, rng.choice([1e-4, 1e-5, 1e-6], 2 * size), np.nan), valid,
                         np.tile(np.array(["sequencing, of the clone", ""], dtype=object), size))  # fmt: skip
    return replace(patients, censoring=reason.astype(object), mrd=mrd,
                   stratum=np.array(["low, or not known", "high"], dtype=object)[rng.integers(2, size=size)])  # fmt: skip


def again(patients, folder, **options):
    write_adtte(patients, folder / "adtte.csv", **options)
    if patients.mrd is not None:
        write_mrd(patients, folder / "mrd.csv", unit=options.get("unit", "month"))
    texts = options.get("causes", {})
    return Patients.from_adtte(
        folder / "adtte.csv", "PFS", arms=dict(zip(patients.arms, patients.arm_names, strict=True)),
        causes={cause: [texts.get(cause, cause)] for cause in patients.causes},
        mrd=folder / "mrd.csv" if patients.mrd is not None else None, provenance=patients.provenance,
        longest_gap=1000,  # some were lost to follow-up decades before the last, and the table does not say so
    )  # fmt: skip


def same(one, two, tolerance=0.0):
    assert (one.trial, one.arms, one.arm_names, one.causes, one.origin, one.provenance) == (
        two.trial, two.arms, two.arm_names, two.causes, two.origin, two.provenance)  # fmt: skip
    pairs = [(name, getattr(one, name), getattr(two, name)) for name in EQUAL]
    if one.mrd is not None:
        pairs += [(n, getattr(one.mrd, n), getattr(two.mrd, n)) for n in ("row", "time", "negative", "valid", "assay")]
        np.testing.assert_array_equal(one.mrd.sensitivity, two.mrd.sensitivity)
    for name, mine, other in pairs:
        if mine is None or mine.dtype == object or tolerance == 0:
            assert np.array_equal(mine, other), name
        else:
            np.testing.assert_allclose(mine, other, atol=tolerance, err_msg=name)


def test_real_patients_read_back(mgus2, mgus2_1985, tmp_path):
    same(again(mgus2, tmp_path), mgus2)
    same(again(mgus2_1985, tmp_path), mgus2_1985)


@pytest.mark.parametrize(("unit", "tolerance"), [("month", 0), ("day", 1e-9), ("week", 1e-9), ("year", 1e-9)])
def test_every_column_reads_back(mgus2, tmp_path, unit, tolerance):
    patients = varied(mgus2)
    assert set(patients.censoring) == {"", *REASONS} == {"", *CENSORED}
    same(again(patients, tmp_path, unit=unit), patients, tolerance)


def test_words_for_causes(mgus2, tmp_path):
    same(again(mgus2, tmp_path, causes={"progression": "PD", "death": "Died"}), mgus2)
    assert ",PD," in (tmp_path / "adtte.csv").read_text()


def test_no_dates_no_column(simulate, tmp_path):
    patients = replace(simulate(), enrolled=None, data_cutoff=None)
    same(again(patients, tmp_path), patients)


def test_what_a_table_cannot_say_is_refused(mgus2, simulate, tmp_path):
    target = tmp_path / "adtte.csv"
    target.write_text("earlier")
    with pytest.raises(DataError, match="covariates"):
        write_adtte(replace(mgus2, covariates={"age": mgus2.time}), target)
    with pytest.raises(DataError, match="date of origin"):
        write_adtte(simulate(), target)
    with pytest.raises(DataError, match="between days"):
        write_adtte(replace(mgus2, enrolled=mgus2.enrolled + 0.01), target)
    with pytest.raises(DataError, match="no MRD"):
        write_mrd(mgus2, target)
    with pytest.raises(DataError, match="not a unit"):
        write_adtte(mgus2, target, unit="fortnight")
    assert target.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["adtte.csv"]


def test_a_failed_write_leaves_nothing(mgus2, tmp_path, monkeypatch):
    target = tmp_path / "adtte.csv"
    target.write_text("earlier")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        write_adtte(mgus2, target)
    assert target.read_text() == "earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["adtte.csv"]
