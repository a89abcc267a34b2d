"""One spelling for one page."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.connectors.links import MOST_LINKS, links_of
from service.connectors.urls import (
    is_document,
    is_unreadable,
    is_variant,
    normal,
    related,
    same_site,
    source_of,
)

SPELLINGS = [
    ("HTTP://Example.COM:80/a/./b/../c?utm_source=x&b=1#f", "http://example.com/a/c?b=1"),
    ("https://example.com", "https://example.com/"),
    ("https://example.com:443/?", "https://example.com/"),
    ("https://example.com:8443/x", "https://example.com:8443/x"),
    ("http://h/%7euser/%e4%2F", "http://h/~user/%E4%2F"),
    ("http://h/a b/ü?q=ä b", "http://h/a%20b/%C3%BC?q=%C3%A4%20b"),
    ("http://münchen.example/", "http://xn--mnchen-3ya.example/"),
    ("http://[::1]:8080/x", "http://[::1]:8080/x"),
    ("http://h/a//b/", "http://h/a//b/"),
    ("http://h/../../a/..", "http://h/"),
    ("http://h/?b=2&a=1&gclid=x&fbclid=y", "http://h/?b=2&a=1"),
    ("http://h/?utm_source=x", "http://h/"),
    ("http://h/?flag", "http://h/?flag"),
    ("  http://h/x\n", "http://h/x"),
]


@pytest.mark.parametrize(("url", "spelling"), SPELLINGS)
def test_the_one_spelling(url: str, spelling: str) -> None:
    assert normal(url) == spelling
    assert normal(spelling) == spelling


@pytest.mark.parametrize(
    "url", ["", "x", "/x", "mailto:a@b.c", "javascript:x()", "ftp://h/", "http://", "http://u:p@h/", "http://u@h/",
            "http://h:99999/", "http://[::1/", "http://h/" + "x" * 2000]
)  # fmt: skip
def test_what_is_no_page(url: str) -> None:
    assert normal(url) is None


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("c", "http://h/a/c"),
        ("../c", "http://h/c"),
        ("//k/c", "http://k/c"),
        ("?q", "http://h/a/b?q"),
        ("#f", "http://h/a/b"),
    ],
)
def test_links_are_seen_from_their_page(link: str, url: str) -> None:
    assert normal(link, "http://h/a/b") == url


@given(st.text(max_size=60), st.text(max_size=30))
def test_a_normal_spelling_is_its_own(path: str, query: str) -> None:
    url = normal(f"http://example.com/{path}?{query}")
    if url is not None:
        assert url.isascii()
        assert normal(url) == url


def test_sites_and_relatives() -> None:
    assert same_site("http://h/x", "https://h") == "https://h/x"
    assert same_site("https://h:8443/x", "https://h") is None
    assert same_site("https://k/x", "https://h") is None
    assert related("https://www.example.com/", "http://example.com/")
    assert related("https://docs.example.com/", "http://www.example.com/")
    assert not related("https://evilexample.com/", "http://example.com/")
    assert is_variant("http://h/a/", "http://h/a?x=1")
    assert is_variant("http://h/index.html", "http://h/")
    assert not is_variant("http://h/a", "http://h/b")


def test_names_tell_what_is_worth_a_look() -> None:
    assert all(is_document(f"http://h/x{suffix}") for suffix in (".pdf", ".DOCX", ".md", ".csv?v=1"))
    assert not any(is_document(f"http://h/x{suffix}") for suffix in ("", ".html", ".php", ".js", ".com"))
    assert all(is_unreadable(f"http://h/x{suffix}") for suffix in (".png", ".ZIP", ".mp4", ".xml"))
    assert not any(is_unreadable(f"http://h/x{suffix}") for suffix in ("", ".js", ".pdf", ".php"))
    assert source_of("http://h/") == "url:http://h/"


def test_links_of_a_hostile_page_are_bounded() -> None:
    many = "".join(f"<a href='/{number}'>" for number in range(20_000)).encode()
    assert len(links_of(many, "http://h/").urls) == MOST_LINKS
    deep = b"<div>" * 200_000 + b"<a href=/x>"
    assert links_of(deep, "http://h/").urls in ((), ("http://h/x",))
    assert links_of(b"<a href=/1><a href='/2", "http://h/").urls[0] == "http://h/1"
    assert links_of(b"", "http://h/").urls == ()
    assert links_of(b"\x00\xff<a href=/1>", "http://h/", "no-such-charset").urls in ((), ("http://h/1",))
