"""Retrieval quality over HTTP on the sets of `datasets/`: nDCG@10 and recall@5 of documents, by their best chunk.

nDCG@10 = DCG@10 / ideal DCG@10 with gain = grade and discount log2(rank + 1) (Järvelin and Kekäläinen, 2002).
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from tests.benchmarks.corpus import qrels, rows
from tests.benchmarks.harness import Service
from tests.benchmarks.measure import Measure

TARGETS = {"squad-en": 0.982, "scifact": 0.783, "clapnq": 0.996}
"""nDCG@10 of exact dense search fused with BM25 by the calibrated rule with weight 1, whole documents as units."""
TOLERANCE = 0.01
CHUNKS = 30
"""Chunks asked for, so that ten different documents are among them."""


def run(service: Service) -> Iterator[Measure]:
    """Upsert each set, a file a document, and ask its questions."""
    for name, target in TARGETS.items():
        store = service.post("/document-store/store", {"name": f"bench {name}"})["id"]
        documents = [
            (f"{row['_id']}.txt", f"{row['title']}\n\n{row['text']}".encode()) for row in rows(name, "corpus.jsonl")
        ]
        for start in range(0, len(documents), 500):
            service.upload(store, documents[start : start + 500])
        grades = qrels(name)
        gains, recalls = [], []
        for question in rows(name, "queries.jsonl"):
            if relevant := grades.get(question["_id"]):
                ranked = _documents(service, store, question["text"])
                gains.append(ndcg(ranked, relevant, 10))
                recalls.append(sum(document in relevant for document in ranked[:5]) / len(relevant))
        yield Measure(
            f"nDCG@10 on {name}",
            sum(gains) / len(gains),
            target - TOLERANCE,
            details={"recall@5": sum(recalls) / len(recalls), "questions": len(gains)},
        )


def ndcg(ranked: Sequence[str], relevant: Mapping[str, int], depth: int) -> float:
    """See the module's docstring."""

    def discounted(grades: Sequence[int]) -> float:
        return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:depth], 1))

    ideal = discounted(sorted(relevant.values(), reverse=True))
    return discounted([relevant.get(document, 0) for document in ranked]) / ideal


def _documents(service: Service, store: str, question: str) -> list[str]:
    body = {"storeId": store, "query": question, "inputs": {"topK": CHUNKS}}
    found = service.post("/document-store/vectorstore/query", body)["docs"]
    return list(dict.fromkeys(doc["metadata"]["source"].removesuffix(".txt") for doc in found))
