"""The texts of the report's pages, for Jinja."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pneumo.report.markdown import SPLITS, interval, number, percent, signed, weights, with_interval


def render(name: str, *, html: bool, **values: Any) -> str:
    """The template `name` of this folder filled with `values`. A name that has no value is an error."""
    environment = Environment(
        loader=FunctionLoader(lambda template: str(text(template))),  # a template includes others of this folder
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (number, percent, interval, signed, with_interval, weights)
    environment.filters |= {function.__name__: function for function in filters}
    return environment.get_template(name).render(splits=SPLITS, **values)


def text(name: str) -> Markup:
    """The file `name` of this folder as it is."""
    return Markup((files(__name__) / name).read_text(encoding="utf-8"))
