"""Archives that are damaged, forged or hostile are refused, and nothing of them stays."""

import asyncio
import gzip
import hashlib
import io
import json
import random
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.document_stores.archive.checking import check
from service.document_stores.archive.tar import BadArchive, header, members, padding
from service.errors import TooLarge
from service.settings import Settings
from tests.service.document_stores.talk import API, Talk, passages

Json = dict[str, Any]
Members = list[tuple[str, bytes]]

ROWS = """
    SELECT (SELECT count(*) FROM document_stores) AS stores, (SELECT count(*) FROM loaders) AS loaders,
    (SELECT count(*) FROM documents) AS documents, (SELECT count(*) FROM chunks) AS chunks,
    (SELECT count(*) FROM collections) AS collections, (SELECT count(*) FROM lexical_indexes) AS indexes,
    (SELECT count(*) FROM pg_tables WHERE tablename LIKE 'vectors_%%') AS tables
"""


def taken_apart(archive: bytes) -> Members:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return [(item.name, tar.extractfile(item).read()) for item in tar]  # type: ignore[union-attr]


def put_together(parts: Members, *, sums: bool = True) -> bytes:
    """The archive of these members, by default with sums that fit, as one who forges it would make them."""
    if sums:
        parts = [part for part in parts if part[0] != "checksums.json"]
        blobs = sum(name.startswith("blobs/") for name, _ in parts)
        found = {name: hashlib.sha256(data).hexdigest() for name, data in parts if not name.startswith("blobs/")}
        parts.append(("checksums.json", json.dumps({"members": found, "blobs": blobs}).encode()))
    pieces = [piece for name, data in parts for piece in (header(name, len(data)), data, padding(len(data)))]
    return b"".join(pieces) + bytes(1024)


async def some_archive(talk: Talk) -> bytes:
    """A small archive with everything in it; its document store is gone again."""
    store = await talk.store("Small")
    await talk.upsert(store, ("a.txt", passages("Alpha", "Beta")), ("b.txt", passages("Gamma")), metadata={"n": 1})
    archive = (await talk.client.get(f"{API}/store/{store}/export")).content
    assert (await talk.client.delete(f"{API}/store/{store}")).status_code == 200
    await talk.settled()
    return archive


async def send(talk: Talk, archive: bytes) -> httpx.Response:
    return await talk.client.post(f"{API}/import", content=archive)


async def left(talk: Talk) -> tuple[Json, list[str]]:
    """Everything that an import could leave behind, once nothing is under way."""
    await talk.settled()
    return dict((await talk.rows(ROWS))[0]), sorted([key async for key in talk.resources.blobs.keys()])  # noqa: SIM118


async def leaves(talk: Talk, before: tuple[Json, list[str]]) -> None:
    """Soon there is what was there before; what follows a failed job may be a moment behind."""
    for _ in range(100):
        if await left(talk) == before:
            break
        await asyncio.sleep(0.05)
    assert await left(talk) == before


def lines(change: Callable[[list[Json]], None]) -> Callable[[bytes], bytes]:
    """A change to the lines of a member."""

    def changed(data: bytes) -> bytes:
        values = [json.loads(line) for line in data.splitlines()]
        change(values)
        return b"".join(json.dumps(value).encode() + b"\n" for value in values)

    return changed


def manifest(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda data: json.dumps({**json.loads(data), **changes}).encode()


def first(**changes: Any) -> Callable[[bytes], bytes]:
    return lines(lambda values: values[0].update(changes))


FORGED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("manifest.json", manifest(format="other"), "no archive of a document store"),
    ("manifest.json", manifest(version=2), "version 2 is unknown"),
    ("manifest.json", manifest(version="1"), "version '1' is unknown"),
    ("manifest.json", manifest(workspace="x"), "workspace"),
    ("manifest.json", manifest(counts={"loaders": 1, "documents": 2, "chunks": 9}), "9 chunks are announced"),
    ("manifest.json", manifest(counts={"loaders": 2, "documents": 2, "chunks": 3}), "2 loaders are announced"),
    ("manifest.json", manifest(fingerprint=None), "vectors without a fingerprint"),
    ("manifest.json", manifest(name=""), "name"),
    (
        "manifest.json",
        manifest(record_manager={"name": "SQLiteRecordManager", "config": {"cleanup": "x"}, "credential": False}),
        "recordManager.config.cleanup",
    ),
    (
        "manifest.json",
        manifest(vector_store={"name": "postgres", "config": {"topK": "many"}, "credential": False}),
        "topK",
    ),
    ("manifest.json", manifest(name="a\u0000b"), "NUL"),
    ("manifest.json", lambda data: data[:-3], "damaged"),
    ("manifest.json", lambda _: b"[" * 100_000, "damaged"),
    ("loaders.jsonl", first(kept="yes"), "kept"),
    ("documents.jsonl", first(loader=7), "there is no loader 7"),
    ("documents.jsonl", first(sha256="../../etc/passwd"), "sha256"),
    ("documents.jsonl", first(size=-1), "size"),
    ("documents.jsonl", first(state="pending"), "state"),
    ("documents.jsonl", first(recipe={"loader": "text"}), "recipe"),
    ("documents.jsonl", lines(lambda values: values[0]["recipe"].update(loader=5)), "recipe.loader"),
    ("documents.jsonl", lines(lambda values: values[0]["recipe"].update(loaderOptions=[])), "recipe.loaderOptions"),
    ("documents.jsonl", lines(lambda values: values[0]["recipe"].update(metadata="x")), "recipe.metadata"),
    ("documents.jsonl", lines(lambda values: values[0]["recipe"].update(title={})), "recipe.title"),
    ("documents.jsonl", first(principals=["user:anna "]), "principals"),
    ("documents.jsonl", lines(lambda values: values[1].update(source=values[0]["source"])), "has this source"),
    ("documents.jsonl", lambda data: data[:-1], "no end"),
    ("chunks-00000.jsonl", first(key="0" * 32), "key"),
    ("chunks-00000.jsonl", lines(lambda values: values[1].update(key=values[0]["key"])), "two have one key"),
    ("chunks-00000.jsonl", first(document=9), "there is no document 9"),
    ("chunks-00000.jsonl", first(document=1), "not in order"),
    ("chunks-00000.jsonl", first(text=7), "text"),
    ("chunks-00000.jsonl", first(text="half \ud800"), "half a character"),
    ("chunks-00000.jsonl", first(metadata=[1]), "metadata"),
    ("chunks-00000.jsonl", first(metadata={"a": json.loads("[" * 200 + "]" * 200)}), "nested"),
    ("chunks-00000.jsonl", first(text=" \n"), "has no text"),
    ("chunks-00000.jsonl", first(indexed=False), "not indexed has a vector"),
    ("chunks-00000.jsonl", first(workspace_id="7"), "workspace_id"),
    ("chunks-00000.jsonl", lines(lambda values: values.clear()), "is empty"),
    ("chunks-00000.jsonl", lines(lambda values: values.__delitem__(0)), "must hold 2 vectors"),
    ("vectors-00000.f32", lambda data: data[:-4], "must hold 3 vectors of 16 numbers"),
    ("vectors-00000.f32", lambda data: struct.pack("<f", float("nan")) + data[4:], "not finite"),
]


@pytest.mark.usefixtures("worker")
async def test_forged_archives_are_refused_and_leave_nothing(talk: Talk) -> None:
    archive = await some_archive(talk)
    parts = taken_apart(archive)
    before = await left(talk)
    for name, change, message in FORGED:
        forged = put_together([(each, change(data) if each == name else data) for each, data in parts])
        response = await send(talk, forged)
        assert response.status_code == 422, (name, message, response.text)
        assert message in response.json()["message"], (name, message, response.text)
        assert response.json()["code"] == "bad_archive"
    await leaves(talk, before)
    assert (await send(talk, put_together(parts))).status_code == 200


@pytest.mark.usefixtures("worker")
async def test_members_that_are_missing_moved_doubled_or_strange_are_refused(talk: Talk) -> None:
    parts = taken_apart(await some_archive(talk))
    before = await left(talk)
    rest, sums = parts[:-1], parts[-1]
    blob = next(name for name, _ in parts if name.startswith("blobs/"))
    other = hashlib.sha256(b"x").hexdigest()
    cases = [put_together([*rest[:place], *rest[place + 1 :]]) for place in range(5)]
    cases += [
        put_together([*rest[:place], rest[place + 1], rest[place], *rest[place + 2 :]])
        for place in range(len(rest) - 1)
    ]
    cases += [put_together([*rest[: place + 1], *rest[place:]]) for place in range(len(rest))]
    cases += [
        put_together([*rest, (name, b"x")])
        for name in ("../../../etc/cron.d/x", "/etc/passwd", "blobs/../x", f"blobs/{other}", "blobs/" + "0" * 64, "con")
    ]
    cases.append(put_together([(name, data + b"x" if name == blob else data) for name, data in rest]))
    cases += [
        put_together(case, sums=False)
        for case in ([*parts, sums], [*parts, rest[0]], rest, [*rest[:-1], sums, rest[-1]], [*rest[:-1], sums])
    ]
    cases.append(put_together(parts, sums=False) + b"something more")
    for number, case in enumerate(cases):
        response = await send(talk, case)
        assert (response.status_code, response.json()["code"]) == (422, "bad_archive"), (number, response.text)
    await leaves(talk, before)


def bombs() -> list[bytes]:
    """Small files that claim or become something large, and what is no plain file."""
    huge = tarfile.TarInfo("manifest.json")
    huge.size = 2**62
    found = [huge.tobuf(tarfile.GNU_FORMAT) + b"{}", header("manifest.json", 2**33) + b"{" * 2000]
    for kind in (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        b"S",
        b"x",
        b"L",
    ):
        member = tarfile.TarInfo("manifest.json")
        member.type, member.linkname, member.size = kind, "/etc/passwd", 0
        found.append(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    packer = zlib.compressobj(9, wbits=31)
    zeros = [packer.compress(header("manifest.json", 2**40))] + [packer.compress(bytes(2**20)) for _ in range(200)]
    found.append(b"".join(zeros) + packer.flush())
    found += [b"", b"\x1f\x8b", b"not a tar at all", bytes(10240), gzip.compress(b""), b"\x1f\x8b" + b"x" * 3000]
    return found


@pytest.mark.usefixtures("worker")
async def test_bombs_are_refused_and_leave_nothing(talk: Talk) -> None:
    before = await left(talk)
    for bomb in bombs():
        response = await send(talk, bomb)
        assert (response.status_code, response.json()["code"]) == (422, "bad_archive"), (bomb[:100], response.text)
    await leaves(talk, before)


@pytest.mark.usefixtures("worker")
async def test_whatever_byte_is_flipped_or_cut_off_is_noticed(talk: Talk, settings: Settings, tmp_path: Path) -> None:
    archive = await some_archive(talk)
    packed = gzip.compress(archive)
    path = tmp_path / "archive"

    def refused(data: bytes) -> bool:
        path.write_bytes(data)
        try:
            check(path, settings)
        except (BadArchive, TooLarge):
            return True
        return False

    assert not refused(archive)
    assert not refused(packed)

    @hypothesis_settings(max_examples=250, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=False), st.booleans())
    def flip(chance: random.Random, whole: bool) -> None:
        data = bytearray(archive if whole else packed)
        at = chance.randrange(len(data) if whole else len(data) - 8)
        if not whole and at < 10:  # time, flags for humans: gzip does not guard its own header
            return
        data[at] ^= 1 << chance.randrange(8)
        assert refused(bytes(data)), (at, whole)

    @hypothesis_settings(max_examples=100, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.floats(0, 0.999), st.booleans())
    def cut(share: float, whole: bool) -> None:
        end = len(archive.rstrip(b"\0")) if whole else len(packed)
        assert refused((archive if whole else packed)[: int(share * end)])

    flip()
    cut()
    for place in random.Random(7).sample(range(512, len(archive.rstrip(b"\0"))), 12):
        damaged = archive[:place] + bytes([archive[place] ^ 0xFF]) + archive[place + 1 :]
        assert (await send(talk, damaged)).status_code == 422
    stores = await talk.client.get(f"{API}/store")
    assert stores.json() == []


@given(st.binary(max_size=3000))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    for start in (b"", header("manifest.json", 700)):
        try:
            for member in members(io.BytesIO(start + data)):
                member.read()
        except BadArchive:
            continue


@pytest.mark.usefixtures("worker")
async def test_limits_of_this_service_hold_for_archives(talk: Talk, settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(await some_archive(talk))
    for limit in ({"max_chunks": 2}, {"max_upload": 10, "max_request": 10}):
        with pytest.raises(TooLarge, match=next(iter(limit))):
            check(path, settings.model_copy(update=limit))
