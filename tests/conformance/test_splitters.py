"""What every row of the splitter table holds to."""

import itertools
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from loaders.splitters import FLOWISE_SPLITTERS, SPLITTERS, Splitter, SplitterError, splitter
from loaders.splitters.token import estimate

NAMES = sorted(SPLITTERS)
NEEDED: dict[str, dict[str, Any]] = {"code": {"language": "python"}}

words = st.sampled_from(
    [
        "word",
        "Word.",
        "über",
        "naïve,",
        "知识库。",
        "很好",
        "3.5",
        "e.g.",
        "(see",
        "it)!",
        "🦆",
        "x" * 70,
        "a|b",
        "``",
        "-",
        "1.",
    ]
)
blocks = ["", "", "# Guide", "## Install", "### Linux *now*", "Title\n=====", "```", "| one two | three |", "| x |"]
blocks += ["| a | b |\n| --- | --- |", "- item", "   ", "\t", "> quoted"]
lines = st.one_of(st.lists(words, max_size=12).map(" ".join), st.sampled_from(blocks))
texts = st.lists(lines, max_size=40).map("\n".join)


def make(name: str, **options: Any) -> Splitter:
    return splitter(name, {**NEEDED.get(name, {}), **options})


def length(name: str, text: str) -> int:
    return len(estimate(text)) if name == "token" else len(text)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(text=texts, size=st.integers(5, 120), overlap=st.integers(0, 60), form=st.sampled_from(["text", "markdown"]))
def test_offsets_are_exact_nothing_is_lost_and_sizes_are_kept(
    name: str, text: str, size: int, overlap: int, form: str
) -> None:
    made = make(name, chunkSize=size, chunkOverlap=min(overlap, size - 1))
    chunks = made.split([Document(page_content=text, metadata={"source": "s", "format": form})])
    covered = bytearray(len(text))
    places = []
    for chunk in chunks:
        start, end = chunk.metadata["start"], chunk.metadata["end"]
        assert chunk.page_content.endswith(text[start:end])
        prefix = chunk.page_content[: len(chunk.page_content) - (end - start)]
        assert not prefix or (form == "markdown" and prefix.endswith("|\n"))
        assert chunk.page_content == chunk.page_content.strip()
        assert chunk.page_content
        assert length(name, chunk.page_content) <= size
        assert chunk.metadata["source"] == "s"
        covered[start:end] = b"\1" * (end - start)
        places.append((start, end))
    assert places == sorted(places)
    assert all(before[1] < after[1] for before, after in itertools.pairwise(places))
    assert all(covered[at] or char.isspace() for at, char in enumerate(text))


@pytest.mark.parametrize("name", NAMES)
def test_small_documents_are_one_chunk_and_are_never_joined(name: str) -> None:
    pages = [Document(page_content=f"Page {n}.", metadata={"page": n, "format": "text"}) for n in (1, 2)]
    chunks = make(name).split(pages)
    assert [(chunk.page_content, chunk.metadata["page"]) for chunk in chunks] == [("Page 1.", 1), ("Page 2.", 2)]
    assert pages[0].metadata == {"page": 1, "format": "text"}


@pytest.mark.parametrize("name", NAMES)
def test_numbers_may_be_text_and_no_overlap_means_none(name: str) -> None:
    text = " ".join(f"word{n}" for n in range(400))
    chunks = make(name, chunkSize="90", chunkOverlap="0").split([Document(page_content=text)])
    assert make(name, chunkSize=90, chunkOverlap=0).split([Document(page_content=text)]) == chunks
    for before, after in itertools.pairwise(chunks):
        assert before.metadata["end"] <= after.metadata["start"]
    lapped = make(name, chunkSize=90, chunkOverlap=30).split([Document(page_content=text)])
    assert any(a.metadata["end"] > b.metadata["start"] for a, b in itertools.pairwise(lapped))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"chunkSize": "many"}, "chunkSize"),
        ({"chunkSize": 0}, "chunkSize"),
        ({"chunkSize": -5}, "chunkSize"),
        ({"chunkSize": 10.5}, "chunkSize"),
        ({"chunkSize": True}, "chunkSize"),
        ({"chunkSize": [1]}, "chunkSize"),
        ({"chunkOverlap": "-1"}, "chunkOverlap"),
        ({"chunkOverlap": "1e2"}, "chunkOverlap"),
        ({"chunkSize": 100, "chunkOverlap": 100}, "chunkOverlap"),
        ({"chunkSize": "100", "chunkOverlap": "200"}, "chunkOverlap"),
    ],
)
def test_a_wrong_option_is_named(name: str, options: dict[str, Any], field: str) -> None:
    with pytest.raises(SplitterError, match=field) as caught:
        make(name, **options)
    assert caught.value.field == field


@pytest.mark.parametrize("name", NAMES)
def test_empty_options_are_defaults(name: str) -> None:
    assert make(name, chunkSize="", chunkOverlap=None).fingerprint() == make(name).fingerprint()


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_goes_by_the_options_in_force(name: str) -> None:
    plain = make(name).fingerprint()
    size = type(make(name)).chunk_size
    assert plain == make(name, chunkSize=str(size), chunkOverlap=200).fingerprint()
    assert len({plain, make(name, chunkSize=999).fingerprint(), make(name, chunkOverlap=0).fingerprint()}) == 3


def test_fingerprints_are_the_same_in_another_process_and_differ_between_splitters() -> None:
    program = (
        "import json; from loaders.splitters import SPLITTERS, splitter; print(json.dumps({name: "
        "splitter(name, {'language': 'python'}).fingerprint() for name in SPLITTERS}))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    here = {name: splitter(name, {"language": "python"}).fingerprint() for name in SPLITTERS}
    assert json.loads(told) == here
    assert len(set(here.values())) == len(here)


def test_the_version_of_an_algorithm_changes_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        made = make(name)
        before = made.fingerprint()
        monkeypatch.setattr(type(made), "version", made.version + 1)
        assert made.fingerprint() != before


@pytest.mark.parametrize("name", sorted(FLOWISE_SPLITTERS))
def test_flowise_names_make_their_splitters(name: str) -> None:
    made = splitter(name, {"language": "js", "chunkSize": 100, "chunkOverlap": "20", "encodingName": "gpt2"})
    assert made.size == 100
    assert made.overlap == 20


def test_an_unknown_splitter_names_the_known() -> None:
    with pytest.raises(SplitterError, match="tokenTextSplitter") as caught:
        splitter("axe")
    assert caught.value.field == "name"
