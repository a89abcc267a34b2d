"""HTML to Markdown: headings, lists and tables stay what they are, page furniture goes."""

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile, zip_longest
from typing import Any, ClassVar

from bs4 import BeautifulSoup
from bs4.element import NavigableString, PageElement, PreformattedString, Tag
from langchain_core.documents import Document
from soupsieve import SelectorSyntaxError
from soupsieve import compile as selector_of

from loaders.base import Failure, Format, Loader, LoaderError, Source, document, required
from loaders.marks import escaped, fenced
from loaders.numbering import written
from loaders.tables import markdown_table
from loaders.unicode import decode, is_binary

_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([A-Za-z0-9_:.-]+)""", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\n\r\f\xa0]+")
_AROUND_BREAK = re.compile(r" *\n *")
_XML_MARK = re.compile(r"\A\s*<\?xml[^>]*\?>")
_SILENT = (
    "script", "style", "noscript", "template", "iframe", "svg", "canvas", "audio", "video", "object", "embed",
)  # fmt: skip
_DROPPED = frozenset({*_SILENT, "nav", "footer", "aside", "button", "select", "head", "dialog"})
_ROLES = frozenset({"navigation", "search", "banner", "contentinfo"})
_EDIT_LINK, _EXPANDED = "mw-editsection", "expand-content"
"""Classes of links to edit a section of a wiki, and of what a click unfolds in another."""
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all)\b", re.IGNORECASE)
_ADVICE = re.compile(
    r"(?<![a-z])(?:(?:foot|side)?note|tip|hint|warning|caution|danger|important|admonition|callout|starlight)",
    re.IGNORECASE,
)
_WHOLE = ("html", "body", "main", "article")
_OPENERS = ("aria-controls", "data-target", "data-bs-target", "href")
"""Attributes that name the part of a page that a click opens."""
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
        "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup",
        "hr", "html", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th",
        "thead", "tr", "ul",
    }
)  # fmt: skip
_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_HEADING = re.compile("#{1,6} ")
_PARTS_OF_ITEMS = ["pre", "table", *_HEADINGS]
"""What an item of a list keeps: lists without are lines."""
_KINDS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_MARKS = {"strong": "**", "b": "**", "em": "_", "i": "_"}
_HEAD_ROWS = selector_of(":scope > thead > tr")  # here, so that no child spends its .1 s on soupsieve's expressions
_DEEPEST = 120
_MOST_HEADS = 4
"""Rows of a header that are read as one: more are data."""
_MAIN_LEAST = 200
"""Characters of a part that is taken for the page's content."""


class HtmlLoader(Loader):
    """One document of `markdown` format.

    Scripts, styles, navigation, footers, small forms and hidden parts are dropped; where the page has a `main` part or
    a single `article`, only that is read. The title is `<title>`, else the first `h1`, else the file's name.
    Option `selector`: a CSS selector; only what it selects is read, in the page's order.
    """

    options: ClassVar[Mapping[str, Any]] = {"selector": ""}

    def load(self, source: Source, options: Mapping[str, Any]) -> Iterator[Document]:
        """The page as one document."""
        data = source.read()
        if is_binary(data[:65536]):
            raise LoaderError(Failure.UNKNOWN, "The file holds binary data, not HTML.")
        charset = _CHARSET.search(data[:4096])
        selector = str(options.get("selector") or "").strip()
        named = charset.group(1).decode("ascii") if charset else ""
        title, text = markdown_of(decode(data, named, sent=source.charset), selector)
        missing = f"The selector '{selector}' finds no text in the page." if selector else "The page has no text."
        yield required(document(source, text, title=title, form=Format.MARKDOWN), missing)


def markdown_of(html: str, selector: str = "", *, marks: bool = False) -> tuple[str, str]:
    """Title (may be empty) and text, as Markdown, of a page, or of what a CSS selector finds in it.

    `marks`: links, bold, italic and code within lines keep their marks too; texts that are searched go without them.
    Nothing that the page refers to is fetched. Raises `LoaderError(BAD_OPTION)` for a selector that is none.
    """
    soup = BeautifulSoup(_XML_MARK.sub("", html, count=1), "lxml")
    title = soup.title.get_text() if soup.title else ""
    selected = _selected(soup, selector) if selector else None
    for tag in [tag for tag in soup.descendants if isinstance(tag, Tag) and _is_furniture(tag)]:
        if not tag.decomposed:
            tag.decompose()
    _drop_forms(soup)
    _drop_hidden(soup)
    if not title.strip():
        heading = soup.find("h1") or (selected and selected.find("h1"))
        title = heading.get_text(" ") if heading else ""
    part = _body(soup) if selected is None else selected
    if marks:
        _mark(part)
    blocks = _Writer()
    blocks.walk(part, 0)
    return title, blocks.text()


def _is_furniture(tag: Tag) -> bool:
    """Whether a part of the page is none of its text: scripts, navigation. Cheaper than a selector."""
    given = tag.attrs
    if tag.name in _DROPPED:
        return tag.name != "aside" or not _is_note(given)
    return bool(given) and (given.get("role") in _ROLES or _EDIT_LINK in (given.get("class") or ()))


def _is_note(given: Mapping[str, Any]) -> bool:
    """Whether what stands aside, by its attributes, belongs to the text: a footnote of a book, a box of advice."""
    role = str(given.get("role", ""))
    advice = any(map(_ADVICE.search, given.get("class") or ()))
    return advice or "epub:type" in given or role == "note" or role.startswith("doc-")


def _drop_hidden(soup: BeautifulSoup) -> None:
    """Takes out what is hidden, but nothing that a click opens, no page that a script will show, no formula that is
    hidden below its picture."""
    every = soup.find_all(True)
    hidden = [tag for tag in every if tag.attrs and _is_hidden(tag)]
    if not hidden:
        return
    opened = {str(tag.attrs[name]).lstrip("#") for tag in every for name in _OPENERS if name in tag.attrs}
    for tag in hidden:
        if not tag.decomposed and tag.get("id") not in opened and tag.find("math") is None:
            tag.decompose()


def _is_hidden(tag: Tag) -> bool:
    given = tag.attrs
    if given.get("role") == "tabpanel" or _EXPANDED in (given.get("class") or ()):
        return False
    if "hidden" in given and given["hidden"] != "until-found":
        return True
    styled = "style" in given and _HIDDEN.search(str(given["style"])) and tag.name not in _WHOLE
    return bool(styled) or given.get("aria-hidden") == "true"


def _drop_forms(soup: BeautifulSoup) -> None:
    """Takes out forms to fill in, but none that lies around the page's content, as some programs write every page."""
    forms = soup.find_all("form")
    whole = len(soup.get_text(strip=True)) if forms else 0
    inner = set[int]()
    for form in forms:
        if id(form) in inner:
            continue
        inner.update(map(id, form.find_all("form")))
        text = len(form.get_text(strip=True))
        if text < _MAIN_LEAST and text <= whole / 2:
            form.decompose()


def _selected(soup: BeautifulSoup, selector: str) -> Tag:
    """What the selector finds, taken out of the page; page furniture among it is kept, as it was asked for."""
    try:
        found = soup.select(selector)
    except SelectorSyntaxError as error:
        reason = str(error).splitlines()[0]
        raise LoaderError(Failure.BAD_OPTION, f"selector: '{selector}' is not a CSS selector: {reason}") from error
    chosen = {id(tag) for tag in found}
    part = soup.new_tag("div")
    for tag in [tag for tag in found if not any(id(parent) in chosen for parent in tag.parents)]:
        block = soup.new_tag("div")
        block.append(tag.extract())
        part.append(block)
    for tag in part(_SILENT):
        tag.decompose()
    return part


def _body(soup: BeautifulSoup) -> Tag:
    """The part of the page that is its content."""
    articles = soup.find_all("article")
    for part in (soup.find("main"), soup.find(role="main"), articles[0] if len(articles) == 1 else None):
        if part is not None and len(part.get_text(strip=True)) >= _MAIN_LEAST:
            return part
    return soup.body or soup


def _mark(page: Tag) -> None:
    """Writes the marks of links, bold, italic and code into the text of a page."""
    for tag in page.find_all([*_MARKS, "a", "code"]):
        texts = [text for text in tag.find_all(string=True) if text.strip()]
        if not texts or tag.find(_is_block) or tag.find_parent(["pre", "code"]):
            continue
        # a mark that a space follows, or that follows one, is none in Markdown
        if texts[0][0].isspace():
            tag.insert_before(" ")
        if texts[-1][-1].isspace():
            tag.insert_after(" ")
        texts[0].replace_with(first := NavigableString(texts[0].lstrip()))
        last = first if len(texts) == 1 else texts[-1]
        last.replace_with(NavigableString(last.rstrip()))
        before, after = _marks(tag)
        tag.insert(0, before)
        tag.append(after)


def _marks(tag: Tag) -> tuple[str, str]:
    """What stands before and behind the text of a tag."""
    text = tag.get_text()
    if tag.name == "a":
        address = str(tag.get("href") or "").strip()
        return ("[", f"]({address})") if address and address != text.strip() else ("", "")
    mark = _MARKS.get(tag.name) or ("``" if "`" in text else "`")
    return mark, mark


def _inline(node: PageElement) -> str:
    """Text of a node without block structure; `br` is a line break."""
    if isinstance(node, NavigableString):
        return "" if isinstance(node, PreformattedString) else _SPACES.sub(" ", node)
    if not isinstance(node, Tag):
        return ""
    parts: list[str] = []
    for part in node.descendants:
        if isinstance(part, Tag):
            if part.name == "br":
                parts.append("\n")
            elif part.name == "input" and part.get("type") == "checkbox" and part.find_parent(["li", "td"]):
                parts.append("\u2612 " if "checked" in part.attrs else "\u2610 ")
            elif part.name in _BLOCKS:
                parts.append(" ")
        elif isinstance(part, NavigableString) and not isinstance(part, PreformattedString):
            parts.append(_SPACES.sub(" ", part))
    return "".join(parts)


def _tidy(text: str) -> str:
    return _AROUND_BREAK.sub("\n", re.sub(" {2,}", " ", text)).strip()


class _Writer:
    """Collects Markdown blocks while walking a tree."""

    def __init__(self) -> None:
        self.blocks: list[str] = []
        self.run: list[str] = []

    def text(self) -> str:
        self.flush()
        return "\n\n".join(self.blocks)

    def flush(self) -> None:
        """Ends the paragraph that inline nodes have built."""
        paragraph = _tidy("".join(self.run))
        self.run.clear()
        if paragraph:
            self.blocks.append(escaped(paragraph))

    def block(self, text: str) -> None:
        self.flush()
        if text.strip():
            self.blocks.append(text)

    def walk(self, parent: Tag, depth: int) -> None:
        """Writes the children of `parent`; below `_DEEPEST` levels structure is given up, text is not."""
        for node in parent.children:
            if not isinstance(node, Tag):
                self.run.append(_inline(node))
            elif node.name == "br":
                self.run.append("\n")
            elif depth > _DEEPEST or (node.name not in _BLOCKS and not node.find(_is_block)):
                self.run.append(_inline(node))
            else:
                self.element(node, depth)
        if parent.name in _BLOCKS:
            self.flush()

    def element(self, node: Tag, depth: int) -> None:
        """Writes one block element."""
        if node.name in _HEADINGS:
            heading = _tidy(_inline(node)).replace("\n", " ")
            self.block(f"{_HEADINGS[node.name]} {heading}" if heading else "")
        elif node.name in ("ul", "ol") and node.find(_PARTS_OF_ITEMS):
            for mark, item in _marked(node):
                inner = _Writer()
                if item.name == "li":
                    inner.walk(item, depth + 1)
                else:
                    inner.element(item, depth + 1)
                text = inner.text()
                if item.name == "li" and mark != "-" and (marks := _HEADING.match(text)):
                    text = f"{marks[0]}{mark} {text[marks.end() :]}"
                elif item.name == "li" and text and text[0] not in "#|`":
                    text = f"{mark} {text}"
                self.block(text)
        elif node.name in ("ul", "ol"):
            self.block("\n".join(_list_lines(node, 0, depth)))
        elif node.name == "table":
            self.table(node, depth)
        elif node.name == "pre":
            code = node.get_text().strip("\n")
            self.block(fenced(code) if code.strip() else "")
        elif node.name == "blockquote":
            inner = _Writer()
            inner.walk(node, depth + 1)
            self.block("\n".join(f"> {line}".rstrip() for line in inner.text().splitlines()))
        else:
            if node.name in _BLOCKS:
                self.flush()
            self.walk(node, depth + 1)

    def table(self, node: Tag, depth: int) -> None:
        """Writes a data table as Markdown, a table that only lays out the page as its contents."""
        caption = node.find("caption", recursive=False)
        rows = [] if _is_layout(node) else _table_rows(node)
        if max((len(row) for row in rows), default=0) < 2:
            self.flush()
            self.walk(node, depth + 1)
            return
        if caption:
            self.block(escaped(_tidy(_inline(caption))))
        self.block(markdown_table(rows))


def _is_layout(table: Tag) -> bool:
    """Whether a table that holds others only lays out the page: one of data has cells of a header of its own, and
    small ones within its cells."""
    inner = table.find_all("table")
    if not inner:
        return False
    heads = [head for head in table.find_all("th") if head.find_parent("table") is table]
    half = len(table.get_text(strip=True)) / 2
    return not heads or bool(table.find([*_HEADINGS])) or any(len(each.get_text(strip=True)) > half for each in inner)


def _is_block(tag: Tag) -> bool:
    return tag.name in _BLOCKS


def _marked(node: Tag) -> Iterator[tuple[str, Tag]]:
    """The items of a list with what stands before them, and lists that stand between items."""
    number = _whole(node.get("start"), 1) - 1
    kind = _KINDS.get(str(node.get("type", "")), "decimal")
    for item in node.find_all(["li", "ul", "ol"], recursive=False):
        if item.name == "li":
            number = _whole(item.get("value"), number + 1)
        yield f"{written(number, kind)}." if node.name == "ol" else "-", item


def _list_lines(node: Tag, level: int, depth: int) -> list[str]:
    """The items of a list, nested ones indented by two spaces a level; blocks in an item become one line."""
    lines: list[str] = []
    for mark, item in _marked(node):
        if item.name != "li":
            lines += _list_lines(item, level + 1, depth + 1)
            continue
        nested = [] if depth > _DEEPEST else item.find_all(["ul", "ol"], recursive=False)
        for inner in nested:
            inner.extract()
        text = _tidy(_inline(item)).replace("\n", " ")
        if text:
            lines.append(f"{'  ' * level}{mark} {text}")
        for inner in nested:
            lines += _list_lines(inner, level + 1, depth + 1)
    return lines


def _table_rows(node: Tag) -> list[list[str]]:
    """Cell texts by row. A cell over several rows stands in each, so that rows can be read alone; a cell over several
    columns stands in the first. The rows of a header become one, whose cells go by all that stands above a column."""
    rows: list[list[str]] = []
    lines = [line for line in node.find_all("tr") if line.find_parent("table") is node]
    heads = len(_HEAD_ROWS.select(node)) or sum(1 for _ in takewhile(_is_header, lines))
    heads = heads if heads <= _MOST_HEADS and heads < len(lines) else 1
    spanning: dict[int, tuple[int, str]] = {}  # by column: rows left and text of the cell from above
    for line in lines:
        row: list[str] = []
        pieces = line.find_all(["td", "th"], recursive=False)
        while pieces or len(row) in spanning:
            column = len(row)
            if column in spanning:
                left, text = spanning.pop(column)
                row.append(text)
                if left > 1:
                    spanning[column] = (left - 1, text)
                continue
            piece = pieces.pop(0)
            height = _span(piece, "rowspan")
            text = _tidy(_inline(piece))
            texts = [text, *[text if len(rows) < heads > 1 else ""] * (_span(piece, "colspan") - 1)]
            if height > 1:
                spanning.update({column + index: (height - 1, text) for index, text in enumerate(texts)})
            row += texts
        rows.append(row)
    if heads > 1:
        columns = zip_longest(*rows[:heads], fillvalue="")
        rows[:heads] = [[" ".join(dict.fromkeys(filter(None, column))) for column in columns]]
    return rows


def _is_header(line: Tag) -> bool:
    """Whether a row is one of a header, by its cells; a single one is a title above it."""
    pieces = line.find_all(["td", "th"], recursive=False)
    return len(pieces) > 1 and all(piece.name == "th" for piece in pieces)


def _whole(value: object, other: int) -> int:
    text = str(value or "")
    return int(text) if text.isdecimal() and len(text) < 10 else other


def _span(piece: Tag, name: str) -> int:
    value = str(piece.get(name, "1"))
    return min(max(int(value), 1), 100) if value.isdecimal() and len(value) < 5 else 1
