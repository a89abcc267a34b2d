"""Metrics from what suites, requests and thresholds call them."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from service.errors import Unprocessable
from service.metrics import METRICS
from service.metrics.base import Metric
from service.plugins import resolve

_LABEL = re.compile(r"([a-zA-Z0-9]+)@(\d{1,6})")


def metric_class(name: str) -> type[Metric]:
    """The class of a metric. Raises `UnknownName`, which lists the known ones."""
    found: type[Metric] = resolve(METRICS, name, "metric")
    return found


def metric(name: str, options: Mapping[str, Any] | None = None) -> Metric:
    """A metric by name: `recall`, or `recall@5` for the option `k`; `options` by their camelCase names.

    Raises `UnknownName`, and `Unprocessable` that names the option which cannot be used.
    """
    given = dict(options or {})
    if named := _LABEL.fullmatch(name):
        name, depth = named[1], int(named[2])
        if given.get("k", depth) != depth:
            raise Unprocessable(f"metric '{named[0]}': the option 'k' is {given['k']}")
        given["k"] = depth
    made = metric_class(name)
    try:
        return made(made.Options.model_validate(given))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise Unprocessable(f"metric '{name}': {f'{place}: ' if place else ''}{first['msg']}") from None
