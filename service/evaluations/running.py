"""The runner: cases that have no result yet are asked, scored and kept, so many at a time.

Results are kept as they come, several in one transaction when they come together, with the job's progress. So what a
worker that dies has asked in vain is what it was at: the cases in flight, and those that wait to be kept or are just
being kept, of flows at most four times as many as are asked at the same time. Searches cost so little that more of them
may wait (`WAITING`, `GATHERING`): else they would stand still while the database writes. Rows are read a page at a
time.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from itertools import product
from time import perf_counter
from uuid import uuid4

from service.chatflows.types import Role, Turn, Usage
from service.concurrency import together
from service.errors import ServiceError
from service.evaluations import records
from service.evaluations.asking import Answered, answered_by
from service.evaluations.cases import records as cases
from service.evaluations.earlier import MOST_TURNS, earlier
from service.evaluations.judging import Lender, judged_shown
from service.evaluations.patience import Patience
from service.evaluations.searching import SearchOptions, found_by, read_options
from service.evaluations.types import (
    Attempt,
    EvaluatedRow,
    Evaluation,
    GoldKind,
    Result,
    Score,
    Taken,
    TargetKind,
)
from service.metrics.base import Case, Lent, Metric, failed
from service.metrics.making import metric
from service.predictions.text import clean
from service.secret_names import redacted_text
from service.worker.work import Stopped, Work

PAGE = 50
"""Rows that are in memory at once."""
AT_ONCE = 64
"""Results that are kept in one transaction at most."""
WAITING = 8
"""Results of searches that may wait to be kept, for each that is asked at the same time; of flows, one."""
GATHERING = 0.25
"""Seconds for which results of searches are gathered before they are kept: a transaction costs as much as a search."""
LONGEST_ERROR = 2_000

STAGE = "asking"


@dataclass(frozen=True, slots=True)
class Asked:
    """A case that is to be asked. `session` and `history`: the conversation that it is part of, or the turns
    that its row brings."""

    row: EvaluatedRow
    target: int
    repeat: int
    session: str
    history: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """All rows, one after another, put to one target."""

    target: int
    repeat: int


class Runner:
    """One attempt to run what is left of an evaluation."""

    def __init__(self, work: Work, evaluation: Evaluation, lender: Lender, patience: Sequence[Patience]) -> None:
        """`patience`: with each target."""
        self._work = work
        self._evaluation = evaluation
        self._plan = evaluation.plan
        self._lender = lender
        self._patience = patience
        self._metrics: dict[str, Metric] = {
            item.label: metric(item.metric, item.options) for item in evaluation.plan.measures
        }
        self._searches: dict[int, SearchOptions] = {
            place: read_options(item.options)
            for place, item in enumerate(evaluation.plan.targets)
            if item.kind is TargetKind.STORE
        }
        most = work.resources.settings.evaluation_concurrency
        self._places = min(evaluation.plan.concurrency or most, most)
        self._cheap = all(item.kind is TargetKind.STORE for item in evaluation.plan.targets)
        self._results: asyncio.Queue[Result | None] = asyncio.Queue(self._places * (WAITING if self._cheap else 1))
        self._before = int(work.payload.get("before") or 0)

    async def run(self) -> None:
        """Ask what has no result yet. Raises `Stopped`, and what means that the job is to be tried again."""
        await together(self._ask_all(), self._keep_all())

    # Asking

    async def _ask_all(self) -> None:
        line: asyncio.Queue[Asked | Conversation | None] = asyncio.Queue(1)

        async def feed() -> None:
            async with aclosing(self._conversations() if self._plan.conversation else self._cases()) as items:
                async for item in items:
                    await line.put(item)
            for _ in range(self._places):
                await line.put(None)

        async def take() -> None:
            while (item := await line.get()) is not None:
                if isinstance(item, Asked):
                    await self._results.put(await self._result(item))
                else:
                    await self._talk(item)

        await together(feed(), *(take() for _ in range(self._places)))
        await self._results.put(None)

    async def _cases(self) -> AsyncGenerator[Asked, None]:
        """The cases without results, each a conversation of its own: row by row, so that the targets are asked under
        the same load."""
        kinds = list(product(range(len(self._plan.targets)), range(self._plan.repeats)))
        async with aclosing(self._rows(0)) as rows:
            async for row, done in rows:
                for target, repeat in kinds:
                    if (row.place, target, repeat) not in done:
                        yield Asked(row, target, repeat, str(uuid4()), earlier(row.metadata))

    async def _conversations(self) -> AsyncGenerator[Conversation, None]:
        for target, repeat in product(range(len(self._plan.targets)), range(self._plan.repeats)):
            yield Conversation(target, repeat)

    async def _rows(self, start: int) -> AsyncGenerator[tuple[EvaluatedRow, set[tuple[int, int, int]]], None]:
        """The rows from this place on, each with the cases of its page that have results."""
        evaluation, database = self._evaluation, self._work.resources.database
        for place in range(start, evaluation.rows, PAGE):
            async with database.read(evaluation.workspace) as scope:
                done = await cases.finished(scope, evaluation.id, place, place + PAGE)
                rows = await cases.rows(scope, evaluation.id, place, PAGE)
            for row in rows:
                yield row, done

    async def _talk(self, talk: Conversation) -> None:
        """Ask the rows of one conversation, one after another, behind those that have results. A turn that failed is no
        part of what follows."""
        evaluation, session = self._evaluation, str(uuid4())
        turns: deque[Turn] = deque(maxlen=MOST_TURNS)
        async with self._work.resources.database.read(evaluation.workspace) as scope:
            start = await cases.first_missing(scope, evaluation.id, talk.target, talk.repeat)
            said = await cases.turns(scope, evaluation.id, talk.target, talk.repeat, start, MOST_TURNS // 2)
        for question, answer in said:
            turns += _exchange(question, answer)
        async with aclosing(self._rows(start)) as rows:
            async for row, _ in rows:
                result = await self._result(Asked(row, talk.target, talk.repeat, session, tuple(turns)))
                if not result.error and result.answer is not None:
                    turns += _exchange(row.question, result.answer)
                await self._results.put(result)

    # One case

    async def _result(self, asked: Asked) -> Result:
        """What comes of a case: what the target says, then what that is worth."""
        attempts: list[Attempt] = []
        answered, error = Answered(), ""
        try:
            answered = await self._patience[asked.target].call(lambda: self._answer(asked), attempts)
        except ServiceError as failure:
            error = clean(redacted_text(failure.message))[:LONGEST_ERROR] or type(failure).__name__
        spent: list[Usage] = []
        case = case_of(asked.row, answered, error)
        scores = await self._scores(case, self._lender.to_case(attempts, spent))
        details = dict(answered.details)
        if spent:
            details["judge"] = judged_shown(spent, self._work.resources)
        return Result(
            place=asked.row.place,
            target=asked.target,
            repeat=asked.repeat,
            answer=answered.answer,
            found=answered.found,
            taken=answered.taken,
            details=details,
            scores=scores,
            error=error,
            attempts=tuple(attempts),
        )

    async def _answer(self, asked: Asked) -> Answered:
        target, resources = self._plan.targets[asked.target], self._work.resources
        documents = frozenset(item.value for item in asked.row.gold if item.kind is GoldKind.DOCUMENT)
        if target.kind is TargetKind.CHATFLOW:
            form = asked.row.metadata.get("form")
            return await answered_by(
                resources,
                self._evaluation.workspace,
                target,
                asked.row.question,
                session=asked.session,
                history=asked.history,
                form=form if isinstance(form, dict) else None,
                documents=documents,
            )
        begun = perf_counter()
        options = self._searches[asked.target]
        found = await found_by(
            resources,
            self._evaluation.workspace,
            target,
            options,
            asked.row.question,
            history=asked.history,
            documents=documents,
        )
        return Answered(found=found, taken=Taken(latency=round(1000 * (perf_counter() - begun), 3)))

    async def _scores(self, case: Case, lent: Lent) -> dict[str, Score]:
        """By label, in the plan's order. Those that ask a judge do so side by side."""
        if case.failure:
            return {label: failed(case.failure) for label in self._metrics}
        asking = [label for label, item in self._metrics.items() if item.needs_model]
        told = await together(*(self._metrics[label].score(case, lent) for label in asking)) if asking else []
        judged = dict(zip(asking, told, strict=True))
        return {
            label: judged[label] if label in judged else await item.score(case, lent)
            for label, item in self._metrics.items()
        }

    # Keeping

    async def _keep_all(self) -> None:
        ended = False
        while not ended:
            results, ended = await self._next()
            if results:
                await self._keep(results)

    async def _next(self) -> tuple[list[Result], bool]:
        """Results that are kept together, and whether they are the last: the next one, what is there already, and of
        searches what comes soon."""
        first = await self._results.get()
        if first is None:
            return [], True
        batch = [first]
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHERING if self._cheap else 0):
                while len(batch) < AT_ONCE:
                    if (more := await self._results.get()) is None:
                        return batch, True
                    batch.append(more)
        return batch, False

    async def _keep(self, results: Sequence[Result]) -> None:
        evaluation, work = self._evaluation, self._work
        failures = sum(bool(item.error) for item in results)
        async with work.resources.database.write(evaluation.workspace) as scope:
            counts = await records.advance(scope, evaluation.id, len(results), failures)
            if counts is None:
                raise Stopped  # it is gone
            done, failed_ones = counts
            await cases.add(scope, evaluation.id, results)
            told = {"done": done, "failed": failed_ones}
            await work.note(scope, STAGE, done - self._before, evaluation.total - self._before, told)


def case_of(row: EvaluatedRow, answered: Answered, error: str = "") -> Case:
    """What metrics see. The row's metadata may name further right answers (`answers`), and say whether the knowledge
    base holds the answer at all (`answerable`)."""
    further = row.metadata.get("answers")
    answers = [text for text in further if isinstance(text, str)] if isinstance(further, list) else []
    expected = tuple(dict.fromkeys(text for text in (row.expected, *answers) if text.strip()))
    answerable = row.metadata.get("answerable")
    return Case(
        question=row.question,
        expected=expected,
        gold=tuple(row.gold),
        answerable=answerable if isinstance(answerable, bool) else None,
        answer=answered.answer,
        found=answered.found,
        taken=answered.taken,
        failure=error,
    )


def _exchange(question: str, answer: str) -> tuple[Turn, Turn]:
    return Turn(Role.USER, question), Turn(Role.MODEL, answer)
