"""The command line: parse, call, print. Heavy imports only after everything has been validated."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smm_bayes import __version__
from smm_bayes.errors import DataError, SmmBayesError, SpecificationError
from smm_bayes.interruption import EXIT_CODE, Interruption, listening
from smm_bayes.progress import silent

if TYPE_CHECKING:
    from smm_bayes.analysis.interim import Interim, InterimInputs
    from smm_bayes.inference.sampling import FitProgress

CRASHED, PIPE_CLOSED = 70, 141

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
forecasts = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(forecasts, name="forecast", help="Forecasts: made, sealed on record, listed, and scored afterwards.")


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

    Writes report.ipynb, report.html, posterior.nc, decision.json and manifest.json, their hashes. Exit code 0: done;
    1: the fit did not converge; 2: bad input, nothing written; 3: the results could not be written; 70: a fault of
    this program; 130: interrupted.
    """
    from smm_bayes.analysis.interim import read_inputs
    from smm_bayes.analysis.log import log_of, read_log
    from smm_bayes.analysis.outputs import check_out

    check_out(out)
    _check_parent(out)
    inputs = read_inputs(spec, snapshot)
    read_log(log_of(inputs.spec.path))  # refused where it was tampered with
    result = _analyse(inputs, out, seed, workers)
    if json:
        typer.echo(result.decision.model_dump_json(indent=2))
        return
    _tell(result, out, seed)


def _analyse(inputs: InterimInputs, out: Path, seed: int, workers: int) -> Interim:
    """Run the analysis and put its results at ``out``."""
    with _Progress() as progress:
        progress.say("loading the sampler and compiling the model")
        from smm_bayes.analysis.interim import run_interim
        from smm_bayes.analysis.outputs import check_out, save, whole_folder
        from smm_bayes.analysis.pinned import seal_folder
        from smm_bayes.reporting.report import report_writer

        with (
            whole_folder(out, lambda: check_out(out)) as folder,
            report_writer(folder, spec=inputs.spec.path, snapshot=inputs.snapshot, seed=seed) as write_report,
        ):
            result = run_interim(inputs, seed=seed, workers=workers, on_fit=progress.fit, on_predict=progress.predict)
            progress.say("writing the report")
            save(result, folder)
            write_report()
            seal_folder(folder, complete=True, **_logged(result, folder, out))
    return result


def _logged(result: Interim, folder: Path, out: Path) -> dict[str, str]:
    """Record the run in the log of a frozen specification; a log that cannot be written is said and stops nothing."""
    from smm_bayes.analysis.freeze import log_interim
    from smm_bayes.analysis.pinned import DECISION
    from smm_bayes.files import sha256

    try:
        digest = sha256((folder / DECISION).read_bytes())
        entry = log_interim(result.inputs.spec, result.decision, out, digest)
    except (DataError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        typer.echo(f"WARNING: this run is not on the log of the frozen specification ({why}).", err=True)
        return {}
    return {"log": entry} if entry else {}


def _tell(result: Interim, out: Path, seed: int) -> None:
    """Print the answer and what it rests on."""
    from smm_bayes.reporting.answer import printed

    typer.echo(printed(result, seed=seed))
    typer.echo(f"\nWritten to {out}: report.html, report.ipynb, posterior.nc, decision.json, manifest.json")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What to call the trial: letters, digits, hyphens and underscores.")],
    kind: Annotated[str, typer.Option(help="two-arm, single-arm, earlier-trials or mrd.")] = "two-arm",
    out: Annotated[Path | None, typer.Option(help="The folder to write; models/NAME or NAME by default.")] = None,
) -> None:
    """Write the folder of a new trial: an annotated specification with simulated patients, which runs at once."""
    from smm_bayes.analysis.new import new_trial

    folder = new_trial(name, kind, out)
    typer.echo(f"Written to {folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    typer.echo(f"All patients in it are simulated. Next: smm-bayes check {folder}")


@app.command()
def check(
    spec: Annotated[Path, typer.Argument(help="The pre-specified analysis, a spec.toml.")],
    snapshot: Annotated[Path | None, typer.Option(help="Patients (CSV) instead of the specification's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Read a specification and its patients, and say what would be done; nothing is sampled or written.

    Exit code 0: an interim analysis can be run; 2: bad input, every problem is named.
    """
    from smm_bayes.analysis.check import checked_inputs
    from smm_bayes.files import as_json
    from smm_bayes.reporting.plan import plan_as_json, printed_plan

    inputs = checked_inputs(spec, snapshot)
    typer.echo(as_json(plan_as_json(inputs)).rstrip() if json else printed_plan(inputs))


@app.command()
def keys(
    section: Annotated[str | None, typer.Argument(help="A section or key; without it, all of them.")] = None,
) -> None:
    """Print what every key of a specification may hold, its default and what it means."""
    from smm_bayes.analysis.reference import reference

    typer.echo(reference(section))


@app.command()
def freeze(
    spec: Annotated[Path, typer.Argument(help="The pre-specified analysis, a spec.toml.")],
    because: Annotated[str, typer.Option(help="Why a changed specification is frozen anew.")] = "",
) -> None:
    """Write the hash and date of a specification beside it; from then on every interim run is on a log there."""
    from smm_bayes.analysis.freeze import freeze

    typer.echo(f"Written: {freeze(spec, because=because)}")


@app.command()
def verify(
    paths: Annotated[list[Path] | None, typer.Argument(help="Runs, specifications, or folders that hold any.")] = None,
) -> None:
    """Check runs, frozen specifications and their logs, forecasts and reconstructions: one line each.

    Exit code 0: all are as they were written; 2: not so, or nothing was found.
    """
    from smm_bayes.analysis.verify import verify

    found = verify(paths or [Path()])
    typer.echo("\n".join(map(str, found)))
    if not all(one.good for one in found):
        raise typer.Exit(2)


@forecasts.command("make")
def make_forecast(folder: Annotated[Path, typer.Argument(help="Folder with a forecast.toml.")]) -> None:
    """Compute the forecast that FOLDER declares, as a draft; nothing is put on record."""
    from smm_bayes.analysis.forecast_draft import draft

    typer.echo(f"Written: {draft(folder, say=lambda said: typer.echo(said, err=True))}")


@forecasts.command("seal")
def seal_forecast(
    folder: Annotated[Path, typer.Argument(help="Folder with a draft.")],
    because: Annotated[str, typer.Option(help="Why another is put beside those on record.")] = "",
) -> None:
    """Put FOLDER's draft on record under a seal; a record is never edited or replaced."""
    from smm_bayes.analysis.forecast_draft import seal_draft

    typer.echo(f"On record: {seal_draft(folder, because=because)}")


@forecasts.command("list")
def list_forecasts(folder: Annotated[Path, typer.Argument(help="Folder with forecasts on record.")]) -> None:
    """List FOLDER's forecasts on record, their seals checked."""
    from smm_bayes.analysis.forecast_draft import listed

    typer.echo("\n".join(listed(folder)))


@forecasts.command("score")
def score_forecast(
    folder: Annotated[Path, typer.Argument(help="Folder with forecasts on record and a happened.toml.")],
    number: Annotated[int | None, typer.Option(min=1, help="Of the record; the newest without it.")] = None,
) -> None:
    """Score a forecast on record whose outcome is known: coverage and log score, beside baselines."""
    from smm_bayes.analysis.forecast_scores import printed_scores, score_record

    typer.echo(printed_scores(score_record(folder, number)))


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


@app.command()
def simon(
    p0: Annotated[float, typer.Option(help="Response rate that is too low to go on with.")],
    p1: Annotated[float, typer.Option(help="Response rate that is worth going on with.")],
    alpha: Annotated[float, typer.Option(help="Largest probability of success at p0.")] = 0.05,
    beta: Annotated[float, typer.Option(help="Largest probability of no success at p1.")] = 0.2,
    largest_n: Annotated[int, typer.Option(help="Most patients a design may have.")] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Find Simon's two-stage designs for a response rate: optimal, minimax, and every admissible one between.

    Exit code 0: found; 2: the numbers are out of range, or no design is that small.
    """
    from smm_bayes.files import as_json
    from smm_bayes.response.two_stage import READ, two_stage_designs

    found = two_stage_designs(p0, p1, alpha=alpha, beta=beta, largest=largest_n)
    typer.echo(as_json(found.numbers()).rstrip() if json else f"{found}\n\n{READ}")


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
    """Run the command line; whatever ends it has an exit code of its own."""
    try:
        with listening() as interruption, silent():  # it shows progress of its own
            sys.exit(_ended(interruption))
    except KeyboardInterrupt:
        sys.exit(_interrupted(Interruption()))


def _ended(interruption: Interruption) -> int:
    """Run the command, and give its exit code once what went wrong is said."""
    try:
        app()
        return 0
    except (Exception, KeyboardInterrupt, SystemExit) as ended:  # an interruption may arrive as any of them
        if interruption.heard:
            return _interrupted(interruption)
        if isinstance(ended, SystemExit):
            return _code(ended)
        if isinstance(ended, SmmBayesError):
            typer.echo(f"Error: {ended}", err=True)
            return ended.exit_code
        return _crashed(ended)


def _code(ended: SystemExit) -> int:
    """Exit code of a command that typer ended; it gives 1 for a closed pipe and for a fault alike."""
    if ended.code == 1:
        found = ended.__context__
        if isinstance(found, OSError):
            return PIPE_CLOSED
        return _crashed(ended if found is None else found.__cause__ or found)
    return ended.code if isinstance(ended.code, int) else 0


def _interrupted(interruption: Interruption) -> int:
    typer.echo(interruption.words, err=True)
    return EXIT_CODE


def _crashed(error: BaseException) -> int:
    """Say in one sentence that this program failed, and where it says more."""
    said = "".join(traceback.format_exception(error))
    where = "above"
    if os.environ.get("SMM_BAYES_DEBUG"):
        typer.echo(said, err=True)
    else:
        try:
            with tempfile.NamedTemporaryFile(
                "w", prefix="smm-bayes-", suffix=".txt", delete=False, encoding="utf-8"
            ) as kept:
                kept.write(said)
            where = f"in {kept.name}"
        except OSError:
            typer.echo(said, err=True)
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    with contextlib.suppress(OSError):
        words = f"This is a fault of smm-bayes, not of your input: {what[:300]}; the traceback is {where}."
        typer.echo(words, err=True)
    return CRASHED


if __name__ == "__main__":
    if not sys.flags.safe_path:
        sys.path.pop(0)  # the current folder: none of its files is imported from here on
    main()
