"""How Sphinx makes the pages of ``make docs``: everything they need is in them, and nothing is executed."""

import re
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import smm_bayes  # noqa: E402

project, author, release = "smm_bayes", "the authors of smm_bayes", smm_bayes.__version__
extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_nb"]
root_doc = "docs/index"
include_patterns = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/**", "notebooks/*.ipynb", "data/README.md",
                    "benchmarks/README.md", "models/*/card.md"]  # fmt: skip
suppress_warnings = ["config.cache"]

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
myst_dmath_double_inline = True  # as notebooks have it

autodoc_default_options = {"members": True, "imported-members": True, "member-order": "groupwise"}
autodoc_typehints = "none"  # docstrings say the types
autodoc_inherit_docstrings = True
numpydoc_show_class_members = False  # autodoc shows them
numpydoc_xref_param_type = False  # a type in words is no link
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"smm_bayes {release}"
html_copy_source = html_show_sourcelink = html_show_copyright = False
html_math_renderer = "mathml"

# what docutils' converter does not know, in words that it does
SPELLINGS = ((r"\\dots\b", r"\\ldots"), (r"\\Big(?=[(){}\[\]|])", ""), (r"\\(text|display)style\b", ""),
             (r"(\\(?:hat|tilde|bar)\s*(?:\\[a-zA-Z]+|\w))(?=[_^])", r"{\1{}}"))  # fmt: skip


def to_mathml(node: nodes.Element, *, block: bool) -> str:
    """Give a formula as MathML, which browsers show without a script."""
    text = re.sub(r"\s+", " ", node.astext()).strip()
    for pattern, spelling in SPELLINGS:
        text = re.sub(pattern, spelling, text)
    rows = r"\begin{aligned}" + text + r"\end{aligned}" if "&" in text and r"\begin" not in text else text
    return latex2mathml.tex2mathml(rows, as_block=block)


def inline(self: HTML5Translator, node: nodes.Element) -> None:
    """Write a formula in a line."""
    self.body.append(to_mathml(node, block=False))
    raise nodes.SkipNode


def displayed(self: HTML5Translator, node: nodes.Element) -> None:
    """Write a formula of its own."""
    self.body.append(f'<div class="math">{to_mathml(node, block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Let Sphinx write formulas so."""
    app.add_html_math_renderer("mathml", (inline, None), (displayed, None))
