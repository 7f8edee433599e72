"""What the text of a setting means (`--set KEY=VALUE`); needs no Keras."""

import ast


def parse_value(text):
    """A setting's text as a Python literal, one of the words none, true and false in any case, or else as text."""
    words = {"none": None, "true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
