"""What a file that comes with a question is, by what it holds; and whether its name says the same."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from loaders import LOADERS, ole
from loaders.detect import is_pdf
from loaders.image import is_image
from loaders.unicode import is_binary
from service.attachments.kinds import types_of
from service.errors import Unprocessable

HEAD = 64 * 1024
"""Bytes that are looked at."""

PICTURES = {
    "image/gif": (".gif",),
    "image/jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "image/png": (".png",),
    "image/webp": (".webp",),
}
"""Pictures that models read, and the suffixes of their names."""

_OLE = ("doc", "msg", "xls")
_ZIP = ("docx", "epub", "odt", "ods", "pptx", "xlsx")
_BINARY = frozenset({"image", "pdf", "rtf", *_OLE, *_ZIP})
_TEXT = tuple(name for name in LOADERS if name not in _BINARY)


class UnfitName(Unprocessable):
    """A file is something else than its name says."""

    code = "unfit_name"


@dataclass(frozen=True, slots=True)
class SoundKind:
    """A kind of sound file. `suffix` is what services of speech to text know it by."""

    mime: str
    suffix: str


WEBM, OGG, MP4 = SoundKind("audio/webm", ".webm"), SoundKind("audio/ogg", ".ogg"), SoundKind("audio/mp4", ".m4a")
WAV, MP3, FLAC = SoundKind("audio/wav", ".wav"), SoundKind("audio/mpeg", ".mp3"), SoundKind("audio/flac", ".flac")


def picture_type(content: bytes) -> str | None:
    """The MIME type of a picture that models read; None for everything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def sound_kind(content: bytes) -> SoundKind | None:
    """The kind of a sound file, as browsers record and people send them; None for everything else."""
    if content.startswith(b"\x1aE\xdf\xa3"):
        return WEBM
    if content.startswith(b"OggS"):
        return OGG
    if content[4:8] == b"ftyp":
        return MP4
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        return WAV
    if content.startswith(b"fLaC"):
        return FLAC
    if content.startswith(b"ID3") or (content[:1] == b"\xff" and content[1:2] in b"\xfb\xf3\xf2\xfa" and content[1:2]):
        return MP3
    return None


def suffix_of(name: str) -> str:
    """The suffix of a file's name in lower case; empty without one."""
    return PurePosixPath(name).suffix.lower()


def checked_picture(place: str, name: str, mime: str) -> None:
    """Raises `UnfitName` for a picture whose name says that it is something else."""
    suffix = suffix_of(name)
    if suffix and suffix not in PICTURES[mime]:
        raise UnfitName(f"{place}: is a picture ({mime}), which its name does not say: {suffix}")


def document_type(place: str, name: str, content: bytes) -> str:
    """The MIME type of a document. Raises `UnfitName` where its name says something else, and for what is none."""
    head = content[:HEAD]
    candidates = _candidates(head)
    if not candidates:
        raise UnfitName(f"{place}: is no file of a kind that is read here")
    suffix = suffix_of(name)
    said = next((row for row, about in LOADERS.items() if suffix in about.suffixes), "") if suffix else ""
    if said in candidates:
        return types_of(said, name)[0]
    if said or (suffix and candidates != _TEXT) or (len(candidates) > 1 and candidates != _TEXT):
        raise UnfitName(f"{place}: is something else than its name says: {suffix or 'no suffix'}")
    return types_of(candidates[0], name)[0] if len(candidates) == 1 else "text/plain"


def _candidates(head: bytes) -> tuple[str, ...]:
    """The loaders that may read a file which begins so."""
    if head.startswith(ole.MAGIC):
        return _OLE
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _ZIP
    if head.startswith(b"{\\rtf"):
        return ("rtf",)
    if is_image(head):
        return ("image",)
    if is_pdf(head):
        return ("pdf",)
    return () if is_binary(head) else _TEXT
