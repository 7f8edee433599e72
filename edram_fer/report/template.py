"""Templates of the pages. Values are escaped, and an undefined name is an error."""

import importlib.resources

import jinja2


def template(name: str) -> jinja2.Template:
    """A Jinja template from this folder, with the filters `percent`, `number` and `count`."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number, "count": count}
    return environment.get_template(name)


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage; a dash for None and nan."""
    return "–" if value is None or value != value else f"{100 * value:.{digits}f} %"


def number(value: float | None, digits: int = 3) -> str:
    """A number as text; a dash for None and nan."""
    if value is None or value != value:
        return "–"
    return f"{round(value, digits) + 0:.{digits}f}"  # + 0: no minus sign before a zero


def count(value: int | None) -> str:
    """A whole number with thousands separators; a dash for None."""
    return "–" if value is None else f"{value:,}"


def _text(name: str) -> str:
    return importlib.resources.files("edram_fer.report").joinpath(name).read_text(encoding="utf-8")
