"""The report: the parameterised notebook run on a finished analysis, and its page that opens offline."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from smm_bayes import markup
from smm_bayes.errors import ReportError
from smm_bayes.interruption import uninterrupted

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

NOTEBOOK = "interim_report.ipynb"
PATIENCE = 10  # seconds that a report has to end when told so
NEEDED = ("matplotlib.pyplot", "xarray", "h5netcdf", "smm_bayes.analysis.outputs", "smm_bayes.reporting.plots",
          "smm_bayes.reporting.words", "smm_bayes.reporting.answer", "smm_bayes.reporting.sensitivity",
          "smm_bayes.survival.check")  # fmt: skip


def report_notebook() -> Path:
    """Where the report notebook is: beside the package in a checkout, inside it when installed."""
    package = Path(str(resources.files("smm_bayes")))
    beside = package.parent / "notebooks" / NOTEBOOK
    return beside if beside.is_file() else package / "reporting" / NOTEBOOK


@contextmanager
def report_writer(folder: Path, *, spec: Path, snapshot: Path, seed: int) -> Iterator[Callable[[], None]]:
    """Start a process that loads what the report needs while the fit runs; the call given writes the report.

    Parameters
    ----------
    folder : pathlib.Path
        Where the results will be when the report is written.
    spec, snapshot : pathlib.Path
    seed : int

    Raises
    ------
    ReportError
        From the call, when the report could not be written: with what the process said.
    """
    arguments = [str(folder), str(spec.resolve()), str(snapshot.resolve()), str(seed)]
    # safe path: no file of the current folder is imported, here and in the kernel
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    stdin, stderr = process.stdin, process.stderr

    def write() -> None:
        with contextlib.suppress(BrokenPipeError):
            stdin.write("write\n")
            stdin.flush()  # it stays open: its end tells the process that this one died
        said = stderr.read()
        if process.wait():
            raise ReportError(f"the report could not be written, so nothing was:\n{said}")

    try:
        yield write
    finally:
        with uninterrupted():
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """End the process and its kernel; it has a session of its own and does not see Ctrl-C."""
    if process.poll() is None:
        process.terminate()
    for pipe in (process.stdin, process.stderr):
        with contextlib.suppress(BrokenPipeError):
            if pipe is not None:
                pipe.close()
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main(arguments: Sequence[str]) -> None:
    """Load what a report needs, and write it once standard input says so; the process of :func:`report_writer`."""
    import nbconvert  # noqa: F401
    import papermill  # noqa: F401

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the kernel is stopped too
    folder, spec, snapshot, seed = arguments
    with _kernel(Path(folder)) as kernel:
        if sys.stdin.readline().strip() == "write":
            threading.Thread(target=_end_with_parent, daemon=True).start()
            write_report(Path(folder), kernel, spec=Path(spec), snapshot=Path(snapshot), seed=int(seed))


def _end_with_parent() -> None:
    """Wait until nobody holds the other end of standard input, and end."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _kernel(folder: Path) -> Iterator[AsyncKernelManager]:
    """Start the notebook's kernel in ``folder``, importing what the report needs."""
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    manager = AsyncKernelManager(kernel_name="python3")
    first = f"--InteractiveShellApp.exec_lines=import {', '.join(NEEDED)}"
    run_sync(manager.start_kernel)(cwd=str(folder), extra_arguments=["--log-level=ERROR", first])
    try:
        yield manager
    finally:
        if run_sync(manager.is_alive)():
            run_sync(manager.shutdown_kernel)(now=True)
        run_sync(manager.cleanup_resources)()


def write_report(folder: Path, kernel: AsyncKernelManager, *, spec: Path, snapshot: Path, seed: int) -> None:
    """Execute the report on the results in ``folder`` and render it there as HTML."""
    import logging
    import warnings

    import papermill

    logging.getLogger("papermill").setLevel(logging.ERROR)
    target = folder / "report.ipynb"
    parameters = {"spec": str(spec.resolve()), "run": ".", "snapshot": str(snapshot.resolve()),
                  "seed": seed}  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        papermill.execute_notebook(report_notebook(), target, parameters, kernel_name="python3", progress_bar=False,
                                   log_output=False, cwd=str(folder), km=kernel, start_timeout=300)  # fmt: skip
    (folder / "report.html").write_text(render(target), encoding="utf-8")


def render(notebook: Path) -> str:
    """Render an executed notebook as one HTML page without code, scripts or anything from the web."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.HTMLExporter.exclude_input = True
    config.HTMLExporter.exclude_input_prompt = True
    config.HTMLExporter.exclude_output_prompt = True
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_cell_tags = ("parameters", "injected-parameters")
    templates = Path(str(resources.files("smm_bayes"))) / "reporting" / "templates"
    exporter = HTMLExporter(config=config, template_name="offline", extra_template_basedirs=[str(templates)])
    page, _ = exporter.from_filename(str(notebook))
    return with_alternative_text(page, notebook)


def with_alternative_text(page: str, notebook: Path) -> str:
    """Put each figure's ``alt`` (from the output's metadata) into the page; the template drops it."""
    import nbformat

    texts = [
        output.get("metadata", {}).get("image/png", {}).get("alt", "Figure")
        for cell in nbformat.read(notebook, as_version=4).cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    found = iter(texts)

    def describe(match: re.Match[str]) -> str:
        words = markup.text(next(found, "Figure"))
        return re.sub(r'\salt="[^"]*"', "", match.group(0)).replace("<img", f'<img alt="{words}"', 1)

    return re.sub(r'<img[^>]*src="data:image/png[^>]*>', describe, page)


if __name__ == "__main__":
    main(sys.argv[1:])
