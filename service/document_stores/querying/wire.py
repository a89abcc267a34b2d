"""A question to a document store, its answer, and the trace of how the answer was found (contract 3.5, extended)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import Field

from service.chatflows.types import Role, Turn
from service.document_stores.examples import EXAMPLE_ID
from service.document_stores.ledger.types import ChunkRow
from service.document_stores.search import filter_among, filter_of, limit_of, picking_among
from service.document_stores.types import FoundChunk
from service.errors import Unprocessable
from service.http.wire import Body, Wire
from service.retrieval.pipeline import Pipeline, of_strategy, pipeline
from service.retrieval.trace import StageTrace, Trace
from stores.vector.filters import both

MAX_TURNS = 200
"""Turns of `history` that one query may bring."""
EXCERPT = 160
"""Characters of a chunk's text that a trace shows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query asks for besides its text. None: as the document store is configured, else the default."""

    limit: int | None
    where: Any
    retrieval: Pipeline | None
    history: tuple[Turn, ...]
    explain: bool


class QueryBody(Body):
    """A question to a document store. What shapes the search may stand in `inputs` as well, as Flowise has it."""

    store_id: UUID = Field(examples=[EXAMPLE_ID])
    query: str = Field(min_length=1, max_length=100_000, examples=["How many days of leave do I have?"])
    top_k: int | str | None = Field(None, description="How many chunks; default 4", examples=[4])
    filter: dict[str, Any] | None = Field(
        None, description="A filter of metadata, in MongoDB's operators", examples=[{"page": {"$gte": 2}}]
    )
    strategy: str | None = Field(
        None, description="One stage with its default options, such as `hybrid`; in place of `retrieval`"
    )
    retrieval: list[dict[str, Any]] | None = Field(
        None,
        description="The stages of the search in their order, each with its `name` and its options: first those that"
        " change the question, then one that searches (default `hybrid`), then those that work on what was found."
        " Default: the document store's own `vectorStoreConfig.config.retrieval`, else `hybrid` alone",
        examples=[[{"name": "hybrid"}, {"name": "mmr", "lambda": 0.7}]],
    )
    history: list[dict[str, Any]] | None = Field(
        None,
        max_length=MAX_TURNS,
        description="Earlier turns for stages that look at them, oldest first",
        examples=[[{"role": "userMessage", "content": "Who may take parental leave?"}]],
    )
    explain: bool | None = Field(None, description="Answer with the `trace` of every stage", examples=[True])
    principals: list[str] | None = Field(
        None,
        description="Whom the query is for: only what one of them may find; default: what is restricted too",
        examples=[["user:anna", "group:hr"]],
    )
    inputs: dict[str, Any] | None = Field(
        None,
        description="`topK`, `filter`, `strategy`, `retrieval`, `history` and `explain`, if not given beside it; also"
        " the filters of Flowise's vector stores, such as `pgMetadataFilter`, which count besides the others, and their"
        " `searchType` (`mmr` with `fetchK` and `lambda`) where no stages are named",
    )

    def asked(self) -> Asked:
        """What is asked for. Raises `Unprocessable` naming the field."""
        given = {
            "topK": self.top_k,
            "filter": self.filter,
            "strategy": self.strategy,
            "retrieval": self.retrieval,
            "history": self.history,
            "explain": self.explain,
        }
        for name, value in (self.inputs or {}).items():
            if name in given and value is not None:
                if given[name] is not None:
                    raise Unprocessable(f"inputs.{name}: is given beside `inputs` already")
                given[name] = value
        return Asked(
            limit=limit_of(given["topK"]) if given["topK"] not in (None, "") else None,
            where=both(filter_of(given["filter"]), filter_among(self.inputs or {}, "inputs")),
            retrieval=_retrieval(given["strategy"], given["retrieval"]) or _picking(self.inputs or {}),
            history=_turns(given["history"]),
            explain=_flag(given["explain"]),
        )


class FoundDoc(Wire):
    """A chunk that was found; `score` is the strategy's, higher is better."""

    page_content: str
    metadata: dict[str, Any]
    id: UUID
    chunk_no: int
    score: float
    similarity: float | None


class TraceCandidate(Wire):
    """A chunk that a stage handed on. `id` is null for a chunk that may not be shown: deleted, or not ready yet."""

    number: int = Field(examples=[17], description="The chunk's number in the indexes of its document store")
    id: UUID | None = Field(examples=[EXAMPLE_ID])
    score: float = Field(examples=[0.83])
    parts: dict[str, float] = Field(
        examples=[{"cosine": 0.71, "lexical": 0.95}], description="What the score is made of, by stages that say so"
    )


class TraceCut(Wire):
    """A chunk that a stage was given and did not hand on."""

    number: int = Field(examples=[4])
    id: UUID | None = Field(examples=[EXAMPLE_ID])
    score: float = Field(examples=[0.12], description="The score that it came with")
    reason: str = Field(examples=["score below 0.3"])


class TraceStage(Wire):
    """What one stage did; `ledger` stands for reading the texts of what may be shown."""

    name: str = Field(examples=["hybrid"])
    milliseconds: float = Field(examples=[8.2])
    times: dict[str, float] = Field(
        examples=[{"embedding": 4.1, "vectors": 1.3, "words": 2.2}],
        description="Milliseconds of its parts, some of which work at once",
    )
    questions: list[str] = Field(description="What is searched for from here on; by stages that ask or search")
    candidates: list[TraceCandidate] = Field(description="What it handed on, best first")
    cut: list[TraceCut] = Field(description="What it left out, and why")
    facts: dict[str, Any] = Field(
        examples=[{"language": "en", "weight": 1.0}], description="What else the stage says of itself"
    )


class TraceChunk(Wire):
    """Who a number is, for those that may be shown."""

    number: int
    id: UUID
    document_id: UUID
    chunk_no: int
    source: str | None
    title: str | None
    page: int | None
    heading: str | None
    excerpt: str


class QueryTrace(Wire):
    """Why these chunks: every stage of the search in its order. Empty for a document store that holds nothing."""

    stages: list[TraceStage]
    chunks: list[TraceChunk]


class QueryResult(Wire):
    """The chunks that answer a question, best first."""

    time_taken: int = Field(description="Milliseconds", examples=[12])
    docs: list[FoundDoc]
    trace: QueryTrace | None = Field(None, description="Only with `explain`")


def found_doc(chunk: FoundChunk) -> FoundDoc:
    """A chunk that a query found."""
    return FoundDoc(
        page_content=chunk.text,
        metadata=dict(chunk.metadata),
        id=chunk.id,
        chunk_no=chunk.position + 1,
        score=chunk.score,
        similarity=chunk.similarity,
    )


def query_result(milliseconds: float, found: Sequence[FoundChunk], trace: Trace | None) -> QueryResult:
    """The answer; without the field `trace` where there is none."""
    told = {} if trace is None else {"trace": query_trace(trace)}
    return QueryResult(time_taken=round(milliseconds), docs=[found_doc(chunk) for chunk in found], **told)


def query_trace(trace: Trace) -> QueryTrace:
    """The trace as callers read it."""
    return QueryTrace(
        stages=[_stage(stage, trace.chunks) for stage in trace.stages],
        chunks=[_chunk(row) for _, row in sorted(trace.chunks.items())],
    )


def _stage(stage: StageTrace, known: Mapping[int, ChunkRow]) -> TraceStage:
    ids = {number: row.id for number, row in known.items()}
    return TraceStage(
        name=stage.name,
        milliseconds=round(stage.milliseconds, 3),
        times={name: round(value, 3) for name, value in stage.times.items()},
        questions=stage.questions,
        candidates=[
            TraceCandidate(number=item.number, id=ids.get(item.number), score=item.score, parts=dict(item.parts))
            for item in stage.candidates
        ],
        cut=[
            TraceCut(number=item.number, id=ids.get(item.number), score=item.score, reason=item.reason)
            for item in stage.left_out
        ],
        facts=stage.facts,
    )


def _chunk(row: ChunkRow) -> TraceChunk:
    assert row.number is not None, "only indexed chunks are found"
    text = " ".join(row.text.split())
    page = row.metadata.get("page")
    return TraceChunk(
        number=row.number,
        id=row.id,
        document_id=row.document_id,
        chunk_no=row.position + 1,
        source=_text(row.metadata.get("source")),
        title=_text(row.metadata.get("title")),
        page=page if isinstance(page, int) else None,
        heading=_text(row.metadata.get("heading")),
        excerpt=text if len(text) <= EXCERPT else text[: EXCERPT - 1].rstrip() + "…",
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _retrieval(strategy: object, stages: object) -> Pipeline | None:
    if strategy in (None, ""):
        return None if stages is None else pipeline(stages)
    if stages is not None:
        raise Unprocessable("strategy: comes in place of `retrieval`, not together with it")
    if not isinstance(strategy, str):
        raise Unprocessable("strategy: must be the name of a stage")
    return of_strategy(strategy)


def _picking(inputs: Mapping[str, Any]) -> Pipeline | None:
    picking = picking_among(inputs, "inputs")
    return None if picking is None else pipeline().plus(picking)


def _turns(history: object) -> tuple[Turn, ...]:
    if history is None:
        return ()
    if not isinstance(history, list) or len(history) > MAX_TURNS:
        raise Unprocessable(f"history: must be a list of at most {MAX_TURNS} turns")
    turns = []
    for place, item in enumerate(history):
        role, content = (item.get("role"), item.get("content")) if isinstance(item, Mapping) else (None, None)
        if not isinstance(role, str) or role not in set(Role) or not isinstance(content, str):
            known = ", ".join(Role)
            raise Unprocessable(f"history[{place}]: must have a role ({known}) and a content, a text")
        turns.append(Turn(Role(role), content))
    return tuple(turns)


def _flag(value: object) -> bool:
    if value in (None, False, "", "false"):
        return False
    if value in (True, "true"):
        return True
    raise Unprocessable(f"explain: must be true or false, not {value!r}")
