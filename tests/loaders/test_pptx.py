"""What becomes of charts in presentations."""

import re
from io import BytesIO
from typing import Any

import pytest
from pptx import Presentation
from pptx.chart import data as charts
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from loaders import loader
from tests.loaders.conftest import Put
from tests.loaders.office_files import package, parts

MAKE: Any = charts
"""Its classes have no types."""

COLUMNS = "| --- | --- |"


def slides(kind: XL_CHART_TYPE, data: Any) -> bytes:
    """A presentation of a slide with words and one with a chart."""
    made = Presentation()
    made.slides.add_slide(made.slide_layouts[5]).shapes.title.text = "Words"
    shapes = made.slides.add_slide(made.slide_layouts[6]).shapes
    shapes.add_chart(kind, 0, 0, Inches(4), Inches(3), data)
    file = BytesIO()
    made.save(file)
    return file.getvalue()


def renamed(data: bytes, old: str, new: str) -> bytes:
    """The same presentation with another kind of chart, which python-pptx does not make."""
    found = parts(data)
    (name,) = (name for name in found if re.fullmatch(r"ppt/charts/chart\d+\.xml", name))
    return package(found | {name: found[name].replace(f"c:{old}".encode(), f"c:{new}".encode())})


def text(put: Put, data: bytes) -> str:
    words, chart = loader("pptx").load(put(data, "a.pptx"), {})
    assert words.page_content == "# Words"
    return chart.page_content


def rain() -> Any:
    made = MAKE.CategoryChartData()
    made.categories = ["2020", "007"]
    made.add_series("Rain", (610, None))
    return made


@pytest.mark.parametrize("kind", ["pieChart", "pie3DChart", "ofPieChart", "bar3DChart", "stockChart", "surface3DChart"])
def test_a_chart_of_any_kind_is_a_table(put: Put, kind: str) -> None:
    made = renamed(slides(XL_CHART_TYPE.PIE, rain()), "pieChart", kind)
    assert text(put, made) == f"|  | Rain |\n{COLUMNS}\n| 2020 | 610 |\n| 007 |  |"


def test_series_with_the_same_categories_share_a_table(put: Put) -> None:
    made = rain()
    made.add_series("Snow", (0.1 + 0.2, 8))
    found = text(put, slides(XL_CHART_TYPE.COLUMN_CLUSTERED, made))
    assert found == "|  | Rain | Snow |\n| --- | --- | --- |\n| 2020 | 610 | 0.3 |\n| 007 |  | 8 |"


def test_only_the_finest_of_several_levels_of_categories_is_read(put: Put) -> None:
    made = MAKE.CategoryChartData()
    made.add_category("2020").add_sub_category("May")
    made.add_series("Rain", (3,))
    assert text(put, slides(XL_CHART_TYPE.LINE, made)) == f"|  | Rain |\n{COLUMNS}\n| May | 3 |"


def test_scatter_charts_and_bubbles_have_their_values(put: Put) -> None:
    scatter = MAKE.XyChartData()
    for name, places in (("A", ((1, 2), (3, 4.5))), ("B", ((1, 9),))):
        series = scatter.add_series(name)
        for place in places:
            series.add_data_point(*place)
    found = text(put, slides(XL_CHART_TYPE.XY_SCATTER, scatter))
    assert found == f"|  | A |\n{COLUMNS}\n| 1 | 2 |\n| 3 | 4.5 |\n\n|  | B |\n{COLUMNS}\n| 1 | 9 |"
    bubbles = MAKE.BubbleChartData()
    bubbles.add_series("A").add_data_point(1, 2, 30)
    found = text(put, slides(XL_CHART_TYPE.BUBBLE, bubbles))
    assert found == "|  | A | A (size) |\n| --- | --- | --- |\n| 1 | 2 | 30 |"


def test_a_chart_without_categories_keeps_its_values(put: Put) -> None:
    made = renamed(slides(XL_CHART_TYPE.PIE, rain()), "cat>", "gone>")
    assert text(put, made) == "| Rain |\n| --- |\n| 610 |"


def test_merged_cells_stand_in_each_of_their_rows_and_headers_of_two_rows_become_one(put: Put) -> None:
    made = Presentation()
    table = made.slides.add_slide(made.slide_layouts[6]).shapes.add_table(4, 3, 0, 0, Inches(4), Inches(3)).table
    for row, cells in enumerate((("Item", "Price", ""), ("", "May", "June"), ("Tea", "1", "2"), ("", "3", "4"))):
        for column, words in enumerate(cells):
            table.cell(row, column).text = words
    table.cell(0, 1).merge(table.cell(0, 2))
    table.cell(2, 0).merge(table.cell(3, 0))
    file = BytesIO()
    made.save(file)
    (found,) = loader("pptx").load(put(file.getvalue(), "a.pptx"), {})
    lines = ["| Item | Price May | Price June |", "| --- | --- | --- |", "| Tea | 1 | 2 |", "| Tea | 3 | 4 |"]
    assert found.page_content.splitlines() == lines
