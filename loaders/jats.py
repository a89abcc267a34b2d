"""Journal articles in JATS (also named NXML) to Markdown: title, authors, abstract, sections, tables, references."""

from collections.abc import Iterator
from typing import Any

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from loaders.html import markdown_of as html_markdown
from loaders.marks import escaped

_LEFT_OUT = frozenset({"tex-math", "annotation", "alternatives", "object-id", "permissions"})
_THROUGH = frozenset(
    {"body", "abstract", "app", "app-group", "boxed-text", "ack", "disp-quote", "statement", "glossary"}
)
_APART = frozenset({"p", "title", "label", "name", "surname", "given-names", "year", "source", "article-title", "td"})
_DEEPEST = 60


def article(root: Any) -> Any | None:
    """The article's element when `root` is one or holds one, as archives of articles do; else None."""
    found = root if root.tag == "article" else root.find(".//article")
    return found if found is not None and found.find("front") is not None else None


def markdown_of(found: Any) -> tuple[str, str]:
    """Title and text of an article element."""
    title = _words(found.find("front//title-group/article-title"))
    blocks = [f"# {title}" if title else "", _authors(found)]
    for abstract in found.iterfind("front//abstract"):
        heading = _words(abstract.find("title")) or "Abstract"
        blocks += [f"## {heading}", *_blocks(abstract, 2, skip_title=True)]
    body = found.find("body")
    if body is not None:
        blocks += _blocks(body, 1)
    back = found.find("back")
    if back is not None:
        for part in back:
            blocks += _references(part) if part.tag == "ref-list" else _section(part, 1)
    return title, "\n\n".join(filter(None, blocks))


def _authors(found: Any) -> str:
    people = found.iterfind("front//contrib[@contrib-type='author']/name")
    names = [f"{_words(person.find('given-names'))} {_words(person.find('surname'))}".strip() for person in people]
    return "Authors: " + ", ".join(names) if names else ""


def _section(element: Any, level: int) -> Iterator[str]:
    if not isinstance(element.tag, str):
        return
    heading = _words(element.find("title"))
    if heading:
        yield f"{'#' * min(level + 1, 6)} {heading}"
    yield from _blocks(element, level + 1 if heading else level, skip_title=True)


def _blocks(parent: Any, level: int, *, skip_title: bool = False) -> Iterator[str]:
    """Markdown blocks of the children of `parent`, which stands at heading `level`."""
    for child in parent:
        tag = child.tag
        if not isinstance(tag, str) or tag in _LEFT_OUT or (skip_title and tag == "title"):
            continue
        if tag == "sec" or tag in _THROUGH:
            yield from _section(child, level) if level < _DEEPEST else [escaped(_words(child))]
        elif tag == "table-wrap":
            yield from _table(child)
        elif tag == "list":
            yield "\n".join(f"- {_words(item)}" for item in child.iterfind("list-item"))
        elif tag == "fig":
            yield _caption(child)
        elif tag == "p":
            yield from _paragraph(child)
        else:
            yield escaped(_words(child))


def _paragraph(paragraph: Any) -> Iterator[str]:
    """A paragraph, then the tables and figures that stand within it."""
    floats = list(paragraph.iter("table-wrap", "fig"))
    yield escaped(_words(paragraph, frozenset({"table-wrap", "fig"})))
    for part in floats:
        yield from _table(part) if part.tag == "table-wrap" else [_caption(part)]


def _caption(element: Any) -> str:
    return escaped(" ".join(filter(None, (_words(element.find("label")), _words(element.find("caption"))))))


def _table(element: Any) -> Iterator[str]:
    yield _caption(element)
    for table in element.iter("table"):
        yield html_markdown(etree.tostring(table, encoding="unicode", with_tail=False))[1]
    for foot in element.iterfind("table-wrap-foot"):
        yield escaped(_words(foot))


def _references(part: Any) -> list[str]:
    lines = []
    for ref in part.iterfind("ref"):
        words = [_words(ref.find("label")), *(_words(inner) for inner in ref if inner.tag != "label")]
        lines.append("- " + " ".join(filter(None, words)))
    return [f"## {_words(part.find('title')) or 'References'}", "\n".join(lines)] if lines else []


def _words(element: Any | None, without: frozenset[str] = frozenset()) -> str:
    """The text of an element on one line, without formula sources and the elements `without`."""
    return " ".join("".join(_texts(element, _LEFT_OUT | without)).split()) if element is not None else ""


def _texts(element: Any, without: frozenset[str]) -> Iterator[str]:
    yield element.text or ""
    stack = [iter(element)]
    tails: list[str] = []
    while stack:
        child = next(stack[-1], None)
        if child is None:
            stack.pop()
            if tails:
                yield tails.pop()
        elif isinstance(child.tag, str) and child.tag not in without:
            yield child.text or ""
            tails.append(child.tail or (" " if child.tag in _APART else ""))
            stack.append(iter(child))
        else:
            yield child.tail or ""
