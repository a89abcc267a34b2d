"""The page: whole, closed to everything, readable by machines that read to people."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from service.metrics.base import Better
from service.reports import page
from service.reports.types import Column, Measured, Report, Series
from tests.service.reports.samples import ATTACK, NOON, case, hostile, report, run

VOID = {"meta", "link", "br", "img", "hr"}


class Reader(HTMLParser):
    """Reads a page strictly: what is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    """The page as it was written, every tag closed."""
    found = Reader()
    found.feed(html)
    found.close()
    assert not found.open
    return found


def test_a_page_needs_nothing_else() -> None:
    found = read(page.rendered(report()))
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "input", "base"}
    links = [attrs.get("href") or "" for _, attrs in found.tags if "href" in attrs]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not [attrs for _, attrs in found.tags if any(name in attrs for name in ("style", "src", "srcset"))]
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(ids)


def test_its_policy_lets_nothing_in_but_its_own_style_sheet() -> None:
    html = page.rendered(report())
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert page.policy() == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    policy = next(attrs["content"] for tag, attrs in read(html).tags if "http-equiv" in attrs)
    assert policy == page.policy()
    assert "url(" not in style
    assert "@import" not in style


def test_what_users_write_stays_text() -> None:
    html = page.rendered(hostile())
    found = read(html)
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "img"})
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    assert "49" not in "".join(found.text).split("{{7*7}}")[0][-10:]
    texts = "".join(found.text)
    assert texts.count("<script>document.title='owned'</script>") > 20
    assert html.count("{{7*7}}") > 20
    assert ATTACK.replace("\x07", "") in texts.replace("\x07", "").replace("\ufffd", "")


def test_figures_stand_in_tables_with_headers_and_plots_have_names() -> None:
    found = read(page.rendered(report()))
    headers = [attrs for tag, attrs in found.tags if tag == "th"]
    assert all("scope" in attrs for attrs in headers)
    assert sum(tag == "caption" for tag, _ in found.tags) == sum(tag == "table" for tag, _ in found.tags)
    plots = [attrs for tag, attrs in found.tags if tag == "svg"]
    assert plots
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for attrs in plots)
    assert next(attrs for tag, attrs in found.tags if tag == "html")["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


@pytest.mark.parametrize(
    "text",
    [
        "0.543",
        "0.371 to 0.714",
        "p95 ",
        "may be chance",
        "It has not ended: these are the figures so far.",
        "80 of 80, ",
        "2 failed",
        "5 chunks retrieved, 1 of the first 2 hold what should be found",
        "Every employee has 30 days of paid leave a year.",
        "Nothing was retrieved.",
        "The model refused",
        "the judge answered 503: overloaded",
        '{"strategy": "similarity", "topK": 5}',
        "chatOpenAI (gpt-4o-mini)",
        "(3 min)",
    ],
)
def test_it_says_what_was_run_and_what_came_of_it(text: str) -> None:
    assert text in "".join(read(_page()).text)


def _page(kept: list[str] = []) -> str:  # noqa: B006  # made once
    if not kept:
        kept.append(page.rendered(report()))
    return kept[0]


def test_gold_chunks_and_what_was_missed_are_marked() -> None:
    found = read(page.rendered(report()))
    texts = [text for text in found.text if text.strip() in ("gold", "missed", "found")]
    assert {"gold", "missed", "found"} <= {text.strip() for text in texts}
    assert any((attrs.get("class") or "") == "gold" for tag, attrs in found.tags if tag == "li")


def test_a_run_without_results_is_told_too() -> None:
    bare = replace(
        report(),
        runs=(run(done=0, failed=0, state="running", started=None, finished=None),),
        summaries={},
        series={},
        pairs=(),
        listings=(),
        faults=(),
    )
    text = "".join(read(page.rendered(bare)).text)
    assert "not measured" in text
    assert "There is nothing to draw." in text
    assert "Nothing was measured." in "".join(read(page.rendered(replace(bare, measures=(), columns=()))).text)


def test_two_runs_stand_side_by_side() -> None:
    both = replace(
        report(),
        title="Handbook, version 3 against Handbook, version 2",
        runs=(run("A", version=2), run("B")),
        columns=(Column(0, 0, "A: hybrid"), Column(1, 0, "B: hybrid")),
    )
    text = "".join(read(page.rendered(both)).text)
    for part in ("A: Handbook, version 2", "B: Handbook, version 3", "B: hybrid against A: hybrid"):
        assert part in text


def large(rows: int = 10_000, targets: int = 8, measures: int = 30) -> Report:
    """As large as evaluations get."""
    chances = np.random.default_rng(3)
    plain = report()
    names = [Measured(f"measure {number}", Better.HIGHER, 0.0, 1.0, "") for number in range(measures)]
    labels = [(column, measure.label) for column in range(targets) for measure in names]
    text = "A long answer. " * 130
    cases = [case(number, question=text, answer=text, expected=text) for number in range(10)]
    return replace(
        plain,
        written=NOON,
        columns=[Column(0, number, f"target {number}") for number in range(targets)],
        measures=names,
        summaries=dict.fromkeys(labels, plain.summaries[0, "recall@5"]),
        series={label: Series(np.arange(1.0, rows + 1), chances.random(rows)) for label in labels},
        pairs=(),
        listings=[replace(listing, cases=cases) for listing in plain.listings],
    )


def test_ten_thousand_rows_make_no_larger_page() -> None:
    html = page.rendered(large())
    assert len(html.encode()) < 1_500_000
    found = read(html)
    assert sum(tag == "svg" for tag, _ in found.tags) == 1 + 2 * page.PLOTTED
    assert "target 7" in "".join(found.text)
