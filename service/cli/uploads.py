"""Sends files into a document store: a few bounded uploads at a time, followed until their jobs have ended."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.cli.client import Client
from service.cli.exits import CommandError, UsageProblem

BATCH_FILES = 32
"""Files in one upload at most."""

BATCH_BYTES = 16 * 1024 * 1024
"""Bytes in one upload at most; a larger file goes alone."""

AHEAD = 3
"""Uploads that are under way at the same time: one that is worked on, others that arrive meanwhile."""

LOOK_SECONDS = 0.25

COUNTS = ("numAdded", "numUpdated", "numSkipped", "numDeleted")

File = tuple[str, Path]
"""A file's name in the document store, and where it lies."""


@dataclass(slots=True)
class Report:
    """What became of the files. `counts` are chunks, in the contract's words; `failed` are files with reasons."""

    store_id: str
    store: str
    files: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    failed: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "storeId": self.store_id,
            "store": self.store,
            "files": self.files,
            **self.counts,
            "failed": [{"name": name, "reason": reason} for name, reason in self.failed],
            "seconds": round(self.seconds, 3),
        }

    def summary(self) -> str:
        """For people, in one line."""
        added, updated, skipped, deleted = (self.counts[name] for name in COUNTS)
        parts = [f"{self.files} files", f"{added} chunks added", f"{updated} updated", f"{skipped} unchanged"]
        if deleted:
            parts.append(f"{deleted} deleted")
        return ", ".join(parts)


@dataclass(slots=True)
class Progress:
    """How far all uploads are, for a progress bar; written by several threads."""

    files: int
    sent: int = 0
    done: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    stage: str = "uploading"
    title: str = ""
    """What stands before the stage."""

    def note(self, job: str, status: dict[str, Any]) -> None:
        """A job's state as just read."""
        self.done[job] = status["done"] or 0
        self.total[job] = status["total"] or 0
        self.stage = status["stage"]


def find_files(paths: Sequence[Path]) -> list[File]:
    """The files that these paths name: files by name, folders with all they hold, but hidden ones and links that lead
    out of the folder.

    Raises `UsageProblem` for a path that is not there, and when nothing was found.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if path.is_file():
            found[path.name if path.name not in found else str(path)] = path
        elif path.is_dir():
            root = path.resolve()
            for inner in sorted(path.rglob("*")):
                name = inner.relative_to(path)
                hidden = any(part.startswith(".") for part in name.parts)
                if inner.is_file() and not hidden and inner.resolve().is_relative_to(root):
                    found[name.as_posix() if name.as_posix() not in found else str(inner)] = inner
        else:
            raise UsageProblem(f"there is no file or folder {path}")
    if not found:
        raise UsageProblem("there are no files in " + ", ".join(map(str, paths)))
    return list(found.items())


def batches(files: Iterable[File]) -> Iterator[list[File]]:
    """The files in order, in uploads of bounded size."""
    batch: list[File] = []
    size = 0
    for name, path in files:
        length = path.stat().st_size
        if batch and (len(batch) == BATCH_FILES or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((name, path))
        size += length
    if batch:
        yield batch


def upload(
    client: Client,
    store: str,
    files: Sequence[File],
    *,
    show: bool,
    fields: Mapping[str, str] | None = None,
    title: str = "",
) -> Report:
    """Put the files into the document store of this name (made when missing) and wait until they are searchable.

    `fields` go along with each upload, such as `splitter`; `show` draws a progress bar on stderr, after
    `title` where there is one. A file that cannot be
    read is in the report, not an error.
    """
    begun = time.monotonic()
    found = client.store(store) or client.post("/document-store/store", {"name": store})
    report = Report(found["id"], found["name"], len(files))
    progress = Progress(len(files), title=title)
    lock = threading.Lock()

    def send(batch: list[File]) -> None:
        try:
            path = client.upload(f"/document-store/upsert/{report.store_id}", batch, fields)
            status = follow(client, path, progress)
        except OSError as error:
            raise CommandError(f"a file cannot be read: {error}") from None
        with lock:
            progress.sent += len(batch)
            _settle(client, report, batch, status)

    with ThreadPoolExecutor(AHEAD) as pool:
        pending = [pool.submit(send, batch) for batch in batches(files)]
        try:
            if show:
                from service.cli.bar import draw

                draw(progress, lambda: all(future.done() for future in pending))
            for future in pending:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    report.seconds = time.monotonic() - begun
    return report


def follow(client: Client, path: str, progress: Progress | None = None) -> dict[str, Any]:
    """A job when it has ended."""
    while True:
        status: dict[str, Any] = client.get(path)
        if progress is not None:
            progress.note(path, status)
        if status["state"] not in ("queued", "running", "paused"):
            return status
        time.sleep(LOOK_SECONDS)


def _settle(client: Client, report: Report, batch: list[File], status: dict[str, Any]) -> None:
    if status["state"] == "done":
        for name in COUNTS:
            report.counts[name] += status["result"][name]
        report.failed += [(item["name"], item["message"]) for item in status["result"]["failed"]]
        return
    error = status["error"] or {"message": f"the job ended as {status['state']}"}
    reasons = {name: error["message"] for name, _ in batch}
    for document in client.get(f"/document-store/documents/{report.store_id}"):
        if document["name"] in reasons and document["error"]:
            reasons[document["name"]] = document["error"]
    report.failed += reasons.items()
