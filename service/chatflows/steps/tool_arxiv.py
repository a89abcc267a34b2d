"""Papers of arXiv, by its query interface (an Atom feed)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field, field_validator

from service.chatflows.graph import Node
from service.chatflows.run import Run
from service.chatflows.steps.base import Links, StepOptions
from service.chatflows.steps.tool import Outcome, Tool, ToolFailed, ToolStep, tool_name
from service.chatflows.steps.tool_http import SECONDS, checked_url, fetched, object_schema, shortened, with_query
from service.chatflows.steps.tool_pages import read

_ATOM = "{http://www.w3.org/2005/Atom}"


class ArxivOptions(StepOptions):
    """Fields of the node."""

    arxiv_name: str = Field("arxiv_search", title="Name")
    arxiv_description: str = Field("", title="Description")
    top_k_results: int = Field(3, ge=1, le=50, title="Top K Results")
    max_query_length: int = Field(300, ge=1, le=2000, title="Max Query Length")
    doc_content_chars_max: int = Field(
        10_000, ge=0, le=1_000_000, title="Max Content Length", description="Characters of a paper; 0: all."
    )
    load_full_content: bool = Field(False, title="Load Full Content", description="The paper in place of its summary.")
    continue_on_failure: bool = Field(False, title="Continue On Failure", description="With a summary alone.")
    legacy_build: bool = Field(False, title="Legacy Build", description="Has no effect.")
    base_path: str = Field("https://export.arxiv.org", title="Base Path")

    @field_validator("base_path")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value).rstrip("/")


@dataclass(frozen=True, slots=True)
class _Paper:
    title: str
    authors: str
    published: str
    address: str
    pdf: str
    summary: str


class Arxiv(ToolStep):
    """Finds scientific papers, and reads them."""

    label = "Arxiv"
    base_classes = ("Arxiv", "DynamicStructuredTool", "StructuredTool", "Runnable", "Tool")
    Options = ArxivOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are `ArxivOptions`."""
        super().__init__(node, options, links)
        self._options: ArxivOptions = options

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        options = self._options
        about = options.arxiv_description or "Finds scientific papers of arXiv by words, authors or their ids."
        schema = object_schema(
            {"query": {"type": "string", "description": "Words, an author, or arXiv ids"}}, ["query"]
        )
        return [Tool(tool_name(options.arxiv_name), about, schema, self._call)]

    async def _call(self, run: Run, given: Mapping[str, Any]) -> Outcome:
        options = self._options
        query = str(given.get("query") or given.get("input") or "").strip()[: options.max_query_length]
        params = {"search_query": f"all:{query}", "start": 0, "max_results": options.top_k_results}
        if _is_ids(query):
            params = {"id_list": ",".join(query.replace(",", " ").split()), "max_results": options.top_k_results}
        answer = await fetched(run, with_query(f"{options.base_path}/api/query", params))
        if answer.status != 200:
            raise ToolFailed(f"arXiv answers with status {answer.status}.")
        papers = list(_papers(answer.body))[: options.top_k_results]
        if not papers:
            return Outcome("No paper was found.")
        return Outcome("\n\n".join([await self._told(run, paper) for paper in papers]))

    async def _told(self, run: Run, paper: _Paper) -> str:
        text = paper.summary
        if self._options.load_full_content and paper.pdf:
            try:
                (page,) = await read(run, paper.pdf, 2 * SECONDS)
                text = page.text
            except ToolFailed:
                if not self._options.continue_on_failure:
                    raise
        text = shortened(text, self._options.doc_content_chars_max or len(text))
        head = f"Title: {paper.title}\nAuthors: {paper.authors}\nPublished: {paper.published}\nAddress: {paper.address}"
        return f"{head}\n{text}"


def _is_ids(query: str) -> bool:
    """Whether the words are ids of papers, such as 2106.09685 or hep-th/9901001."""
    words = query.replace(",", " ").split()
    return bool(words) and all(
        (word.replace(".", "").replace("v", "").isdecimal() and "." in word)
        or ("/" in word and word.rpartition("/")[2].isdecimal())
        for word in words
    )  # fmt: skip


def _papers(feed: bytes) -> Iterator[_Paper]:
    """The entries of a feed. Raises `ToolFailed` for what is none."""
    from lxml import etree  # type: ignore[import-untyped]  # ships no types

    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(feed, parser)
    except etree.XMLSyntaxError:
        raise ToolFailed("arXiv gives an answer that cannot be read.") from None
    for entry in root.iter(f"{_ATOM}entry"):

        def text(name: str, entry: Any = entry) -> str:
            return " ".join((entry.findtext(f"{_ATOM}{name}") or "").split())

        authors = ", ".join(item.findtext(f"{_ATOM}name") or "" for item in entry.iter(f"{_ATOM}author"))
        links = {
            item.get("title") or item.get("rel") or "": item.get("href") or "" for item in entry.iter(f"{_ATOM}link")
        }
        pdf = links.get("pdf", "").replace("http://arxiv.org", "https://arxiv.org")
        yield _Paper(text("title"), authors, text("published"), text("id"), pdf, text("summary"))
