"""Search services that models may ask, each by its documented HTTP interface."""

import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import BeforeValidator, Field, field_validator, model_validator

from service.chatflows.graph import Node
from service.chatflows.run import Backing, Run
from service.chatflows.steps.base import Links, StepOptions
from service.chatflows.steps.keys import missing, revealed
from service.chatflows.steps.tool import Outcome, Tool, ToolStep, tool_name
from service.chatflows.steps.tool_http import asked, checked_url, headers_of, object_schema, shortened, with_query

MAX_TEXT = 20_000
"""Characters of what was found that a model reads."""

NOTHING = "Nothing was found."


class SearchOptions(StepOptions):
    """What all search nodes have besides their own fields."""

    base_path: str = Field("", title="Base Path", description="Of a server that answers in the place of the service.")

    @field_validator("base_path")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value).rstrip("/") if value else value


class SearchStep(ToolStep):
    """Asks a search service for a model."""

    address: ClassVar[str]
    """Of the service, without the path of a search."""
    name: ClassVar[str]
    about: ClassVar[str] = "Searches the web. Use it for what has happened lately, and for facts to check."
    secret: ClassVar[str] = ""
    """The value of the credential that is the key; empty: none is needed."""
    Options: ClassVar[type[StepOptions]] = SearchOptions

    def __init__(self, node: Node, options: Any, links: Links) -> None:
        """`options` are this class's `Options`."""
        super().__init__(node, options, links)
        self.options = options
        self.values: Mapping[str, str] = {}

    @property
    def base(self) -> str:
        """Where the service is."""
        return str(self.options.base_path or self.address)

    async def prepare(self, workspace: UUID, backing: Backing) -> None:
        """Open the credential. Raises `MissingCredential`, `HostNotAllowed`."""
        self.values = await revealed(self, workspace, backing, urlsplit(self.base).hostname)
        if self.secret and not self.values.get(self.secret):
            raise missing(self)

    async def close(self) -> None:
        """Forget the credential."""
        self.values = {}

    async def tools(self, run: Run) -> Sequence[Tool]:
        """The one tool."""
        schema = object_schema({"input": {"type": "string", "description": "What to search for"}}, ["input"])
        return [Tool(tool_name(self.tool_name), self.tool_about, schema, self._call)]

    @property
    def tool_name(self) -> str:
        """What the model calls it."""
        return self.name

    @property
    def tool_about(self) -> str:
        """What the model is told of it."""
        return self.about

    @property
    def key(self) -> str:
        """The service's key."""
        return self.values.get(self.secret, "")

    @abstractmethod
    async def search(self, run: Run, query: str) -> str:
        """What was found, as text. Raises `ToolFailed`."""

    async def _call(self, run: Run, given: Mapping[str, Any]) -> Outcome:
        found = await self.search(run, str(given.get("input") or given.get("query") or "")[:2000])
        return Outcome(shortened(found, MAX_TEXT) or NOTHING)


def listed(items: Any, *, title: str = "title", link: str = "link", text: str = "snippet") -> list[str]:
    """Each of what was found: title, address, excerpt."""
    rows = []
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            parts = (str(item[name]).strip() for name in (title, link, text) if item.get(name))
            rows.append("\n".join(parts))
    return [row for row in rows if row]


def joined(*groups: Iterable[str]) -> str:
    """Everything that was found, one below the other."""
    return "\n\n".join(row for group in groups for row in group if row)


def _told(value: Any, *names: str) -> list[str]:
    """The first of these fields that holds something, as a text."""
    if not isinstance(value, Mapping):
        return []
    found = next((value[name] for name in names if value.get(name)), None)
    if found is None:
        return []
    return [found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)]


class SerpApi(SearchStep):
    """Searches Google by SerpApi."""

    label = "Serp API"
    base_classes = ("SerpAPI", "Tool", "StructuredTool")
    credential = ("serpApi",)
    address, name, secret = "https://serpapi.com", "search", "serpApiKey"

    async def search(self, run: Run, query: str) -> str:
        """The answer box, the knowledge graph, the results."""
        params = {"engine": "google", "output": "json", "q": query, "api_key": self.key}
        found = await asked(run, with_query(f"{self.base}/search", params))
        box = _told(found.get("answer_box"), "answer", "snippet", "snippet_highlighted_words")
        return joined(box, _told(found.get("knowledge_graph"), "description"), listed(found.get("organic_results")))


class SearchApi(SearchStep):
    """Searches Google by SearchApi."""

    label = "SearchApi"
    base_classes = ("SearchAPI", "Tool", "StructuredTool", "Runnable")
    credential = ("searchApi",)
    address, name, secret = "https://www.searchapi.io", "search", "searchApiKey"

    async def search(self, run: Run, query: str) -> str:
        """The answer box, the knowledge graph, the results."""
        url = with_query(f"{self.base}/api/v1/search", {"engine": "google", "q": query})
        found = await asked(run, url, headers={"Authorization": f"Bearer {self.key}"})
        box = _told(found.get("answer_box"), "answer", "snippet")
        return joined(box, _told(found.get("knowledge_graph"), "description"), listed(found.get("organic_results")))


class Serper(SearchStep):
    """Searches Google by Serper."""

    label = "Serper"
    base_classes = ("Serper", "Tool", "StructuredTool", "Runnable")
    credential = ("serperApi",)
    address, name, secret = "https://google.serper.dev", "serper", "serperApiKey"

    async def search(self, run: Run, query: str) -> str:
        """The answer box, the knowledge graph, the results."""
        found = await asked(
            run, f"{self.base}/search", method="POST", headers={"X-API-KEY": self.key}, body={"q": query}
        )
        box = _told(found.get("answerBox"), "answer", "snippet")
        return joined(box, _told(found.get("knowledgeGraph"), "description"), listed(found.get("organic")))


class GoogleCustomSearch(SearchStep):
    """Searches by Google's programmable search engine."""

    label = "Google Custom Search"
    base_classes = ("GoogleCustomSearchAPI", "Tool", "StructuredTool", "Runnable")
    credential = ("googleCustomSearchApi",)
    address, name, secret = "https://www.googleapis.com", "google-custom-search", "googleCustomSearchApiKey"

    async def search(self, run: Run, query: str) -> str:
        """The results."""
        params = {"key": self.key, "cx": self.values.get("googleCustomSearchApiId", ""), "q": query}
        found = await asked(run, with_query(f"{self.base}/customsearch/v1", params))
        return joined(listed(found.get("items")))


class BraveSearch(SearchStep):
    """Searches by Brave."""

    label = "BraveSearch API"
    base_classes = ("BraveSearchAPI", "Tool", "StructuredTool", "Runnable")
    credential = ("braveSearchApi",)
    address, name, secret = "https://api.search.brave.com", "brave-search", "braveApiKey"

    async def search(self, run: Run, query: str) -> str:
        """The results."""
        url = with_query(f"{self.base}/res/v1/web/search", {"q": query[:400]})
        found = await asked(run, url, headers={"X-Subscription-Token": self.key, "Accept": "application/json"})
        web = found.get("web")
        return joined(listed(web.get("results") if isinstance(web, Mapping) else (), link="url", text="description"))


def _names(value: Any) -> Any:
    """A list, also from a text with commas."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_names)]


class TavilyOptions(SearchOptions):
    """Fields of the node."""

    topic: str = Field("general", title="Topic")
    search_depth: str = Field("basic", title="Search Depth")
    chunks_per_source: int = Field(3, ge=1, le=3, title="Chunks Per Source", description="With the depth `advanced`.")
    max_results: int = Field(5, ge=1, le=20, title="Max Results")
    time_range: str = Field("", title="Time Range", description="day, week, month or year.")
    days: int = Field(7, ge=1, title="Days", description="Back from today, with the topic `news`.")
    include_answer: bool = Field(False, title="Include Answer")
    include_raw_content: bool = Field(False, title="Include Raw Content")
    include_images: bool = Field(False, title="Include Images")
    include_image_descriptions: bool = Field(False, title="Include Image Descriptions")
    include_domains: Names = Field(default_factory=list, title="Include Domains")
    exclude_domains: Names = Field(default_factory=list, title="Exclude Domains")


class Tavily(SearchStep):
    """Searches by Tavily."""

    label = "Tavily API"
    base_classes = ("TavilyAPI", "Tool", "StructuredTool", "Runnable")
    credential = ("tavilyApi",)
    address, name, secret = "https://api.tavily.com", "tavily-search", "tavilyApiKey"
    version = 1.2
    Options = TavilyOptions

    async def search(self, run: Run, query: str) -> str:
        """The answer, the results, the pictures."""
        options: TavilyOptions = self.options
        news, advanced = options.topic == "news", options.search_depth == "advanced"
        body = {
            "query": query,
            **options.model_dump(exclude={"base_path", "days", "time_range", "chunks_per_source"}),
            **({"days": options.days} if news else {}),
            **({"time_range": options.time_range} if options.time_range else {}),
            **({"chunks_per_source": options.chunks_per_source} if advanced else {}),
        }
        headers = {"Authorization": f"Bearer {self.key}"}
        found = await asked(run, f"{self.base}/search", method="POST", headers=headers, body=body)
        pictures = [item if isinstance(item, str) else json.dumps(item) for item in found.get("images") or ()]
        results = found.get("results")
        text = "raw_content" if options.include_raw_content else "content"
        return joined(_told(found, "answer"), listed(results, link="url", text=text), pictures)


class SearxngOptions(SearchOptions):
    """Fields of the node."""

    api_base: str = Field("http://localhost:8080", title="Base URL")
    tool_name: str = Field("searxng-search", title="Tool Name")
    tool_description: str = Field("", title="Tool Description")
    headers: Annotated[dict[str, str], BeforeValidator(headers_of)] = Field(default_factory=dict, title="Headers")
    format: str = Field("json", title="Format", description="Only json is read.")
    categories: str = Field("", title="Categories")
    engines: str = Field("", title="Engines")
    language: str = Field("", title="Language")
    pageno: int | None = Field(None, ge=1, title="Page No.")
    time_range: str = Field("", title="Time Range", description="day, month or year.")
    safesearch: int | None = Field(None, ge=0, le=2, title="Safe Search")

    @model_validator(mode="before")
    @classmethod
    def _as_the_server_names_it(cls, data: Any) -> Any:
        given = data.get("time_range") if isinstance(data, dict) else None
        return {"timeRange": given, **data} if given else data

    @field_validator("api_base")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return checked_url(value).rstrip("/")


class Searxng(SearchStep):
    """Searches by a SearXNG server."""

    label = "SearXNG"
    base_classes = ("SearXNG", "Tool", "StructuredTool", "Runnable")
    address, name = "", "searxng-search"
    version = 3
    Options = SearxngOptions

    @property
    def base(self) -> str:
        """The server that the author names."""
        return str(self.options.base_path or self.options.api_base)

    @property
    def tool_name(self) -> str:
        """As the author calls it."""
        return str(self.options.tool_name)

    @property
    def tool_about(self) -> str:
        """As the author describes it."""
        return str(self.options.tool_description or self.about)

    async def search(self, run: Run, query: str) -> str:
        """Answers, info boxes, results."""
        options: SearxngOptions = self.options
        params = {
            "q": query,
            "format": "json",
            "categories": options.categories,
            "engines": options.engines,
            "language": options.language,
            "pageno": options.pageno,
            "time_range": options.time_range,
            "safesearch": options.safesearch,
        }
        found = await asked(run, with_query(f"{self.base}/search", params), headers=options.headers)
        answers = [_answer(item) for item in found.get("answers") or ()]
        boxes = [text for item in found.get("infoboxes") or () for text in _told(item, "content")]
        return joined(answers, boxes, listed(found.get("results"), link="url", text="content"))


def _answer(item: Any) -> str:
    return str(item.get("answer", "")) if isinstance(item, Mapping) else str(item)


class ExaOptions(SearchOptions):
    """Fields of the node."""

    description: str = Field("", title="Tool Description")
    num_results: int = Field(10, ge=1, le=100, title="Num of Results")
    type: str = Field("", title="Search Type", description="keyword, neural, or empty: Exa chooses.")
    use_autoprompt: bool = Field(False, title="Use Auto Prompt", description="Has no effect: Exa does so by itself.")
    category: str = Field("", title="Category")
    include_domains: Names = Field(default_factory=list, title="Include Domains")
    exclude_domains: Names = Field(default_factory=list, title="Exclude Domains")
    start_crawl_date: str = Field("", title="Start Crawl Date")
    end_crawl_date: str = Field("", title="End Crawl Date")
    start_published_date: str = Field("", title="Start Published Date")
    end_published_date: str = Field("", title="End Published Date")


class ExaSearch(SearchStep):
    """Searches by Exa, by what pages mean."""

    label = "Exa Search"
    base_classes = ("ExaSearch", "Tool", "StructuredTool", "Runnable", "ExaSearchResults")
    credential = ("exaSearchApi",)
    address, name, secret = "https://api.exa.ai", "exa_search", "exaSearchApiKey"
    version = 1.1
    Options = ExaOptions

    @property
    def tool_about(self) -> str:
        """As the author describes it."""
        return str(self.options.description or self.about)

    async def search(self, run: Run, query: str) -> str:
        """The results with their text."""
        options: ExaOptions = self.options
        dumped = options.model_dump(by_alias=True, exclude={"base_path", "description", "use_autoprompt", "type"})
        kind = {"type": options.type} if options.type in ("keyword", "neural", "auto") else {}
        body = {
            "query": query,
            **{name: value for name, value in dumped.items() if value not in ("", [])},
            **kind,
            "contents": {"text": {"maxCharacters": 2000}},
        }
        found = await asked(run, f"{self.base}/search", method="POST", headers={"x-api-key": self.key}, body=body)
        return joined(listed(found.get("results"), link="url", text="text"))
