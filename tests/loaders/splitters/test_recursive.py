from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

from loaders.splitters import SplitterError, splitter

SOURCE = Path(__file__).read_text(encoding="utf-8")


def pieces(name: str, text: str, **options: object) -> list[str]:
    return [chunk.page_content for chunk in splitter(name, options).split([Document(page_content=text)])]


@settings(deadline=None)
@given(text=st.text(alphabet="ab .\n", max_size=300), size=st.integers(2, 60))
def test_pieces_are_those_of_langchain(text: str, size: int) -> None:
    theirs = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=0).split_text(text)
    assert pieces("recursive", text, chunkSize=size, chunkOverlap=0) == theirs


@pytest.mark.parametrize(("size", "overlap"), [(100, 0), (100, 20), (400, 200), (37, 11), (1000, 200)])
def test_overlapping_pieces_are_those_of_langchain(size: int, overlap: int) -> None:
    theirs = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap).split_text(SOURCE)
    ours = pieces("recursive", SOURCE, chunkSize=size, chunkOverlap=overlap)
    assert ours == [piece for before, piece in zip(["", *theirs], theirs, strict=False) if not before.endswith(piece)]


def test_code_is_cut_as_langchain_does() -> None:
    theirs = RecursiveCharacterTextSplitter.from_language(Language.PYTHON, chunk_size=300, chunk_overlap=0)
    ours = pieces("code", SOURCE, chunkSize=300, chunkOverlap=0, language="python")
    assert ours == theirs.split_text(SOURCE)


def test_separators_may_be_a_list_or_json() -> None:
    text = "one#two three#four"
    for separators in (["#"], '["#"]'):
        assert pieces("recursive", text, chunkSize=10, chunkOverlap=0, separators=separators) == [
            "one",
            "#two three",
            "#four",
        ]
    assert pieces("character", "a--b--c", chunkSize=3, chunkOverlap=0, separator="--") == ["a", "--b", "--c"]


@pytest.mark.parametrize(
    ("name", "options", "field"),
    [
        ("recursive", {"separators": "[oops"}, "separators"),
        ("recursive", {"separators": [1]}, "separators"),
        ("character", {"separator": 3}, "separator"),
        ("code", {"language": "klingon"}, "language"),
        ("code", {}, "language"),
        ("markdown", {"splitByHeaders": "h9"}, "splitByHeaders"),
        ("token", {"tokenizer": "/nowhere/tokenizer.json"}, "tokenizer"),
    ],
)
def test_wrong_options_are_named(name: str, options: dict[str, object], field: str) -> None:
    with pytest.raises(SplitterError, match=field) as caught:
        splitter(name, options)
    assert caught.value.field == field
