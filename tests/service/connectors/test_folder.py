"""Folders of this machine: what is listed, and that nothing outside is ever read."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.connectors.base import BadConnectorOption, Got, Known, NotModified
from service.connectors.folder import FolderFiles, UnreadableFolder
from service.errors import NotFound, TooLarge
from tests.service.connectors.places import listed, place, read

ODD = [
    "a,b.txt",
    'qu"ote.txt',
    "new\nline.txt",
    "emoji\U0001f34f.txt",
    "UPPER.TXT",
    "none",
    "con",
    "-dash.txt",
    "%41.txt",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    folder.mkdir()
    return folder


def config(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"folderPath": str(path), "recursive": True, **more}


def settled(file: Path, content: bytes = b"content") -> None:
    """A file that was written a while ago."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (time.time() - 60,) * 2)


async def names(root: Path, **more: Any) -> list[str]:
    async with place("folderFiles", config(root, **more), settings={"sync_folders": str(root)}) as folder:
        return [item.name for item in await listed(folder)]


async def test_files_are_listed_in_order_without_hidden_ones_links_and_lock_files(root: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/er/c.txt", ".hidden", ".git/config", "~$report.docx"):
        settled(root / name)
    os.mkfifo(root / "pipe")
    (root / "link.txt").symlink_to(root / "a.txt")
    (root / "folder").symlink_to(root / "deep")
    assert await names(root) == ["a.txt", "b.txt", "deep/er/c.txt"]
    assert await names(root, recursive=False) == ["a.txt", "b.txt"]


async def test_patterns_choose(root: Path) -> None:
    for name in ("a.md", "b.txt", "old/c.md", "deep/old/d.md", "deep/e.md"):
        settled(root / name)
    assert await names(root, include="*.md") == ["a.md", "deep/e.md", "deep/old/d.md", "old/c.md"]
    assert await names(root, include="*.md", exclude="old") == ["a.md", "deep/e.md"]
    assert await names(root, include=["deep/*"], exclude="deep/old/*") == ["deep/e.md"]
    assert await names(root, exclude='["**/*.md"]') == ["b.txt"]


async def test_names_of_any_kind_are_shown_as_given_and_read(root: Path) -> None:
    raw = os.fsdecode(b"latin\xe9.txt")
    for name in [*ODD, "x" * 251 + ".txt", raw]:
        settled(root / name, name.encode("utf-8", "surrogateescape"))
    long = root
    for _ in range(12):
        long = long / ("\u00e4" * 120)
    settled(long / "deep.txt", b"deep")
    async with place("folderFiles", config(root), settings={"sync_folders": str(root)}) as folder:
        items = await listed(folder)
        assert len({item.source for item in items}) == len(items) == len(ODD) + 3
        shown = {item.name for item in items}
        assert {*ODD, "x" * 251 + ".txt", "latin\ufffd.txt"} <= shown
        for item in items:
            content, _ = await read(folder, item)
            assert len(item.source) <= 1000
            assert item.source.isascii()
            if item.name in ODD:
                assert content == item.name.encode()
        assert (await read(folder, next(item for item in items if "latin" in item.name)))[0] == b"latin\xe9.txt"


async def test_what_is_unchanged_is_not_read(root: Path) -> None:
    settled(root / "a.txt")
    async with place("folderFiles", config(root), settings={"sync_folders": str(root)}) as folder:
        (item,) = await listed(folder)
        content, got = await read(folder, item)
        assert isinstance(got, Got)
        assert (content, got.etag, got.size) == (b"content", item.etag, 7)
        assert (await read(folder, item, Known(got.etag)))[1] == NotModified()
        settled(root / "a.txt", b"another")
        assert (await read(folder, item, Known(got.etag)))[0] == b"another"


async def test_a_file_written_this_moment_is_looked_at_again(root: Path) -> None:
    (root / "a.txt").write_text("fresh")
    async with place("folderFiles", config(root), settings={"sync_folders": str(root)}) as folder:
        (item,) = await listed(folder)
        got = (await read(folder, item))[1]
    assert isinstance(got, Got)
    assert got.etag is None


@pytest.mark.parametrize(
    "path",
    [
        "/etc",
        "/",
        "{root}-evil",
        "{root}/../secret",
        "{root}/..",
        "relative",
        "~/x",
        "{root}/a/../../secret",
        "file:///etc",
    ],
)
async def test_paths_outside_are_refused_in_the_same_words(root: Path, path: str) -> None:
    (root.parent / "secret").mkdir()
    (root.parent / "allowed-evil").mkdir()
    with pytest.raises(BadConnectorOption, match="folderPath: ") as refused:
        async with place("folderFiles", config(path.format(root=root)), settings={"sync_folders": str(root)}):
            pass
    assert str(root) not in str(refused.value)


async def test_no_folder_is_read_unless_the_operator_lists_it(root: Path) -> None:
    with pytest.raises(BadConnectorOption, match="RAGSTONE_SYNC_FOLDERS"):
        async with place("folderFiles", config(root)):
            pass


async def test_links_lead_nowhere(root: Path) -> None:
    secret = root.parent / "secret"
    settled(secret / "key.txt", b"secret")
    (root / "away").symlink_to(secret)
    async with place("folderFiles", config(root / "away"), settings={"sync_folders": str(root)}) as folder:
        with pytest.raises(UnreadableFolder, match="folderPath: the folder itself"):
            await listed(folder)


@pytest.mark.parametrize("swap", ["file", "folder"])
async def test_a_link_that_is_made_after_the_listing_leads_nowhere(root: Path, swap: str) -> None:
    secret = root.parent / "secret"
    settled(secret / "key.txt", b"secret")
    settled(root / "deep" / "key.txt", b"mine")
    async with place("folderFiles", config(root), settings={"sync_folders": str(root)}) as folder:
        (item,) = await listed(folder)
        (root / "deep" / "key.txt").unlink()
        if swap == "file":
            (root / "deep" / "key.txt").symlink_to(secret / "key.txt")
        else:
            (root / "deep").rmdir()
            (root / "deep").symlink_to(secret)
        with pytest.raises(UnreadableFolder):
            await read(folder, item)


async def test_a_file_that_goes_or_is_too_large_fails_alone(root: Path) -> None:
    settled(root / "gone.txt")
    settled(root / "large.txt", b"x" * 100)
    async with place("folderFiles", config(root), settings={"sync_folders": str(root), "max_upload": 50}) as folder:
        gone, large = await listed(folder)
        (root / "gone.txt").unlink()
        with pytest.raises(NotFound):
            await read(folder, gone)
        with pytest.raises(TooLarge, match="max_upload: 'large"):
            await read(folder, large)


async def test_a_file_that_changes_while_it_is_read_is_looked_at_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(root / "a.txt", b"x" * 10)

    def stat(descriptor: int, real: Callable[[int], os.stat_result] = os.fstat) -> os.stat_result:
        found = real(descriptor)
        os.truncate(root / "a.txt", 5)
        return found

    async with place("folderFiles", config(root), settings={"sync_folders": str(root)}) as folder:
        assert isinstance(folder, FolderFiles)
        (item,) = await listed(folder)
        monkeypatch.setattr("service.connectors.folder.os.fstat", stat)
        got = (await read(folder, item))[1]
    assert isinstance(got, Got)
    assert got.etag is None
