"""A set through a running service, as its users would: files are upserted, questions asked over HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from tests.benchmarks.harness import Service
from tests.quality.scoring import answered, covered, distinct, ndcg, recall
from tests.quality.sets import BEST_ANSWERS, BEST_RECALL, RULES, DataSet, Kind, Question

TOLERANCE = 0.005
"""How far a figure may be below the best one that is known."""
TOP_K = 30
"""Chunks asked for: ten different passages even where some come in several chunks."""
FILES_AT_ONCE = 200
ROLES = {"user": "userMessage", "assistant": "apiMessage"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of a set; `best` is the best that is known, None where nothing is."""

    set: str
    metric: str
    value: float
    best: float | None
    questions: int

    @property
    def passed(self) -> bool | None:
        """Whether it is near enough to the best; None where there is none."""
        return None if self.best is None else self.value >= self.best - TOLERANCE


def figures(service: Service, data: DataSet) -> Iterator[Figure]:
    """Put the set into a new document store with nothing configured, ask its questions, count."""
    store = service.post("/document-store/store", {"name": data.name})["id"]
    files = list(data.files.values())
    for start in range(0, len(files), FILES_AT_ONCE):
        _upload(service, store, files[start : start + FILES_AT_ONCE])
    ids = {name: key for key, (name, _) in data.files.items()}
    rows = [_scores(data, item, _ask(service, store, item, data.kind), ids) for item in data.questions]
    for metric in rows[0]:
        value = round(mean(row[metric] for row in rows), 4)
        yield Figure(data.name, metric, value, _best(data.name, metric), len(rows))


def _best(name: str, metric: str) -> float | None:
    if metric == "nDCG@10":
        return max(RULES[name].values()) if name in RULES else None
    known = {"recall@5": BEST_RECALL, "answer in top 5": BEST_ANSWERS}.get(metric, {})
    return known.get(name)


def _upload(service: Service, store: str, files: Sequence[tuple[str, bytes]]) -> None:
    parts = [("files", (name, content, "application/octet-stream")) for name, content in files]
    answer = service.http.post(f"/api/v1/document-store/upsert/{store}", files=parts)
    while answer.status_code == 202:  # takes longer than a call waits
        answer = service.http.get(f"{answer.headers['Location']}?wait=60")
        if answer.json().get("state") in ("done", "failed"):
            break
    answer.raise_for_status()


def _ask(service: Service, store: str, question: Question, kind: Kind) -> list[Mapping[str, Any]]:
    history = [{"role": ROLES[turn["role"]], "content": turn["text"]} for turn in question.history]
    limit = TOP_K if kind is Kind.PASSAGES else 10
    body = {"storeId": store, "query": question.text, "topK": limit} | ({"history": history} if history else {})
    docs: list[Mapping[str, Any]] = service.post("/document-store/vectorstore/query", body)["docs"]
    return docs


def _scores(
    data: DataSet, question: Question, docs: Sequence[Mapping[str, Any]], ids: Mapping[str, str]
) -> dict[str, float]:
    if data.kind is Kind.EXCERPTS:
        spans = list(_spans(data, question, docs[:5]))
        found, precision = covered([span for span in spans if span[1] > span[0]], question.spans)
        return {"recall@5": found, "precision@5": precision}
    names = distinct([ids[doc["metadata"]["source"]] for doc in docs])
    if data.kind is Kind.ANSWERS:
        texts = [doc["pageContent"] for doc in docs]
        return {
            f"answer in top {depth}": float(answered(texts[:depth], question.answers, every=question.all_answers))
            for depth in (5, 1)
        } | {"file in top 5": recall(names, question.relevant)}
    return {"nDCG@10": ndcg(names, question.relevant), "recall@5": recall(names, question.relevant)}


def _spans(data: DataSet, question: Question, docs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    """Where the chunks stand in the question's text; those of other texts count for their size only."""
    for doc in docs:
        name, content = data.files[doc["metadata"]["source"]]
        text = content.decode()
        at = text.find(doc["pageContent"])
        length = len(doc["pageContent"])
        start = at if name.rpartition(".")[0] == question.corpus and at >= 0 else len(text) * 10
        yield start, start + length
