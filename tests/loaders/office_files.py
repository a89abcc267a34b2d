"""Builds small old Office files and archives for tests: an OLE container, a DOC, a MSG, an ODF package."""

import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
PROPERTIES = "__properties_version1.0"


@dataclass
class _Entry:
    name: str
    kind: int
    data: bytes = b""
    children: list[int] = field(default_factory=list)
    start: int = _END


def ole(streams: Mapping[str, bytes]) -> bytes:
    """A container with these streams; `/` in a name stands for a storage."""
    entries = [_Entry("Root Entry", 5)]
    known: dict[str, int] = {"": 0}
    for path, data in streams.items():
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            here = "/".join(parts[:depth])
            if here not in known:
                known[here] = len(entries)
                entries[known["/".join(parts[: depth - 1])]].children.append(len(entries))
                whole = depth == len(parts)
                entries.append(_Entry(parts[depth - 1], 2 if whole else 1, data if whole else b""))
    fat: list[int] = []
    body = bytearray()
    mini, minifat = bytearray(), list[int]()
    for entry in entries[1:]:
        if not entry.data:
            continue
        if len(entry.data) < _CUTOFF:
            entry.start = _chain(minifat, mini, entry.data, _MINI)
        else:
            entry.start = _chain(fat, body, entry.data, _SECTOR)
    if mini:
        entries[0].data = bytes(mini)
        entries[0].start = _chain(fat, body, bytes(mini), _SECTOR)
    mini_at = _chain(fat, body, struct.pack(f"<{len(minifat)}I", *minifat), _SECTOR, b"\xff") if minifat else _END
    directory_at = _chain(fat, body, b"".join(map(_packed, _linked(entries))), _SECTOR)
    count = 1
    while (len(fat) + count) * 4 > count * _SECTOR:
        count += 1
    fat_at = len(fat)
    fat += [_FAT] * count
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(count * _SECTOR, b"\xff")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6xIIIII", 0x3E, 3, 0xFFFE, 9, 6, 0, count, directory_at, 0, _CUTOFF)
    header += struct.pack("<IIII", mini_at, -(-len(minifat) * 4 // _SECTOR), _END, 0)
    places = [*range(fat_at, fat_at + count)]
    return header + struct.pack("<109I", *places, *[_FREE] * (109 - count)) + bytes(body) + table


def _chain(fat: list[int], body: bytearray, data: bytes, size: int, fill: bytes = b"\0") -> int:
    first = len(fat)
    sectors = -(-len(data) // size)
    fat += [*range(first + 1, first + sectors), _END]
    body += data.ljust(sectors * size, fill)
    return first


def _linked(entries: list[_Entry]) -> list[tuple[_Entry, int, int]]:
    right = [_FREE] * len(entries)
    child = [_FREE] * len(entries)
    for index, entry in enumerate(entries):
        if entry.children:
            child[index] = entry.children[0]
            for one, other in zip(entry.children, entry.children[1:], strict=False):
                right[one] = other
    return list(zip(entries, right, child, strict=True))


def _packed(linked: tuple[_Entry, int, int]) -> bytes:
    entry, right, child = linked
    name = (entry.name + "\0").encode("utf-16-le")
    made = name.ljust(64, b"\0") + struct.pack("<HBBIII", len(name), entry.kind, 1, _FREE, right, child)
    return made + bytes(36) + struct.pack("<IQ", entry.start, len(entry.data))


def doc(text: str, *, notes: str = "", flags: int = 0) -> bytes:
    """A Word document whose text is one piece of UTF-16 and, after it, one of Windows-1252 with the footnotes."""
    first, second = text.encode("utf-16-le"), notes.encode("cp1252")
    head = bytearray(0x400)
    struct.pack_into("<HH", head, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", head, 0x0A, 0x0200 | flags)
    struct.pack_into("<II", head, 0x4C, len(text), len(notes))
    table = struct.pack("<III", 0, len(text), len(text) + len(notes))
    table += struct.pack("<HIHHIH", 0, len(head), 0, 0, (len(head) + len(first)) * 2 | 0x40000000, 0)
    clx = b"\x01\x02\0xx" + b"\x02" + struct.pack("<I", len(table)) + table
    struct.pack_into("<II", head, 0x01A2, 16, len(clx))
    return ole({"WordDocument": bytes(head) + first + second, "1Table": bytes(16) + clx})


def msg(
    fields: Mapping[str, str | bytes],
    attachments: Mapping[str, bytes] | None = None,
    *,
    sent: int = 0,
    within: str = "",
) -> dict[str, bytes]:
    """The streams of an Outlook mail by its property numbers; `sent` is in units of 100 ns since 1601."""
    header = bytes(24 if within else 32)
    made = {within + PROPERTIES: header + struct.pack("<HHIQ", 0x40, 0x0039, 6, sent)}
    made |= _properties(within, fields)
    for number, (name, data) in enumerate((attachments or {}).items()):
        folder = f"{within}__attach_version1.0_#{number:08X}/"
        made[folder + PROPERTIES] = bytes(8)
        made |= _properties(folder, {"3707": name, "3701": data})
    return made


def _properties(folder: str, fields: Mapping[str, str | bytes]) -> dict[str, bytes]:
    return {
        f"{folder}__substg1.0_{key}{'001F' if isinstance(value, str) else '0102'}": (
            value.encode("utf-16-le") if isinstance(value, str) else value
        )
        for key, value in fields.items()
    }


def package(parts: Mapping[str, str | bytes], start: str = "") -> bytes:
    """A ZIP archive of these parts; `start` becomes its first, uncompressed part `mimetype`."""
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as made:
        if start:
            made.writestr(zipfile.ZipInfo("mimetype"), start)
        for name, part in parts.items():
            made.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return data.getvalue()


def parts(data: bytes) -> dict[str, bytes]:
    """The parts of a ZIP archive by their names."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


_SPACES = (
    " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for short, name in (
            ("office", "office"),
            ("text", "text"),
            ("table", "table"),
            ("draw", "drawing"),
            ("style", "style"),
            ("chart", "chart"),
            ("presentation", "presentation"),
        )
    )
    + ' xmlns:xlink="http://www.w3.org/1999/xlink"'
)


def opendocument(
    kind: str,
    body: str,
    *,
    title: str = "",
    styles: str = "",
    named: str = "",
    embedded: Mapping[str, str] | None = None,
) -> bytes:
    """An ODF package whose body is `body`; `kind` is `text`, `spreadsheet` or `presentation`. `styles` are the
    automatic ones, `named` those of the document; `embedded` are the charts in it, or other files, by their names."""
    content = (
        f"<office:document-content {_SPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    meta = (
        f'<office:document-meta {_SPACES} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta>'
        f"<dc:title>{title}</dc:title></office:meta></office:document-meta>"
    )
    parts = {"content.xml": content, "meta.xml": meta}
    if named:
        parts["styles.xml"] = (
            f"<office:document-styles {_SPACES}><office:styles>{named}</office:styles></office:document-styles>"
        )
    for name, inner in (embedded or {}).items():
        chart = f"<office:body><office:chart>{inner}</office:chart></office:body>"
        whole = f"<office:document-content {_SPACES}>{chart}</office:document-content>"
        parts[f"{name}/content.xml"] = whole if inner.startswith("<chart:") else inner
    return package(parts, f"application/vnd.oasis.opendocument.{kind}")


def tnef(message: Mapping[int, str | bytes], *attachments: Mapping[int, str | bytes], subject: str = "") -> bytes:
    """A mail as Outlook packs it (`winmail.dat`), by the properties of its message and its attachments: texts, and
    bytes. An attachment's bytes are in an attribute of their own, as there, those of a mail are not."""
    parts = [struct.pack("<IH", 0x223E9F78, 1), _attribute(1, 0x9007, struct.pack("<II", 1252, 0))]
    parts += [_attribute(1, 0x8004, subject.encode("cp1252") + b"\0")] if subject else []
    parts.append(_attribute(1, 0x9003, _mapi(message)))
    for attachment in attachments:
        data = attachment.get(0x3701, b"")
        parts.append(_attribute(2, 0x9002, bytes(14)))
        if isinstance(data, bytes) and data and not data.startswith(bytes(16)):
            parts.append(_attribute(2, 0x800F, data))
            attachment = {key: attachment[key] for key in attachment if key != 0x3701}
        parts.append(_attribute(2, 0x9005, _mapi(attachment)))
    return b"".join(parts)


def _attribute(level: int, name: int, data: bytes) -> bytes:
    return struct.pack("<BHHI", level, name, 6, len(data)) + data + struct.pack("<H", sum(data) % 65536)


def _mapi(values: Mapping[int, str | bytes]) -> bytes:
    """Before the values stand a number, one with a name, and one of several values: what a reader has to step over."""
    made = [struct.pack("<IHHI", len(values) + 3, 0x03, 0x0017, 1)]
    name = "Keywords".encode("utf-16-le")
    made.append(struct.pack("<HH16xII", 0x03, 0x8001, 1, len(name)) + name + struct.pack("<I", 7))
    made.append(struct.pack("<HHIII", 0x1003, 0x6001, 2, 8, 9))
    for key, value in values.items():
        kind = 0x1F if isinstance(value, str) else 0x40 if key == 0x0039 else 0x102
        data = value.encode("utf-16-le") + b"\0\0" if isinstance(value, str) else value
        head = struct.pack("<HH", kind, key) + (b"" if kind == 0x40 else struct.pack("<II", 1, len(data)))
        made.append(head + data + bytes(-len(data) % 4))
    return b"".join(made)
