"""Build the site: `make docs`."""

from __future__ import annotations

import ast
import atexit
import importlib
import os
import pkgutil
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes

import airflow_provider_videodb

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Airflow fills its home when autodoc imports it.
os.environ |= {"AIRFLOW_HOME": tempfile.mkdtemp(prefix="airflow-docs-"), "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)


def import_names_of_types() -> None:
    """
    Carry out the imports that are for type checkers only.

    Without them, autodoc would have to guess which class a name in a signature means: there are two `Checkout`.
    """
    for found in pkgutil.walk_packages(airflow_provider_videodb.__path__, "airflow_provider_videodb."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            for node in ast.parse(Path(str(module.__file__)).read_text()).body:
                if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                    for statement in node.body:
                        # Some packages define types for type checkers only.
                        with suppress(ImportError):
                            exec(ast.unparse(statement), vars(module))  # noqa: S102 - it is our own source


import_names_of_types()

project = "airflow-provider-videodb"
author = "The airflow-provider-videodb authors"
copyright = author  # noqa: A001 - Sphinx reads this name
release = version = airflow_provider_videodb.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_llm.txt",
]

# Markdown
myst_enable_extensions = ["attrs_block", "colon_fence", "deflist"]
# GitHub makes an anchor for each heading, so the same links work there and here.
myst_heading_anchors = 4

# A block that names no language, and `::` in a docstring.
highlight_language = "text"

# Docstrings
# A name in single backticks.
default_role = "py:obj"
autodoc_member_order = "bysource"
# A default is shown as it is written: `timedelta(hours=24)` and not its repr.
autodoc_preserve_defaults = True
# Types are in the signature only. Below it, each parameter is described.
autodoc_typehints = "signature"
maximum_signature_line_length = 80
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

nitpicky = True
nitpick_ignore_regex = [
    # What other packages document. Their inventories would have to be downloaded.
    ("py:.*", r"(?!airflow_provider_videodb\.).*"),
    # Types in public signatures that are not public themselves.
    ("py:class", r"airflow_provider_videodb\.(purchases|holds)\..*|.*\._.*"),
    # The keyword arguments of `Settings` and `Fault`, which describe them, and what only an emulator can make.
    ("py:class", r"airflow_provider_videodb\.emulator\..*\.(SettingsArguments|FaultFields|EmulatorState)"),
]

# Pages
html_theme = "furo"
html_theme_options = {
    "source_repository": "https://github.com/video-db/airflow-provider-videodb/",
    "source_branch": "main",
    "source_directory": "docs/",
}
pygments_dark_style = "github-dark"
html_title = f"airflow-provider-videodb {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = True
html_show_sphinx = False
templates_path: list[str] = []

# A reader copies the commands, without the prompt and without what they print.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True

# llms.txt and llms-full.txt, and each page as Markdown, with the docstrings
llms_txt_description = (
    "Apache Airflow provider for VideoDB billing: gate a heavy job on prepaid credits, buy what is missing at most "
    "once, and wait for the payment without holding a worker."
)
llms_txt_suffix_mode = "replace"
llms_txt_full_build = True
llms_txt_nested_enabled = False

# `make docs-links` follows the links that leave the site.
linkcheck_timeout = 20
linkcheck_retries = 2
# GitHub writes its anchors with JavaScript.
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]
# Addresses of examples, which nobody serves.
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost)(:\d+)?/.*"]


def write_asterisks_as_text(_: Sphinx, doctree: nodes.document) -> None:
    """
    Keep the asterisk before keyword-only arguments in Markdown.

    Sphinx writes it as an abbreviation, which Markdown would lose.
    """
    for asterisk in list(doctree.findall(nodes.abbreviation)):
        asterisk.replace_self(nodes.Text(asterisk.astext()))


def setup(app: Sphinx) -> None:
    """Extend Sphinx."""
    app.connect("doctree-read", write_asterisks_as_text)
