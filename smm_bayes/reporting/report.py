"""The report: the parameterised notebook run on a finished analysis, and its page that opens offline."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

NOTEBOOK = "interim_report.ipynb"


def report_notebook() -> Path:
    """Where the report notebook is: beside the package in a checkout, inside it when installed."""
    package = Path(str(resources.files("smm_bayes")))
    beside = package.parent / "notebooks" / NOTEBOOK
    return beside if beside.is_file() else package / "reporting" / NOTEBOOK


def write_report(folder: Path, *, spec: Path, snapshot: Path, seed: int) -> None:
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
                                   log_output=False, cwd=str(folder),
                                   extra_arguments=["--log-level=ERROR"])  # fmt: skip
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
        words = next(found, "Figure").replace('"', "'")
        return re.sub(r'\salt="[^"]*"', "", match.group(0)).replace("<img", f'<img alt="{words}"', 1)

    return re.sub(r'<img[^>]*src="data:image/png[^>]*>', describe, page)
