"""Docstrings are plain text in Google style: characters that only reStructuredText would interpret are escaped."""

import re

_CODE = re.compile(r"(`+[^`]+`+)")
_SPECIAL = re.compile(r"[|*]|(?<=\w)_(?=\W|$)")  # substitutions, emphasis, references


def setup(app):
    app.connect("autodoc-process-docstring", _escape, priority=100)  # before napoleon reads the sections
    return {"parallel_read_safe": True}


def _escape(app, what, name, obj, options, lines):
    literal = False  # inside an indented block that follows a line ending in "::"
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        literal = literal and line.startswith("    ")
        if not literal and not line.lstrip().startswith((">>>", "...")):
            parts = _CODE.split(line)
            parts[::2] = [_SPECIAL.sub(lambda match: "\\" + match.group(), part) for part in parts[::2]]
            lines[number] = "".join(parts)
        literal = literal or line.rstrip().endswith("::")
    if what == "property":
        lines.insert(0, "")  # else napoleon takes what stands before a colon in the first line for a type
