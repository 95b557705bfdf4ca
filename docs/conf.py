"""How the pages become a site: `make docs` puts it into build/docs/html.

The pages are plain Markdown, to be read where the source is, too. So what only a site can do is done here: the
reference is made from the docstrings of the installed package, and the last published run of the benchmark is put
below its page.
"""

import re
from pathlib import Path

import fastcopy

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results" / "results.md"

project = "fastcopy"
author = "the fastcopy authors"
copyright = "the fastcopy authors"
version = release = fastcopy.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # the anchors that a code host makes of headings

html_theme = "furo"
html_title = f"fastcopy {release}"
html_copy_source = False
html_show_sourcelink = False

# ---- the reference ---------------------------------------------------------------------------------

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True  # as they are written
autodoc_default_options = {
    "members": True,
    "undoc-members": False,
    "exclude-members": "digest, hashers, required, no_zero_copy, to_core",
}
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!fastcopy\.).*")]  # the standard library has a site of its own
suppress_warnings = ["ref.python"]  # `bytes` is a type, whatever fields are called so
GIVEN = ("fastcopy.Plan", "fastcopy.TreePlan", "fastcopy.Report")  # nobody makes one by hand


def as_markdown(app, what, name, obj, options, lines) -> None:
    """The docstrings are written in Markdown: their `code` is not the `reference` of reStructuredText."""
    lines[:] = [re.sub(r"(?<![`:])`([^`]+)`(?!`)", r"``\1``", line) for line in lines]


def without_how_it_is_made(app, what, name, obj, options, signature, result) -> tuple[str, None] | None:
    return ("", None) if name in GIVEN else None


# ---- what lies outside of this folder --------------------------------------------------------------

PAGES_ELSEWHERE = {"contributing": "CONTRIBUTING.md", "changes": "CHANGELOG.md"}


def from_elsewhere(app, docname: str, source: list[str]) -> None:
    """Two pages lie beside README; links to them lead to their places in the site. Results go below their page."""
    text = source[0]
    if docname in PAGES_ELSEWHERE:
        text = (ROOT / PAGES_ELSEWHERE[docname]).read_text(encoding="utf-8").replace("](docs/", "](")
    if docname == "results" and RESULTS.is_file():
        found = RESULTS.read_text(encoding="utf-8").replace("](../../docs/", "](")
        found = re.sub(r"^#", "##", found, flags=re.MULTILINE)  # below the heading of the page
        text += "\n" + re.sub(r"!\[([^]]*)\]\(([^):/]+)\)", r"![\1](../bench/results/\2)", found)
    for page, file in PAGES_ELSEWHERE.items():
        text = re.sub(rf"\]\((\.\./)*{re.escape(file)}", f"]({page}.md", text)
    source[0] = text


def setup(app) -> None:
    app.connect("autodoc-process-docstring", as_markdown)
    app.connect("autodoc-process-signature", without_how_it_is_made)
    app.connect("source-read", from_elsewhere)
