"""Parse the values of settings (`--set KEY=VALUE`, `--vary KEY=VALUE,VALUE`); does not need Keras."""

import ast


def parse_value(text: str) -> object:
    """Parse a text: a Python literal; none, true or false in any case; otherwise the text itself.

    >>> parse_value("0.5"), parse_value("None"), parse_value("(1, 2)"), parse_value("adam")
    (0.5, None, (1, 2), 'adam')
    """
    constants = {"none": None, "true": True, "false": False}
    if text.lower() in constants:
        return constants[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError):  # the errors that `literal_eval` documents
        return text


def split_values(text: str) -> list[str]:
    """Split a text at the commas outside brackets.

    >>> split_values("none,.5,(16, 24)")
    ['none', '.5', '(16, 24)']
    """
    values, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            values.append("")
        else:
            values[-1] += character
    return [value.strip() for value in values]
