"""XML: journal articles (JATS) with their sections, any other vocabulary as readable lines."""

from collections.abc import Iterable, Iterator, Mapping
from html import unescape
from typing import Any

from langchain_core.documents import Document
from lxml import etree  # type: ignore[import-untyped]  # ships no types

from loaders import jats
from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required

_LONGEST_LABELLED = 200
_TITLES = ("title", "name", "subject", "headline")
_PROSE = frozenset({"p", "para", "simpara", "text", "line", "description", "content", "body"})
_SVG = "{http://www.w3.org/2000/svg}"
_DEEPEST = 200


def parse(data: bytes, what: str = "XML file") -> Any:
    """The root element of `data`. Entities are not resolved, no document type is loaded, nothing is fetched.

    Raises `LoaderError(CORRUPT)` when it is not well-formed.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise LoaderError(Failure.CORRUPT, f"The {what} is not well-formed: {error}.") from error


def local(element: Any) -> str:
    """The element's name without its namespace; empty for entities and the like."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""  # `etree.QName` says the same at ten times the cost


def words(element: Any) -> str:
    """All text of an element on one line; an entity that nobody resolved stands for its HTML meaning."""
    if not len(element):  # most elements: nothing to put together
        text = unescape(element.text) if element.tag is etree.Entity else element.text
        return " ".join((text or "").split())
    return " ".join("".join(_texts(element)).split())


def _texts(element: Any) -> Iterator[str]:
    for part in element.iter():
        if part.tag is etree.Entity:
            yield unescape(part.text)
        elif isinstance(part.tag, str):
            yield part.text or ""
        if part is not element:
            yield part.tail or ""


class XmlLoader(Loader):
    """One document: a JATS article in `markdown` format with its title and sections, other XML in `text` format.

    In other XML an element that holds only text becomes a line `name: text (attribute value)`, mixed content a line of
    its text; other attributes are a line of their own, before what the element holds. Of elements that hold something,
    attributes of a namespace, those of prose (`p`, `description`, ...) and those of drawings (SVG) are left out: they
    say how, not what. The records below the root, and text between them, are set apart by empty lines. The title is the
    first short element named `title` (or `name`, `subject`, `headline`).
    """

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The file as one document."""
        data = source.read()
        if not data.strip():
            raise LoaderError(Failure.EMPTY, "The file is empty.")
        root = parse(data)
        article = jats.article(root)
        if article is not None:
            title, text = jats.markdown_of(article)
            yield required(document(source, text, title=title, form=Format.MARKDOWN), "The article has no text.")
            return
        text = "\n\n".join(filter(None, _parts(root)))
        yield required(document(source, text, title=_title(root)), "The file has no text.")


def _parts(root: Any) -> Iterator[str]:
    """What is set apart by empty lines: the records below the root, and the text before, between and behind them."""
    run = [root.text or ""]
    head = _head(root)
    for child in root:
        if not isinstance(child.tag, str):
            run.append(words(child) + (child.tail or ""))
            continue
        yield "\n".join(filter(None, (head, _line(run))))
        yield "\n".join(_lines(child, 0))
        head, run = "", [child.tail or ""]
    yield "\n".join(filter(None, (head, _line(run))))


def _line(run: Iterable[str]) -> str:
    return " ".join("".join(run).split())


def _title(root: Any) -> str:
    for element in root.iter():
        if local(element).lower() in _TITLES and 0 < len(words(element)) <= _LONGEST_LABELLED:
            return words(element)
    return ""


def _lines(element: Any, depth: int) -> Iterator[str]:
    inner = list(element)
    children = [child for child in inner if isinstance(child.tag, str)]
    mixed = any((child.tail or "").strip() for child in inner) or (
        bool(children) and bool((element.text or "").strip())
    )
    name = local(element)
    if mixed or depth > _DEEPEST:
        yield from filter(None, (_head(element), words(element)))
    elif children:
        yield from filter(None, [_head(element)])
        for child in children:
            yield from _lines(child, depth + 1)
    elif text := words(element):
        if name.lower() in _PROSE or len(text) > _LONGEST_LABELLED:
            yield from filter(None, (_head(element), text))
        else:
            given = _attributes(element)
            yield f"{name}: {text} ({given})" if given else f"{name}: {text}"
    elif element.attrib:
        yield f"{name}: " + ", ".join(f"{etree.QName(key).localname} {value}" for key, value in element.attrib.items())


def _head(element: Any) -> str:
    """The line of an element's attributes, which stands above what it holds; may be empty."""
    given = _attributes(element)
    return f"{local(element)}: {given}" if given else ""


def _attributes(element: Any) -> str:
    """The attributes that are data of an element that holds something, as `name value, name value`."""
    if not element.attrib or local(element).lower() in _PROSE or element.tag.startswith(_SVG):
        return ""
    return ", ".join(f"{key} {' '.join(value.split())}" for key, value in element.attrib.items() if key[0] != "{")
