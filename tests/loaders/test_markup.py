"""What the loaders of XML, markup, subtitles and code do beyond their samples."""

import subprocess
import sys
from pathlib import Path

import pytest
from langchain_core.documents import Document

from loaders import LOADERS, loader
from loaders.base import Failure, LoaderError, Source
from loaders.code import LANGUAGES
from tests.loaders.conftest import Put

ROOT = Path(__file__).parent.parent.parent
HEAVY = ("python_calamine", "xlrd", "pptx", "striprtf", "olefile")


def load(name: str, source: Source) -> list[Document]:
    return list(loader(name).load(source, {}))


def failure(name: str, source: Source) -> Failure:
    with pytest.raises(LoaderError) as caught:
        load(name, source)
    return caught.value.failure


def test_entities_of_xml_are_never_expanded(put: Put) -> None:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 9))
    outside = '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd"><!ENTITY e "ha">]><a><b>x &f;&e;</b></a>'
    (found,) = load("xml", put(outside, "a.xml"))
    assert found.page_content == "b: x &f;&e;"
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "ha">{levels}]><a><b>x &e8;</b></a>'
    try:
        made = load("xml", put(bomb, "a.xml"))[0].page_content
    except LoaderError as error:  # newer versions of libxml2 refuse it
        made = error.failure
    assert made in ("b: x &e8;", Failure.CORRUPT)


def test_xml_in_its_own_encoding_and_deeply_nested(put: Put) -> None:
    (found,) = load(
        "xml", put("<?xml version='1.0' encoding='iso-8859-2'?><a><b>Żółw</b></a>".encode("iso8859_2"), "a")
    )
    assert found.page_content == "b: Żółw"
    deep = "<a>" * 200 + "x" + "</a>" * 200
    assert load("xml", put(deep, "a.xml"))[0].page_content == "a: x"
    assert failure("xml", put("<a>" * 5000 + "x" + "</a>" * 5000, "a.xml")) is Failure.CORRUPT
    assert failure("xml", put("<a><b></a>", "a.xml")) is Failure.CORRUPT
    assert failure("xml", put("<a><b/></a>", "a.xml")) is Failure.EMPTY


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<a>x <b>y</b> z</a>", "x\n\nb: y\n\nz"),
        ("<a n='1'>x<b>y</b>z &e; w<!-- c --><b>v</b>\n</a>", "a: n 1\nx\n\nb: y\n\nz &e; w\n\nb: v"),
        ("<a><b>y</b>z</a>", "b: y\n\nz"),
        ("<a>x &e; z</a>", "x &e; z"),
        ("<a>x</a>", "x"),
    ],
)
def test_text_between_the_records_of_xml_is_kept(put: Put, text: str, shown: str) -> None:
    (found,) = load("xml", put(f'<!DOCTYPE a [<!ENTITY e "ha">]>{text}', "a.xml"))
    assert found.page_content == shown


def test_an_article_within_an_archive_of_articles_is_found(put: Put) -> None:
    article = "<article><front><article-meta/></front><body><sec><title>One</title><p>Words.</p></sec></body></article>"
    (found,) = load("xml", put(f"<set><r>{article}</r></set>", "a.xml"))
    assert found.page_content == "## One\n\nWords."


def test_attributes_of_elements_that_hold_something_are_kept(put: Put) -> None:
    (found,) = load(
        "xml",
        put(
            "<shop xmlns:x='urn:x' town='Ely'><product sku='A1' x:style='s'><name>Chair</name>"
            "<price unit='EUR'>5</price><note lang='en'>So <b>red</b>.</note>"
            "<p class='q'>Sits well.</p></product></shop>",
            "a.xml",
        ),
    )
    assert found.page_content == (
        "shop: town Ely\n\nproduct: sku A1\nname: Chair\nprice: 5 (unit EUR)\nnote: lang en\nSo red.\nSits well."
    )
    drawing = "<svg xmlns='http://www.w3.org/2000/svg' width='9'><g fill='red'><title id='t'>Dot</title></g></svg>"
    assert load("xml", put(drawing, "a.svg"))[0].page_content == "title: Dot"


LIST_TABLE = """\
.. list-table:: Fees
   :widths: 10 20
   :header-rows: 1

   * - Boat
     - Fee
   * - *Rowing*
       boat
     -
   * - Ferry

     - - by day
       - by night
"""
CSV_TABLE = """\
.. csv-table::
   :header: "Boat",
            Fee
   :delim: ;

   Rowing; "4; 5"
   Ferry; "6
   and 7"
"""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (LIST_TABLE, "Fees\n\n| Boat | Fee |\n| --- | --- |\n| *Rowing* boat |  |\n| Ferry | - by day - by night |\n"),
        (
            CSV_TABLE.replace(',\n            Fee', ", Fee"),
            "| Boat | Fee |\n| --- | --- |\n| Rowing | 4; 5 |\n| Ferry | 6 and 7 |\n",
        ),
        (".. table:: Fees\n\n   ==== ===\n   Boat Fee\n   ==== ===\n   Row  4\n   ==== ===\n",
         "Fees\n\n| Boat | Fee |\n| --- | --- |\n| Row | 4 |\n"),
        (".. table::\n\n   +---+---+\n   | a | b |\n   +---+---+\n   | 1 | 2 |\n   +---+---+\n",
         "| a | b |\n| --- | --- |\n| 1 | 2 |\n"),
        (".. csv-table:: T\n   :file: a.csv\n", ".. csv-table:: T\n   :file: a.csv\n"),
        (".. csv-table::\n   :delim: none\n\n   a,b\n", ".. csv-table::\n   :delim: none\n\n   a,b\n"),
        (".. list-table::\n\n   words\n", ".. list-table::\n\n   words\n"),
    ],
)  # fmt: skip
def test_tables_of_directives_stay_tables(put: Put, text: str, shown: str) -> None:
    nested = "\n".join(f"   {line}" if line else line for line in text.split("\n"))
    (found,) = load("rst", put(f"Before\n\n{text}\nAfter\n", "a.rst"))
    assert found.page_content == f"Before\n\n{shown}\nAfter"
    if shown.endswith("|\n"):
        (found,) = load("rst", put(f".. note::\n\n{nested}\nAfter\n", "a.rst"))
        assert shown in found.page_content


def test_a_table_in_a_note_of_rst_stays_one(put: Put) -> None:
    grid = "   +---+---+\n   | A | B |\n   +===+===+\n   | 1 | 2 |\n   +---+---+\n"
    simple = "   === ===\n   C   D\n   === ===\n   3   4\n   === ===\n"
    (found,) = load("rst", put(f".. note:: Mind\n\n{grid}\n{simple}   After.\n", "a.rst"))
    tables = [block for block in found.page_content.split("\n\n") if block.startswith("|")]
    assert [table.splitlines()[::2] for table in tables] == [["| A | B |", "| 1 | 2 |"], ["| C | D |", "| 3 | 4 |"]]
    assert found.page_content.endswith("   After.")


def test_the_caption_of_a_table_of_org_stands_above_it(put: Put) -> None:
    (found,) = load(
        "org", put("Text.\n  #+CAPTION: Rain of [[x][May]]\n  | A | B |\n  |---+---|\n  | 1 | 2 |\n", "a.org")
    )
    assert found.page_content == "Text.\nRain of May\n\n| A | B |\n| --- | --- |\n| 1 | 2 |"


HTML_TABLE = "<table>\n<tr><th>A</th><th>B</th></tr>\n<tr><td>1</td><td>%s</td></tr>\n</table>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"# T\n\n{HTML_TABLE % '[2](x)'}\nEnd", "# T\n\n\n| A | B |\n| --- | --- |\n| 1 | [2](x) |\n\nEnd"),
        (f"```html\n{HTML_TABLE % 2}\n```", f"```html\n{HTML_TABLE % 2}\n```"),
        ("<table><tr><td>\n\n```\nx\n```\n</td></tr></table>", "<table><tr><td>\n\n```\nx\n```\n</td></tr></table>"),
        ("<table><tr><td>cut", "<table><tr><td>cut"),
        ("+++\ndate = 2024\ntitle = 'Of Hugo'\n+++\nWords.", "Words."),
        ("+++\nno front matter", "+++\nno front matter"),
    ],
)
def test_tables_of_html_in_markdown_become_its_own_and_front_matter_may_be_toml(
    put: Put, text: str, shown: str
) -> None:
    (found,) = load("markdown", put(text, "a.md"))
    assert found.page_content == shown
    assert (found.metadata["title"] == "Of Hugo") is (shown == "Words.")


def test_code_that_begins_like_an_option_is_kept(put: Put) -> None:
    (found,) = load("rst", put(".. code-block:: yaml\n   :linenos:\n\n   :key: x\n", "a.rst"))
    assert found.page_content == "```yaml\n:key: x\n```"


def test_headings_of_rst_go_by_the_order_of_their_lines(put: Put) -> None:
    text = "Top\n~~~\n\nSub\n***\n\nSub two\n***\n\ntext\n----\nnot\n\nlist:\n\n- a\n- b\n"
    (found,) = load("rst", put(text, "a.rst"))
    assert "# Top\n\n## Sub\n\n## Sub two\n\n### text\nnot" in found.page_content


def test_a_comment_of_rst_is_left_out_a_directive_is_not(put: Put) -> None:
    (found,) = load("rst", put(".. hidden\n   words\n\n.. note:: Seen.\n\n.. _label:\n\nText\n", "a.rst"))
    assert "hidden" not in found.page_content
    assert "Seen." in found.page_content


def test_org_without_a_title_has_its_first_heading(put: Put) -> None:
    (found,) = load("org", put("* DONE Sow :x:\n** Deep\ntext [[a][b]] [[c]]\n", "a.org"))
    assert found.metadata["title"] == "Sow"
    assert found.page_content == "# Sow\n## Deep\ntext b c"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("* DONE [#A] Pay  the fee \t :home:work: ", "Pay  the fee"),
        ("* TODO :home:", ":home:"),
        ("*  :home:", ":home:"),
        ("* a :b c:", "a :b c:"),
        ("* TODOS", "TODOS"),
    ],
)
def test_headings_of_org_are_without_their_marks(put: Put, line: str, shown: str) -> None:
    (found,) = load("org", put(f"{line}\n\nWords.\n", "a.org"))
    assert found.page_content == f"# {shown}\n\nWords."


def test_a_drawer_of_org_that_does_not_end_hides_nothing(put: Put) -> None:
    text = "* One\n:PROPERTIES:\n:ID: 1\n| a | b |\n:END:\nfirst\n* Two\n:LOGBOOK:\nkept\n* Three\n:LOGBOOK:\nlast\n"
    (found,) = load("org", put(text, "a.org"))
    assert found.page_content == "# One\nfirst\n# Two\n:LOGBOOK:\nkept\n# Three\n:LOGBOOK:\nlast"


def test_subtitles_of_long_talks_are_cut_after_sentences(put: Put) -> None:
    cues = "\n\n".join(f"00:{n // 60:02}:{n % 60:02}.000 --> 00:59:00.000\nSentence {n} ends here." for n in range(300))
    (found,) = load("vtt", put(f"WEBVTT\n\n{cues}\n", "a.vtt"))
    paragraphs = found.page_content.split("\n\n")
    assert len(paragraphs) > 5
    assert all(len(paragraph) < 1100 and paragraph.endswith(".") for paragraph in paragraphs)
    assert "-->" not in found.page_content
    assert failure("vtt", put("WEBVTT\n\nnothing", "a.vtt")) is Failure.CORRUPT
    assert failure("srt", put("1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n", "a.srt")) is Failure.EMPTY


@pytest.mark.parametrize(
    ("text", "title"), [("title: Tea\n", "Tea"), ("a:\n  name: x\n", "a.yml"), ("name: [1]\n", "a.yml")]
)
def test_yaml_is_titled_at_its_top_level_only(put: Put, text: str, title: str) -> None:
    assert load("yaml", put(text, "a.yml"))[0].metadata["title"] == title


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("org", "[[" * 300_000),
        ("org", "* a :" + ":x" * 100_000 + "!\n"),
        ("org", "* a" + " " * 200_000 + "b\n"),
        ("org", "* a" + " :a" * 100_000 + "b\n"),
        ("org", "#+TITLE: a" + " " * 200_000 + "b\n"),
        ("org", ":LOGBOOK:\nx\n" * 100_000),
        ("markdown", "---\na: b: c: d\n" + "a: b: c: d\n- x: y\n" * 100_000 + "words"),
        ("rst", "".join(f"{' ' * depth}.. list-table:: {' ' * 100}x\n" for depth in range(1000)) + " " * 1000 + "x\n"),
        ("rst", ".. csv-table::\n\n" + '   "a\n' * 100_000),
        ("vtt", "0" * 500_000 + "\n\n00:00.000 --> 00:00.001\nx " + "<v " * 300_000),
        ("rst", ("=" * 100_000 + "!\n") * 20),
        ("rst", "x\n" + "   == ==\n   == ==\n\n" * 50_000),
        ("rst", "x\n" + "   +--+--+\n\n" * 50_000),
        ("markdown", "<table>\n" * 100_000),
        ("markdown", "+++\n" + "a = 1\n" * 100_000),
        ("rst", "+--" * 100_000 + "+\n|a\n"),
        ("eml", "From: a\nDate: x\nSubject: " + "=?utf-8?q?x?= " * 100_000 + "\n\nx"),
    ],
)
def test_floods_of_marks_take_time_by_their_length_only(put: Put, name: str, text: str) -> None:
    assert load(name, put(text, "a"))


def test_every_suffix_of_code_has_a_language(put: Put) -> None:
    assert set(LANGUAGES) == set(LOADERS["code"].suffixes)
    assert load("code", put("fn main() {}", "a.RS"))[0].metadata["language"] == "rust"
    assert "language" not in load("code", put("x", "Makefile"))[0].metadata


def test_no_two_loaders_claim_a_suffix_or_a_mime_type() -> None:
    for claimed in ([row.suffixes for row in LOADERS.values()], [row.mimes for row in LOADERS.values()]):
        every = [each for part in claimed for each in part]
        assert len(every) == len(set(every))


def test_importing_the_loaders_imports_no_parser_that_only_some_files_need() -> None:
    modules = sorted({row.target.partition(":")[0] for row in LOADERS.values()})
    code = f"import sys, {', '.join(modules)}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
