"""Docstrings are plain text in Google style; this makes them reStructuredText before napoleon reads their sections.

Characters that only reStructuredText would interpret are escaped. Indented lines that explain the line above, one
`name: description` each, become a list:

    Returns: dict of
        spread: [N] standard deviation in [-1, 1] units;
        collapsed: bool [N], `spread` below 0.02.
"""

import re

_CODE = re.compile(r"(`+[^`]+`+)")
_SPECIAL = re.compile(r"[|*]|(?<=\w)_(?=\W|$)")  # substitutions, emphasis, references
_SECTIONS = re.compile(r"(Args|Arguments|Attributes|Keyword Args|Raises|Returns|Yields|Examples?|Notes?|Warnings?):")
_ARRAY_LIKE = re.compile(r"[\w.~]*_Buffer \| .*?_NestedSequence\[complex \| bytes \| str\]")
_ITEMS = ("Args:", "Arguments:", "Attributes:", "Keyword Args:", "Raises:")  # napoleon reads `name: description` itself


def setup(app):
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}


def _signature(app, kind, name, obj, options, signature, returned):
    """Show NumPy's ArrayLike by name instead of its long definition."""
    return tuple(text and _ARRAY_LIKE.sub("ArrayLike", text) for text in (signature, returned))


def _skip(app, kind, name, obj, skip, options):
    """Skip members that a base class of another package adds to a class; None: let Sphinx decide."""
    return True if (getattr(obj, "__module__", None) or "edram_fer").split(".")[0] != "edram_fer" else None


def _process(app, kind, name, obj, options, lines):
    lines[:] = _make_lists(_escape(_mark_code(lines)))
    if kind == "property":
        lines.insert(0, "")  # otherwise napoleon reads the text before a colon in the first line as a type


def _mark_code(lines):
    """An indented paragraph outside of a section is code, which two colons mark."""
    result, section = [], False
    for number, line in enumerate(lines):
        section = bool(_SECTIONS.fullmatch(line)) or (section and (not line.strip() or _indent(line) > 0))
        begins = _indent(line) >= 4 and number and not lines[number - 1].strip()
        if begins and not section and not _indent(_last_line(lines[:number])):
            result += ["::", ""]
        result.append(line)
    return result


def _last_line(lines):
    """The last line that is not blank."""
    return next((line for line in reversed(lines) if line.strip()), "")


def _escape(lines):
    result, literal = [], False  # literal: inside an indented block after a line that ends in "::"
    for line in lines:
        literal = literal and (not line.strip() or line.startswith("    "))
        if not literal and not line.lstrip().startswith((">>>", "...")):
            parts = _CODE.split(line)
            parts[::2] = [_SPECIAL.sub(lambda match: "\\" + match.group(), part) for part in parts[::2]]
            line = "".join(parts)
        literal = literal or line.rstrip().endswith("::")
        result.append(line)
    return result


def _make_lists(lines):
    result, section, position = [], "", 0
    while position < len(lines):
        line = lines[position]
        result.append(line)
        position += 1
        if line.strip() == "::":
            while position < len(lines) and (not lines[position].strip() or _indent(lines[position])):
                result.append(lines[position])
                position += 1
            continue
        if _indent(line) == 0 and line.strip():
            section = line.strip() if _SECTIONS.fullmatch(line.strip()) else ""
        plain = line.strip() and line.strip() != section and not re.match(r"\s*([-*] |\d+\. |>>> |\.\. )", line)
        item = section in _ITEMS and _indent(line) <= 4
        block = _block(lines, position, _indent(line)) if plain and not item else []
        if block and ": " in block[0]:
            result += ["", *_bullets(block), ""]
            position += len(block)
    return result


def _block(lines, start, indent):
    """The lines from `start` that are indented deeper, up to a blank line."""
    end = start
    while end < len(lines) and lines[end].strip() and _indent(lines[end]) > indent:
        end += 1
    return lines[start:end]


def _bullets(block):
    base = _indent(block[0])
    return [
        " " * base + ("- " if _indent(line) == base else "  ") + line.strip() for line in block if _indent(line) >= base
    ]


def _indent(line):
    return len(line) - len(line.lstrip())
