"""Configuration of the documentation, which `make docs` builds without a network."""

import os
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
GENERATED = DOCS / "_generated"
EXTRA = GENERATED / "extra"  # copied into the site unchanged: the comparison page that gallery.md creates
sys.path[:0] = [str(DOCS / "extensions"), str(DOCS.parent)]

from edram_fer import installation  # noqa: E402

project = "edram-fer"
author = "the edram-fer authors"
copyright = "the edram-fer authors, MIT licence"
release = version = installation.versions()["edram-fer"] or ""

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "plain_docstrings",
    "generated_pages",
]
exclude_patterns = ["_build", "_generated/extra", "_generated/ipython", "_generated/notebooks"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "edram-fer"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_generated/extra"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}
EXTRA.mkdir(parents=True, exist_ok=True)

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4

# Each tutorial runs in its own empty folder, and any failure in it fails the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
nb_output_stderr = "remove"  # TensorFlow's messages
nb_merge_streams = True
suppress_warnings = ["misc.highlighting_failure"]  # the lexer does not support a second line of a `!` command
copybutton_exclude = ".linenos, .gp, .go"

# The kernels' environment: the commands of this Python, and how they run a command.
STARTUP = GENERATED / "ipython" / "profile_default" / "startup"
STARTUP.mkdir(parents=True, exist_ok=True)
shutil.copy(DOCS / "extensions" / "kernel_startup.py", STARTUP)
os.environ |= {
    "EDRAM_FER_DOCS_EXTRA": str(EXTRA),
    "IPYTHONDIR": str(GENERATED / "ipython"),
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONPATH": f"{DOCS.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

default_role = "code"
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!edram_fer\.).*"),  # other packages have no inventory without a network
    ("py:class", r".*\._\w+|.*\.[A-Z]|.*\.synthetic\.scene\.Scene"),  # private; a function hides the module scene
]
autosummary_generate = True
autosummary_ignore_module_all = True
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
