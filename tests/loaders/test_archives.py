import io
import zipfile
from pathlib import Path

import pytest

from loaders.archives import ArchiveLimits, check
from loaders.base import Failure, LoaderError

SMALL = ArchiveLimits(entries=10, unpacked_bytes=1 << 20, ratio=50, free_bytes=1 << 16)


def pack(folder: Path, parts: dict[str, bytes]) -> Path:
    file = folder / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return file


def failure(file: Path) -> Failure:
    with pytest.raises(LoaderError) as caught:
        check(file, SMALL)
    return caught.value.failure


def test_a_harmless_archive_tells_its_names(tmp_path: Path) -> None:
    assert check(pack(tmp_path, {"a.xml": b"<a/>", "b/c": b""}), SMALL) == {"a.xml", "b/c"}


def test_bombs_are_refused_by_what_they_declare(tmp_path: Path) -> None:
    assert failure(pack(tmp_path, {"a": bytes(500_000)})) is Failure.TOO_LARGE
    assert failure(pack(tmp_path, {"a": bytes(2_000_000)})) is Failure.TOO_LARGE
    assert failure(pack(tmp_path, {str(n): b"" for n in range(11)})) is Failure.TOO_LARGE


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    file = pack(tmp_path, {"a": bytes(500_000)})
    honest = (500_000).to_bytes(4, "little")
    data = file.read_bytes()
    assert data.count(honest) == 2
    file.write_bytes(data.replace(honest, (100).to_bytes(4, "little")))
    assert failure(file) is Failure.CORRUPT


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("a", b"x" * 5000)
        entry = made.infolist()[0]
        twin = zipfile.ZipInfo("b")
        for name in ("CRC", "compress_size", "file_size", "header_offset", "compress_type"):
            setattr(twin, name, getattr(entry, name))
        made.filelist.append(twin)
    file.write_bytes(data.getvalue())
    assert failure(file) is Failure.CORRUPT


def test_document_types_damage_and_passwords_are_refused(tmp_path: Path) -> None:
    assert (
        failure(pack(tmp_path, {"a.xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a/>'}))
        is Failure.CORRUPT
    )
    file = pack(tmp_path, {"a.bin": bytes(range(256)) * 40})
    data = bytearray(file.read_bytes())
    data[60] ^= 255
    file.write_bytes(data)
    assert failure(file) is Failure.CORRUPT
    file = pack(tmp_path, {"a": b"x"})
    data = bytearray(file.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    file.write_bytes(data)
    assert failure(file) is Failure.ENCRYPTED
