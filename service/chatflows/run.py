"""What a step may know of one prediction, and what it may use of the service: an allow-list, built by hand."""

from asyncio import Semaphore, Task
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from service.chatflows.types import Attached, HumanInput, Passage, Paused, Picture, StepEvent, Turn, Usage
from service.providers.defaults import Defaults
from service.retrieval.base import Models, Stage
from service.retrieval.pipeline import Pipeline


class Search(Protocol):
    """Finds the `k` passages of a document store that fit a question, best first, of those whose metadata pass the
    filter `where` (stores/vector/filters.py). Raises `NotFound`, `Unprocessable` for a filter that is none.

    `retrieval` takes the place of the document store's own pipeline, `more` stages are added to either
    (`Pipeline.plus`); `models` are those that stages ask, `history` the turns that they may look at.
    """

    async def __call__(
        self,
        workspace: UUID,
        store: UUID,
        question: str,
        *,
        k: int,
        where: Mapping[str, Any] | None = None,
        retrieval: Pipeline | None = None,
        more: Sequence[Stage] = (),
        models: Models | None = None,
        history: Sequence[Turn] = (),
    ) -> Sequence[Passage]: ...


@dataclass(frozen=True, slots=True)
class Quoted:
    """An answer made of sentences of passages: in pieces, with the passages it quotes in order of their numbers."""

    pieces: tuple[str, ...]
    passages: tuple[Passage, ...]
    found: bool
    """False: the passages do not answer the question; the pieces say so."""


class Quote(Protocol):
    """Answers a question with sentences of the passages that were found for it."""

    async def __call__(self, question: str, passages: Sequence[Passage]) -> Quoted: ...


Reveal = Callable[[UUID, UUID, str | None], Awaitable[Mapping[str, str]]]
"""Gives the values of a credential: workspace, credential, host it will be sent to."""


Look = Callable[[UUID, UUID], Awaitable[object]]
"""Looks for something of a workspace by its id. Raises `NotFound`."""


class Script(Protocol):
    """Runs JavaScript apart from the service (no files, no processes, no network but the egress client), with `values`
    as globals by name; what it returns is JSON. Raises `Unprocessable` with the script's error, or for a limit that it
    crossed."""

    async def __call__(self, code: str, values: Mapping[str, Any]) -> Any: ...


@dataclass(frozen=True, slots=True)
class StoredTool:
    """A tool that a workspace keeps (contract 6.3): `schema` is its JSON text, `code` JavaScript."""

    id: UUID
    name: str
    description: str
    schema: str
    code: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the web, or a file there, as text."""

    url: str
    title: str
    text: str


class ReadPages(Protocol):
    """Reads what is at an address, apart from the service: the page itself, or by `method` those that it leads to
    (`webCrawl`, `depth` links away at most) or those of a sitemap (`scrapeXMLSitemap`); `limit` pages at most.

    Pages that cannot be read are left out; raises `ServiceError` when there is none.
    """

    async def __call__(
        self, url: str, *, method: str | None = None, limit: int = 1, depth: int = 1
    ) -> Sequence[Page]: ...


class Predict(Protocol):
    """Runs another flow of the workspace as a part of `run`, and says its events. What its text cites by number stands
    in the `Sources` before it, or by then in `cited`. Raises `NotFound`, `FlowNotRunnable`, `Unprocessable` when flows
    call each other too deeply."""

    def __call__(
        self,
        run: "Run",
        flow: UUID,
        question: str,
        *,
        session: str = "",
        overrides: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        cited: "Cited | None" = None,
    ) -> AsyncGenerator[StepEvent, None]: ...


@dataclass(frozen=True, slots=True)
class Backing:
    """What steps may use of the service: an allow-list, built by hand."""

    search: Search
    quote: Quote
    reveal: Reveal
    defaults: Defaults = field(default_factory=Defaults)
    chat_model: str = ""
    """The service's own model, `openai:NAME` or `local:FILE`; empty: it quotes."""
    script: Script | None = None
    """None: the operator has not switched JavaScript on."""
    stored_tool: Callable[[UUID, UUID], Awaitable[StoredTool]] | None = None
    """A tool of a workspace by its id. Raises `NotFound`."""
    predict: Predict | None = None
    pages: ReadPages | None = None
    document_store: Look | None = None
    """None: nobody can tell which document stores there are."""
    flow: Look | None = None
    """None: nobody can tell which flows there are."""


@dataclass(slots=True)
class Cited:
    """The passages that the agents of a run are told of by number: the first is [1], whichever agent found it."""

    passages: list[Passage] = field(default_factory=list)
    hidden: int = 0
    """So many passages are numbered in the text, from 1 on, and shown to nobody: their numbers mean nothing outside."""
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, passage: Passage) -> int:
        """The passage's number, a new one for a new passage."""
        if passage.id not in self._numbers:
            self.passages.append(passage)
            self._numbers[passage.id] = len(self.passages)
        return self._numbers[passage.id]


@dataclass(frozen=True, slots=True)
class Run:
    """One prediction: everything a step may know of it."""

    workspace: UUID
    chatflow: UUID | None
    chat: str
    session: str
    question: str
    history: Sequence[Turn]
    backing: Backing
    whole: bool = False
    """The caller reads the answer when it is complete: models need not stream, which costs twice the work."""
    spent: list[Usage] = field(default_factory=list)
    """What the models of retrievers and tools took; the running flow says it among its events."""
    texts: dict[str, Task[str]] = field(default_factory=dict)
    """What nodes said whose text other nodes name, by node: made once in a run."""
    cited: Cited = field(default_factory=Cited)
    """What its agents may cite."""
    caller: str = ""
    """Whose conversations these are, as messages are kept under it."""
    pictures: Sequence[Picture] = ()
    """Images that came with the question, for models that read images."""
    documents: Sequence[Attached] = ()
    """Documents that came with the question; `steps.prompts.human` puts them before it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """`$vars` by name: the workspace's variables, as the call may change them."""
    form: Mapping[str, Any] | None = None
    """The values of a form that starts an agentflow, in place of a question."""
    webhook: Mapping[str, Any] | None = None
    """`$webhook`: body, headers and query of the call that started an agentflow."""
    human: HumanInput | None = None
    """A person's answer to a run that waited, which goes on from `paused`."""
    paused: Paused | None = None
    last: Paused | None = None
    """What the session's last run of this agentflow left, for flows that keep their state or their form from turn to
    turn (`AgentFlow.remembers`); its `executed` and `state` are enough."""
    execution: UUID | None = None
    """What writes the run of an agentflow down; flows that it calls are written down as its children."""
    depth: int = 0
    """How many flows have called each other to get here."""
    lanes: dict[int, Semaphore] = field(default_factory=dict)
    """What the flows that are called by this one, and by each other, wait for, by their depth."""
    kept: bool = True
    """False: nothing of it is stored, nor of the flows that it calls."""
