"""What single loaders do beyond their samples."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fpdf import FPDF
from langchain_core.documents import Document

from loaders import loader
from loaders.base import ADDED, Failure, LoaderError, Source, document
from tests.loaders.conftest import Put

PDFS = Path(__file__).parent.parent / "samples" / "pdf"


def load(name: str, source: Source, **options: Any) -> list[Document]:
    return list(loader(name).load(source, options))


def failure(name: str, source: Source, **options: Any) -> Failure:
    with pytest.raises(LoaderError) as caught:
        load(name, source, **options)
    return caught.value.failure


def test_what_says_where_a_text_is_from_is_cut(put: Put) -> None:
    (page,) = load("html", put(f"<title>{'Long ' * 100_000}</title><p>Words.", "a.html"))
    assert page.metadata["title"] == "Long " * 199 + "Long…"
    place = document(put("x", "a"), "x", title="é" * 1000, sheet="s" * 1001, chapter="c" * 10_000)
    assert place is not None
    assert {len(place.metadata[key]) for key in ("title", "sheet", "chapter")} == {1000}
    assert place.metadata["title"] == "é" * 1000
    name = "b" * 5000
    mail = f"From: a\nDate: x\nSubject: s\nContent-Type: text/plain; name={name}\n"
    mail += f"Content-Disposition: attachment; filename={name}\n\nWords.\n"
    assert max(len(each.metadata.get("attachment", "")) for each in load("eml", put(mail, "a.eml"))) == 1000


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# One *two* [three](x)\n\ntext", "One two three"),
        ("```\n# no\n```\n\nYes\n===\n", "Yes"),
        ("---\nTITLE: 'Front'\n---\n# Not this\n", "Front"),
        ("---\nauthor: x\n---\n## This ##\n", "This"),
        (
            "---\n# author: y\n\"title\": 'Of key'\ntags:\n- author\n- b\ndate: now\nauthor:\n  name: x\n\n...\nx",
            "a.md",
        ),
        ("just text", "a.md"),
    ],
)
def test_markdown_is_titled_by_front_matter_or_heading(put: Put, text: str, title: str) -> None:
    (found,) = load("markdown", put(text, "a.md"))
    assert found.metadata["title"] == title
    assert "author" not in found.page_content


@pytest.mark.parametrize(
    "intro",
    ["\nIntro: of the text.\n\n", "Intro of the text.\n", "# Intro\n\n- of the text\n", "Note: intro\nof the text.\n"],
)
def test_what_stands_between_rules_is_text(put: Put, intro: str) -> None:
    (found,) = load("markdown", put(f"---\n{intro}\n---\n\nMore.\n", "a.md"))
    assert intro.strip() in found.page_content


def test_html_in_its_own_charset_without_furniture(put: Put) -> None:
    head = "<html><head><meta charset='iso-8859-2'></head><body><header role=banner>Menu</header>"
    page = head + "<h1>Żółw</h1><p>a<b>b</b>c"
    (found,) = load("html", put(page.encode("iso8859_2"), "a.html"))
    assert found.page_content == "# Żółw\n\nabc"
    assert found.metadata["title"] == "Żółw"


@pytest.mark.parametrize(
    ("page", "mime", "text"),
    [
        ("<p>Паром №5".encode("cp1251"), "text/html; charset=windows-1251", "Паром №5"),
        ("<p>料金".encode("shift_jis"), 'text/html;charset="Shift_JIS"', "料金"),
        ("<meta charset=koi8-r><p>Паром".encode("cp1251"), "text/html; charset=windows-1251", "Паром"),
        ("<meta charset=koi8-r><p>Паром".encode("koi8-r"), "text/html; charset=none-such", "Паром"),
        ("<p>Паром".encode(), "text/html; charset=iso-8859-1", "Паром"),
        (b"<meta charset=iso-8859-1><p>\x93Fine\x94", "text/html", "“Fine”"),
        ("<p>ğ – ş".encode("cp1254"), "text/html; charset=ISO-8859-9", "ğ – ş"),
    ],
)
def test_html_in_the_charset_that_it_was_sent_in(put: Put, page: bytes, mime: str, text: str) -> None:
    (found,) = load("html", replace(put(page, "a.html"), mime=mime))
    assert found.page_content == text


@pytest.mark.parametrize("name", ["text", "markdown", "csv", "yaml", "code"])
def test_text_in_the_charset_that_it_was_sent_in(put: Put, name: str) -> None:
    source = replace(put("Паром №5".encode("cp1251"), "a"), mime="text/plain; charset=windows-1251")
    (found,) = load(name, source)
    assert "Паром №5" in found.page_content


@pytest.mark.parametrize("charset", ["undefined", "idna", "none-such"])
def test_html_with_a_charset_that_is_none_is_read(put: Put, charset: str) -> None:
    (found,) = load("html", put(f"<meta charset={charset}><p>Żółw", "a.html"))
    assert found.page_content == "Żółw"


def test_html_reads_the_main_part_and_layout_tables_as_text(put: Put) -> None:
    words = "Words of the article. " * 20
    page = f"<body><div>Chrome</div><main><table><tr><td><h2>In</h2><p>{words}</td></tr></table></main></body>"
    (found,) = load("html", put(page, "a.html"))
    assert found.page_content == f"## In\n\n{words.strip()}"


def test_html_nested_very_deeply_keeps_its_text(put: Put) -> None:
    page = "<div>" * 5000 + "deep words" + "</div>" * 5000 + "<p>after</p>"
    (found,) = load("html", put(f"<body>{page}</body>", "a.html"))
    assert "after" in found.page_content


def test_html_of_scripts_only_is_empty(put: Put) -> None:
    assert failure("html", put("<html><script>x</script><body></body></html>", "a")) is Failure.EMPTY


def test_pdf_failures_have_their_reasons(put: Put, tmp_path: Path) -> None:
    assert failure("pdf", Source(PDFS / "locked.pdf", "locked.pdf")) is Failure.ENCRYPTED
    assert failure("pdf", Source(PDFS / "blank.pdf", "blank.pdf")) is Failure.EMPTY
    assert failure("pdf", Source(PDFS / "blank.pdf", "blank.pdf"), usage="perFile") is Failure.EMPTY
    assert failure("pdf", put("%PDF-1.7\nnothing %%EOF", "a.pdf")) is Failure.CORRUPT
    assert failure("pdf", put("no pdf", "a.pdf")) is Failure.CORRUPT
    assert failure("pdf", Source(PDFS / "tram.pdf", "a"), usage="perWord") is Failure.BAD_OPTION


def test_a_pdf_with_a_wrong_table_of_objects_is_recovered(put: Put) -> None:
    data = (PDFS / "tram.pdf").read_bytes()
    at = data.rindex(b"startxref\n") + 10
    (first, *_) = load("pdf", put(data[:at] + b"7" + data[at + 1 :], "a.pdf"))
    assert "Tram line 4" in first.page_content


def test_words_hyphenated_in_a_pdf_are_joined(put: Put) -> None:
    made = FPDF()
    made.add_page()
    made.set_font("helvetica", size=12)
    made.multi_cell(0, 8, "The committee approved the construc-\ntion of the bridge.")
    (found,) = load("pdf", put(bytes(made.output()), "a.pdf"))
    assert found.page_content.replace("\n", " ") in (
        "The committee approved the construction of the bridge.",
        "The committee approved the construc- tion of the bridge.",
    )


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("a,b\n1,2\n", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("a|b\n1|2\n", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ('a;b\n"1,5;x";2\n', "| a | b |\n| --- | --- |\n| 1,5;x | 2 |"),
        ("a,b\n1\n1,2,3\n", "| a | b |  |\n| --- | --- | --- |\n| 1 |  |  |\n| 1 | 2 | 3 |"),
        ("only\n1\n", "| only |\n| --- |\n| 1 |"),
        (
            "Cups,,\nTeam,Town,Cups\nBlues,STL,1\n",
            "# Cups\n\n| Team | Town | Cups |\n| --- | --- | --- |\n| Blues | STL | 1 |",
        ),
        ('a,b\n"open,2\n', "| a | b |\n| --- | --- |\n| open,2 |  |"),
        ("sep=;\na;b\n1;2\n", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ('\ufeff"sep=\t"\r\na,b\tc\r\n1\t2\r\n', "| a,b | c |\n| --- | --- |\n| 1 | 2 |"),
        ("a^b\n1^2\n3^4\n", "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"),
        ("formula\nx^2\ny\n", "| formula |\n| --- |\n| x^2 |\n| y |"),
    ],
)
def test_csv_becomes_a_table(put: Put, text: str, table: str) -> None:
    (found,) = load("csv", put(text, "a.csv"))
    assert found.page_content == table


def test_a_csv_caption_is_its_title_and_a_wrong_column_names_the_right_ones(put: Put) -> None:
    source = put("Cups,,\nTeam,Town,Cups\nBlues,STL,1\n", "a.csv")
    assert load("csv", source)[0].metadata["title"] == "Cups"
    assert [found.page_content for found in load("csv", source, columnName="Town")] == ["STL"]
    with pytest.raises(LoaderError, match="Team, Town, Cups") as caught:
        load("csv", source, columnName="City")
    assert caught.value.failure is Failure.BAD_OPTION
    assert failure("csv", put("a,b\n,2\n", "a"), columnName="a") is Failure.EMPTY


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        (
            "Team,Cups\nBlues,1\n\nTown,Age\nOslo,5\nRome,\n",
            [["Team,Cups", "Blues,1"], ["Town,Age", "Oslo,5", "Rome,"]],
        ),
        ("Team,Cups\nBlues,1\n,\nReds,2\nGreens,3\n", [["Team,Cups", "Blues,1", "Reds,2", "Greens,3"]]),
        ("Team,Town\nBlues,STL\n\nReds,Oslo\nGreens,Rome\n", [["Team,Town", "Blues,STL", "Reds,Oslo", "Greens,Rome"]]),
        (
            "Team,Town,Age\nBlues,STL,5\n\nReds,Oslo,\nGreens,Rome,2\n",
            [["Team,Town,Age", "Blues,STL,5", "Reds,Oslo,", "Greens,Rome,2"]],
        ),
        ('Team, "Town, state"\nBlues, "St. Louis, MO"\n', [["Team,Town; state", "Blues,St. Louis; MO"]]),
    ],
)
def test_a_further_table_of_a_csv_begins_only_with_a_header_below_an_empty_row(
    put: Put, text: str, tables: list[list[str]]
) -> None:
    (found,) = load("csv", put(text, "a.csv"))
    rows = [[line for line in table.split("\n") if "---" not in line] for table in found.page_content.split("\n\n")]
    cells = [[line[1:-1].split("|") for line in table] for table in rows]
    assert [[",".join(cell.strip().replace(",", ";") for cell in row) for row in table] for table in cells] == tables


def test_several_captions_of_a_csv_stand_above_its_table(put: Put) -> None:
    (found,) = load("csv", put("Cups,,\n# of 2024,,\nTeam,Town,Cups\nBlues,STL,1\n", "a.csv"))
    table = "| Team | Town | Cups |\n| --- | --- | --- |\n| Blues | STL | 1 |"
    assert found.page_content == f"# Cups\n\n\\# of 2024\n\n{table}"
    (found,) = load("csv", put("A,\n" * 12 + "Team,Town\nBlues,STL\n", "a.csv"))
    assert found.page_content.startswith("| A |  |")


def test_a_cell_of_a_megabyte_is_read(put: Put) -> None:
    (found,) = load("csv", put(f'a,b\n"{"x" * 1_000_000}",2\n', "a.csv"))
    assert len(found.page_content) > 1_000_000


def test_json_lists_of_flat_objects_are_tables_and_numbers_keep_their_digits(put: Put) -> None:
    (found,) = load("json", put('[{"a": 1.10, "b": null}, {"a": 12345678901234567890123, "b": true}]', "a.json"))
    assert found.page_content == "| a | b |\n| --- | --- |\n| 1.10 |  |\n| 12345678901234567890123 | true |"
    assert found.metadata["format"] == "markdown"
    (found,) = load("json", put(json.dumps([{"a": "x" * 300}, {"a": "y"}]), "a.json"))
    assert found.page_content == f"a: {'x' * 300}\n\na: y"


def test_json_lists_within_objects_are_tables_or_records_apart(put: Put) -> None:
    people = [{"id": 1, "name": "# Ann"}, {"id": 2, "name": "Bob"}]
    (found,) = load("json", put(json.dumps({"n": 2, "data": {"people": people}, "next": "# none"}), "a.json"))
    table = "| id | name |\n| --- | --- |\n| 1 | # Ann |\n| 2 | Bob |"
    assert found.page_content == f"n: 2\n\ndata.people:\n\n{table}\n\nnext: # none"
    (found,) = load("json", put('{"a": [{"b": {"c": 1}}, {"b": {"c": 2}}], "d": 3}', "a.json"))
    assert found.page_content == "a[1].b.c: 1\n\na[2].b.c: 2\n\nd: 3"
    (found,) = load("json", put('["one", "two", [3, 4]]', "a.json"))
    assert found.page_content == "one\n\ntwo\n\n3, 4"


def test_json_objects_can_be_documents_and_places_be_pointed_at(put: Put) -> None:
    source = put('[{"name": "A", "x": {"y": 1}}, {"name": "B", "x": {"y": [2, 3]}}]', "a.json")
    made = load("json", source, separateByObject=True)
    assert [(found.page_content, found.metadata["title"], found.metadata["row"]) for found in made] == [
        ("name: A\nx.y: 1", "A", 1),
        ("name: B\nx.y: 2, 3", "B", 2),
    ]
    (found,) = load("json", source, pointersName="/x/y")
    assert found.page_content == "1\n\n2, 3"
    (found,) = load("json", source, pointersName="y, name")
    assert found.page_content == "1\n\nA\n\n2, 3\n\nB"
    assert failure("json", source, pointersName="/nowhere") is Failure.EMPTY
    made = load("json", source, separateByObject="true", pointersName="name")
    assert [found.page_content for found in made] == ["A", "B"]


def test_metadata_are_read_at_pointers_in_json(put: Put) -> None:
    wanted = {"by": "/x/author", "no": "/n", "path": "/sales/2024"}
    records = '[{"t": "A", "x": {"author": "Ann"}, "n": 12}, {"t": "B", "n": 1.50}, {"t": "C", "n": 1e999}]'
    read = [{"by": "Ann", "no": 12}, {"by": None, "no": 1.5}, {"by": None, "no": "1e999"}]
    made = load("json", put(records, "a.json"), separateByObject=True, metadata=wanted)
    assert [json.loads(found.metadata[ADDED]) for found in made] == read
    lines = records[1:-1].replace("}, {", "}\n{")
    made = load("jsonl", put(lines, "a.jsonl"), pointerName="t", metadata=wanted)
    assert [json.loads(found.metadata[ADDED]) for found in made] == read
    (found,) = load("json", put('{"t": "A", "x": [true, {"y": "z\\u0000"}]}', "a.json"), metadata={"all": "/x"})
    assert json.loads(found.metadata[ADDED]) == {"all": [True, {"y": "z"}]}
    for name, options in (("json", {"metadata": wanted}), ("jsonl", {"metadata": wanted}), ("json", {})):
        assert ADDED not in load(name, put('{"t": "A"}', "a"), **options)[0].metadata
    long = put(json.dumps({"t": "x" * 20_000}), "a.json")
    assert failure("json", long, metadata={"all": "/t"}) is Failure.TOO_LARGE


def test_json_that_is_wrong_says_where(put: Put) -> None:
    for name in ("json", "jsonl"):
        assert failure(name, put("[" * 100_000, "a")) is Failure.CORRUPT
        assert failure(name, put('{"a": }', "a")) is Failure.CORRUPT
        assert failure(name, put("{}", "a")) is Failure.EMPTY
    with pytest.raises(LoaderError, match="Line 2"):
        load("jsonl", put('{"a": 1}\n{"a"\n', "a"))
    assert failure("jsonl", put('{"a": 1}\n', "a"), pointerName="b") is Failure.EMPTY


def test_names_are_shown_as_given_but_clean(put: Put) -> None:
    for name in ('a,"b".txt', "-rf", "con", "ü" * 200, "🦆.TXT", "two\nlines.txt", ".txt", "../../etc/passwd"):
        (found,) = load("text", put("words", name))
        assert found.metadata["source"] == name
        assert found.metadata["title"] == " ".join(name.split())
    (found,) = load("text", put("words", "nul\0.txt"))
    assert found.metadata["source"] == "nul.txt"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Offices\n\nThe Leeds office closes at 18:00.", "Offices"),
        ("\n  Offices \r\n\r\nThe Leeds office closes at 18:00.", "Offices"),
        ("Only one line", "note.txt"),
        ("First line\nof a paragraph.\n\nThe next one.", "note.txt"),
        ("The first of several lines.\n\nThe second of several lines.\n\nThe third.", "note.txt"),
        ("x" * 201 + "\n\nA first line that is a whole paragraph is no title.", "note.txt"),
    ],
)
def test_a_first_line_that_stands_alone_is_the_title_of_a_text(tmp_path: Path, text: str, title: str) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(text.encode())
    (document,) = loader("text").load(Source(path, "note.txt"), {})
    assert document.metadata["title"] == title
