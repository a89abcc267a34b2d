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
            matches = await nearest(vector, limit, call, few)
        scores = sources.nearness(np.array([match.score for match in matches], np.float64)).tolist()
        found = zip(matches, scores, strict=True)
        return [Hit(int(match.id), score, {"cosine": score}) for match, score in found]
