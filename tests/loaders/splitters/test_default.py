import itertools

from langchain_core.documents import Document

from loaders.splitters import splitter

GUIDE = """Preface of the guide.

# Guide

Welcome to the guide, which explains everything.

## Install

Run the installer. It asks for a folder. Then wait a while for it.

### Linux

Use the package manager of your system.

## Use

```
# not a heading
start
```

Overview
--------

Setext headings count as well.
"""
TABLE = "| City | People |\n| --- | --- |\n" + "".join(f"| Town {n} | {n}000 |\n" for n in range(40))


def split(
    text: str, size: int, overlap: int = 0, form: str = "markdown", name: str = "default", **more: str
) -> list[Document]:
    options = {"chunkSize": size, "chunkOverlap": overlap, **more}
    return splitter(name, options).split([Document(page_content=text, metadata={"format": form})])


def test_chunks_know_the_headings_above_them() -> None:
    chunks = split(GUIDE, 90)
    assert [chunk.metadata.get("heading") for chunk in chunks] == [
        None,
        "Guide > Install",
        "Guide",  # Linux and Use, joined
        "Guide > Overview",
    ]
    assert "# not a heading" in chunks[2].page_content


def test_a_path_of_long_headings_is_cut() -> None:
    text = "\n\n".join(f"{'#' * level} {f'h{level} ' * 300}" for level in range(1, 7)) + "\n\nWords of it.\n"
    heading = split(text, 5000)[-1].metadata["heading"]
    assert len(heading) <= 1000
    assert heading.startswith("h1 h1")
    assert heading.endswith("…")


def test_small_neighbours_are_joined_and_stand_under_what_they_share() -> None:
    chunks = split(GUIDE, 130)
    assert [chunk.metadata.get("heading") for chunk in chunks] == [None, "Guide > Install", "Guide"]
    assert len(split(GUIDE, 1000)) == 1


def test_a_heading_is_not_parted_from_its_text() -> None:
    text = "# Top\n\n" + "First words here. " * 3 + "\n\n# Part\n\n## Sub\n\n" + "Second words here. " * 10
    for size in range(60, 200, 7):
        for chunk in split(text, size):
            assert not chunk.page_content.splitlines()[-1].startswith("#"), size


def test_headers_split_where_asked() -> None:
    chunks = split(GUIDE, 1000, name="markdown", splitByHeaders="h2")
    assert [chunk.metadata.get("heading") for chunk in chunks] == [
        None,
        "Guide",
        "Guide > Install",
        "Guide > Use",
        "Guide > Overview",
    ]


def test_pieces_of_a_table_begin_with_its_header_and_hold_whole_rows() -> None:
    text = f"# Towns\n\nA table of towns.\n\n{TABLE}\nEnd of the table.\n"
    chunks = split(text, 150, 30)
    rows = []
    for chunk in chunks:
        lines = [line for line in chunk.page_content.splitlines() if line.startswith("|")]
        if lines:
            assert lines[:2] == ["| City | People |", "| --- | --- |"]
            assert all(line.endswith("000 |") for line in lines[2:])
            rows += lines[2:]
        assert chunk.metadata["heading"] == "Towns"
    assert rows == TABLE.splitlines()[2:]
    first, second = [chunk for chunk in chunks if "Town " in chunk.page_content][:2]
    assert text[first.metadata["start"] : first.metadata["end"]] == first.page_content
    assert (
        second.page_content
        == "| City | People |\n| --- | --- |\n" + text[second.metadata["start"] : second.metadata["end"]]
    )


def test_a_row_larger_than_a_chunk_is_cut_within_the_size() -> None:
    text = "| a | b |\n| --- | --- |\n| x | " + "long words " * 50 + "|\n| y | z |\n"
    assert all(len(chunk.page_content) <= 100 for chunk in split(text, 100))


def test_text_is_cut_at_sentences_of_many_scripts() -> None:
    english = "Dr. Smith paid 3.50 for it. " * 8
    for text, ending in ((english, "."), ("渡轮每天运行。票价为四元！" * 20, "。！"), ("यह एक वाक्य है। " * 30, "।")):
        for chunk in split(text, 100, form="text"):
            assert chunk.page_content[-1] in ending
    assert split(english, 100, form="text")[0].page_content.startswith("Dr. Smith")


def test_paragraphs_are_kept_whole_when_they_fill_half_a_chunk() -> None:
    text = "\n\n".join("Sentence one here. Sentence two here." for _ in range(10))
    assert all(chunk.page_content.endswith("two here.") for chunk in split(text, 100, form="text"))


def test_overlap_begins_at_a_sentence() -> None:
    text = " ".join(f"This is sentence {n} of many." for n in range(100, 160))
    chunks = split(text, 200, 60, form="text")
    assert all(chunk.page_content.startswith("This is") for chunk in chunks)
    assert all(a.metadata["end"] > b.metadata["start"] for a, b in itertools.pairwise(chunks))


def test_combined_characters_are_not_cut() -> None:
    for chunk in split("👩\u200d🚀" * 100, 50, form="text"):
        assert chunk.page_content[0] != "\u200d"
        assert chunk.page_content[-1] != "\u200d"


def test_metadata_of_a_document_is_kept_and_not_shared() -> None:
    (chunk,) = splitter().split([Document(page_content="Words.", metadata={"page": 3, "source": "a"})])
    assert chunk.metadata == {"page": 3, "source": "a", "start": 0, "end": 6}


def test_hostile_markdown_takes_linear_time() -> None:
    for text in (
        "## Same level\n" * 100_000,
        "# a" + " " * 500_000 + "b",
        "#" * 500_000,
        "| a |\n-" + " " * 500_000 + "|x",
        "[" * 500_000 + "\n====",
        "```\n" * 100_000,
        "|" * 500_000 + "\n|-|\n" + "|" * 500_000,
        "\n \t" * 300_000,
        "a\n" * 300_000,
        "." * 500_000,
        "[1]" * 200_000,
    ):
        split(text, 1000, 200)


def test_headings_without_a_title_or_with_closing_marks() -> None:
    text = "# One #\n\nx\n\n##\n\ny\n\n### Three ###\n\nz\n"
    chunks = split(text, 1000, name="markdown", splitByHeaders="h6")
    assert [chunk.metadata["heading"] for chunk in chunks] == ["One", "One", "One > Three"]
