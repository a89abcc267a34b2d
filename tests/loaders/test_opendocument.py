"""What OpenDocument programs show and do not write as text: numbers of lists and headings, charts, what is drawn."""

import pytest
from langchain_core.documents import Document

from loaders import loader
from tests.loaders.conftest import Put
from tests.loaders.office_files import opendocument


def load(put: Put, name: str, data: bytes) -> list[Document]:
    return list(loader(name).load(put(data, f"a.{name}"), {}))


def text(put: Put, name: str, data: bytes) -> str:
    (found,) = load(put, name, data)
    return found.page_content


def level(kind: str, at: int, number: str, **given: object) -> str:
    told = "".join(
        f' {"style" if key in ("num-prefix", "num-suffix") else "text"}:{key}="{value}"'
        for key, value in ((key.replace("_", "-"), value) for key, value in given.items())
    )
    return f'<text:{kind} text:level="{at}" style:num-format="{number}"{told}/>'


def lists(name: str, *levels: str) -> str:
    return f'<text:list-style style:name="{name}">{"".join(levels)}</text:list-style>'


def items(*inner: str, **given: str) -> str:
    told = "".join(f' text:{key.replace("_", "-")}="{value}"' for key, value in given.items())
    return f"<text:list{told}>{''.join(f'<text:list-item>{each}</text:list-item>' for each in inner)}</text:list>"


def p(words: str) -> str:
    return f"<text:p>{words}</text:p>"


def h(words: str, at: int, style: str = "", more: str = "") -> str:
    return f'<text:h text:style-name="{style}" text:outline-level="{at}"{more}>{words}</text:h>'


NUMBER = "list-level-style-number"
LEGAL = lists(
    "L1",
    level(NUMBER, 1, "1", num_suffix="."),
    level(NUMBER, 2, "1", num_suffix=".", display_levels=2),
    level(NUMBER, 3, "a", num_prefix="(", num_suffix=")"),
)


def test_items_of_lists_have_the_numbers_that_are_shown(put: Put) -> None:
    listed = items(
        p("Duties") + items(p("Of the tenant") + items(p("pay rent"), p("keep clean")), p("Of the owner")),
        style_name="L1",
    )
    later = items(p("Notice"), style_name="L1", continue_numbering="true")
    made = opendocument("text", listed + p("Between.") + later + items(p("Anew"), style_name="L1"), styles=LEGAL)
    assert text(put, "odt", made) == (
        "1. Duties\n  1.1. Of the tenant\n    (a) pay rent\n    (b) keep clean\n  1.2. Of the owner\n\nBetween.\n\n"
        "2. Notice\n\n1. Anew"
    )


def test_lists_go_on_where_they_say_so_and_items_begin_where_they_say_so(put: Put) -> None:
    named = items(p("First"), style_name="L1").replace("<text:list ", '<text:list xml:id="one" ')
    other = items(p("Other"), style_name="L1")
    goes_on = items(items(p("Inner")), style_name="L1", continue_list="one")
    start = items(p("Nine"), style_name="L1").replace("<text:list-item>", '<text:list-item text:start-value="9">')
    bullets = items(p("Dot"), style_name="L2")
    dots = lists("L2", '<text:list-level-style-bullet text:level="1" text:bullet-char="*"/>')
    made = opendocument("text", named + other + goes_on + start + bullets, styles=LEGAL, named=dots)
    assert text(put, "odt", made) == "1. First\n\n1. Other\n\n  1.1. Inner\n\n9. Nine\n\n- Dot"


def test_a_list_may_name_its_style_by_that_of_its_paragraphs_and_newer_formats_count_first(put: Put) -> None:
    loext = "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"
    own = f'<text:{NUMBER} xmlns:loext="{loext}" text:level="1" style:num-format="I" loext:num-list-format="No. %1%:"/>'
    styles = lists("L3", own) + '<style:style style:name="P1" style:parent-style-name="Rule"/>'
    named = '<style:style style:name="Rule" style:list-style-name="L3"/>'
    listed = items('<text:p text:style-name="P1">Keep quiet</text:p>', '<text:p text:style-name="P1">Rest</text:p>')
    made = opendocument("text", listed, styles=styles, named=named)
    assert text(put, "odt", made) == "No. I: Keep quiet\nNo. II: Rest"


OUTLINE = (
    '<text:outline-style style:name="Outline">'
    + level("outline-level-style", 1, "A", num_prefix="Part ", num_suffix=".")
    + level("outline-level-style", 2, "1", display_levels=2)
    + level("outline-level-style", 3, "")
    + "</text:outline-style>"
)


def test_headings_have_the_numbers_that_are_shown(put: Put) -> None:
    body = (
        h("Preface", 1, "P1") + h("Start", 1) + h("Why", 2) + h("How", 2) + h("Plain", 3) + h("End", 1)
        + h("Five", 2, more=' text:restart-numbering="true" text:start-value="5"')
    )  # fmt: skip
    off = '<style:style style:name="P1" style:list-style-name=""/>'
    made = opendocument("text", body, styles=off, named=OUTLINE)
    assert text(put, "odt", made).split("\n\n") == [
        "# Preface", "# Part A. Start", "## A.1 Why", "## A.2 How", "### Plain", "# Part B. End", "## B.5 Five",
    ]  # fmt: skip


def test_a_heading_in_a_list_is_one(put: Put) -> None:
    first = items(h("Rules", 1) + items(h("Leave", 2)), style_name="L1")
    later = items(h("Pay", 1) + p("Monthly."), style_name="L1", continue_numbering="true")
    made = opendocument("text", first + p("Words.") + later, styles=LEGAL)
    assert text(put, "odt", made) == "# 1. Rules\n\n## 1.1. Leave\n\nWords.\n\n# 2. Pay\n\nMonthly."


def test_numbers_and_headings_in_cells_are_words(put: Put) -> None:
    cells = "".join(
        f"<table:table-cell>{inner}</table:table-cell>"
        for inner in (h("Step", 2), items(p("dig"), p("plant"), style_name="L1"))
    )
    made = opendocument("text", f"<table:table><table:table-row>{cells}</table:table-row></table:table>", styles=LEGAL)
    assert text(put, "odt", made).splitlines()[0] == "| Step | 1. dig 2. plant |"


def test_what_is_drawn_beside_a_paragraph_or_an_item_stands_behind_it(put: Put) -> None:
    shape = f"<draw:custom-shape>{p('Within')}{p('Second line')}</draw:custom-shape>"
    group = f"<draw:g>{shape.replace('Within', 'Grouped')}</draw:g>"
    box = f"<draw:frame><draw:text-box>{p('Boxed')}</draw:text-box></draw:frame>"
    body = f"<text:p>Anchor{shape} goes on.{group}</text:p>" + items(f"<text:p>Item{box}</text:p>", p("Next"))
    assert text(put, "odt", opendocument("text", body)).split("\n\n") == [
        "Anchor goes on.", "Within", "Second line", "Grouped", "Second line", "- Item", "Boxed", "- Next",
    ]  # fmt: skip


def row(*cells: str) -> str:
    made = "".join(f"<table:table-cell>{p(cell)}</table:table-cell>" for cell in cells)
    return f"<table:table-row>{made}</table:table-row>"


RAIN = row("", "2023", "2024") + row("North", "610", "NaN") + row("South", "580.5", "602")


def chart(own: str = ".", series: str = "", rows: str = RAIN) -> str:
    return (
        f'<chart:chart xlink:href="{own}"><chart:title>{p("Rain by region")}</chart:title>'
        f"<chart:subtitle>{p('in millimetres')}</chart:subtitle><chart:plot-area>{series}</chart:plot-area>"
        f'<table:table table:name="local-table">{rows}</table:table></chart:chart>'
    )


OBJECT = '<draw:frame><draw:object xlink:href="./Object 1"/><draw:image xlink:href="./x.png"/></draw:frame>'


@pytest.mark.parametrize(("kind", "name"), [("text", "odt"), ("presentation", "odp")])
def test_a_chart_is_its_titles_and_a_table(put: Put, kind: str, name: str) -> None:
    body = f"<text:p>{OBJECT}</text:p>" if kind == "text" else f"<draw:page>{OBJECT}</draw:page>"
    assert text(put, name, opendocument(kind, body, embedded={"Object 1": chart()})) == (
        "Rain by region\n\nin millimetres\n\n|  | 2023 | 2024 |\n| --- | --- | --- |\n| North | 610 |  |\n"
        "| South | 580.5 | 602 |"
    )


def test_points_of_a_chart_begin_with_where_they_lie(put: Put) -> None:
    series = '<chart:series><chart:domain table:cell-range-address="local-table.$C$2:.$C$3"/></chart:series>'
    rows = row("", "Depth", "Series2") + row("", "10", "1.5") + row("", "20", "2.5")
    made = opendocument("text", p(OBJECT), embedded={"Object 1": chart(series=series, rows=rows)})
    assert text(put, "odt", made).endswith("|  | Depth |\n| --- | --- |\n| 1.5 | 10 |\n| 2.5 | 20 |")


def test_a_formula_stands_in_its_line(put: Put) -> None:
    typed = "<semantics><mrow/><annotation>E = m c^2</annotation></semantics>"
    math = f'<math xmlns="http://www.w3.org/1998/Math/MathML">{typed}</math>'
    made = opendocument("text", f"<text:p>As {OBJECT}.</text:p>", embedded={"Object 1": math})
    assert text(put, "odt", made) == "As E = m c^2."


def test_an_object_that_is_missing_or_no_chart_is_left_out(put: Put) -> None:
    body = f"<text:p>Words{OBJECT}{OBJECT.replace('1', '2')}</text:p>"
    assert text(put, "odt", opendocument("text", body, embedded={"Object 1": "<other/>"})) == "Words"


def test_a_sheet_has_its_comments_and_what_is_drawn_but_no_chart_of_its_own_cells(put: Put) -> None:
    note = f"<office:annotation>{p('With the')}{p('shop.')}</office:annotation>"
    priced = row("North", "1200").replace("<text:p>1200", f"{note}<text:p>1200")
    shape = f"<draw:custom-shape>{p('Without tax.')}</draw:custom-shape>"
    beside = (
        f"<table:table-row><table:table-cell/><table:table-cell>{OBJECT}{shape}</table:table-cell></table:table-row>"
    )
    page = f"<table:shapes>{shape.replace('tax', 'rent')}</table:shapes>"
    table = f'<table:table table:name="Sales">{page}{row("Region", "Sum")}{priced}{beside}</table:table>'
    made = opendocument("spreadsheet", table, embedded={"Object 1": chart("..")})
    assert text(put, "ods", made).split("\n\n")[2:] == [
        "Note on North, 1200 (B2): With the shop.", "Without rent.", "Rain by region", "in millimetres", "Without tax.",
    ]  # fmt: skip


def test_notes_of_a_slide_have_no_number_of_their_page(put: Put) -> None:
    def frame(kind: str, words: str) -> str:
        box = f"<draw:text-box>{words}</draw:text-box>"
        return f'<draw:frame presentation:class="{kind}">{box}</draw:frame>'

    number = frame("page-number", p("<text:page-number>&lt;number&gt;</text:page-number>"))
    notes = f"<presentation:notes>{frame('notes', p('Bow.'))}{number}</presentation:notes>"
    made = opendocument("presentation", f"<draw:page>{frame('title', p('Rain'))}{notes}</draw:page>")
    assert text(put, "odp", made) == "# Rain\n\nNotes: Bow."
