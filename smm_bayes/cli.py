"""The command line: parse, call, print. Heavy imports only after everything has been validated."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smm_bayes import __version__
from smm_bayes.errors import SmmBayesError, SpecificationError

if TYPE_CHECKING:
    from smm_bayes.inference.sampling import FitProgress

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"smm-bayes {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Bayesian interim monitoring for trials in high-risk smoldering multiple myeloma."""


@app.command()
def interim(
    spec: Annotated[Path, typer.Argument(help="The pre-specified analysis, a spec.toml.")],
    snapshot: Annotated[Path | None, typer.Option(help="Patients (CSV) instead of the specification's.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report, posterior and decision.json.")] = Path("out"),
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same answer.")] = 2026,
    workers: Annotated[int, typer.Option(min=1, help="Threads that complete trials.")] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print decision.json instead of the table.")] = False,
) -> None:
    """Predict at an interim analysis whether the final analysis will succeed.

    Writes report.ipynb, report.html, posterior.nc and decision.json. Exit code 0: done; 1: the fit is not fit for a
    decision; 2: bad input, nothing written; 3: the report could not be written, and nothing was.
    """
    from smm_bayes.analysis.interim import read_inputs
    from smm_bayes.analysis.outputs import check_out

    check_out(out)
    _check_parent(out)
    inputs = read_inputs(spec, snapshot)
    with _Progress() as progress:
        progress.say("loading the sampler and compiling the model")
        from smm_bayes.analysis.interim import run_interim
        from smm_bayes.analysis.outputs import save, whole_folder
        from smm_bayes.reporting.report import report_writer

        with (
            whole_folder(out) as folder,
            report_writer(folder, spec=inputs.spec.path, snapshot=inputs.snapshot, seed=seed) as write_report,
        ):
            result = run_interim(inputs, seed=seed, workers=workers, on_fit=progress.fit, on_predict=progress.predict)
            progress.say("writing the report")
            save(result, folder)
            write_report()
    if json:
        typer.echo(result.decision.model_dump_json(indent=2))
        return
    import numpy as np

    from smm_bayes.reporting.borrowing import borrowing_rows
    from smm_bayes.reporting.ladder import ladder_rows, relation_rows
    from smm_bayes.reporting.words import Rows, mostly_prior_rows, outcome_rows, source_rows

    convergence = ("convergence", str(result.fit.convergence))
    typer.echo(Rows([*inputs.patients.summary(), *result.prediction.summary(), convergence]))
    moved = source_rows(result.decision)
    if moved:
        typer.echo(f"\nProbability of success with other evidence:\n{moved}")
    borrowed = borrowing_rows(result.decision)
    if borrowed:
        typer.echo(f"\nBorrowed, and conflict with what the others predict:\n{borrowed}")
    ladder = ladder_rows(result.decision)
    if ladder:
        typer.echo(f"\nProbability of success by source of information:\n{ladder}")
    related = relation_rows(result.decision)
    if related:
        typer.echo(f"\nSurrogacy across trials, and what it rests on:\n{related}")
    little = mostly_prior_rows(result, rng=np.random.default_rng(seed))
    if little:
        typer.echo(f"\nWARNING: where the data say little, and the share of the answer there that is prior:\n{little}")
    happened = outcome_rows(result)
    if happened:
        typer.echo(f"\nWhat happened:\n{happened}")
    typer.echo(f"\nWritten to {out}: report.html, report.ipynb, posterior.nc, decision.json")


@app.command()
def evidence(
    trial: Annotated[str | None, typer.Argument(help="A trial; without it, all of them are counted.")] = None,
    trust: Annotated[str | None, typer.Option(help="The lowest trust to show.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Show the published facts: by trial, or those of one trial with what does not fit together among them."""
    from smm_bayes.evidence import load_facts
    from smm_bayes.evidence.consistency import known_inconsistencies
    from smm_bayes.evidence.listing import (
        as_json,
        at_least,
        facts_table,
        of_facts,
        of_trial,
        registered_table,
        trials_table,
    )
    from smm_bayes.evidence.registered import registered_endpoints

    facts = load_facts()
    facts = at_least(facts if trial is None else of_trial(facts, trial), trust)
    known = of_facts(known_inconsistencies(), facts)
    if json:
        typer.echo(as_json(facts, known, whole=trial is not None))
    elif trial is None:
        typer.echo(trials_table(facts))
    else:
        typer.echo(facts_table(facts))
        registered = [one for one in registered_endpoints() if one.trial in facts.trials]
        if registered:
            typer.echo(f"\nRegistered endpoints:\n{registered_table(registered)}")
        if known:
            typer.echo("\nKnown inconsistencies:")
        for one in known:
            typer.echo(f"  {one.rule} ({', '.join(one.ids)}): {one.explanation}")


@app.command()
def reconstruct(
    name: Annotated[str | None, typer.Argument(help="A declared reconstruction; without it, they are listed.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the patients; without it, nothing is written.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the declared one.")] = None,
    number: Annotated[int | None, typer.Option(min=1, help="Reconstructions, instead of the declared number.")] = None,
    curve: Annotated[Path | None, typer.Option(help="A digitised curve: CSV with time (months) and survival.")] = None,
    at_risk: Annotated[Path | None, typer.Option(help="Numbers at risk: CSV with time and at_risk.")] = None,
    events: Annotated[int | None, typer.Option(min=0, help="Total events printed with the curve.")] = None,
    n: Annotated[int | None, typer.Option(min=1, help="Patients of the curve, without --at-risk.")] = None,
) -> None:
    """Make pseudo-patients from published summaries (NAME) or from a digitised curve (--curve)."""
    from smm_bayes.evidence import command

    command.check_options(name, seed, number, curve, at_risk, events, n, out)
    if out is not None:
        _check_parent(out)
    if curve is not None:
        typer.echo(command.from_figure(curve, at_risk, events, n, out))
    else:
        typer.echo(command.listing() if name is None else command.from_summaries(name, seed, number, out))


def _check_parent(out: Path) -> None:
    """Refuse an output folder that could not be made, before anything is computed for it."""
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        what = "cannot be written to" if parent.is_dir() else "is a file"
        raise SpecificationError(f"--out {out}: {parent} {what}; give another folder")


class _Progress:
    """One live line on standard error; plain lines where that is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task = self.bar.add_task("reading", total=None)
        self.said = ""

    def __enter__(self) -> _Progress:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def say(self, text: str, done: int | None = None, total: int | None = None) -> None:
        stage = text.split(" · ")[0]
        if not self.console.is_terminal and stage != self.said:
            self.console.print(stage, highlight=False)
        self.said = stage
        self.bar.update(self.task, description=text, completed=done or 0, total=total)

    def fit(self, state: FitProgress) -> None:
        again = f" (attempt {state.attempt})" if state.attempt > 1 else ""
        self.say(f"sampling the posterior{again} · {state.divergences} divergences", state.finished, state.total)

    def predict(self, done: int, total: int) -> None:
        self.say("completing the trial", done, total)


def main() -> None:
    """Run the command line, turning the user's errors into one message and an exit code."""
    try:
        app()
    except SmmBayesError as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("Interrupted; nothing was written.", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
