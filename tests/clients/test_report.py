"""Reports on evaluations in a real browser: they ask for nothing, run nothing, and can be read anywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.reports.page import rendered
from service.reports.types import Report
from tests.clients.conftest import drive
from tests.service.reports.samples import ATTACK, hostile, report
from tests.service.reports.test_page import large

pytestmark = pytest.mark.clients


def opened(found: Report, chromium: str, folder: Path) -> dict[str, Any]:
    """What a browser says of a page that lies in a file; its pictures are left in the folder."""
    file = folder / "report.html"
    file.write_text(rendered(found), "utf-8")
    return drive("report.mjs", {"chromium": chromium, "file": str(file), "pictures": str(folder)})


@pytest.mark.parametrize("make", [report, hostile, large])
def test_a_page_runs_nothing_asks_for_nothing_and_fits(
    chromium: str, tmp_path: Path, make: Callable[[], Report]
) -> None:
    seen = opened(make(), chromium, tmp_path)
    assert seen["requests"] == []
    assert seen["problems"] == []
    assert seen["pdf"] > 10_000
    for view in seen["views"]:
        where = (view["width"], view["scheme"])
        assert view["overflow"] == [], where
        assert view["contrast"] == [], where
        assert view["small"] == [], where
        assert (view["scripts"], view["images"]) == (0, 0)
        assert view["plots"] > 0
        assert view["styled"] == "solid"
    if make is hostile:
        titles = {"".join(letter for letter in view["title"] if letter.isprintable()) for view in seen["views"]}
        assert titles == {ATTACK.replace("\x07", "")}
