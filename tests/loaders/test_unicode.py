import random
import struct
import unicodedata
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.unicode import clean, decode, encoding_of, is_binary

GERMAN = "Die „kleine“ Fähre fährt täglich über den Fluß – für 4 €.\n"
RUSSIAN = "Паром ходит каждый день, кроме воскресенья. Билет стоит четыре рубля.\n"
JAPANESE = "このフェリーは日曜日を除いて毎日運航しています。料金は四百円です。\n"
KOREAN = "페리는 일요일을 제외하고 매일 운항합니다. 요금은 사백 원입니다.\n"
THAI = "เรือข้ามฟากวิ่งทุกวัน ยกเว้นวันอาทิตย์\n"
CHINESE = "除星期日外,渡轮每天运行。票价为四元。请在码头购买船票。\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-32"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "cp1252"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "utf-16"),
        (CHINESE, "gb18030"),
        ("🦆🏴‍☠️ ducks", "utf-8"),
        ("🦆 ducks", "gb18030"),
        (JAPANESE, "iso2022_jp"),
        *((text, f"utf-16-{order}") for text in (CHINESE, JAPANESE, KOREAN, RUSSIAN, THAI) for order in ("le", "be")),
        (CHINESE.replace("\n", ""), "utf-16-le"),
    ],
)
def test_text_is_read_in_its_encoding(text: str, encoding: str) -> None:
    data = (text * 3).encode(encoding)
    assert not is_binary(data)
    assert clean(decode(data)) == text * 3


def test_a_declared_encoding_is_used_when_it_holds() -> None:
    assert decode("żółw".encode("iso8859_2"), "iso-8859-2") == "żółw"
    assert decode("żółw".encode(), "ascii") == "żółw"
    for wrong in ("no-such-thing", "undefined", "idna", "punycode", "rot13"):
        assert decode("żółw".encode(), wrong) == "żółw"


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 4,
        b"\1" * 400,
        b"\1\2\3\4" * 100,
        struct.pack("<200H", *range(0, 4000, 20)),
        random.Random(1).randbytes(4000),
        zlib.compress(GERMAN.encode() * 3),
    ],
)
def test_binary_data_is_no_text_of_another_script(data: bytes) -> None:
    assert is_binary(data)


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "gb18030", "shift_jis"])
def test_a_stray_nul_makes_no_other_script_of_text(encoding: str) -> None:
    text = {"cp1252": GERMAN, "cp1251": RUSSIAN, "gb18030": CHINESE, "shift_jis": JAPANESE}[encoding] * 3
    assert clean(decode(text.encode(encoding)[:-1] + b"\0\n")) == text


def test_mixed_encodings_lose_nothing() -> None:
    data = "Fähre Nummer eins.\n".encode() * 5 + "Fähre – zwei.\n".encode("cp1252") + "Fähre drei.\n".encode()
    assert decode(data) == "Fähre Nummer eins.\n" * 5 + "Fähre – zwei.\n" + "Fähre drei.\n"


def test_many_wrong_bytes_do_not_take_quadratic_time() -> None:
    data = "ää".encode() * 300_000 + b"\xe4 \xc3\xa4" * 300_000
    assert len(decode(data)) == 300_000 * 5


def test_clean_removes_what_databases_refuse() -> None:
    assert clean("a\0b\ud800c\x1b[1m\ufffe") == "abc[1m"
    assert clean("one\r\ntwo\rthree\u2028four\ttab") == "one\ntwo\nthree\nfour\ttab"
    assert clean("Cafe\u0301") == "Café"


def test_floods_of_marks_are_cut() -> None:
    flood = "a" + "\u0316\u0301" * 200_000
    assert len(clean(flood)) <= 32


@given(st.text(alphabet=st.characters()))
def test_clean_text_is_normal_and_stays_as_it_is(text: str) -> None:
    cleaned = clean(text)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert clean(cleaned) == cleaned
    assert "\0" not in cleaned
    cleaned.encode()


@given(st.binary(max_size=400))
def test_any_bytes_have_an_encoding_and_text(data: bytes) -> None:
    encoding_of(data)
    is_binary(data)
    decode(data)
