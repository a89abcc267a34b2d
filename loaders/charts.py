"""Charts and diagrams (SmartArt) of Office files: their words and numbers lie in parts of their own."""

from collections.abc import Iterator
from typing import Any

from loaders.tables import markdown_table

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"

CHART, DIAGRAM = "/chart", "/diagramData"
"""What the types of relations to such parts end in."""


def texts(chart: Any) -> Iterator[str]:
    """The title and the tables of a chart, by the root of its part."""
    yield from title(chart)
    for plot in chart.iterfind(f"{_C}chart/{_C}plotArea/*"):
        yield from filter(None, map(markdown_table, _tables(list(plot.iterfind(_C + "ser")))))


def title(chart: Any) -> Iterator[str]:
    """The title of a chart, if it has one."""
    for found in chart.iterfind(f"{_C}chart/{_C}title"):
        yield from filter(None, [" ".join("".join(part.text or "" for part in found.iter(_A + "t")).split())])


def diagram(root: Any) -> Iterator[str]:
    """The paragraphs of a diagram, by the root of the part with its data."""
    for paragraph in root.iter(_A + "p"):
        text = "".join(part.text or "" for part in paragraph.iter(_A + "t")).strip()
        if text:
            yield text


def _tables(series: list[Any]) -> Iterator[list[list[str]]]:
    """The series of a plot of any kind as columns; those that share their categories share a table."""
    shared: dict[tuple[tuple[int, str], ...], list[tuple[str, dict[int, str]]]] = {}
    common: dict[int, str] = {}
    for each in sorted(series, key=_order):
        labels = _points(each, "cat", "xVal")
        common = common or labels
        name = " ".join(filter(None, (part.text for part in each.iterfind(f"{_C}tx//{_C}v"))))
        columns = [(name, _points(each, "val", "yVal")), (f"{name} (size)".strip(), _points(each, "bubbleSize"))]
        key = tuple((labels or common).items())
        shared.setdefault(key, []).extend(column for column in columns if column[1])
    for key, found in shared.items():
        labels = dict(key)
        places = sorted({*labels, *(at for _, values in found for at in values)})
        rows = ([labels.get(at, ""), *(values.get(at, "") for _, values in found)] for at in places)
        yield [["", *(name for name, _ in found)], *rows]


def _order(series: Any) -> int:
    place = series.find(_C + "order")
    return int(place.get("val", "0")) if place is not None else 0


def _points(series: Any, *names: str) -> dict[int, str]:
    """The values of a part of a series by their places; of categories in levels only the finest."""
    for name in names:
        part = series.find(_C + name)
        if part is not None:
            level = part.find(f".//{_C}lvl")
            points = (part if level is None else level).iter(_C + "pt")
            texts = {int(point.get("idx", "0")): point.findtext(_C + "v") or "" for point in points}
            return texts if name == "cat" else {at: _number(text) for at, text in texts.items()}
    return {}


def _number(text: str) -> str:
    try:
        return format(float(text), ".15g")
    except ValueError:
        return text
