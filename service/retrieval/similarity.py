"""Similarity: the chunks whose vectors lie nearest to the question's."""

import numpy as np

from service.retrieval.base import Call, Hit, Question, SearchStage
from service.retrieval.narrowing import few_of, nearest


class Similarity(SearchStage):
    """Finds the chunks whose vectors lie nearest to the question's. Scores are cosine similarities."""

    name = "similarity"

    async def search(self, question: Question, limit: int, call: Call) -> list[Hit]:
        if limit <= 0:
            return []
        sources, notes = call.sources, call.notes
        with notes.timed("embedding"):
            vector = await sources.vector_of(question)
        few = await few_of(call)
        with notes.timed("vectors"):
            found = await nearest(vector, limit, call, few)
        scores = sources.nearness(np.fromiter(found.values(), np.float64)).tolist()
        return [Hit(int(key), score, {"cosine": score}) for key, score in zip(found, scores, strict=True)]
