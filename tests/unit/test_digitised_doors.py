"""Digitised curves as they are exported, and numbers at risk that no patients can have."""

import numpy as np
import pytest
from typer.testing import CliRunner

from smm_bayes.cli import app
from smm_bayes.errors import DataError
from smm_bayes.evidence.digitised import AtRisk, DigitisedCurve, from_curve, read_at_risk, read_curve
from smm_bayes.evidence.digitising_error import digitise

MONTHS = np.arange(0, 61.0)
CURVE = np.column_stack([MONTHS, np.exp(-np.log(2) * MONTHS / 40)])  # half are free of the event at month 40


def curve(rows):
    return DigitisedCurve.of(*np.array(rows, dtype=float).T)


def written(path, columns, rows):
    path.write_text("\n".join([columns, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def reconstruct(*arguments):
    done = CliRunner().invoke(app, ["reconstruct", *map(str, arguments)])
    return done, done.output if done.exception is None else str(done.exception)


def test_clicks_around_the_corner_and_out_of_order_are_mended_and_counted(tmp_path):
    rows = [(-0.01, 1.002), (5, 0.9), (4.9, 0.92), (10, 0.8)]
    read = read_curve(written(tmp_path / "noise.csv", "time,survival", rows))
    np.testing.assert_array_equal(read.time, [0, 4.9, 5, 10])
    np.testing.assert_array_equal(read.survival, [1, 0.92, 0.9, 0.8])
    assert (read.clipped, read.unordered, read.repaired) == (1, 1, 0)
    assert "1 points moved onto the axes; 1 points out of order" in repr(read)
    done, output = reconstruct("--curve", tmp_path / "noise.csv", "--n", 50)
    assert done.exit_code == 0
    assert "points mended          1 moved onto the axes; 1 out of order" in output


def test_a_click_may_be_off_by_so_much_and_no_more():
    """0.02 in survival and 1 % of the last time."""
    for first, last in (((-0.1, 1.02), (10, -0.02)), ((0, 0.98), (10, 0.0)), ((0.05, 1.02), (10, 0.1))):
        assert curve([first, (5, 0.5), last]).survival[[0, -1]].tolist() == [1, max(last[1], 0)]
        assert curve([first, (5, 0.5), last]).clipped == 1 + (last[1] < 0)
    for point in ((-0.101, 1.0), (1, 1.021), (9, -0.021), (0, 0.97), (-0.05, 0.9)):
        with pytest.raises(DataError, match="1 of 3 points are no time"):
            curve([point, (5, 0.5), (10, 0.4)])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("-0.2,1", "column 'time', row 2: negative .found -0.2."), ("0,100", "row 2: above 1 .found 100."),
        ("1,1.03", "row 2: above 1 .found 1.03."), ("9,-0.03", "row 2: negative .found -0.03."),
        ("0,0.9", "row 2: below 1 at time 0 .found 0.9."),
    ],
)  # fmt: skip
def test_the_door_refuses_what_is_no_click(row, words, tmp_path):
    (tmp_path / "c.csv").write_text(f"time,survival\n{row}\n5,0.5\n10,0.4\n")
    with pytest.raises(DataError, match=f"1 problem: .*{words}"):
        read_curve(tmp_path / "c.csv")


@pytest.mark.parametrize("rows", [[(0, 1)], [(5, 0.9)], [(0, 1), (0, 1)], [(0, 1), (-0.0, 0.99)]])
def test_one_point_is_no_curve(rows, tmp_path):
    path = written(tmp_path / "one.csv", "time,survival", rows)
    done, output = reconstruct("--curve", path, "--n", 50)
    assert isinstance(done.exception, DataError)
    assert "one.csv: digitised curve: one point is no curve; digitise it from time 0 to its end" in output


def test_two_curves_in_one_file_are_no_slip_of_the_hand():
    other = np.column_stack([MONTHS, np.exp(-np.log(2) * MONTHS / 20)])
    with pytest.raises(DataError, match=r"survival rises by 0.2\d, more than a slip"):
        curve(np.vstack([CURVE[1:], other[1:]]))
    backwards = curve(CURVE[::-1])
    assert (backwards.unordered, backwards.repaired) == (60, 0)
    np.testing.assert_array_equal(backwards.survival, CURVE[:, 1])


def test_numbers_at_risk_that_cannot_be_are_refused(tmp_path):
    path = written(tmp_path / "curve.csv", "time,survival", CURVE.round(4))
    risk = written(tmp_path / "risk.csv", "time,at_risk", [(0, 100), (24, 95), (48, 90)])
    done, output = reconstruct("--curve", path, "--at-risk", risk)
    assert isinstance(done.exception, DataError)
    assert "95 at risk at 24 months cannot be, since there are 100 at 0 months and survival falls from 1.00 to 0.66" in output
    assert "90 at risk at 48 months" in output


@pytest.mark.parametrize(
    ("numbers", "refused"),
    [  # S is 0.66 at 24 and 0.44 at 48 months
        ((100, 66, 44), ()), ((100, 68, 46), ()), ((100, 72, 44), (24,)), ((100, 30, 20), ()), ((100, 30, 29), (48,)),
        ((100, 66, 0), (48,)), ((1000, 700, 435), ()), ((1000, 720, 435), (24,)), ((3, 3, 2), ()),
    ],
)  # fmt: skip
def test_which_numbers_at_risk_can_be(numbers, refused):
    at_risk = AtRisk((0.0, 24.0, 48.0), numbers)
    if not refused:
        at_risk.check(curve(CURVE))
        return
    with pytest.raises(DataError) as found:
        at_risk.check(curve(CURVE))
    assert [month for month in (24, 48) if f"at {month} months cannot" in str(found.value)
            or f"nobody is at risk at {month}" in str(found.value)] == list(refused)  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("points", [6, 20, 200])
def test_true_numbers_at_risk_are_never_refused(seed, points):
    """Right for any patients, however few points were clicked and wherever steps and numbers fall."""
    rng = np.random.default_rng(seed)
    happens, censored = np.ceil(rng.weibull(1.3, 80) * 30), np.ceil(rng.uniform(5, 60, 80))
    time, event = np.minimum(happens, censored), happens <= censored
    marks = np.arange(0.0, time.max() + 1, 6.0)
    table = AtRisk(tuple(marks.tolist()), tuple(int((time >= mark).sum()) for mark in marks))
    table.check(digitise(time, event, points, noise=0.003, rng=rng))


def test_numbers_asked_and_got_stand_beside_each_other(tmp_path):
    path = written(tmp_path / "curve.csv", "time,survival", CURVE.round(4))
    risk = written(tmp_path / "risk.csv", "time,at_risk", [(0, 100), (24, 60), (48, 30), (72, 9)])
    arm = from_curve(read_curve(path), at_risk=read_at_risk(risk))
    assert arm.at_risk[:3].tolist() == [int((arm.time >= month).sum()) for month in (0, 24, 48)] == [100, 60, 30]
    assert dict(arm.overview())["numbers at risk"] == "3 printed, largest difference 0; 1 after the last point not used"
    done, output = reconstruct("--curve", path, "--at-risk", risk)
    assert done.exit_code == 0
    assert " month   asked     got\n     0     100     100\n    24      60      60\n    48      30      30\n" in output
    assert "    72       9  not used" in output


def test_a_difference_is_said():
    """At month 6 all points agree that nobody had an event: one number of a wrong row."""
    arm = from_curve(curve([(0, 1), (12, 0.8), (24, 0.7)]), at_risk=AtRisk((0.0, 12.0, 24.0), (50, 50, 20)))
    wanted = np.abs(arm.at_risk - [50, 50, 20]).max()
    assert dict(arm.overview())["numbers at risk"] == f"3 printed, largest difference {wanted}"


@pytest.mark.parametrize("number", [100_001, 10**8, 10**18])
def test_more_patients_than_any_trial_has_are_refused(number, tmp_path):
    path = written(tmp_path / "curve.csv", "time,survival", CURVE)
    risk = written(tmp_path / "risk.csv", "time,at_risk", [(0, number), (24, 50)])
    for arguments, words in ((("--at-risk", risk), "row 2: more than 100,000 patients"), (("--n", number), "at most 100,000")):
        done, output = reconstruct("--curve", path, *arguments)
        assert isinstance(done.exception, DataError)
        assert words in output
    with pytest.raises(DataError, match="at most 100,000 patients can be made"):
        AtRisk((0.0,), (number,))
