"""Chunks put together again, and the two stages that do so: neighbours and parents."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document

from loaders.splitters import splitter
from service.document_stores.ledger.types import ChunkRow
from service.retrieval.neighbours import Neighbours, NeighboursOptions
from service.retrieval.parents import Parents, ParentsOptions
from service.retrieval.passages import joined
from service.retrieval.trace import StageTrace
from stores.vector.filters import parse
from tests.service.retrieval.library import Library, chunk, found

WORDS = st.lists(st.text("abcdefg.", min_size=1, max_size=9), min_size=1, max_size=80)
SPACES = st.sampled_from([" ", "\n", "\n\n", "  "])


def rows_of(text: str, options: dict[str, Any], name: str = "default") -> list[ChunkRow]:
    """The chunks that a splitter makes of a text."""
    pieces = splitter(name, options).split([Document(page_content=text, metadata={"format": "markdown"})])
    return [chunk(place + 1, piece.page_content, **piece.metadata) for place, piece in enumerate(pieces)]


@given(words=WORDS, data=st.data(), size=st.integers(20, 200))
@pytest.mark.parametrize("name", ["default", "recursive", "token"])
def test_joining_all_chunks_of_a_text_gives_the_text_but_for_white_space(
    name: str, words: list[str], data: st.DataObject, size: int
) -> None:
    text = "".join(word + data.draw(SPACES) for word in words)
    overlap = data.draw(st.integers(0, size // 3))
    rows = rows_of(text, {"chunkSize": size, "chunkOverlap": overlap}, name)
    assert "".join(joined(rows).split()) == "".join(text.split())


def test_the_repeated_header_of_a_cut_table_is_said_once() -> None:
    table = "| City | Pier |\n| --- | --- |\n" + "\n".join(f"| Town {n} | Pier {n} of the harbour |" for n in range(40))
    rows = rows_of(table, {"chunkSize": 400, "chunkOverlap": 0})
    assert len(rows) > 2
    assert all(row.text.startswith("| City |") for row in rows)
    assert joined(rows).split("\n") == table.split("\n")


def test_without_offsets_only_a_long_repeat_is_taken_for_an_overlap() -> None:
    assert joined([chunk(1, "The ferry leaves at nine."), chunk(2, "leaves at nine. It returns at ten.")]) == (
        "The ferry leaves at nine. It returns at ten."
    )
    assert joined([chunk(1, "Open at ten"), chunk(2, "ten people wait")]) == "Open at ten\n\nten people wait"


def test_an_edited_chunk_and_another_page_are_not_believed_to_overlap_by_their_offsets() -> None:
    first = chunk(1, "abcdefghij", start=0, end=10, page=1)
    assert joined([first, chunk(2, "hij and more", start=7, end=19, page=1)]) == "abcdefghij and more"
    assert joined([first, chunk(2, "hij and more", start=7, end=19, page=2)]) == "abcdefghij\n\nhij and more"
    assert joined([first, chunk(2, "Rewritten", start=7, end=19, page=1, edited=True)]) == "abcdefghij\n\nRewritten"
    assert joined([first, chunk(4, "hij and more", start=7, end=19, page=1)]) == "abcdefghij\n\nhij and more"


LINES = [f"Line {number}." for number in range(10)]


def document(hidden: set[int] | None = None) -> Library:
    """Ten chunks of one document on three pages, and two of another."""
    rows = [chunk(n + 1, LINES[n], position=n, page=1 + n // 4, heading=f"Part {n // 5}") for n in range(10)]
    rows += [chunk(n + 21, f"Other {n}.", document=2, position=n, page=1) for n in range(2)]
    return Library({row.number: row for row in rows if row.number is not None}, hidden=hidden or set())


async def test_neighbours_become_one_text_with_their_chunk() -> None:
    library = document()
    (item,) = await Neighbours().refine([found(library.rows[4], 0.7, cosine=0.6)], 4, await library.call())
    assert item.text == "\n\n".join(LINES[2:5])
    assert (item.chunk.id, item.score, item.parts) == (UUID(int=4), 0.7, {"cosine": 0.6})
    assert item.chunk.metadata["merged"] == {"positions": [2, 3, 4], "pages": [1, 2]}
    assert item.chunk.metadata["page"] == 1, "its own metadata stay"


async def test_chunks_whose_passages_touch_become_one_with_the_best_score() -> None:
    library = document()
    hits = [found(library.rows[2], 0.9), found(library.rows[9], 0.8), found(library.rows[5], 0.7)]
    notes = StageTrace("neighbours")
    shown = await Neighbours().refine(hits, 3, await library.call(notes=notes))
    assert [(item.number, item.score) for item in shown] == [(2, 0.9), (9, 0.8)]
    assert [item.chunk.metadata["merged"]["positions"] for item in shown] == [[0, 1, 2, 3, 4, 5], [7, 8, 9]]
    assert notes.reasons == {5: "part of the passage of chunk 2"}


async def test_a_chunk_between_two_passages_makes_them_one() -> None:
    library = document()
    hits = [found(library.rows[n], 0.9 - n / 100) for n in (1, 7, 4)]
    shown = await Neighbours(NeighboursOptions(before=1, after=1)).refine(hits, 4, await library.call())
    assert [item.number for item in shown] == [1]
    assert shown[0].chunk.metadata["merged"]["positions"] == list(range(8))


async def test_beside_a_chunk_its_neighbours_follow_as_they_are() -> None:
    library = document()
    hits = [found(library.rows[2], 0.9), found(library.rows[3], 0.8), found(library.rows[21], 0.7)]
    stage = Neighbours(NeighboursOptions(before=1, after=2, mode="beside"))
    shown = await stage.refine(hits, 10, await library.call())
    assert [item.number for item in shown] == [2, 1, 4, 3, 5, 21, 22]
    assert [item.score for item in shown] == [0.9, 0.9, 0.9, 0.8, 0.8, 0.7, 0.7]
    assert "merged" not in shown[0].chunk.metadata


@pytest.mark.parametrize("stage", [Neighbours(), Parents(ParentsOptions(of="document"))])
async def test_what_is_hidden_or_filtered_out_comes_in_by_no_side_door(stage: Neighbours | Parents) -> None:
    library = document(hidden={3})
    call = await library.call(where=parse({"page": 1}))
    (item,) = await stage.refine([found(library.rows[4], 0.7)], 4, call)
    assert "Line 2." not in item.text, "chunk 3 is hidden"
    assert "Line 4." not in item.text, "chunk 5 is on page 2"


async def test_a_parent_is_the_section_around_a_chunk_once() -> None:
    library = document()
    hits = [found(library.rows[n], 0.9 - n / 100) for n in (3, 5, 6)]
    notes = StageTrace("parents")
    shown = await Parents().refine(hits, 4, await library.call(notes=notes))
    assert [item.text for item in shown] == ["\n\n".join(LINES[:5]), "\n\n".join(LINES[5:])]
    assert [item.number for item in shown] == [3, 6]
    assert notes.reasons == {5: "part of the parent of chunk 3"}


async def test_a_parent_may_be_the_whole_document() -> None:
    library = document()
    shown = await Parents(ParentsOptions(of="document")).refine([found(library.rows[8])], 4, await library.call())
    assert [item.text for item in shown] == ["\n\n".join(LINES)]
    assert shown[0].chunk.metadata["merged"]["pages"] == [1, 2, 3]


@given(limit=st.integers(100, 400), start=st.integers(0, 29))
async def test_a_parent_stays_within_its_length_and_holds_its_chunk(limit: int, start: int) -> None:
    lines = [f"Sentence number {number} of a long section." for number in range(30)]
    library = Library.of(*(chunk(n + 1, line, position=n) for n, line in enumerate(lines)))
    stage = Parents(ParentsOptions(max_characters=limit))
    found_here = [found(library.rows[start + 1], 0.9), found(library.rows[30 - start], 0.8)]
    shown = await stage.refine(found_here, 4, await library.call())
    assert lines[start] in shown[0].text
    seen: list[int] = []
    for item in shown:
        assert len(item.text) <= limit
        merged = item.chunk.metadata.get("merged", {"positions": [item.chunk.position]})["positions"]
        assert item.text == "\n\n".join(lines[place] for place in merged)
        assert merged == list(range(merged[0], merged[-1] + 1))
        seen += merged
    assert len(seen) == len(set(seen)), "no text is shown twice"
    assert lines[29 - start] in "\n\n".join(item.text for item in shown), "what was found is shown, whatever the length"


async def test_parents_of_nothing_are_nothing() -> None:
    library = document()
    assert await Parents().refine([], 4, await library.call()) == []
    assert await Neighbours().refine([], 4, await library.call()) == []
