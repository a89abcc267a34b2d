"""Bodies that are made to hold up the service."""

import json

import pytest

from service.errors import Unprocessable
from service.evaluations.wire import LONGEST_LIST, NewEvaluation
from service.json_text import MAX_DEPTH

BODY = {"name": "n", "datasetId": "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"}


@pytest.mark.parametrize(
    "text",
    [json.dumps([0] * LONGEST_LIST), "[" * LONGEST_LIST, "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "{}", "[null]"],
    ids=["long", "open", "deep", "object", "null"],
)
@pytest.mark.parametrize("field", ["chatflowId", "selectedSimpleEvaluators", "selectedLLMEvaluators"])
def test_lists_in_texts_are_read_within_bounds(field: str, text: str) -> None:
    with pytest.raises(Unprocessable, match=field):
        NewEvaluation.model_validate({**BODY, field: text}).wish()


def test_a_long_list_is_not_read_at_all() -> None:
    body = NewEvaluation.model_validate({**BODY, "chatflowId": " " + "x" * LONGEST_LIST})
    with pytest.raises(Unprocessable, match="characters, the limit is"):
        body.wish()
