"""Bytes of unknown encoding to clean Unicode text."""

import codecs
import re
import unicodedata
from collections import Counter

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
_AS_WRITTEN = {"iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874"}
"""What those write who name the first: where that has control characters, there are quotes and dashes."""
_SAMPLE = 256 * 1024
_CONTROLS = bytes([*range(9), *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F])
_ISO_2022_JP = re.compile(rb"\x1b\$[@B]")
"""Where Japanese begins in an encoding of ASCII bytes only."""
_EAST_ASIAN = (range(0x2E, 0xA0), range(0xAC, 0xD8), range(0xF9, 0xFB), range(0xFF, 0x100))
"""The blocks of 256 characters, by their first byte, that Chinese, Japanese and Korean are written in."""
_SHORTEST_WIDE = 32
"""Bytes below which another script is not told in UTF-16."""

_UNWANTED = re.compile("[\x00-\x08\x0e-\x1f\x7f\xad\ud800-\udfff\ufffe\uffff]")
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
    """`text` in NFC with `\\n` as its only line break, without control characters (NUL among them), soft hyphens,
    lone surrogates and floods of combining marks.
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

    A byte order mark decides, then whether it makes sense as UTF-16 without one, then the escapes of ISO-2022-JP, then
    validity as UTF-8 (a cut character at the end is allowed), then statistics over the first 256 KiB.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    sample = data[:_SAMPLE]
    wide = _wide(sample)
    if wide:
        return wide
    if _ISO_2022_JP.search(sample) and _is_valid(sample, "iso2022_jp_ext"):
        return "iso2022_jp_ext"
    return "utf-8" if _is_valid(sample, "utf-8") else _legacy(sample)


def decode(data: bytes, declared: str = "", *, sent: str = "") -> str:
    """`data` as text, not yet cleaned. `declared` is what the file itself names (an HTML charset), used if it holds.

    `sent` is the charset that its sender names. It goes before that, but not before UTF-8: some name one charset for
    all that they send. A few bytes that are wrong in otherwise good UTF-8 are read as Windows-1252, the usual other
    half of mixed files.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    for name in filter(None, ("" if sent and _is_valid(data, "utf-8") else sent, declared)):
        try:
            return data.decode(_AS_WRITTEN.get(codecs.lookup(name).name, name))
        except (ValueError, LookupError):  # Python has codecs that are no charsets and fail in ways of their own
            pass
    found = encoding_of(data)
    if found != "utf-8":
        return data.decode(found, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _mixed(data)


def _is_valid(sample: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def is_binary(head: bytes) -> bool:
    """Whether the beginning of a file is no text in any encoding that `decode` reads."""
    return not any(head.startswith(mark) for mark, _ in _BOMS) and _is_controlled(head) and not _wide(head)


def _is_controlled(sample: bytes) -> bool:
    """Whether there are more control characters than in any text of single bytes."""
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls <= len(sample) / 50:
        return False
    return controls > len(sample) / 10 or not _is_valid(sample, "utf-8")


def _wide(sample: bytes) -> str:
    """UTF-16 without a mark: every second byte of Latin text is NUL, nearly none of the others. Of other scripts most
    characters lie in few blocks; taken as single bytes they would hold control characters.
    """
    if len(sample) < 8:
        return ""
    even, odd = sample[0::2], sample[1::2]
    low, high = even.count(0) / len(even), odd.count(0) / len(odd)
    begin = sample[: min(len(sample) // 2 * 2, 4000)]
    for name, zeros, others in (("utf-16-le", high, low), ("utf-16-be", low, high)):
        if zeros > 0.3 and others < 0.05:
            return name if _reads(begin.decode(name, "ignore")) else ""
    if len(sample) < _SHORTEST_WIDE or not (
        _is_controlled(sample) or ((low or high) and not _is_valid(sample, "utf-8"))
    ):
        return ""
    texts = {name: begin.decode(name, "replace") for name in ("utf-16-le", "utf-16-be")}
    best = max(texts, key=lambda name: _in_one_script(texts[name]))
    return best if _in_one_script(texts[best]) > 0.95 and _reads(texts[best]) else ""


def _reads(text: str) -> bool:
    """Whether nearly all characters are ones that a text can hold."""
    wrong = sum(char not in "\r\n\t" and unicodedata.category(char) in ("Cc", "Cn", "Co") for char in text)
    return wrong <= len(text) // 50


def _in_one_script(text: str) -> float:
    """The share of ASCII, punctuation and the block, or the East Asian blocks, that most characters lie in; 0 where
    most characters are pairs of ASCII letters."""
    blocks = Counter(ord(char) >> 8 for char in text)
    pairs = sum(0x20 <= ord(char) >> 8 < 0x7F and 0x20 <= ord(char) & 0xFF < 0x7F for char in text)
    if pairs > len(text) * 0.75:
        return 0.0
    common = blocks.pop(0x00, 0) + blocks.pop(0x20, 0)
    east = sum(blocks.pop(block, 0) for part in _EAST_ASIAN for block in part) - text.count("\ufffd")
    other = max(blocks.values(), default=0) if common else 0
    return (common + max(east, other)) / len(text)


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
