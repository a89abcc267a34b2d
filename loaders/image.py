"""Pictures of text (PNG, JPEG, TIFF, BMP, WebP, GIF) by OCR, a document a page."""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document

from loaders import ocr
from loaders.base import Failure, Loader, LoaderError, Source, document

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a")
_SMALL = 1000
"""A picture with no longer side is likely a screenshot or a photo of few dots: it is read at twice its size."""
_PLAUSIBLE_DPI = range(70, 1201)
_ORIENTATION = 0x0112
_BROKEN = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, OverflowError, AttributeError, struct.error,
    zlib.error,
)  # fmt: skip
"""What Pillow raises on damaged files."""


class ImageLoader(Loader):
    """A document for the picture, of animations the first frame, or one for each page of a TIFF (`page`, `pages`).

    Their text is what tesseract reads, with its confidence in percent as `ocr_confidence`. A picture without any text
    is EMPTY, one with more pixels than the reader takes is TOO_LARGE before it is decoded, and without tesseract every
    picture is OCR_UNAVAILABLE.
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The pages in order."""
        pages = [ocr.recognise(source, picture) for picture in _pictures(source)]
        found = False
        for number, page in enumerate(pages, start=1):
            made = document(source, page.text, ocr_confidence=page.confidence)
            if made is not None:
                if len(pages) > 1:
                    made.metadata.update(page=number, pages=len(pages))
                found = True
                yield made
        if not found:
            raise LoaderError(Failure.EMPTY, "No text was found in the picture.")


def is_image(head: bytes) -> bool:
    """Whether a file that begins with `head` is of a kind that this loader reads."""
    if head.startswith(b"BM"):
        return head[6:10] == bytes(4)
    return head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _pictures(source: Source) -> Iterator[ocr.Picture]:
    from PIL import Image

    with source.open() as file:
        if not file.read(64).strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        file.seek(0)
        # Sizes are checked here, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None
        try:
            with Image.open(file, formats=_FORMATS) as image:
                number = 0
                while number == 0 or (image.format == "TIFF" and _has_page(image, number)):
                    yield _picture(source, image)
                    number += 1
        except _BROKEN as error:
            raise LoaderError(Failure.CORRUPT, "The picture is damaged.") from error


def _has_page(image: "Image.Image", number: int) -> bool:
    try:
        image.seek(number)
    except EOFError:
        return False
    return True


def _picture(source: Source, image: "Image.Image") -> ocr.Picture:
    """The current frame, upright, in grey on white."""
    ocr.check_pixels(source, *image.size)
    dpi = _dpi(image)
    if image.format == "JPEG":  # decodes at a fraction of the size, where that suffices
        share = ocr.scale_to_fit(*image.size)
        image.draft("L", (int(image.width * share), int(image.height * share)))
    turned = image.getexif().get(_ORIENTATION)
    grey = _upright(_grey(image), turned)
    size = grey.size
    if max(size) <= _SMALL:
        grey = grey.resize((size[0] * 2, size[1] * 2))
    elif (share := ocr.scale_to_fit(*size)) < 1:
        grey = grey.resize((max(1, int(size[0] * share)), max(1, int(size[1] * share))))
    dpi = dpi * grey.width // size[0]
    return ocr.Picture(grey.width, grey.height, dpi if dpi in _PLAUSIBLE_DPI else 0, grey.tobytes())


def _dpi(image: "Image.Image") -> int:
    try:
        return round(float(image.info.get("dpi", (0,))[0]))
    except (TypeError, ValueError, LookupError, ZeroDivisionError, OverflowError):
        return 0


def _grey(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a pixel and more
        low, high = image.getextrema()
        span = float(high) - float(low) or 1.0  # type: ignore[arg-type]  # such images have one band
        return image.point(lambda value: (value - float(low)) * (255 / span)).convert("L")  # type: ignore[arg-type]
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        whole = image.convert("RGBA")
        paper = Image.new("RGBA", whole.size, "white")
        return Image.alpha_composite(paper, whole).convert("L")
    return image.convert("L")


def _upright(image: "Image.Image", orientation: object) -> "Image.Image":
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)
