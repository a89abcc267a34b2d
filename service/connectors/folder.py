"""Files of a folder on the service's own machine, below the folders that the operator lists in `sync_folders`.

Symbolic links are never followed: every folder and file is opened by its name in the folder opened before it, so that
nothing outside can be reached, even by links that are made while the folder is read.
"""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, ClassVar
from urllib.parse import quote

from pydantic import Field

from service.connectors.base import (
    BadConnectorOption,
    Connector,
    ConnectorOptions,
    Gone,
    Got,
    Item,
    Known,
    NotModified,
    Outside,
)
from service.connectors.naming import bounded, fits, patterns
from service.errors import NotFound, TooLarge, Unprocessable
from service.settings import PREFIX

SETTING = f"{PREFIX}SYNC_FOLDERS"
PIECE = 1024 * 1024
FRESH_NS = 2_000_000_000
"""A file that was written so short a time ago may be written again within the same tick of its clock."""

DEEPEST = 64
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnreadableFolder(Unprocessable):
    """The folder cannot be read."""

    code = "unreadable_folder"
    private = True


class FolderOptions(ConnectorOptions):
    """The fields of Flowise's `folderFiles`, and two patterns."""

    folder_path: str = Field(description="Absolute path of the folder")
    recursive: bool = Field(False, description="Also the folders in it")
    include: str | list[str] = Field("", description="Only files that fit one of these patterns, such as `*.md`")
    exclude: str | list[str] = Field("", description="No file, and nothing of a folder, that fits one of these")


@dataclass(frozen=True, slots=True)
class _Entry:
    path: bytes
    """In the folder."""
    size: int
    changed: int
    """In nanoseconds since the epoch."""


class FolderFiles(Connector):
    """Every regular file; hidden ones, links and the lock files of office programs are left out."""

    Options: ClassVar[type[ConnectorOptions]] = FolderOptions
    parallel = 4

    def __init__(self, options: FolderOptions, outside: Outside) -> None:
        """Raises `BadConnectorOption` for a path that is not below one of the operator's folders."""
        super().__init__(options, outside)
        self._recursive = options.recursive
        self._include, self._exclude = patterns(options.include), patterns(options.exclude)
        self._root, self._inside = _place(options.folder_path, outside.settings.sync_folders)
        self._paths: dict[str, bytes] = {}  # of what was listed, byte for byte
        self._source = "file://" + quote(os.fsencode(os.path.normpath(options.folder_path)))

    async def items(self) -> AsyncIterator[Item]:
        waiting = [b""]
        while waiting:
            folder = waiting.pop()
            folders, files = await asyncio.to_thread(self._read, folder)
            for entry in files:
                yield self._item(entry)
            waiting += reversed(folders)

    def _read(self, folder: bytes) -> tuple[list[bytes], list[_Entry]]:
        """The folders and files of a folder, by name. Raises `UnreadableFolder`."""
        folders, files = [], []
        try:
            with self._opened(folder) as descriptor, os.scandir(descriptor) as entries:
                for entry in sorted(entries, key=lambda each: each.name):
                    name = os.fsencode(entry.name)
                    path = os.path.join(folder, name) if folder else name
                    if name.startswith((b".", b"~$")) or fits(_shown(path), self._exclude):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if self._recursive and path.count(b"/") < DEEPEST:
                            folders.append(path)
                    elif entry.is_file(follow_symlinks=False) and (
                        not self._include or fits(_shown(path), self._include)
                    ):
                        found = entry.stat(follow_symlinks=False)
                        files.append(_Entry(path, found.st_size, found.st_mtime_ns))
        except OSError as error:
            where = _shown(folder) or "the folder itself"
            raise UnreadableFolder(f"folderPath: {where} cannot be read: {error.strerror}") from None
        return folders, files

    @contextmanager
    def _opened(self, folder: bytes) -> Iterator[int]:
        """A descriptor of a folder below ours, opened step by step from the operator's. Raises `OSError`."""
        steps = [*self._inside, *(folder.split(b"/") if folder else ())]
        with ExitStack() as held:
            descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            for step in steps:
                descriptor = os.open(step, _FOLDER, dir_fd=descriptor)
                held.callback(os.close, descriptor)
            yield descriptor

    def _item(self, entry: _Entry) -> Item:
        source = bounded(f"{self._source}/{quote(entry.path)}")
        self._paths[source] = entry.path
        return Item(
            source=source,
            name=_shown(entry.path),
            etag=_etag(entry.changed, entry.size),
            modified=datetime.fromtimestamp(entry.changed / 1e9, UTC).isoformat(),
            size=entry.size,
        )

    async def fetch(self, item: Item, sink: BinaryIO, known: Known | None = None) -> Got | NotModified:
        if item.source not in self._paths:
            raise NotFound(f"'{item.name}' is not listed")
        return await asyncio.to_thread(self._copy, self._paths[item.source], sink, known, item)

    def _copy(self, path: bytes, sink: BinaryIO, known: Known | None, item: Item) -> Got | NotModified:
        folder, name = os.path.split(path)
        limit = self.outside.settings.max_upload
        try:
            with self._opened(folder) as parent, os.fdopen(os.open(name, _FILE, dir_fd=parent), "rb") as file:
                before = os.fstat(file.fileno())
                if not stat.S_ISREG(before.st_mode):
                    raise Unprocessable(f"'{item.name}' is no regular file")
                if before.st_size > limit:
                    raise TooLarge(f"max_upload: '{item.name}' is larger than {limit} bytes")
                etag = _etag(before.st_mtime_ns, before.st_size)
                if known is not None and known.etag == etag:
                    return NotModified()
                size = 0
                while piece := file.read(PIECE):
                    size += len(piece)
                    if size > limit:
                        raise TooLarge(f"max_upload: '{item.name}' is larger than {limit} bytes")
                    sink.write(piece)
                after = os.fstat(file.fileno())
        except FileNotFoundError:
            raise Gone(f"'{item.name}' is no longer there") from None
        except OSError as error:
            raise UnreadableFolder(f"'{item.name}' cannot be read: {error.strerror}") from None
        changed = datetime.now(UTC).timestamp() * 1e9 - after.st_mtime_ns
        steady = _etag(after.st_mtime_ns, after.st_size) == etag and changed > FRESH_NS and size == after.st_size
        return Got(item.name, size, etag=etag if steady else None, modified=item.modified)


def _place(path: str, allowed: str) -> tuple[str, list[bytes]]:
    """The operator's folder that a path lies in, and the steps from there.

    Raises `BadConnectorOption`, in the same words whether or not there is such a path.
    """
    roots = [os.path.normpath(part.strip()) for part in allowed.split(",") if part.strip()]
    if not roots:
        raise BadConnectorOption(
            f"folderPath: no folder of this machine may be read; the operator allows it by {SETTING}"
        )
    if not os.path.isabs(path) or "\0" in path or ".." in path.split("/"):
        raise BadConnectorOption("folderPath: give an absolute path without `..`")
    wanted = os.path.normpath(path)
    for root in roots:
        if wanted == root or wanted.startswith(root.rstrip("/") + "/"):
            inside = os.path.relpath(wanted, root)
            return root, [] if inside == "." else [os.fsencode(step) for step in inside.split("/")]
    raise BadConnectorOption(f"folderPath: lies in none of the folders that the operator allows by {SETTING}")


def _etag(changed: int, size: int) -> str:
    return f"{changed:x}-{size:x}"


def _shown(path: bytes) -> str:
    """A path as people may see it and Postgres can keep it."""
    return path.decode("utf-8", "replace")
