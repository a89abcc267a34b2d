"""What lies upon the sheets of workbooks, beside their cells."""

from io import BytesIO

import xlsxwriter  # type: ignore[import-untyped]  # ships no types

from loaders import loader
from tests.loaders.conftest import Put
from tests.loaders.office_files import package, parts

ROWS = [["Region", "Sales"], ["North", 1200], ["South", 800]]


def book(*, comment: str = "", box: str = "", chart: str = "") -> bytes:
    data = BytesIO()
    with xlsxwriter.Workbook(data) as made:
        sheet = made.add_worksheet("Data")
        for number, row in enumerate(ROWS):
            sheet.write_row(number, 0, row)
        if box:
            sheet.insert_textbox("H20", box)
        if chart:
            drawn = made.add_chart({"type": "column"})
            drawn.add_series({"name": "=Data!$B$1", "categories": "=Data!$A$2:$A$3", "values": "=Data!$B$2:$B$3"})
            drawn.set_title({"name": chart})
            sheet.insert_chart("H2", drawn)
        if comment:
            sheet.write_comment(1, 1, comment, {"author": "Ann"})
            sheet.write_comment(30, 27, "Far | out")
    return data.getvalue()


def below(put: Put, data: bytes) -> list[str]:
    """The blocks below the table."""
    (found,) = loader("xlsx").load(put(data, "a.xlsx"), {})
    return found.page_content.split("\n\n")[2:]


def test_comments_stand_below_the_table_with_what_they_are_on(put: Put) -> None:
    assert below(put, book(comment="Ann:\nWith the\nharbour shop.")) == [
        "Note on North, 1200 (B2): Ann: With the harbour shop.",
        "Note on cell (AB31): Far | out",
    ]


def test_threads_stand_in_place_of_what_older_programs_are_told(put: Put) -> None:
    made = parts(book(comment="[Threaded comment] Your version of Excel does not show it."))
    relations = "xl/worksheets/_rels/sheet1.xml.rels"
    kind = "http://schemas.microsoft.com/office/2017/10/relationships/threadedComment"
    more = f'<Relationship Id="rId9" Type="{kind}" Target="../threadedComments/threadedComment1.xml"/></Relationships>'
    texts = "".join(
        f'<threadedComment ref="B2" id="{text}"><text>{text}</text></threadedComment>' for text in ("Why?", "Rent.")
    )
    thread = (
        f'<ThreadedComments xmlns="http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments">{texts}'
    )
    made[relations] = made[relations].replace(b"</Relationships>", more.encode())
    made["xl/threadedComments/threadedComment1.xml"] = f"{thread}</ThreadedComments>".encode()
    assert below(put, package(made))[0] == "Note on North, 1200 (B2): Why? Rent."


def test_boxes_and_titles_of_charts_stand_below_from_the_top(put: Put) -> None:
    drawn = book(box="# of pages\nWithout tax.", chart="Sales by region")
    assert below(put, drawn) == ["Sales by region", "\\# of pages\nWithout tax."]


def test_damaged_drawings_leave_the_cells(put: Put) -> None:
    made = parts(book(box="Words", comment="Note"))
    made["xl/drawings/drawing1.xml"] = made["xl/comments1.xml"] = b"<broken"
    assert below(put, package(made)) == []
