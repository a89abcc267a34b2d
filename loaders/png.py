"""Shades of grey as PNG (ISO/IEC 15948), block by block."""

import struct
import zlib

_QUICKLY = 1
"""zlib's level: higher ones take several times as long, and what is written is read once."""
_DEPTH, _GREY = 8, 0


class Png:
    """A picture in the making: what `begin`, `add` for its rows from the top, and `end` return makes the file."""

    def __init__(self, width: int, height: int) -> None:
        """`width` and `height` in pixels."""
        self._width, self._height = width, height
        self._packer = zlib.compressobj(_QUICKLY)

    def begin(self) -> bytes:
        """What stands before the pixels."""
        size = struct.pack("!IIBBBBB", self._width, self._height, _DEPTH, _GREY, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size)

    def add(self, rows: bytes) -> bytes:
        """The next rows, a byte a pixel; whole ones."""
        width = self._width
        # each row says how it is filtered: not at all
        plain = b"".join(b"\0" + rows[start : start + width] for start in range(0, len(rows), width))
        return _chunk(b"IDAT", self._packer.compress(plain))

    def end(self) -> bytes:
        """What stands behind the last row."""
        return _chunk(b"IDAT", self._packer.flush()) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(data, zlib.crc32(kind)))
