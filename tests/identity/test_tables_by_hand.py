"""Tables of patients, counted one patient at a time."""

import numpy as np
import pytest

from smm_bayes.errors import DataError, SpecificationError
from smm_bayes.surrogacy.joint.table import IMPOSSIBLE, AssayError
from smm_bayes.survival import TimeGrid
from smm_bayes.survival.cure_table import CureTable
from smm_bayes.survival.grid import EventTable
from smm_bayes.survival.patterns import PatternTable
from smm_bayes.trial import Patients, cut_by_date, cut_by_events
from smm_bayes.trial.cuts import known_by

GRID = TimeGrid((6, 12, 24))
EDGES = [0, 6, 12, 24, np.inf]
ARMS, CAUSES = ("control", "experimental"), ("progression", "death")


def patients(size=40, entry=False, **more):
    """Patients with events at cuts of the grid and between, on whole months, with ties."""
    rng = np.random.default_rng(6)
    time = rng.integers(1, 31, size) * 1.0
    time[:6] = [6, 6, 12, 24, 12, 24]
    cause = rng.integers(-1, 2, size)
    enrolled = rng.integers(0, 12, size) * 1.0
    return Patients(
        patient=np.array([f"P{i}" for i in range(size)], dtype=object), arm=np.arange(size) % 2, time=time, event=cause >= 0,
        cause=cause, censoring=np.where(cause >= 0, "", "administrative").astype(object), enrolled=enrolled, arms=ARMS,
        arm_names=ARMS, causes=CAUSES, provenance="simulated", data_cutoff=float((enrolled + time).max()),
        entry=np.where(np.arange(size) % 3 == 0, np.floor(time / 3), 0.0) if entry else None, **more,
    )  # fmt: skip


def months(time, j, entry=0.0):
    """Months from ``entry`` to ``time`` in interval j."""
    return max(min(time, EDGES[j + 1]) - max(entry, EDGES[j]), 0.0)


def interval(time):
    return next(j for j in range(4) if time <= EDGES[j + 1])


@pytest.mark.parametrize("entry", [False, True])
def test_events_and_months_are_those_of_each_patient(entry):
    known = patients(entry=entry)
    table, since = GRID.tabulate(known), known.entry if entry else np.zeros(len(known))
    events, exposure = np.zeros((2, 2, 4)), np.zeros((2, 4))
    for i in range(len(known)):
        for j in range(4):
            exposure[known.arm[i], j] += months(known.time[i], j, since[i])
        if known.event[i]:
            events[known.arm[i], known.cause[i], interval(known.time[i])] += 1
    np.testing.assert_array_equal(table.events, events)
    np.testing.assert_allclose(table.exposure, exposure, atol=1e-9)
    for cause in range(2):
        np.testing.assert_array_equal(table.cell_exposure[:, cause], table.exposure)
    whole = table.to_dataset()
    np.testing.assert_array_equal(whole["events"].values, events)
    assert whole["exposure"].dims == ("arm", "interval")
    for values in (table.events, table.exposure):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


def test_the_grid_says_where_its_intervals_are():
    assert len(GRID) == 4
    assert GRID.edges.tolist() == EDGES
    assert GRID.starts.tolist() == [0, 6, 12, 24]
    assert GRID.ends.tolist() == [6, 12, 24, 36]  # the last as wide as the one before
    assert GRID.middles.tolist() == [3, 9, 18, 30]
    assert GRID.labels == ("(0, 6]", "(6, 12]", "(12, 24]", "(24, inf)")
    assert TimeGrid().ends.tolist() == [1.0]
    assert TimeGrid((5,)).ends.tolist() == [5, 10]
    assert TimeGrid().labels == ("(0, inf)",)
    assert TimeGrid((0.25, 1)).cuts == (0.25, 1.0)


@pytest.mark.parametrize("intervals", [None, 1, 3, 5])
def test_cuts_by_events_leave_every_interval_its_share(intervals):
    known = patients(120)
    for causes in (None, ("progression",)):
        grid = TimeGrid.by_events(known, intervals, causes=causes, least=9)
        times = np.sort(known.time[known.event & ((known.cause == 0) | (causes is None))])
        number = intervals or min(max(len(times) // 9, 1), 12)
        # the k-th cut is the time by which k shares of the events have happened; ties make two cuts one
        wanted = sorted({times[int(np.ceil(k * len(times) / number)) - 1] for k in range(1, number)} - {times[-1]})
        assert list(grid.cuts) == wanted
    assert len(TimeGrid.by_events(patients(120), least=1)) <= 12
    assert len(TimeGrid.by_events(patients(10))) == 1


def test_more_intervals_than_events_are_refused():
    known = patients(12)
    assert len(TimeGrid.by_events(known, known.events)) <= known.events
    for intervals in (known.events + 1, 0, -1):
        with pytest.raises(SpecificationError, match="ask for fewer"):
            TimeGrid.by_events(known, intervals)


SHAPES = {
    "events": ((2, 2, 3), (2, 4)), "exposure by arm": ((2, 2, 4), (1, 4)), "exposure by interval": ((2, 2, 4), (2, 3)),
    "arms": ((1, 2, 4), (2, 4)), "causes": ((2, 1, 4), (2, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_tables_of_other_shapes_are_refused(name):
    events, exposure = (np.ones(shape) for shape in SHAPES[name])
    with pytest.raises(SpecificationError, match="must have shape"):
        EventTable(events, exposure, GRID, ARMS, CAUSES)


@pytest.mark.parametrize(("events", "exposure"), [(-1, 1), (1, -1), (1, np.inf), (1, np.nan)])
def test_numbers_that_no_patients_give_are_refused(events, exposure):
    one, other = np.zeros((2, 2, 4)), np.zeros((2, 4))
    EventTable(one.copy(), other.copy(), GRID, ARMS, CAUSES)  # nobody is somebody's table
    one[1, 1, 2], other[1, 2] = events, exposure
    with pytest.raises(SpecificationError, match="finite and not negative"):
        EventTable(one, other, GRID, ARMS, CAUSES)


COVARIATES = {
    "age": np.round(np.random.default_rng(2).normal(60, 1, 40), 0), "beta2": np.random.default_rng(3).integers(1, 3, 40) * 1.5,
    "region": np.array(["EU", "US", "Asia"] * 14, dtype=object)[:40], "sex": np.array(["m", "f"] * 20, dtype=object)[::-1],
}  # fmt: skip


@pytest.mark.parametrize("strata", [False, True])
def test_patterns_are_those_of_each_patient(strata):
    known = patients(stratum=np.array(["a", "b"] * 20, dtype=object)[np.random.default_rng(1).permutation(40)],
                     covariates=COVARIATES)  # fmt: skip
    table = PatternTable.of(known, GRID, strata=strata, covariates=["age", "beta2"], subgroups=["region", "sex"])
    assert table.strata == (("a", "b") if strata else ("all",))
    assert table.level_names == ("region: Asia", "region: EU", "region: US", "sex: f", "sex: m")
    left = {name: np.zeros_like(getattr(table, name)) for name in ("events", "exposure", "patients")}
    for i in range(40):
        (row,) = [p for p in range(len(table)) if table.arm[p] == known.arm[i]
                  and (not strata or table.strata[table.stratum[p]] == known.stratum[i])
                  and tuple(table.covariates[p]) == (COVARIATES["age"][i], COVARIATES["beta2"][i])
                  and [table.level_names[k] for k in table.level_index[p]]
                  == [f"region: {COVARIATES['region'][i]}", f"sex: {COVARIATES['sex'][i]}"]]  # fmt: skip
        left["patients"][row] += 1
        left["exposure"][row] += [months(known.time[i], j) for j in range(4)]
        if known.event[i]:
            left["events"][row, known.cause[i], interval(known.time[i])] += 1
    for name, values in left.items():
        np.testing.assert_allclose(getattr(table, name), values, atol=1e-9)
    np.testing.assert_array_equal(table.by_arm().events, GRID.tabulate(known).events)
    np.testing.assert_allclose(table.by_arm().exposure, GRID.tabulate(known).exposure, atol=1e-9)
    for s, name in enumerate(table.strata):
        mine = known.take((known.stratum == name) | (not strata))
        np.testing.assert_array_equal(table.by_stratum().events[s], GRID.tabulate(mine).events.sum(axis=0))
        np.testing.assert_allclose(table.by_stratum().exposure[s], GRID.tabulate(mine).exposure.sum(axis=0), atol=1e-9)
    one = table.only(np.array([3]))
    assert len(one) == 1
    np.testing.assert_array_equal(one.events[0], table.events[3])
    np.testing.assert_array_equal(one.level_index[0], table.level_index[3])


@pytest.mark.parametrize("within", [{}, {"region": "US"}, {"region": "EU", "sex": "f"}])
def test_profiles_are_what_patients_are_beside_their_arm(within):
    known = patients(covariates=COVARIATES)
    table = PatternTable.of(known, GRID, covariates=["age"], subgroups=["region", "sex"])
    found = table.profiles(within)

    def profile(row):
        return tuple(table.covariates[row]), tuple(table.level_index[row])

    inside = [i for i in range(40) if all(COVARIATES[factor][i] == level for factor, level in within.items())]
    wanted = [(COVARIATES["age"][i], f"region: {COVARIATES['region'][i]}", f"sex: {COVARIATES['sex'][i]}") for i in inside]
    named = [(table.covariates[row][0], *(table.level_names[k] for k in table.level_index[row])) for row in found.first]
    assert sorted(named) == sorted(set(wanted))
    assert [wanted.count(one) for one in named] == found.patients.tolist()
    for row, of in enumerate(found.of_row):
        words = [table.level_names[k] for k in table.level_index[row]]
        if all(f"{factor}: {level}" in words for factor, level in within.items()):
            assert profile(row) == profile(found.first[of])
        else:
            assert of == -1
    with pytest.raises(SpecificationError, match="no subgroup region: Mars; there are region: Asia"):
        table.profiles({"region": "Mars"})


@pytest.mark.parametrize("curable", CAUSES)
@pytest.mark.parametrize("entry", [False, True])
def test_rows_of_the_cure_table_are_the_times_without_the_event(curable, entry):
    known = patients(entry=entry)
    table, which = CureTable.of(known, GRID, curable, rows=60), CAUSES.index(curable)
    spent, rows = np.zeros((2, 4)), {}
    for i in range(len(known)):
        if known.cause[i] == which:
            spent[known.arm[i]] += [months(known.time[i], j) for j in range(4)]
        else:
            rows[known.arm[i], known.time[i]] = rows.get((known.arm[i], known.time[i]), 0) + 1
        if entry and known.entry[i] > 0:
            rows[known.arm[i], known.entry[i]] = rows.get((known.arm[i], known.entry[i]), 0) - 1
    np.testing.assert_allclose(table.spent, spent, atol=1e-9)
    found = {(table.row_arm[r], table.row_exposure[r].sum()): table.row_count[r] for r in range(60) if table.row_count[r]}
    assert found == {key: count for key, count in rows.items() if count}
    for r in range(60):
        time = table.row_exposure[r].sum()
        np.testing.assert_allclose(table.row_exposure[r], [months(time, j) for j in range(4)], atol=1e-9)
    np.testing.assert_array_equal(table.events, GRID.tabulate(known).events[:, which])
    np.testing.assert_array_equal(table.others.events[:, 0], GRID.tabulate(known).events[:, 1 - which])
    assert table.other_causes == table.others.causes == tuple(cause for cause in CAUSES if cause != curable)
    needed = len(CureTable.of(known, GRID, curable).row_count)
    assert needed == len(found)
    assert len(CureTable.of(known, GRID, curable, rows=needed).row_count) == needed
    with pytest.raises(SpecificationError, match="ask for more rows"):
        CureTable.of(known, GRID, curable, rows=needed - 1)
    for values in (table.spent, table.row_arm, table.row_exposure, table.row_count):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1



@pytest.mark.parametrize("entry", [False, True])
@pytest.mark.parametrize("cutoff", [2.0, 7.0, 11.0, 20.0, 41.0])
def test_a_cut_is_what_was_known_of_each_patient(entry, cutoff):
    whole = patients(entry=entry)
    cut, there = cut_by_date(whole, cutoff), {}
    for i in range(len(whole)):
        since = whole.entry[i] if entry else 0.0
        if whole.enrolled[i] <= cutoff:
            clock = since + cutoff - whole.enrolled[i]  # what the patient's clock shows at the cut
            known = whole.time[i] <= clock
            there[whole.patient[i]] = (min(whole.time[i], clock), whole.cause[i] if known else -1,
                                       whole.censoring[i] if known else "administrative")  # fmt: skip
    assert dict(zip(cut.patient, zip(cut.time, cut.cause, cut.censoring, strict=True), strict=True)) == there
    np.testing.assert_array_equal(cut.event, cut.cause >= 0)
    assert cut.data_cutoff == cutoff
    np.testing.assert_array_equal(known_by(cutoff, whole.enrolled, None)[1], whole.enrolled <= cutoff)


@pytest.mark.parametrize("causes", [(), ("death",)])
def test_a_cut_by_events_has_that_many(causes):
    whole = patients()
    dates = np.sort((whole.enrolled + whole.time)[whole.event & ((whole.cause == 1) | (causes == ()))])
    for number in (1, 2, len(dates) - 1, len(dates)):
        cut = cut_by_events(whole, number, *causes)
        assert cut.data_cutoff == dates[number - 1]
        counted = cut.cause == 1 if causes else cut.event
        assert counted.sum() == (dates <= dates[number - 1]).sum() >= number
    for number in (0, -1, len(dates) + 1):
        with pytest.raises(DataError, match="choose a number"):
            cut_by_events(whole, number, *causes)


def test_assay_errors_are_probabilities_of_results():
    """Rows are results, positive first; columns are statuses, not negative first; a column adds to 1."""
    found = np.exp(AssayError(0.2, 0.05).log_probability)
    np.testing.assert_allclose(found, [[0.8, 0.05], [0.2, 0.95]], rtol=1e-12)
    certain = AssayError().log_probability
    np.testing.assert_array_equal(certain, [[0.0, IMPOSSIBLE], [IMPOSSIBLE, 0.0]])
    AssayError(0.4999, 0.0)
    AssayError(0.0, 0.4999)
    for missed, false_positive in ((0.5, 0), (0, 0.5), (-0.01, 0), (0, -0.01), (np.nan, 0)):
        with pytest.raises(SpecificationError, match=r"from 0 up to 0\.5"):
            AssayError(missed, false_positive)
