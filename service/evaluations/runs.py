"""Evaluations in the words of the contract (5.3): statuses, figures, and runs of rows, whose lists are JSON texts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.evaluations.types import (
    OPEN,
    EvaluatedRow,
    Evaluation,
    EvaluationState,
    EvaluationType,
    Figures,
    Measure,
    Result,
    Target,
    TargetKind,
)
from service.evaluators.types import EvaluatorType
from service.http.wire import date
from service.metrics.base import Outcome, Score, Taken

PENDING, COMPLETED, ERROR = "pending", "completed", "error"

CALLED = {
    "CHATFLOW": "Chatflow",
    "MULTIAGENT": "Chatflow",
    "AGENTFLOW": "Agentflow v2",
    "ASSISTANT": "Custom Assistant",
}
"""What evaluations call the types of flows."""
STORE = "Document Store"

UNGRADED = "Not Graded!"
"""Said by evaluators with a model of a case that failed."""
UNASKED = "This row has not been asked."


def status(evaluation: Evaluation) -> str:
    """`pending`, `completed`, or `error` where a case failed, or the whole did."""
    if evaluation.state in OPEN:
        return PENDING
    return COMPLETED if evaluation.state is EvaluationState.COMPLETED and not evaluation.failed else ERROR


def called(target: Target) -> str:
    """The type of a target."""
    return STORE if target.kind is TargetKind.STORE else CALLED.get(target.type, "Chatflow")


def additional(evaluation: Evaluation) -> str:
    """`additionalConfig`: types of flows, evaluators, and the model that judges."""
    plan = evaluation.plan
    kept = [measure for measure in plan.measures if measure.evaluator is not None]
    found: dict[str, Any] = {
        "chatflowTypes": [called(target) for target in plan.targets],
        "datasetAsOneConversation": plan.conversation,
        "simpleEvaluators": [str(item.evaluator) for item in kept if item.evaluator_type is not EvaluatorType.LLM],
    }
    if evaluation.type is EvaluationType.LLM:
        found["lLMEvaluators"] = [str(item.evaluator) for item in kept if item.evaluator_type is EvaluatorType.LLM]
        judge = plan.judge
        found["llmConfig"] = {
            "credentialId": judge.credential if judge else "",
            "llm": judge.name if judge else "",
            "model": _model(judge.inputs) if judge else "",
        }
    return _json(found)


def _model(inputs: Mapping[str, Any]) -> str:
    return str(inputs.get("modelName") or inputs.get("model") or "")


def average(evaluation: Evaluation, told: Figures | None) -> str:
    """`average_metrics`: nothing while it is pending, why it failed, else its figures."""
    if evaluation.state in OPEN or told is None:
        return "{}"
    if evaluation.state is not EvaluationState.COMPLETED:
        error = evaluation.error or {}
        return _json({"error": str(error.get("message") or evaluation.state.value)})
    verdicts = told.passed + told.refused + told.broken
    share = 100 * told.passed / verdicts if verdicts else -1.0
    return _json(
        {
            "averageLatency": f"{told.latency or 0.0:.3f}",
            "totalRuns": evaluation.rows,
            "passCount": told.passed,
            "failCount": told.refused,
            "errorCount": told.broken,
            "passPcnt": f"{share:.2f}",
        }
    )


def runs(evaluation: Evaluation, rows: Sequence[EvaluatedRow], results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """An EvaluationRun for each row that a target has been asked: of several repeats the first."""
    first = {(item.place, item.target): item for item in results if not item.repeat}
    targets = range(len(evaluation.plan.targets))
    for row in rows:
        cases = [first.get((row.place, target)) for target in targets]
        if any(cases):
            yield _run(evaluation, row, cases)


def _run(evaluation: Evaluation, row: EvaluatedRow, cases: Sequence[Result | None]) -> dict[str, Any]:
    plain = [item for item in evaluation.plan.measures if item.evaluator_type not in (None, EvaluatorType.LLM)]
    judged = [item for item in evaluation.plan.measures if item.evaluator_type is EvaluatorType.LLM]
    dates = [case.finished_at for case in cases if case is not None and case.finished_at is not None]
    return {
        "id": str(row.id),
        "evaluationId": str(evaluation.id),
        "input": row.question,
        "expectedOutput": row.expected,
        "actualOutput": _json([said(case) if case else "" for case in cases]),
        "metrics": _json([measured(case) if case else {} for case in cases]),
        "evaluators": _json([[graded(measure, case) for measure in plain] for case in cases]),
        "llmEvaluators": _json([judgement(measure, case) for case in cases for measure in judged]),
        "errors": _json([case.error if case else UNASKED for case in cases]),
        "runDate": date(max(dates, default=evaluation.created_at)),
    }


def said(case: Result) -> str:
    """What a target said: its text, else its JSON within a fence, else the whole body of a flow that said neither. What
    is evaluated is the text or the bare JSON: a body holds ids that are no answer."""
    if case.answer and case.details.get("structured"):
        return f"```json\n{case.answer}\n```"
    return case.answer or str(case.details.get("body") or "")


def measured(case: Result) -> dict[str, Any]:
    """What a case took: what nobody measured is left out. Latencies are texts of milliseconds, costs of dollars."""
    taken = case.taken
    found: dict[str, Any] = {}
    for name, value in (("apiLatency", taken.latency), ("llm", taken.model), ("chain", taken.chain)):
        if value is not None:
            found[name] = f"{value:.2f}"
    found |= _tokens(taken)
    if taken.cost is not None:
        found["totalCost"] = cost(taken.cost)
    if nested := case.details.get("nestedMetrics"):
        found["nested_metrics"] = nested
    return found


def _tokens(taken: Taken) -> dict[str, int]:
    counts = {
        "promptTokens": taken.input_tokens,
        "completionTokens": taken.output_tokens,
        "totalTokens": taken.total_tokens,
    }
    return {name: count for name, count in counts.items() if count is not None}


def cost(value: float) -> str:
    """Dollars as Flowise writes them."""
    if value == 0:
        return "$ 0"
    return "$ <0.01" if value < 0.01 else f"$ {value:.2f}"


def graded(measure: Measure, case: Result | None) -> dict[str, Any]:
    """The verdict of an evaluator: what could not be judged is an `Error`, never a pass."""
    score = case.scores.get(measure.label) if case else None
    found = {"id": str(measure.evaluator), "name": measure.label, "type": str(measure.evaluator_type)}
    for name in ("measure", "operator", "value"):
        if name in measure.options:
            found[name] = measure.options[name]
    if case is None or score is None or score.value is None or case.error:
        return {**found, "result": "Error", **_why(score)}
    return {**found, "result": "Pass" if score.value >= 1 else "Fail"}


def _why(score: Score | None) -> dict[str, str]:
    return {"error": score.reason} if score is not None and score.reason else {}


def judgement(measure: Measure, case: Result | None) -> dict[str, Any]:
    """What a model said of a case, or why it said nothing."""
    if case is None or case.error:
        return {"error": UNGRADED}
    score = case.scores.get(measure.label)
    if score is None:
        return {"error": UNGRADED}
    told = score.details.get("graded")
    if score.outcome is not Outcome.ERROR and isinstance(told, Mapping):
        return dict(told)
    return {"error": score.reason or UNGRADED}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))  # as JSON.stringify writes it
