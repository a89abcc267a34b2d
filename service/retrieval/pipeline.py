"""A pipeline: question stages, one searching stage, hit stages; read from a request, run for a query.

Several questions are searched for at once and their lists become one: a chunk counts with the best score that it has
for any of them, so that it stays on the one scale and a chunk that answers one part of a question is worth as much as
one that was asked for alone (Fox & Shaw 1994, "Combination of Multiple Searches", CombMAX). Equal scores are settled
by the sum of reciprocal ranks (Cormack, Clarke & Büttcher 2009, k 60), then by number.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from service.document_stores.ledger.types import ChunkRow
from service.errors import Unprocessable, message_of
from service.plugins import UnknownName, resolve
from service.retrieval import STAGES
from service.retrieval.base import (
    Call,
    Found,
    Hit,
    HitStage,
    Query,
    Question,
    QuestionStage,
    SearchStage,
    Sources,
    Stage,
)
from service.retrieval.trace import SILENT, Notes, Trace

DEFAULT_SEARCH = "hybrid"

MAX_STAGES = 10
MAX_QUESTIONS = 16
"""Questions that the stages of a pipeline may make of one."""
MAX_WANTED = 1000
"""Chunks that later stages may want of earlier ones, beyond what the answer is to hold."""

SPARE = 3
"""Hits asked for per chunk that is wanted, as some may not be live: their document is being indexed or went."""
SPARES_WHEN_SHORT = (300, 3_000)
"""Further hits asked for, one number after the other, while even so too few may be shown: a long document is being
indexed."""

RANK = 60
"""The constant of reciprocal rank fusion."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages in their order. Holds nothing of a query, so that many may run it at once."""

    before: tuple[QuestionStage, ...]
    search: SearchStage
    after: tuple[HitStage, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the stages, in order."""
        return tuple(stage.name for stage in (*self.before, self.search, *self.after))

    def plus(self, stages: Sequence[Stage]) -> "Pipeline":
        """This pipeline with more stages: question stages come before its own, hit stages after its own, a searching
        stage takes the place of its own."""
        return Pipeline(
            (*(stage for stage in stages if isinstance(stage, QuestionStage)), *self.before),
            next((stage for stage in stages if isinstance(stage, SearchStage)), self.search),
            (*self.after, *(stage for stage in stages if isinstance(stage, HitStage))),
        )

    async def run(self, query: Query, sources: Sources, trace: Trace | None = None) -> list[Found]:
        """The chunks that answer the query, at most `query.limit`, best first, each once; all live, all passing the
        filter. What every stage did is told to `trace`.

        Raises what the stages raise: of models `ProviderError`, of stores `VectorStoreError`, `Unprocessable` when a
        stage needs a model that the service has not.
        """
        if query.limit <= 0:
            return []
        questions = [Question(query.text)]
        for asking in self.before:
            with _notes(trace, asking.name) as notes:
                questions = await asking.questions(questions, Call(query, sources, notes))
                notes.asked(question.text for question in questions)
        query = replace(query, text=questions[0].text)
        limits = [query.limit]
        for stage in reversed(self.after):
            limits.append(max(query.limit, min(stage.wanted(limits[-1]), MAX_WANTED)))
        found = await self._live(questions, limits.pop(), Call(query, sources), trace)
        for stage in self.after:
            limit = limits.pop()
            with _notes(trace, stage.name) as notes:
                before, found = found, await stage.refine(found, limit, Call(query, sources, notes))
                found = found[:limit]
                notes.handed(before, found, f"beyond the {limit} that were wanted")
            if trace is not None:
                trace.chunks = {item.number: item.chunk for item in found} | trace.chunks
        return found

    async def _live(self, questions: list[Question], wanted: int, call: Call, trace: Trace | None) -> list[Found]:
        """The best chunks that may be shown; searches further when too many of the best may not."""
        found: list[Found] = []
        for further in (0, *SPARES_WHEN_SHORT):
            limit = SPARE * wanted + further
            # Spare ones are not worth a request: as a rule, all of the best may be shown.
            enough = wanted if trace is None and len(questions) == 1 and not further else limit
            with _notes(trace, self.search.name) as searched:
                lists = await self._searched(questions, limit, replace(call, notes=searched, enough=enough))
                hits = lists[0] if len(lists) == 1 else merged(lists, self._rank_constant)[:limit]
                searched.asked(question.text for question in questions)
                searched.handed((), hits)
            with _notes(trace, "ledger") as notes:
                numbers = {hit.number: hit for hit in hits}
                # An explanation names all candidates, an answer needs only its own.
                rows = await call.sources.ledger.live(list(numbers), wanted if trace is None else len(numbers))
                if trace is not None:
                    trace.chunks |= {row.number: row for row in rows if row.number is not None}
                    if not call.sources.ledger.frank:
                        hits = [hit for hit in hits if hit.number in trace.chunks]
                        searched.handed((), hits)
                    for number in numbers.keys() - trace.chunks.keys():
                        notes.cut(number, "not live: its document is being indexed, or it was deleted")
                found = [_found(row, numbers) for row in rows[:wanted]]
                notes.handed(hits, found, f"beyond the {wanted} that were wanted")
            if len(found) == wanted or all(len(each) < enough for each in lists):
                break
        return found

    @property
    def _rank_constant(self) -> float | None:
        return next((given for stage in self.before if (given := stage.rank_constant) is not None), None)

    async def _searched(self, questions: list[Question], limit: int, call: Call) -> list[list[Hit]]:
        """What is found for each question, all searched for at once."""
        if len(questions) == 1:
            return [await self.search.search(questions[0], limit, call)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.search.search(question, limit, call)) for question in questions]
        except ExceptionGroup as problems:
            # Callers handle the error itself; the other searches were cancelled.
            raise problems.exceptions[0] from problems
        return [task.result() for task in tasks]


def _found(row: ChunkRow, hits: Mapping[int, Hit]) -> Found:
    assert row.number is not None, "only indexed chunks are found"
    hit = hits[row.number]
    return Found(row, hit.score, hit.parts)


def _notes(trace: Trace | None, name: str) -> AbstractContextManager[Notes]:
    return nullcontext(SILENT) if trace is None else trace.stage(name)


def merged(lists: Sequence[Sequence[Hit]], constant: float | None = None) -> list[Hit]:
    """The lists of several questions as one: each chunk with its best score, in the order that the module says; with a
    `constant` by the sum of reciprocal ranks first, as a question stage may ask."""
    best: dict[int, Hit] = {}
    ranks: defaultdict[int, float] = defaultdict(float)
    for hits in lists:
        for rank, hit in enumerate(hits, 1):
            ranks[hit.number] += 1 / ((RANK if constant is None else constant) + rank)
            if hit.number not in best or hit.score > best[hit.number].score:
                best[hit.number] = hit
    if constant is not None:
        return sorted(best.values(), key=lambda hit: (-ranks[hit.number], -hit.score, hit.number))
    return sorted(best.values(), key=lambda hit: (-hit.score, -ranks[hit.number], hit.number))


def pipeline(value: object = None, field: str = "retrieval") -> Pipeline:
    """The pipeline that a list of `{"name": ..., option: ...}` means; None and a list without a searching stage search
    by `hybrid`.

    Raises `Unprocessable` naming the place, such as `retrieval[2].lambda`.
    """
    items: object = [] if value is None else value
    if not isinstance(items, list | tuple):
        raise Unprocessable(f'{field}: must be a list of stages such as [{{"name": "{DEFAULT_SEARCH}"}}]')
    if len(items) > MAX_STAGES:
        raise Unprocessable(f"{field}: at most {MAX_STAGES} stages, not {len(items)}")
    stages = [stage_of(item, f"{field}[{place}]") for place, item in enumerate(items)]
    before: list[QuestionStage] = []
    search: SearchStage | None = None
    after: list[HitStage] = []
    count = 1
    for place, stage in enumerate(stages):
        if isinstance(stage, QuestionStage) and search is None and not after:
            before.append(stage)
            count = stage.most(count)
        elif isinstance(stage, SearchStage) and search is None and not after:
            search = stage
        elif isinstance(stage, HitStage):
            after.append(stage)
        else:
            raise Unprocessable(
                f"{field}[{place}]: '{stage.name}' cannot stand here; first come stages that change the question,"
                " then one that searches, then those that work on what was found"
            )
        if count > MAX_QUESTIONS:
            raise Unprocessable(f"{field}[{place}]: makes {count} questions of one; {MAX_QUESTIONS} at most, in all")
    return Pipeline(tuple(before), search or _default(), tuple(after))


def of_strategy(name: str) -> Pipeline:
    """The pipeline of one stage with its default options. Raises `UnknownName`."""
    resolve(STAGES, name, "retrieval strategy")
    return pipeline([{"name": name}], "strategy")


def _default() -> SearchStage:
    stage: SearchStage = resolve(STAGES, DEFAULT_SEARCH, "retrieval stage")()
    return stage


def stage_of(item: object, place: str) -> Stage:
    """A stage by its name and options. Raises `Unprocessable` naming the option in its `place`, and `UnknownName`."""
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise Unprocessable(f'{place}: must be an object with the name of a stage, such as {{"name": "mmr"}}')
    try:
        kind: type[Stage] = resolve(STAGES, item["name"], "retrieval stage")
    except UnknownName as error:
        raise UnknownName(f"{place}.name: {error.message}") from None
    options: dict[str, Any] = {name: value for name, value in item.items() if name != "name"}
    try:
        return kind(kind.Options.model_validate(options))
    except ValidationError as error:
        raise Unprocessable("; ".join(_problems(kind, error, place))) from None


def _problems(kind: type[Stage], error: ValidationError, place: str) -> list[str]:
    known = ", ".join(info.alias or name for name, info in kind.Options.model_fields.items()) or "none"
    told = []
    for item in error.errors():
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"])
        problem = (
            f"there is no such option; known are {known}" if item["type"] == "extra_forbidden" else message_of(item)
        )
        told.append(f"{place}{where}: {problem[:1].lower()}{problem[1:]}")
    return told
