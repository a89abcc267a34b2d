"""The how-to for a vector store in a package of its own: its code, installed by its entry point, meets the contract."""

import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.vector import ENTRY_POINTS, open_vector_store, vector_store_names
from stores.vector.base import Unsupported
from stores.vector.filters import parse
from tests.architecture.source import ROOT
from tests.conformance import test_vector_stores as suite

GUIDE = (ROOT / "stores" / "vector" / "README.md").read_text("utf-8")
CASES = [
    name
    for name, case in vars(suite).items()
    if name.startswith("test_") and list(inspect.signature(case).parameters) == ["store"]
]


def block(language: str) -> str:
    """The guide's code in a language."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(code)


def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The guide's package, as pip would install it."""
    (tmp_path / "ragstone_shelf.py").write_text(block("python"), "utf-8")
    folder = tmp_path / "ragstone_shelf-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: ragstone-shelf\nVersion: 1.0\n", "utf-8")
    offered = tomllib.loads(block("toml"))["project"]["entry-points"][ENTRY_POINTS]
    lines = "\n".join(f"{name} = {target}" for name, target in offered.items())
    (folder / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{lines}\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "ragstone_shelf", raising=False)


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It is there in every test."""
    install(monkeypatch, tmp_path)
    yield
    monkeypatch.delitem(sys.modules, "ragstone_shelf", raising=False)


def test_it_is_listed_among_the_names() -> None:
    assert "shelf" in vector_store_names()


@pytest.mark.parametrize("name", CASES)
async def test_it_passes_the_suite(name: str) -> None:
    store = open_vector_store("shelf://")
    await store.create("words", 6)
    await getattr(suite, name)(store)
    await store.close()


async def test_it_says_what_it_cannot_do() -> None:
    store = open_vector_store("shelf://")
    await store.create("words", 6)
    with pytest.raises(Unsupported):
        await store.count("words", where=parse({"a": 1}))
    with pytest.raises(Unsupported):
        store.within(object())


def test_every_file_that_the_guide_names_is_there() -> None:
    named = re.findall(r"\]\(([a-z]+\.py)\)", GUIDE)
    assert named
    assert [name for name in named if not (ROOT / "stores" / "vector" / name).is_file()] == []
