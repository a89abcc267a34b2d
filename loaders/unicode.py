"""Bytes of unknown encoding to clean Unicode text."""

import codecs
import re
import unicodedata

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LEGACY = (
    "cp1252", "cp932", "gb18030", "big5", "euc_jp", "euc_kr", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254",
    "cp1255", "cp1256",
)  # fmt: skip
_SAMPLE = 256 * 1024

_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# The same for ASCII, at a tenth of the cost.
_ASCII_BREAKS = bytes.maketrans(b"\r\x0b\x0c", b"\n\n\n")
_ASCII_UNWANTED = bytes([*range(9), *range(0x0E, 0x20), 0x7F])
# Unicode's stream-safe text format allows 30 marks in a row; sorting longer runs into NFC takes quadratic time.
_MARKS = "[\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0e38-\u0e4b\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_MARK_FLOOD = re.compile(f"({_MARKS}{{30}}){_MARKS}+")
_ESCAPED = re.compile("[\udc80-\udcff]+")
_UTF8_SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")


def clean(text: str) -> str:
    """`text` in NFC with `\\n` as its only line break, without control characters (NUL among them), lone surrogates
    and floods of combining marks.
    """
    if text.isascii():
        plain = text.encode("ascii").replace(b"\r\n", b"\n").translate(_ASCII_BREAKS, _ASCII_UNWANTED)
        return plain.decode("ascii")
    if not unicodedata.is_normalized("NFC", text) or _MARK_FLOOD.search(text):
        text = unicodedata.normalize("NFC", _MARK_FLOOD.sub(r"\1", text))
    text = _BREAKS.sub("\n", text)
    return _UNWANTED.sub("", text)


def encoding_of(data: bytes) -> str:
    """The Python name of the encoding of `data`, `utf-8` when it is ASCII or nothing better is known.

    A byte order mark decides, then validity as UTF-8 (a cut character at the end is allowed), then the places of NUL
    bytes (UTF-16 without a mark), then statistics over the first 256 KiB.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    sample = data[:_SAMPLE]
    wide = _wide(sample)
    if wide:
        return wide
    return "utf-8" if _is_utf8(sample) else _legacy(sample)


def decode(data: bytes, declared: str = "") -> str:
    """`data` as text, not yet cleaned. `declared` is what the file itself names (an HTML charset), used if it holds.

    A few bytes that are wrong in otherwise good UTF-8 are read as Windows-1252, the usual other half of mixed files.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    for name in filter(None, (declared, "utf-8")):
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
    found = encoding_of(data)
    if found == "utf-8":
        return _mixed(data)
    return data.decode(found, "replace")


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def is_binary(head: bytes) -> bool:
    """Whether the beginning of a file is no text in any encoding that `decode` reads."""
    if any(head.startswith(mark) for mark, _ in _BOMS) or _wide(head):
        return False
    if not head:
        return False
    controls = len(re.findall(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", head))
    if controls <= len(head) / 50:
        return False
    return controls > len(head) / 10 or not _is_utf8(head)


def _wide(sample: bytes) -> str:
    """UTF-16 without a mark: every second byte of Latin text is NUL, nearly none of the others."""
    if len(sample) < 8:
        return ""
    even, odd = sample[0::2], sample[1::2]
    low, high = even.count(0) / len(even), odd.count(0) / len(odd)
    for name, zeros, others in (("utf-16-le", high, low), ("utf-16-be", low, high)):
        if zeros > 0.3 and others < 0.05:
            text = sample[: len(sample) // 2 * 2].decode(name, "ignore")
            controls = sum(unicodedata.category(char) in ("Cc", "Cn") and char not in "\r\n\t" for char in text[:2000])
            return name if controls <= len(text[:2000]) / 50 else ""
    return ""


def _legacy(sample: bytes) -> str:
    """The encoding of text that is not (wholly) UTF-8."""
    from charset_normalizer import from_bytes

    high = sum(byte >= 0x80 for byte in sample)
    good = sum(len(match) for match in _UTF8_SEQUENCE.findall(sample))
    if good * 2 > high:
        return "utf-8"
    best = from_bytes(sample, cp_isolation=list(_LEGACY)).best()
    return best.encoding if best is not None else "cp1252"


def _mixed(data: bytes) -> str:
    """UTF-8 whose wrong bytes are Windows-1252."""
    return _ESCAPED.sub(
        lambda match: match.group().encode("utf-8", "surrogateescape").decode("cp1252", "replace"),
        data.decode("utf-8", "surrogateescape"),
    )
