"""The sample handbook asked end to end, without a model, and its answers compared with the gold ones."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from service.cli.flows import answer_flow

FOLDER = Path(__file__).parents[2] / "datasets" / "handbook"


@dataclass(frozen=True, slots=True)
class Question:
    """A line of `questions.jsonl`."""

    id: str
    text: str
    kind: str
    answerable: bool
    sources: Sequence[str]
    quotes: Sequence[str]
    after: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a question was answered. For a question without an answer, `right` is a refusal."""

    question: Question
    text: str
    right: bool
    """Any of the gold quotes stands in the answer; in tables and follow-ups, where a quote is one cell, all do."""
    whole: bool
    """All of them do."""
    sourced: bool
    """All the gold sources are among the answer's."""


def questions() -> list[Question]:
    """All of them, in order."""
    lines = (FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Question(
            row["id"],
            row["question"],
            row["kind"],
            row["answer"] is not None,
            row["sources"],
            row["quotes"],
            row.get("after"),
        )
        for row in map(json.loads, lines)
    ]


class Handbook:
    """A document store and the chatflow that answers from it, by HTTP."""

    def __init__(self, client: httpx.AsyncClient, store: str, flow: str) -> None:
        self._client, self._store, self._flow = client, store, flow

    @classmethod
    async def open(cls, client: httpx.AsyncClient) -> "Handbook":
        """A new document store and chatflow."""
        store = (await _post(client, "/document-store/store", json={"name": "Handbook"}))["id"]
        flow = {"name": "Handbook", "type": "CHATFLOW", "flowData": answer_flow(store)}
        return cls(client, store, (await _post(client, "/chatflows", json=flow))["id"])

    async def upload(self, names: Iterable[str] = ()) -> None:
        """Put these files in; all when none are named."""
        paths = [FOLDER / "files" / name for name in names] or sorted((FOLDER / "files").iterdir())
        files = [("files", (path.name, path.read_bytes())) for path in paths]
        await _post(self._client, f"/document-store/upsert/{self._store}", files=files)

    async def ask(self, question: str, session: str) -> dict[str, Any]:
        """The prediction's body."""
        body = {"question": question, "overrideConfig": {"sessionId": session}}
        return await _post(self._client, f"/prediction/{self._flow}", json=body)

    async def outcome(self, question: Question) -> Outcome:
        """Ask it, after the question that it follows in the same conversation."""
        if question.after:
            before = next(each for each in questions() if each.id == question.after)
            await self.ask(before.text, question.id)
        body = await self.ask(question.text, question.id)
        text, sources = body["text"], body.get("sourceDocuments") or []
        if not question.answerable:
            return Outcome(question, text, not sources, not sources, not sources)
        said = _plain(re.sub(r" \[\d+\]", "", text))
        hits = [_plain(quote) in said for quote in question.quotes]
        named = {source["metadata"]["source"] for source in sources}
        right = all(hits) if question.kind in ("table", "follow-up") else any(hits)
        return Outcome(question, text, right, all(hits), named.issuperset(question.sources))


def table(outcomes: Sequence[Outcome]) -> str:
    """Shares of right answers, whole answers and right sources by kind."""
    kinds = dict.fromkeys(outcome.question.kind for outcome in outcomes)
    lines = [f"{'kind':14}{'n':>4}{'right':>8}{'whole':>8}{'source':>8}"]
    for kind in [*kinds, "all"]:
        rows = [each for each in outcomes if kind in (each.question.kind, "all")]
        shares = (share(rows, name) for name in ("right", "whole", "sourced"))
        lines.append(f"{kind:14}{len(rows):4}" + "".join(f"{value:8.2f}" for value in shares))
    return "\n".join(lines)


def share(outcomes: Sequence[Outcome], name: str) -> float:
    """The share of outcomes of which `name` is true."""
    return sum(bool(getattr(outcome, name)) for outcome in outcomes) / len(outcomes)


def _plain(text: str) -> str:
    return re.sub(r"[\s|*`]+", " ", text).strip().casefold()


async def _post(client: httpx.AsyncClient, path: str, **content: Any) -> dict[str, Any]:
    response = await client.post(f"/api/v1{path}", timeout=120, **content)
    assert response.is_success, response.text
    body: dict[str, Any] = response.json()
    return body
