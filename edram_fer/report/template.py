"""Templates of the pages: what they are filled with is escaped, and a name that nobody gave is an error."""

import importlib.resources

import jinja2


def template(name):
    """A Jinja template of this folder, with the filters percent, number and count."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "count": count}
    return environment.get_template(name)


def percent(value, digits=1):
    """A share as text; a dash for None and nan."""
    return "–" if value is None or value != value else f"{100 * value:.{digits}f} %"


def number(value, digits=3):
    """A number as text; a dash for None and nan."""
    if value is None or value != value:
        return "–"
    return f"{round(value, digits) + 0:.{digits}f}"  # + 0: no minus before a zero


def count(value):
    """A whole number with its thousands apart; a dash for None."""
    return "–" if value is None else f"{value:,}"


def _text(name):
    return importlib.resources.files("edram_fer.report").joinpath(name).read_text(encoding="utf-8")
