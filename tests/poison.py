"""Files that are made to hurt a parser, at a size that is quick to make."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from PIL import Image

LAUGHS = (
    '<!DOCTYPE r [<!ENTITY a "ha ha ha ha ">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
"""Nine levels of entities, ten of the lower in each: 12 GB once expanded."""

TYPES = b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def archive(parts: Mapping[str, bytes]) -> bytes:
    """A ZIP archive of the parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return file.getvalue()


def ratio_bomb() -> bytes:
    """A Word document that unpacks to a thousand times its size."""
    return archive({"[Content_Types].xml": TYPES, "word/document.xml": b" " * 80_000_000})


def nested_bomb() -> bytes:
    """A Word document of archives of archives."""
    inner = archive({"a": bytes(5_000_000)})
    for level in range(4):
        inner = archive({f"{level}-{number}.zip": inner for number in range(16)})
    return archive({"[Content_Types].xml": TYPES, "word/document.xml": b"<a/>", "word/more.zip": inner})


def directory(entries: int, *, overlap: bool = False) -> bytes:
    """An archive whose directory names `entries` parts; with `overlap` all of them are the same megabytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = b"a" * 1_000_000 if overlap else b""
    data = packer.compress(raw) + packer.flush()
    checksum = zlib.crc32(raw)
    common = struct.pack("<HHHHIII", 0, 8, 0, 33, checksum, len(data), len(raw))
    local = b"PK\3\4" + b"\x14\0" + common + struct.pack("<HH", 13, 0) + b"word/00000000" + data
    rows = b"".join(
        b"PK\1\2\x14\0\x14\0" + common + struct.pack("<HHHHHII", 13, 0, 0, 0, 0, 0, 0) + b"word/%08d" % number
        for number in range(entries)
    )
    start = len(local)
    wide = b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, entries, entries, len(rows), start)
    there = b"PK\6\7" + struct.pack("<IQI", 0, start + len(rows), 1)
    count, size = min(entries, 0xFFFF), min(len(rows), 0xFFFFFFFF)
    return local + rows + wide + there + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, size, start, 0)


def sheet(cells: str, dimension: str = "A1:XFD1048576") -> bytes:
    """A workbook of one sheet with these rows."""
    main = f'xmlns="{SHEET}"'
    links = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return archive(
        {
            "[Content_Types].xml": TYPES,
            "_rels/.rels": f'<Relationships {links}><Relationship Id="r" Type="{kind}/officeDocument"'
            ' Target="xl/workbook.xml"/></Relationships>'.encode(),
            "xl/workbook.xml": f'<workbook {main} xmlns:r="{kind}"><sheets><sheet name="S" sheetId="1" r:id="s"/>'
            "</sheets></workbook>".encode(),
            "xl/_rels/workbook.xml.rels": f'<Relationships {links}><Relationship Id="s" Type="{kind}/worksheet"'
            ' Target="worksheets/sheet1.xml"/></Relationships>'.encode(),
            "xl/worksheets/sheet1.xml": f'<worksheet {main}><dimension ref="{dimension}"/><sheetData>{cells}'
            "</sheetData></worksheet>".encode(),
        }
    )


def pdf(objects: Iterable[bytes]) -> bytes:
    """A PDF of the objects, numbered from 1; the first is its catalogue."""
    parts = [b"%PDF-1.7\n"]
    places = []
    at = len(parts[0])
    for number, body in enumerate(objects, start=1):
        places.append(at)
        parts.append(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        at += len(parts[-1])
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(places) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table))
    parts.append(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, at))
    return b"".join(parts)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """The body of a stream object."""
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (entries, len(data), data)


CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"
BOX = b"/MediaBox[0 0 600 800]"


def pdf_of(content: bytes, resources: bytes, *more: bytes) -> bytes:
    """A PDF of one page; `more` are the objects from 5 on."""
    page = b"<</Type/Page/Parent 2 0 R%s/Contents 4 0 R/Resources<<%s>>>>" % (BOX, resources)
    return pdf([CATALOGUE, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream(content), *more])


def recursive_forms() -> bytes:
    """A form that draws itself a thousand times."""
    form = stream(b"/F Do " * 1000, b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</F 5 0 R>>>>")
    return pdf_of(b"/F Do", b"/XObject<</F 5 0 R>>", form)


def forms_of_forms(levels: int = 12) -> bytes:
    """Each form draws the next one ten times."""
    head = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources"
    inner = [stream(b"/F Do " * 10, head + b"<</XObject<</F %d 0 R>>>>" % (6 + level)) for level in range(levels)] + [
        stream(b"0 0 9 9 re f", head + b"<<>>")
    ]
    return pdf_of(b"/F Do", b"/XObject<</F 5 0 R>>", *inner)


def endless_line(words: int) -> bytes:
    """A page on which the same word is shown again and again, packed."""
    shown = zlib.compress(b"BT /F 1 Tf 50 700 Td " + b"(aaaaaaaaaaaaaaaaaaaa) Tj " * words + b"ET", 9)
    font = b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
    page = b"<</Type/Page/Parent 2 0 R%s/Contents 4 0 R/Resources<<%s>>>>" % (BOX, font)
    return pdf([CATALOGUE, b"<</Type/Pages/Kids[3 0 R]/Count 1>>", page, stream(shown, b"/Filter/FlateDecode")])


def page_cycle() -> bytes:
    """A tree of pages that is its own child."""
    return pdf([CATALOGUE, b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 100000>>", b"<</Type/Pages/Kids[2 0 R]/Count 9>>"])


def many_pages(count: int) -> bytes:
    """Pages without number."""
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(count))
    page = b"<</Type/Page/Parent 2 0 R%s>>" % BOX
    return pdf([CATALOGUE, b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count), *[page] * count])


def many_objects(count: int) -> bytes:
    """Objects that nothing needs, and one page of text."""
    font = b"/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
    return pdf_of(b"BT /F 12 Tf 50 700 Td (Lost among objects) Tj ET", font, *[b"<</A 1>>"] * count)


def pdf_with_picture(side: int) -> bytes:
    """A page that shows a picture of `side` x `side` dots."""
    data = zlib.compress(bytes(side * side // 8), 9)
    image = stream(
        data,
        b"/Type/XObject/Subtype/Image/Width %d/Height %d/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/FlateDecode"
        % (side, side),
    )
    return pdf_of(b"600 0 0 800 0 0 cm /I Do", b"/XObject<</I 5 0 R>>", image)


def png(side: int) -> bytes:
    """A picture that says that it has `side` x `side` dots."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


def tiff_of_itself() -> bytes:
    """A TIFF whose last page names the first as the next."""
    file = io.BytesIO()
    image = Image.new("L", (1100, 20))
    image.save(file, "TIFF")
    data = bytearray(file.getvalue())
    start = struct.unpack_from("<I", data, 4)[0]
    after = start + 2 + 12 * struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, after, start)
    return bytes(data)


def xml_of(count: int) -> bytes:
    """Elements without number."""
    return b"<r>" + b"<a>x</a>\n<b/>" * count + b"</r>"


def laughing(kind: str) -> bytes:
    """A document of this kind that defines entities of entities and uses them."""
    text = f"{LAUGHS}<r>&i;</r>"
    made: dict[str, Callable[[], bytes]] = {
        "xml": lambda: text.encode(),
        "svg": lambda: f'{LAUGHS}<svg xmlns="http://www.w3.org/2000/svg"><text>&i;</text></svg>'.encode(),
        "html": lambda: f"<!DOCTYPE html><html><body>{text}<p>Readable.</p></body></html>".encode(),
        "docx": lambda: archive({"[Content_Types].xml": TYPES, "word/document.xml": text.encode()}),
        "xlsx": lambda: archive({"[Content_Types].xml": TYPES, "xl/workbook.xml": text.encode()}),
        "odt": lambda: archive(
            {
                "mimetype": b"application/vnd.oasis.opendocument.text",
                "content.xml": text.replace("<r>", '<o:r xmlns:o="urn:o">').replace("</r>", "</o:r>").encode(),
            }
        ),
    }
    return made[kind]()


def nested_json(depth: int) -> bytes:
    """Lists in lists."""
    return b"[" * depth + b'"core"' + b"]" * depth


def line_of(length: int, words: Sequence[bytes] = (b"a",)) -> bytes:
    """One line."""
    unit = b" ".join(words)
    return unit * (length // len(unit))
