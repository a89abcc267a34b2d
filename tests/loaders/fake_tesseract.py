"""A stand-in for tesseract, as a program and in this process: it says how large a picture is, in tesseract's table."""

import sys
from pathlib import Path

from loaders.base import Failure, LoaderError
from loaders.ocr import Picture

TABLE = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"

PROGRAM = """#!{python} -IS
import struct, sys, zlib
if "--list-langs" in sys.argv:
    print("List of available languages (2):\\neng\\ndeu")
    sys.exit()
png, packed, at = sys.stdin.buffer.read(), b"", 8
assert png.startswith(b"\\x89PNG\\r\\n\\x1a\\n")
while at < len(png):
    end = at + 8 + int.from_bytes(png[at : at + 4], "big")
    assert zlib.crc32(png[at + 4 : end]) == int.from_bytes(png[end : end + 4], "big")
    packed += png[at + 8 : end] if png[at + 4 : at + 8] == b"IDAT" else b""
    at = end + 4
width, height, depth, *rest = struct.unpack("!IIBBBBB", png[16:29])
assert png[-8:-4] == b"IEND" and (depth, *rest) == (8, 0, 0, 0, 0)
assert len(zlib.decompress(packed)) == (width + 1) * height
{trick}
sys.stdout.write({head!r})
for number, word in enumerate(f"Picture of {{width}} x {{height}}".split()):
    print("5", 1, 1, 1, 1, number, 0, 0, 9, 9, 90.5, word, sep="\\t")
"""


def table(width: int, height: int) -> str:
    """What the program says of a picture."""
    words = f"Picture of {width} x {height}".split()
    return TABLE + "".join(f"5\t1\t1\t1\t1\t{number}\t0\t0\t9\t9\t90.5\t{word}\n" for number, word in enumerate(words))


def install(folder: Path, trick: str = "") -> str:
    """The path of a program that does as tesseract does; `trick` is Python that it runs once it has a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tesseract"
    path.write_text(PROGRAM.format(python=sys.executable, trick=trick, head=TABLE))
    path.chmod(0o755)
    return str(path)


class FakeReader:
    """The same without a process, for loaders that are called directly."""

    most_pixels = 100_000_000

    def __init__(self, failure: Failure | None = None) -> None:
        self._failure = failure
        self.sizes: list[tuple[int, int, int]] = []

    def read(self, picture: Picture) -> str:
        """The picture's size as a table."""
        assert len(picture.grey) == picture.width * picture.height
        self.sizes.append((picture.width, picture.height, picture.dpi))
        if self._failure is not None:
            raise LoaderError(self._failure, "no")
        return table(picture.width, picture.height)
