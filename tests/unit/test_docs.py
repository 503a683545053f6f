"""The pages of ``make docs``: whatever they show is in them, and every public room and document has its page."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import smm_bayes as smm

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# a page of every kind: words, tables, formulas and examples of an API page, a notebook with pictures
PAGES = ("docs/index.md", "docs/from_other_packages.md", "docs/api/results.rst", "docs/api/priors.rst",
         "notebooks/11_cured_or_late.ipynb")  # fmt: skip
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data",
         "embed": "src", "use": "href"}  # fmt: skip


class Loads(HTMLParser):
    """What a browser loads to show a page; what it may be led to by a click is not among it."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        followed = tag == "link" and given.get("rel") in ("next", "prev", "index", "search", "canonical", "author")
        if tag in LOADS and not followed:
            self.found.append(given.get(LOADS[tag]) or "")
        self.found += re.findall(r"url\(([^)]*)\)", given.get("style") or "")


def elsewhere(folder):
    """Addresses that pages, style sheets and scripts of a folder load from another machine."""
    found = [address for path in folder.rglob("*.html") for address in Loads(path.read_text()).found]
    for path in folder.rglob("*.css"):
        found += re.findall(r"url\(\s*[\"']?([^\"')]*)|@import\s+[\"']([^\"']*)", path.read_text())
    addresses = [one for each in found for one in (each if isinstance(each, tuple) else (each,))]
    return [one for one in addresses if re.match(r"(https?:)?//", one)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Some pages, made as ``make docs`` makes all; links to pages that are left out are warnings here."""
    out = tmp_path_factory.mktemp("docs")
    call = [sys.executable, "-P", "-m", "sphinx", "-q", "-b", "html", "-c", DOCS, "-D", f"include_patterns={','.join(PAGES)}",
            "-d", out / "trees", ROOT, out / "html"]  # fmt: skip
    subprocess.run(list(map(str, call)), check=True, capture_output=True, text=True, cwd=ROOT)
    return out / "html"


def test_pages_load_nothing_from_elsewhere(built):
    assert len(list(built.rglob("*.html"))) >= len(PAGES)
    assert not elsewhere(built)


def test_a_load_from_elsewhere_is_seen(tmp_path):
    (tmp_path / "a.html").write_text(
        '<script src="https://cdn/x.js"></script><link rel="stylesheet" href="//fonts/y.css"><img src="http://z/p.png">'
        '<a href="https://doi.org/10.1">fine</a><link rel="next" href="b.html"><p style="background:url(http://q/r)">'
    )
    (tmp_path / "a.css").write_text('@import "https://s/t.css"; p {background: url(https://u/v.png)}')
    assert len(elsewhere(tmp_path)) == 6


def test_pages_open_and_are_searched_without_a_server(built):
    """The index of the search is a script, which a page opened from a file may load; data it may not."""
    assert (built / "searchindex.js").read_text().startswith("Search.setIndex(")
    assert 'src="searchindex.js"' in (built / "search.html").read_text()


def test_formulas_need_no_script(built):
    page = (built / PAGES[-1]).with_suffix(".html").read_text()
    assert "<math" in page
    assert "MathJax" not in page
    assert "data:image/png" in page or list((built / "_images").glob("*.png"))


def test_every_room_and_document_has_its_page():
    pages = " ".join(path.read_text() for path in (DOCS / "api").glob("*.rst"))
    described = set(re.findall(r"automodule:: (smm_bayes[\w.]*)", pages))
    rooms = {"trial", "priors", "priors.mixtures", "survival", "inference", "prediction", "borrowing", "surrogacy",
             "response.exact", "design", "evidence", "analysis", "reporting"}  # fmt: skip
    assert {"smm_bayes", *(f"smm_bayes.{room}" for room in rooms)} <= described
    index = (DOCS / "index.md").read_text()
    for path in [*DOCS.glob("*.md"), *(DOCS / "api").glob("*.rst")]:
        name = path.relative_to(DOCS).with_suffix("").as_posix()
        assert name == "index" or f"\n{name}\n" in index, name


def test_counterparts_of_other_packages_are_there():
    """Every name that the page for readers of other packages calls its own is offered."""
    import importlib

    text = (DOCS / "from_other_packages.md").read_text()
    for name in set(re.findall(r"`smm\.([A-Za-z_]+)", text)):
        assert name in smm.__all__, name
    for module, name in set(re.findall(r"`(smm_bayes(?:\.[a-z_]+)+)\.([A-Za-z]\w+)", text)):
        assert hasattr(importlib.import_module(module), name), f"{module}.{name}"
