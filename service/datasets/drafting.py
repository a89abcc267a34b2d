"""Questions drafted from a document store: with the service's own chat model, else from headings and sentences."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from service.datasets import questions, records
from service.datasets.questions import Question
from service.datasets.service import BATCH, get, insert, locked
from service.datasets.types import Drafted, Excerpt, Gold, GoldKind, RowDraft, Wish
from service.document_stores import service as document_stores
from service.model_json import found as json_found
from service.predictions.text import clean
from service.providers.errors import ProviderError
from service.resources import Resources
from service.untrusted import Fence

MOST_QUESTIONS = 200
"""Questions of one call."""
LEAST_TEXT = 60
"""Characters of a chunk that a question is made of."""
SHOWN = 6_000
"""Characters of a chunk that a model is shown."""
LONGEST_QUESTION = 500
LONGEST_ANSWER = 2_000
AT_ONCE = 4
SECONDS = 60.0
"""For all that a model writes in one call; what it has not written by then is made without it."""

PROMPT = """Below is a passage of a document. Write one question that somebody might ask who has not seen the passage \
and that the passage alone answers, the answer in one to three sentences that use only what it says, and the words of \
the passage, copied exactly, that prove the answer. Write in the language of the passage. The question must name what \
it is about: never speak of "the passage", "the text" or "the document". Answer with JSON only: \
{{"question": "...", "answer": "...", "quote": "..."}}

{note}"""

_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_SPEAKS_OF_IT = re.compile(
    r"\b(?:the|this|dem|der|dieser|diesem) (?:passage|text|excerpt|textabschnitt|abschnitt)\b", re.IGNORECASE
)


class Unfit(Exception):
    """What a model wrote is no question with an answer; the message says why."""


@dataclass(frozen=True, slots=True)
class _Made:
    """What became of a chunk: a question, and why no model wrote it (None: one did, or was not asked)."""

    excerpt: Excerpt
    question: Question
    by_model: bool
    reason: str | None = None


async def draft(resources: Resources, workspace: UUID, dataset_id: UUID, wish: Wish) -> Drafted:
    """Add drafts of questions about chunks of a document store, each chunk once a dataset. Chunks that not everybody
    may find are left out. Raises `NotFound`, `TooLarge`."""
    await get(resources.database, workspace, dataset_id)
    store = await document_stores.get(resources, workspace, wish.store)
    async with resources.database.read(workspace) as scope:
        drawn = await records.excerpts(
            scope, wish.store, dataset_id, seed=wish.seed, least=LEAST_TEXT, limit=wish.count * 3
        )
    plain = await asyncio.to_thread(_plain, drawn, wish.count)
    asks = wish.model and bool(resources.own_chat)
    made = await _with_model(resources, plain) if asks else plain
    async with resources.database.write(workspace) as scope:
        held = await locked(scope, dataset_id)
        there: set[str] = set()
        for start in range(0, len(made), BATCH):
            origins = [_origin(item.excerpt) for item in made[start : start + BATCH]]
            there |= await records.known(scope, dataset_id, origins)
        fresh = [item for item in made if _origin(item.excerpt) not in there]
        rows = [_row(item, store.name, wish) for item in fresh]
        if rows:
            await insert(scope, held, rows)
            await records.touch(scope, dataset_id, len(rows))
    return Drafted(len(rows), sum(item.by_model for item in fresh), _reasons(made, asks=asks, wished=wish.model))


def _plain(drawn: Sequence[Excerpt], count: int) -> list[_Made]:
    """The first `count` chunks that a question can be made of."""
    made = []
    for excerpt in drawn:
        heading = excerpt.metadata.get("heading")
        asked = questions.of_chunk(excerpt.text, heading if isinstance(heading, str) else excerpt.head)
        if asked is not None:
            made.append(_Made(excerpt, asked, by_model=False))
        if len(made) == count:
            break
    return made


async def _with_model(resources: Resources, plain: Sequence[_Made]) -> list[_Made]:
    """The same chunks with a model's questions, where it wrote some in time."""
    gate = asyncio.Semaphore(AT_ONCE)
    end = asyncio.get_running_loop().time() + SECONDS

    async def one(item: _Made) -> _Made:
        try:
            async with gate, asyncio.timeout_at(end):
                return _Made(item.excerpt, await _written(resources, item.excerpt), by_model=True)
        except TimeoutError:
            return _Made(item.excerpt, item.question, False, f"the model took longer than {SECONDS:g} seconds")
        except (ProviderError, Unfit) as error:
            return _Made(item.excerpt, item.question, False, str(error))

    return list(await asyncio.gather(*(one(item) for item in plain)))


async def _written(resources: Resources, excerpt: Excerpt) -> Question:
    fence = Fence()
    heading = excerpt.metadata.get("heading")
    passage = fence.put(excerpt.text[:SHOWN], "passage", heading=heading if isinstance(heading, str) else None)
    messages = [("system", PROMPT.format(note=fence.note)), ("user", passage)]
    answer = await resources.own_chat.model.ainvoke(messages)
    return read(str(answer.text), excerpt.text)


def read(written: str, passage: str) -> Question:
    """The question in a model's words. Raises `Unfit`. A quote that does not stand in the passage is left out."""
    try:
        value = json_found(_THOUGHT.sub("", clean(written)))
    except ValueError:
        raise Unfit("the model wrote no JSON") from None
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, Mapping):
        raise Unfit("the model wrote no JSON object")
    asked, answer, quote = (_line(value.get(name)) for name in ("question", "answer", "quote"))
    if not 8 <= len(asked) <= LONGEST_QUESTION:
        raise Unfit("the model wrote no question")
    if not answer or len(answer) > LONGEST_ANSWER:
        raise Unfit("the model wrote no answer to its question")
    if _SPEAKS_OF_IT.search(asked):
        raise Unfit("the model asked about its passage in place of what stands in it")
    return Question(asked, answer, _found(quote, passage))


def _line(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _found(quote: str, passage: str) -> str:
    """The words of the passage that a quote has, whatever breaks its lines; empty when they do not stand there."""
    if not quote:
        return ""
    pattern = r"\s+".join(re.escape(word) for word in quote.split())
    place = re.search(pattern, passage)
    return place.group() if place else ""


def _origin(excerpt: Excerpt) -> str:
    return f"chunk:{excerpt.id}"


def _row(made: _Made, store: str, wish: Wish) -> RowDraft:
    excerpt, asked = made.excerpt, made.question
    metadata: dict[str, Any] = {
        "documentStoreId": str(wish.store),
        "documentStore": store,
        "chunkId": str(excerpt.id),
        "docId": str(excerpt.document),
        "draftedBy": "model" if made.by_model else "sentences",
    }
    source = excerpt.metadata.get("source")
    if isinstance(source, str):
        metadata["source"] = source
    if asked.quote:
        metadata["quote"] = asked.quote
    return RowDraft(
        asked.text, asked.answer, (_gold(excerpt, asked, wish.gold),), metadata, draft=True, origin=_origin(excerpt)
    )


def _gold(excerpt: Excerpt, asked: Question, kind: GoldKind) -> Gold:
    """The chunk as what must be found, named as it is wished, where it can be."""
    source = excerpt.metadata.get("source")
    if kind is GoldKind.DOCUMENT:
        return Gold(kind, str(excerpt.document))
    if kind is GoldKind.SOURCE and isinstance(source, str) and source.strip():
        return Gold(kind, source)
    if kind is GoldKind.QUOTE and asked.quote:
        return Gold(kind, asked.quote)
    return Gold(GoldKind.CHUNK, str(excerpt.id))


def _reasons(made: Sequence[_Made], *, asks: bool, wished: bool) -> str | None:
    """Why a model did not write all of the questions."""
    if wished and not asks:
        return "RAGSTONE_CHAT_MODEL is not set: questions come from headings and sentences"
    told = Counter(item.reason for item in made if item.reason is not None)
    return "; ".join(f"{number} without the model: {reason}" for reason, number in told.most_common(3)) or None
