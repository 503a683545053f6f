"""Speed and memory against the alternatives; what every figure means is in README.md beside this file.

Nothing here asserts a time: the figures are printed for a reader to judge.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

SPEC = Path(__file__).resolve().parent.parent / "models" / "mgus2" / "spec.toml"
CUTS = (6, 12, 24, 36, 48, 60, 84, 108, 132, 156, 192)
FREE = ("log_baseline", "smoothness", "log_hazard_ratio")


@dataclass(frozen=True)
class Row:
    """One line of a figure."""

    what: str
    value: float
    unit: str
    aim: str = ""
    note: str = ""


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = function()
    return time.perf_counter() - started, result


# --- children: what must be measured in a process of its own ---------------------------------------------------------


def child(name: str, *arguments: str) -> dict[str, float]:
    """Run one of ``CHILDREN`` in a fresh process and give what it reports, with its wall seconds."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", name, *arguments]
    wall, done = seconds(lambda: subprocess.run(command, capture_output=True, text=True))
    if done.returncode:
        raise RuntimeError(f"the process measuring '{name}' failed:\n{done.stderr}")
    return {**json.loads(done.stdout.splitlines()[-1]), "wall": wall}


def child_first() -> dict[str, float]:
    started = time.perf_counter()
    import nutpie  # noqa: F401
    import pymc  # noqa: F401

    from smm_bayes.analysis.interim import read_inputs
    from smm_bayes.inference import fit
    from smm_bayes.survival import piecewise_exponential_model

    imported = time.perf_counter()
    inputs = read_inputs(SPEC)
    read = time.perf_counter()
    model = piecewise_exponential_model(inputs.table, inputs.spec.priors)
    built = time.perf_counter()
    found = fit(model, seed=1, attempts=1).require_convergence()
    fitted = time.perf_counter() - built
    return {"import": imported - started, "read": read - imported, "build": built - read, **found.seconds,
            "gather": fitted - sum(found.seconds.values())}  # fmt: skip


def child_complete(replicates: str) -> dict[str, float]:
    complete(1000)  # imports, and the kernels from their cache
    before = peak()
    found = complete(int(replicates))
    columns = [found.success, *found.columns.values()]
    return {"before": before, "peak": peak(), "columns": sum(column.nbytes for column in columns) / 2**20}


def child_fit() -> dict[str, float]:
    model, priors, tables = refit_model()
    before = peak()
    from smm_bayes.inference import fit
    from smm_bayes.survival import model_data

    fit(model, seed=1)
    once = peak()
    for seed, table in enumerate(tables):
        fit(model, seed=seed, data=model_data(table, priors))
    return {"before": before, "once": once, "peak": peak()}


CHILDREN: dict[str, Callable[..., dict[str, float]]] = {
    "first": child_first, "complete": child_complete, "fit": child_fit,
}  # fmt: skip


def peak() -> float:
    """Largest resident memory so far in MiB; of this process, where the system also counts its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        words = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(words.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


# --- what is measured ------------------------------------------------------------------------------------------------


@cache
def refit_model() -> tuple[Any, Any, list[Any]]:
    """Model of 2 arms x 12 intervals x 2 causes, its priors, and the tables of seven later data cuts."""
    model = fresh_model()
    from smm_bayes.analysis.interim import read_inputs
    from smm_bayes.survival import TimeGrid
    from smm_bayes.trial.cuts import cut_by_date

    inputs = read_inputs(SPEC)
    everyone, priors = inputs.everyone, inputs.spec.priors
    cuts = [cut_by_date(everyone, date(1985, month, 1)) for month in range(2, 9)]
    return model, priors, [TimeGrid(CUTS).tabulate(patients) for patients in cuts]


def fresh_model() -> Any:
    """Build the model of the cut at the start of 1985 anew: nothing compiled."""
    logging.getLogger("pymc").setLevel(logging.CRITICAL)
    from smm_bayes.analysis.interim import read_inputs
    from smm_bayes.survival import TimeGrid, piecewise_exponential_model

    inputs = read_inputs(SPEC)
    return piecewise_exponential_model(TimeGrid(CUTS).tabulate(inputs.patients), inputs.spec.priors)


def plain_model() -> Any:
    """Build the same model as one would write it: the non-centred walk, without this package's coordinates."""
    import numpy as np
    import pymc as pm

    from smm_bayes.analysis.interim import read_inputs
    from smm_bayes.survival import TimeGrid

    logging.getLogger("pymc").setLevel(logging.CRITICAL)
    inputs = read_inputs(SPEC)
    table, priors = TimeGrid(CUTS).tabulate(inputs.patients), inputs.spec.priors
    pairs = [priors.for_cause(cause) for cause in table.causes]
    with pm.Model() as model:
        level = pm.Normal("level", [b.mean for b, _ in pairs], [b.sd for b, _ in pairs])
        smoothness = pm.HalfNormal("smoothness", priors.smoothness.scale, shape=2)
        step = pm.Normal("step", shape=(2, len(CUTS)))
        walk = pm.math.concatenate([np.zeros((2, 1)), pm.math.cumsum(step * smoothness[:, None], axis=1)], axis=1)
        baseline = pm.Deterministic("log_baseline", level[:, None] + walk - walk.mean(axis=1)[:, None])
        ratio = pm.Normal("log_hazard_ratio", [r.mean for _, r in pairs], [r.sd for _, r in pairs])
        log_hazard = baseline[None] + ratio[None, :, None] * np.array([0.0, 1.0])[:, None, None]
        expected = pm.math.exp(log_hazard) * table.cell_exposure
        pm.Potential("events", (table.events * log_hazard - expected).sum())
    return model


def smallest_ess(posterior: Any) -> float:
    """Smallest bulk effective sample size over hazards, steps and hazard ratios."""
    import arviz as az

    ess = az.ess(posterior[list(FREE)])
    return min(float(ess[name].min()) for name in FREE)


@cache
def small_trial() -> tuple[Any, Any, Any, Any, Any]:
    """Trial of 120 patients with 80 enrolled, its grid, final analysis, enrolment, and 4 x 1000 posterior draws."""
    import numpy as np

    from smm_bayes.prediction import Enrolment, FinalAnalysis
    from smm_bayes.survival import TimeGrid
    from smm_bayes.trial.patients import Patients

    rng = np.random.default_rng(5)
    size, cutoff = 80, 24.0
    arm = np.tile([1, 1, 0], 27)[:size]
    enrolled = np.concatenate([[0.0], np.sort(rng.uniform(0, cutoff, size - 1))])
    monthly = np.log(2) / np.array([[24.0, 140.0], [40.0, 140.0]])  # (arm, cause): Rd and KRd; progression, death
    by_cause = rng.exponential(1 / monthly[arm])
    time = by_cause.min(axis=1)
    event = time <= cutoff - enrolled
    patients = Patients(
        patient=np.arange(size).astype(str), arm=arm, time=np.where(event, time, cutoff - enrolled), event=event,
        cause=np.where(event, by_cause.argmin(axis=1), -1), censoring=np.where(event, "", "administrative"),
        enrolled=enrolled, arms=("control", "experimental"), arm_names=("Rd", "KRd"), causes=("progression", "death"),
        data_cutoff=cutoff, provenance="simulated",
    )  # fmt: skip
    grid = TimeGrid((6, 12, 24, 36, 48))
    log_hazard = np.log(monthly)[None, None, :, :, None] + rng.normal(0, 0.2, (4, 1000, 2, 2, len(grid)))
    final = FinalAnalysis("events", events=60, cap=72.0)
    enrolment = Enrolment({"control": 40, "experimental": 80}, prior_rate=3.0, prior_months=6.0)
    return patients, grid, final, enrolment, log_hazard


def complete(replicates: int, executor: ThreadPoolExecutor | None = None) -> Any:
    from smm_bayes.prediction import LogRank, probability_of_success
    from smm_bayes.survival import Law

    patients, grid, final, enrolment, log_hazard = small_trial()
    return probability_of_success(
        patients, Law.plain(log_hazard, grid, patients.arms, patients.causes), final=final, rule=LogRank(), seed=1,
        enrolment=enrolment, replicates=replicates, executor=executor,
    )  # fmt: skip


@cache
def hidden_paths() -> tuple[Any, Any, Any]:
    """Four paths of a status at two visits for the trial of ``small_trial``: log hazards, their law, what is known."""
    import numpy as np

    from smm_bayes.survival import Law, TimeGrid

    patients, *_, plain = small_trial()
    rng, grid = np.random.default_rng(6), TimeGrid((3, 6, 9, 12, 18, 24, 36, 48, 60))
    status = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    now = np.where(grid.starts < 6, 0, np.where(grid.starts < 12, status[:, :1], status[:, 1:]))  # (path, interval)
    log_hazard = np.repeat(plain[:, :, :, None, :, :1], len(grid), axis=-1).repeat(4, axis=3)
    log_hazard = log_hazard - rng.normal(1.0, 0.3, (4, 1000, 1, 1, 1, 1)) * now[:, None] * np.array([[1], [0]])
    share = rng.normal(0, 1, (4, 1000, 2, 4))
    share = share - np.logaddexp.reduce(share, axis=-1, keepdims=True)
    weight = np.zeros((len(patients), 4))
    weight[::4, ::2] = -np.inf  # one patient of four was seen to be negative at the first visit
    return log_hazard, Law(log_hazard, share, grid, patients.arms, patients.causes), weight


def complete_paths(replicates: int, hidden: bool = True) -> Any:
    """Complete the trial of ``small_trial`` with hidden paths, or with everybody on the first."""
    from smm_bayes.prediction import LogRank, probability_of_success
    from smm_bayes.survival import Law

    patients, _, final, enrolment, _ = small_trial()
    log_hazard, law, known = hidden_paths()
    plain = Law.plain(log_hazard[:, :, :, 0], law.grid, law.arms, law.causes)
    return probability_of_success(
        patients, law if hidden else plain, final=final, rule=LogRank(), seed=1, enrolment=enrolment,
        replicates=replicates, known=known if hidden else None,
    )  # fmt: skip


def complete_simply(replicates: int) -> float:
    """Do what :func:`complete` does as one would write it: each replicate in NumPy, scikit-survival's log-rank test."""
    import numpy as np
    from sksurv.compare import compare_survival
    from sksurv.util import Surv

    patients, grid, final, enrolment, log_hazard = small_trial()
    rng = np.random.default_rng(1)
    draws = np.exp(log_hazard).reshape(-1, *log_hazard.shape[2:])
    chosen = rng.integers(len(draws), size=replicates)
    rates = enrolment.rates(patients, replicates, rng=rng)
    new_arms = enrolment.new_arms(patients)
    followed = np.flatnonzero(patients.at_risk)
    widths = np.diff(grid.starts)
    success = 0
    for draw, rate in zip(chosen, rates, strict=True):
        arrivals = patients.data_cutoff + np.cumsum(rng.exponential(1 / rate, len(new_arms)))
        enrolled = np.concatenate([patients.enrolled, arrivals])
        arm = np.concatenate([patients.arm, rng.permutation(new_arms)])
        time = np.concatenate([patients.time, np.zeros(len(new_arms))])
        event = np.concatenate([patients.event, np.zeros(len(new_arms), bool)])
        drawn = np.concatenate([followed, np.arange(len(patients), len(arm))])
        total = draws[draw].sum(axis=1)[arm[drawn]]
        before = np.concatenate([np.zeros((len(drawn), 1)), np.cumsum(total[:, :-1] * widths, axis=1)], axis=1)
        rows = np.arange(len(drawn))
        at = grid.index(time[drawn])
        level = before[rows, at] + total[rows, at] * (time[drawn] - grid.starts[at]) + rng.exponential(size=len(drawn))
        to = (level[:, None] > before[:, 1:]).sum(axis=1)
        time[drawn] = grid.starts[to] + (level - before[rows, to]) / total[rows, to]
        event[drawn] = True  # of either cause, which is drawn because the package reports it
        _ = rng.random(len(drawn)) * total[rows, to] >= draws[draw][arm[drawn], 0, to]
        dates = np.sort((enrolled + time)[event])
        when = min(max(dates[final.events - 1], patients.data_cutoff), final.cap)
        kept = enrolled <= when
        follow_up = when - enrolled[kept]
        event = event[kept] & (time[kept] <= follow_up)
        shown = np.minimum(time[kept], follow_up)
        chi_square, _, table, _ = compare_survival(Surv.from_arrays(event, shown), arm[kept], return_stats=True)
        success += bool(chi_square > 1.959963984540054**2 and table["statistic"].iloc[1] < 0)
    return success / replicates


def simulated_table(size: int) -> tuple[float, Any]:
    """Seconds that tabulating ``size`` patients takes, and the table."""
    import numpy as np

    from smm_bayes.survival import TimeGrid
    from smm_bayes.trial.patients import Patients

    rng = np.random.default_rng(1)
    arm = rng.integers(0, 2, size)
    monthly = np.log(2) / np.array([[300.0, 120.0], [450.0, 120.0]])
    by_cause = rng.exponential(1 / monthly[arm])
    known, follow_up = by_cause.min(axis=1), rng.uniform(24, 300, size)
    event = known <= follow_up
    patients = Patients(
        patient=np.arange(size).astype(str), arm=arm, time=np.minimum(known, follow_up), event=event,
        cause=np.where(event, by_cause.argmin(axis=1), -1), censoring=np.where(event, "", "administrative"),
        enrolled=None, arms=("control", "experimental"), arm_names=("control", "experimental"),
        causes=("progression", "death"), provenance="simulated",
    )  # fmt: skip
    grid = TimeGrid(CUTS)
    return seconds(lambda: grid.tabulate(patients))


def gradients(model: Any, data: Any, seed: int) -> int:
    """Count gradient evaluations of a fit with tuning: the same draws once more, with the tuning kept."""
    import nutpie

    from smm_bayes.inference.compiled import compile_model

    trace = nutpie.sample(
        compile_model(model).with_data(data), draws=1000, tune=1000, chains=4, cores=os.cpu_count() or 1, seed=seed,
        target_accept=0.95, save_warmup=True, progress_bar=False,
    )  # fmt: skip
    return sum(int(trace[group]["n_steps"].sum()) for group in ("warmup_sample_stats", "sample_stats"))


# --- figures ---------------------------------------------------------------------------------------------------------


def first() -> list[Row]:
    """Fresh process to first posterior."""
    child("first")  # fills the compile cache
    runs = [child("first") for _ in range(3)]
    names = {"wall": "whole process", "import": "import", "read": "read and check inputs", "build": "build model",
             "compile": "compile (cache warm)", "sample": "sample and diagnose, 4 x 1000",
             "gather": "log densities and groups"}  # fmt: skip
    return [Row(label, median(run[name] for run in runs), "s") for name, label in names.items()]


def refit() -> list[Row]:
    """Refit of 2 arms x 12 intervals x 2 causes with new data, against pm.sample."""
    import pymc as pm

    from smm_bayes.inference import fit
    from smm_bayes.survival import model_data

    model, priors, tables = refit_model()
    fit(model, seed=0)
    runs = [seconds(partial(fit, model, seed=1, data=model_data(table, priors))) for table in tables]
    wall = median(run[0] for run in runs)
    rows = [
        Row("fit() with new data: wall", wall, "s", "<= 1 s", "median of 7; diagnostics and log densities included"),
        Row("fit(): smallest bulk ESS", median(smallest_ess(found.posterior) for _, found in runs), "", "",
            f"attempts: {', '.join(str(len(found.attempts)) for _, found in runs)}"),
    ]  # fmt: skip
    per_ess = median(took / smallest_ess(found.posterior) for took, found in runs)
    rows.append(Row("fit(): seconds per 1,000 effective samples", per_ess * 1000, "s"))
    own: dict[str, Any] = {"nuts_sampler": "pymc", "draws": 1000, "tune": 1000, "chains": 4}
    alternatives: list[tuple[str, Callable[[], Any], dict[str, Any], str]] = [
        ("pm.sample as it comes", fresh_model, {}, ">= 5"),
        ("pm.sample as it comes, plain model", plain_model, {}, ">= 5"),
        ("pm.sample(nuts_sampler='pymc')", fresh_model, own, ""),
        ("pm.sample(nuts_sampler='pymc'), plain model", plain_model, own, ">= 15"),
    ]
    for name, build, options, aim in alternatives:
        times, costs, note = [], [], ""
        for seed in (1, 2):
            with build():
                took, tree = seconds(partial(pm.sample, random_seed=seed, progressbar=False, **options))
            posterior = tree["posterior"].dataset
            ess = smallest_ess(posterior)
            sampler = posterior.attrs.get("inference_library", "pymc")
            diverged = int(tree["sample_stats"]["diverging"].sum())
            note = (f"{sampler}, {posterior.sizes['chain']} x {posterior.sizes['draw']}; the second: ESS {ess:.0f}, "
                    f"{diverged} divergences")  # fmt: skip
            times.append(took)
            costs.append(took / ess)
        rows += [
            Row(f"{name}: wall", median(times), "s", "", f"2 fresh calls; {note}"),
            Row(f"{name}: wall over fit()'s", median(times) / wall, "x"),
            Row(f"{name}: seconds per effective sample over fit()'s", median(costs) / per_ess, "x", aim),
        ]
    return rows


def completion() -> list[Row]:
    """10,000 completions of a 120-patient trial with log-rank, against NumPy and scikit-survival."""
    size, few = 10_000, 200
    patients = small_trial()[0]
    complete(size)
    found = complete(size)
    one = median(seconds(lambda: complete(size))[0] for _ in range(9))
    with ThreadPoolExecutor(2) as pool:
        complete(size, pool)
        two = median(seconds(lambda: complete(size, pool))[0] for _ in range(9))
    complete_simply(5)
    simple = [seconds(lambda: complete_simply(few)) for _ in range(3)]
    other = median(took for took, _ in simple) * size / few
    agree = f"probability of success {found.probability:.3f}, in the {few} {simple[0][1]:.3f}"
    return [
        Row("one thread", one, "s", "<= 0.2 s", f"median of 9; {int(patients.at_risk.sum())} at risk, 40 to come"),
        Row("two threads", two, "s", "", "median of 9"),
        Row("NumPy and scikit-survival, one thread", other, "s", "", f"scaled up from {few}; {agree}"),
        Row("NumPy and scikit-survival over one thread", other / one, "x"),
    ]


def paths() -> list[Row]:
    """10,000 completions of the same trial with four hidden paths, against none on the same grid."""
    size = 10_000
    found = complete_paths(size)
    complete_paths(size, hidden=False)
    took = {hidden: median(seconds(lambda on=hidden: complete_paths(size, on))[0] for _ in range(9))
            for hidden in (True, False)}  # fmt: skip
    log_hazard = hidden_paths()[0]
    weight = 0.5 * log_hazard[:, :, 1, 0, 0, 0]
    again = median(seconds(lambda: found.reweighted(weight))[0] for _ in range(9))
    return [
        Row("four paths, ten intervals, one thread", took[True], "s", "<= 0.6 s", "median of 9"),
        Row("no paths, ten intervals, one thread", took[False], "s", "", "median of 9"),
        Row("four paths over none", took[True] / took[False], "x"),
        Row("re-weighting the 10,000 by a factor of the posterior", again, "s", "", "median of 9"),
    ]


def joint() -> list[Row]:
    """Refit of the joint model of MRD and events, 120 patients, against the same written patient by patient."""
    import joint as trials
    import pymc as pm

    from smm_bayes.inference import fit

    def worst(posterior: Any) -> float:
        import arviz as az

        return float(min(az.ess(posterior[name].values[..., i]) for name in trials.MRD
                         for i in range(posterior[name].shape[-1])))  # fmt: skip

    model, given = trials.model(0)
    fit(model, seed=0, data=given)
    runs = [seconds(partial(fit, model, seed=1, data=trials.data(seed))) for seed in range(1, 6)]
    wall = median(run[0] for run in runs)
    per_ess = median(took / worst(found.posterior) for took, found in runs)
    short = median(seconds(partial(fit, model, seed=1, data=trials.data(seed), log_densities=False))[0]
                   for seed in range(1, 6))  # fmt: skip
    with trials.plain_model(1):
        took, tree = seconds(partial(pm.sample, random_seed=1, progressbar=False))
    posterior = tree["posterior"].dataset
    diverged = int(tree["sample_stats"]["diverging"].sum())
    return [
        Row("fit() with new data, sampled and diagnosed: wall", short, "s", "<= 2 s",
            "median of 5; 30 % of results missing"),
        Row("the same with log densities of all draws", wall, "s"),
        Row("fit(): smallest bulk ESS", median(worst(found.posterior) for _, found in runs), ""),
        Row("pm.sample as it comes, patient by patient: wall", took, "s", "",
            f"ESS {worst(posterior):.0f}, {diverged} divergences"),
        Row("its seconds per effective sample over fit()'s", took / worst(posterior) / per_ess, "x", ">= 5"),
    ]  # fmt: skip


def size() -> list[Row]:
    """Sampling for a million patients against a hundred."""
    from smm_bayes.inference import fit
    from smm_bayes.survival import model_data

    model, priors, _ = refit_model()
    fit(model, seed=0)
    rows, took, steps = [], {}, {}
    data = {}
    for number in (100, 1_000_000):
        tabulated = [simulated_table(number) for _ in range(3)]
        data[number] = model_data(tabulated[0][1], priors)
        rows.append(Row(f"tabulate {number:,} patients", median(t for t, _ in tabulated), "s"))
    runs: dict[int, list[float]] = {number: [] for number in data}
    for seed in range(5):
        for number, table in data.items():
            runs[number].append(fit(model, seed=seed, data=table, attempts=1).seconds["sample"])
    for number in data:
        took[number] = median(runs[number])
        steps[number] = median(gradients(model, data[number], seed) for seed in range(5))
        rows.append(Row(f"sample {number:,} patients", took[number], "s", "", "median of 5; 4 x 1000, one attempt"))
        rows.append(Row(f"gradient evaluations, {number:,} patients", steps[number], "", "", "with tuning"))
    few, many = data
    cost = {number: took[number] / steps[number] * 1e6 for number in data}
    rows += [
        Row("a million over a hundred: seconds", took[many] / took[few], "x", "<= 1.2"),
        Row("a million over a hundred: gradient evaluations", steps[many] / steps[few], "x", "", "not data size"),
        Row("a million over a hundred: seconds per gradient", cost[many] / cost[few], "x", "",
            f"{cost[few]:.2f} and {cost[many]:.2f} µs, fixed costs included"),
    ]  # fmt: skip
    return rows


def memory() -> list[Row]:
    """Peak resident memory, in a process of its own."""
    rows = []
    for number in (10_000, 200_000):
        found = child("complete", str(number))
        rows.append(Row(f"complete {number:,} replicates: peak", found["peak"], "MiB", "",
                        f"{found['before']:.0f} before; result columns {found['columns']:.1f}"))  # fmt: skip
    grown = rows[1].value - rows[0].value
    rows.append(Row("200,000 over 10,000 replicates: peak", grown, "MiB", "flat but for the columns"))
    found = child("fit")
    note = f"{found['before']:.0f} before; compiling included"
    rows.append(Row("first fit (2 x 12 x 2, 4 x 1000): peak", found["once"], "MiB", "", note))
    rows.append(Row("seven refits more: peak", found["peak"], "MiB"))
    return rows


FIGURES: dict[str, Callable[[], list[Row]]] = {
    "first": first, "refit": refit, "completion": completion, "paths": paths, "joint": joint, "size": size,
    "memory": memory,
}  # fmt: skip


def shown(row: Row) -> str:
    digits = f"{row.value:,.0f}" if abs(row.value) >= 100 else f"{row.value:.3g}"
    return f"{digits} {row.unit}".strip()


def machine() -> dict[str, Any]:
    packages = ("numpy", "numba", "pymc", "nutpie", "scikit-survival")
    return {"date": date.today().isoformat(), "cores": os.cpu_count(), "python": platform.python_version(),
            "system": platform.system(), "versions": {name: version(name) for name in packages}}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="figure", help=f"any of {', '.join(FIGURES)}; all by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        name, *arguments = options.child
        print(json.dumps(CHILDREN[name](*arguments)))
        return
    unknown = sorted(set(options.figures) - set(FIGURES))
    if unknown:
        parser.error(f"no figure {', '.join(unknown)}; choose from {', '.join(FIGURES)}")
    from rich.console import Console
    from rich.table import Table

    console, results = Console(), {}
    if not console.is_terminal:
        console = Console(width=130)
    for name in options.figures or FIGURES:
        results[name] = FIGURES[name]()
        table = Table(title=f"{name}: {FIGURES[name].__doc__}", title_justify="left")
        table.add_column("what")
        table.add_column("measured", justify="right", no_wrap=True)
        table.add_column("aim", no_wrap=True)
        table.add_column("note")
        for row in results[name]:
            table.add_row(row.what, shown(row), row.aim, row.note)
        console.print(table)
    if options.json:
        figures = {name: [asdict(row) for row in rows] for name, rows in results.items()}
        content = {"machine": machine(), "figures": figures}
        options.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
