"""What a CSS selector takes of a page."""

from pathlib import Path

import pytest

from loaders.base import Failure, LoaderError, Source
from loaders.html import HtmlLoader
from tests.loaders.conftest import Put

PAGE = """<title>Prices</title><body><nav>Home</nav>
<div class=box><h2>Summer</h2><p>From June.<script>count()</script></p><div class=box>Ends in August.</div></div>
<table class=list><tr><th>Size<th>Price<tr><td>S<td>4</table><aside id=note>Without tax.</aside>"""


def read(folder: Path, selector: str) -> str:
    file = folder / "page.html"
    file.write_text(PAGE, "utf-8")
    (found,) = HtmlLoader().load(Source(file, "page.html", "text/html"), {"selector": selector})
    assert found.metadata["title"] == "Prices"
    return found.page_content


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (".box", "## Summer\n\nFrom June.\n\nEnds in August."),
        (".list", "| Size | Price |\n| --- | --- |\n| S | 4 |"),
        ("nav, #note", "Home\n\nWithout tax."),
        (" ", "## Summer\n\nFrom June.\n\nEnds in August.\n\n| Size | Price |\n| --- | --- |\n| S | 4 |"),
    ],
)
def test_only_what_is_selected_is_read_and_each_part_once(tmp_path: Path, selector: str, text: str) -> None:
    assert read(tmp_path, selector) == text


@pytest.mark.parametrize(
    ("selector", "failure"), [(".nothing", Failure.EMPTY), ("script", Failure.EMPTY), ("a[", Failure.BAD_OPTION)]
)
def test_a_selector_that_finds_nothing_or_is_none_is_named(tmp_path: Path, selector: str, failure: Failure) -> None:
    with pytest.raises(LoaderError, match="selector") as caught:
        read(tmp_path, selector)
    assert caught.value.failure is failure


FORM = "<form>{}<input value=typed><select><option>chosen</select><button>Send</button></form>"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            FORM.format("<h1>Hours</h1><p>We open at nine.</p><div>" + FORM.format("Find") + "</div>"),
            "# Hours\n\nWe open at nine.\n\nFind",
        ),
        ("<p>We open at nine.</p>" + FORM.format("Your name"), "We open at nine."),
        ("<nav>Menu of the page</nav>" + FORM.format("One line."), "One line."),
        (
            "<p>Words.</p>" * 50 + FORM.format("<p>" + "More. " * 50),
            "\n\n".join(["Words."] * 50) + "\n\n" + "More. " * 49 + "More.",
        ),
    ],
)
def test_a_form_around_the_content_is_no_furniture(tmp_path: Path, body: str, text: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(f"<title>T</title><body>{body}</body>", "utf-8")
    (found,) = HtmlLoader().load(Source(file, "page.html", "text/html"), {})
    assert found.page_content == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<ol start=5><li>a<li>b<li value=9>c<li>d</ol>", "5. a\n6. b\n9. c\n10. d"),
        ("<ol start=x><li value=''>a<ol start=3><li>b</ol></ol>", "1. a\n  3. b"),
        (
            "<table><thead><tr><th rowspan=2>Item<th colspan=2>Price<tr><th>May<th>June<tbody><tr><td>Tea<td>1<td>2",
            "| Item | Price May | Price June |\n| --- | --- | --- |\n| Tea | 1 | 2 |",
        ),
        (
            "<table><thead><tr><th>Item<th colspan=2>Price<tbody><tr><td>Tea<td>1<td>2",
            "| Item | Price |  |\n| --- | --- | --- |\n| Tea | 1 | 2 |",
        ),
        (
            "<table><tr><th rowspan=2>Item<th colspan=2>Price<tr><th>May<th>June<tr><td>Tea<td>1<td>2",
            "| Item | Price May | Price June |\n| --- | --- | --- |\n| Tea | 1 | 2 |",
        ),
        (
            "<table><tr><th colspan=2>Prices<tr><th>A<th>B<tr><td>1<td>2",
            "| Prices |  |\n| --- | --- |\n| A | B |\n| 1 | 2 |",
        ),
        (
            "<ol><li>Install:<pre>a\n  b</pre><li><p>Run <b>it</b>.<li><table><tr><td>x<td>y</table><ul><li>z</ul>",
            "1. Install:\n\n```\na\n  b\n```\n\n2. Run it.\n\n| x | y |\n| --- | --- |\n\n- z",
        ),
        ("<p>Donau&shy;dampf", "Donaudampf"),
        ("<ol type=a start=2><li>x<ol type=I><li>y<li>z</ol></ol>", "b. x\n  I. y\n  II. z"),
        (
            "<ol type=I><li><h1>Rules</h1><ol><li><h2>Leave</h2></ol></ol><p>x"
            "<ol type=I><ol start=2><li><h2>Pay</h2></ol></ol>",
            "# I. Rules\n\n## 1. Leave\n\nx\n\n## 2. Pay",
        ),
        ("<ul><li><h3>Mill</h3><p>Grinds.<li><h3>Kiln</h3>Dries.</ul>", "### Mill\n\nGrinds.\n\n### Kiln\n\nDries."),
        ("<ul><li><input type=checkbox checked>Sown<li><input type=checkbox> Reaped</ul>", "- ☒ Sown\n- ☐ Reaped"),
    ],
)
def test_numbers_of_lists_and_headers_of_several_rows_are_kept(put: Put, page: str, text: str) -> None:
    (found,) = HtmlLoader().load(put(page, "a.html"), {})
    assert found.page_content == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Seen<span style='color:red; display : none'> not</span>.</p><p style='visibility:hidden'>Nor", "Seen."),
        ("<div style='mso-hide:all'>Preview</div><p style='nodisplay:none'>Seen", "Seen"),
        ("<body style='display:none'><p>Shown by a script.", "Shown by a script."),
        ("<a href='#a'>Open hours?</a><div id=a style='display:none'>From nine.</div>", "Open hours?\n\nFrom nine."),
        ("<p>Seen<span hidden> not</span><i aria-hidden=true>x</i><b hidden=until-found>, too", "Seen, too"),
        ("<div role=tabpanel>npm</div><div role=tabpanel hidden>yarn</div>", "npm\n\nyarn"),
        ("<a href='#t'>Two</a><div id=t aria-hidden=true>Second tab</div>", "Two\n\nSecond tab"),
        ("More<div class='x expand-content' style='display:none'>Unfolded.</div>", "More\n\nUnfolded."),
        ("<p>So <span style='display:none'><math><mi>E</mi></math></span><img src=e.png>", "So E"),
    ],
)
def test_what_a_style_hides_is_left_out_unless_a_reader_gets_to_see_it(put: Put, page: str, text: str) -> None:
    (found,) = HtmlLoader().load(put(page, "a.html"), {})
    assert found.page_content == text


SMALL = "<table><tr><td>1<td>2</table>"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            f"<table><tr><th>Duck<th>Counts by year<tr><td>Mallard of the lake<td>{SMALL}</table>",
            "| Duck | Counts by year |\n| --- | --- |\n| Mallard of the lake | 1 2 |",
        ),
        (f"<table><tr><td>Menu<td>{SMALL}</table>", "Menu\n\n| 1 | 2 |\n| --- | --- |"),
        (f"<table><tr><th>A<th><h2>B</h2>{SMALL}</table>", "A\n\n## B\n\n| 1 | 2 |\n| --- | --- |"),
    ],
)
def test_a_small_table_in_a_cell_does_not_take_the_table_apart(put: Put, page: str, text: str) -> None:
    (found,) = HtmlLoader().load(put(page, "a.html"), {})
    assert found.page_content == text


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Text<a epub:type=noteref>1</a>.<aside epub:type=footnote>The note.</aside>", "Text1.\n\nThe note."),
        ("<p>Text.<aside role=doc-footnote><p>The note.</aside>", "Text.\n\nThe note."),
        ("<p>Text.<aside class='admonition x'>Mind the gap.</aside><aside>Menu</aside>", "Text.\n\nMind the gap."),
    ],
)
def test_notes_that_stand_aside_belong_to_the_text(put: Put, page: str, text: str) -> None:
    (found,) = HtmlLoader().load(put(page, "a.html"), {})
    assert found.page_content == text
