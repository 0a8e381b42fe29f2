"""Build the site: `make docs`."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from airflow_provider_videodb import __version__

# Airflow fills its home when autodoc imports it.
os.environ |= {"AIRFLOW_HOME": tempfile.mkdtemp(prefix="airflow-docs-"), "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING"}
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

project = "airflow-provider-videodb"
author = "The airflow-provider-videodb authors"
copyright = author  # noqa: A001 - Sphinx reads this name
release = version = __version__

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
    # Types in public signatures whose room is not public.
    ("py:class", r"airflow_provider_videodb\.(purchases|holds)\..*"),
]

# Pages
html_theme = "furo"
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
# The asterisk in a signature with keyword-only arguments.
llms_txt_suppress_unknown_node_warnings = ["abbreviation"]

# `make docs-links` follows the links that leave the site.
linkcheck_timeout = 20
linkcheck_retries = 2
# Addresses of examples, which nobody serves.
linkcheck_ignore = [r"https?://(127\.0\.0\.1|localhost)(:\d+)?/.*"]
