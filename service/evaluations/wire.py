"""The JSON shapes of evaluations (contract 5.3), and what is asked for beyond it: document stores, metrics, repeats."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pydantic import Field, model_validator

from service.datasets.types import Dataset
from service.datasets.wire import DatasetEntity
from service.datasets.wire import entity as dataset_entity
from service.errors import Unprocessable
from service.evaluations import runs
from service.evaluations.planning import MAX_MEASURES, MAX_TARGETS
from service.evaluations.types import (
    Evaluation,
    EvaluationState,
    EvaluationType,
    Figures,
    Judge,
    MetricWish,
    Outdated,
    TargetKind,
    TargetWish,
    Wish,
)
from service.http.wire import Body, Date, Wire
from service.json_text import parsed

ID = "5f6c0a52-4a33-4a5e-9f0a-0d8f0b6d1c11"
LIST = "A JSON array as a text, as Flowise's forms send it, or an array"
LONGEST_LIST = 10_000
"""Characters of such a text: reading one of megabytes would hold up every other caller."""
MOST_IDS = 100
"""Of one list; those that count most are bounded once more by the plan."""


class TargetFields(Body):
    """What answers: a chatflow, or a document store, of which passages are asked and no answer."""

    chatflow_id: UUID | None = Field(None, description="A chatflow of any type", examples=[ID])
    store_id: UUID | None = Field(None, description="A document store")
    label: str = Field("", max_length=200, description="What results call it; its name, where this is empty")
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Of a chatflow its `overrideConfig`; of a document store what `vectorstore/query` takes",
        examples=[{"topK": 5}],
    )

    @model_validator(mode="after")
    def _one(self) -> "TargetFields":
        if (self.chatflow_id is None) is (self.store_id is None):
            raise ValueError("give one of chatflowId, storeId")
        return self

    def wish(self) -> TargetWish:
        """The same in our nouns."""
        if self.store_id is not None:
            return TargetWish(TargetKind.STORE, self.store_id, self.label, self.options)
        assert self.chatflow_id is not None
        return TargetWish(TargetKind.CHATFLOW, self.chatflow_id, self.label, self.options)


class MetricFields(Body):
    """A metric with its options."""

    name: str = Field(max_length=100, description="As `GET /evaluations/metrics` lists them", examples=["recall"])
    options: dict[str, Any] = Field(default_factory=dict, examples=[{"k": 5}])


class JudgeFields(Body):
    """The chat model that judges."""

    name: str = Field("", max_length=200, description="A node of a chat model; empty: the service's own model")
    inputs: dict[str, Any] = Field(default_factory=dict, examples=[{"modelName": "gpt-4o-mini"}])
    credential_id: str = Field("", max_length=200, description="A kept credential")


class NewEvaluation(Body):
    """What is to be evaluated. Fields of the contract, and `targets`, `metrics`, `judge`, `repeats`, `concurrency` and
    `retries` beyond it."""

    name: str = Field(max_length=1000, description="Evaluations of one name are its versions", examples=["Leave"])
    dataset_id: UUID = Field(description="Its rows are asked, drafts left out", examples=[ID])
    dataset_name: str | None = Field(None, description="Not looked at: the dataset knows it")
    evaluation_type: EvaluationType = Field(
        EvaluationType.BENCHMARKING, description="`llm`: a model judges too", examples=["benchmarking"]
    )
    chatflow_id: str | list[str] | None = Field(None, description=f"Chatflows. {LIST}", examples=[f'["{ID}"]'])
    chatflow_name: str | list[str] | None = Field(None, description="Not looked at: the chatflows know it")
    chatflow_type: str | list[str] | None = Field(None, description="Not looked at, as `chatflowName`")
    selected_simple_evaluators: str | list[str] | None = Field(
        None, description=f"Evaluators of the types `text`, `json`, `numeric`. {LIST}", examples=["[]"]
    )
    selected_llm_evaluators: str | list[str] | None = Field(
        None, alias="selectedLLMEvaluators", description=f"Evaluators of the type `llm`. {LIST}"
    )
    dataset_as_one_conversation: bool | None = Field(None, description="The rows are one conversation, in their order")
    credential_id: str | None = Field(None, max_length=200, description="Of the model that judges")
    llm: str | None = Field(None, max_length=200, description="The node of the model that judges")
    model: str | None = Field(None, max_length=500, description="Its model")
    targets: list[TargetFields] | None = Field(
        None, max_length=MAX_TARGETS, description="In place of `chatflowId`: chatflows and document stores"
    )
    metrics: list[str | MetricFields] | None = Field(
        None, max_length=MAX_MEASURES, description="Left out: those that the targets can be measured by"
    )
    judge: JudgeFields | None = Field(None, description="In place of `llm`, `model`, `credentialId`")
    repeats: int = Field(1, description="How often each row is asked", examples=[1])
    concurrency: int | None = Field(None, description="Rows that are asked at once; left out: what there is room for")
    retries: int = Field(3, description="How often what fails for a while is tried again", examples=[3])

    @property
    def native(self) -> bool:
        """Whether it says something that Flowise's forms cannot."""
        return self.targets is not None

    def wish(self) -> Wish:
        """The same in our nouns. Raises `Unprocessable`, naming the field."""
        simple = _ids("selectedSimpleEvaluators", self.selected_simple_evaluators)
        judged = _ids("selectedLLMEvaluators", self.selected_llm_evaluators)
        return Wish(
            name=self.name,
            dataset=self.dataset_id,
            targets=self._targets(),
            type=self.evaluation_type,
            metrics=None if self.metrics is None else [_metric(item) for item in self.metrics],
            evaluators=[*simple, *judged],
            repeats=self.repeats,
            concurrency=self.concurrency,
            retries=self.retries,
            conversation=bool(self.dataset_as_one_conversation),
            judge=self._judge(),
        )

    def _targets(self) -> Sequence[TargetWish]:
        if self.targets is not None:
            return [item.wish() for item in self.targets]
        flows = _ids("chatflowId", self.chatflow_id)
        if not flows:
            raise Unprocessable("chatflowId: names no chatflow; give some, or targets")
        return [TargetWish(TargetKind.CHATFLOW, item) for item in flows]

    def _judge(self) -> Judge | None:
        if self.judge is not None:
            return Judge(self.judge.name, self.judge.inputs, self.judge.credential_id)
        if self.evaluation_type is not EvaluationType.LLM and not self.llm:
            return None
        inputs = {"modelName": self.model} if self.model else {}
        return Judge(self.llm or "", inputs, self.credential_id or "")


def _metric(given: str | MetricFields) -> MetricWish:
    if isinstance(given, str):
        return MetricWish(given)
    return MetricWish(given.name, given.options)


def _ids(field: str, value: str | list[str] | None) -> list[UUID]:
    """The ids of a list, or of the JSON array in a text. Raises `Unprocessable`, naming the field."""
    found: Any = value or []
    if isinstance(value, str) and value.strip():
        if len(value) > LONGEST_LIST:
            raise Unprocessable(f"{field}: has {len(value)} characters, the limit is {LONGEST_LIST}")
        try:
            found = parsed(value)
        except ValueError as error:
            raise Unprocessable(f"{field}: is no JSON array: {error}") from None
        if not isinstance(found, list):
            raise Unprocessable(f"{field}: must be an array of ids, as JSON text")
    if isinstance(found, str):
        return []
    if len(found) > MOST_IDS:
        raise Unprocessable(f"{field}: {len(found)} of them; the limit is {MOST_IDS}")
    ids = []
    for place, item in enumerate(found):
        try:
            ids.append(UUID(item))
        except (ValueError, TypeError, AttributeError):
            raise Unprocessable(f"{field}[{place}]: '{str(item)[:40]}' is no id") from None
    return ids


class EvaluationEntity(Wire):
    """An evaluation. Lists and figures are JSON texts; `state` and what follows are this service's own."""

    id: UUID
    name: str = Field(examples=["Leave"])
    evaluation_type: EvaluationType = Field(examples=["benchmarking"])
    chatflow_id: str = Field(description="Ids of its targets", examples=[f'["{ID}"]'])
    chatflow_name: str = Field(description="Their labels", examples=['["Handbook"]'])
    dataset_id: UUID
    dataset_name: str = Field(examples=["Leave"])
    additional_config: str = Field(
        examples=['{"chatflowTypes":["Chatflow"],"datasetAsOneConversation":false,"simpleEvaluators":[]}']
    )
    average_metrics: str = Field(
        alias="average_metrics",
        examples=[
            '{"averageLatency":"12.250","totalRuns":20,"passCount":18,"failCount":2,"errorCount":0,"passPcnt":"90.00"}'
        ],
    )
    status: str = Field(description="`pending`, `completed` or `error`", examples=["completed"])
    run_date: Date
    workspace_id: UUID
    state: EvaluationState = Field(examples=["completed"])
    done: int = Field(description="Cases that have a result", examples=[20])
    total: int = Field(description="Cases: rows times targets times repeats", examples=[20])
    failed: int = Field(description="Cases whose flow or search failed", examples=[0])
    job_id: UUID | None = Field(description="Its job, to be followed at `/jobs/{id}/events`")


class ListedEvaluation(EvaluationEntity):
    """An evaluation among the versions of its name."""

    latest_eval: bool = Field(examples=[True])
    version: int = Field(description="From 1", examples=[1])


class EvaluationPage(Wire):
    """Evaluations of a page of names, and how many names there are."""

    total: int
    data: list[ListedEvaluation]


class EvaluationRun(Wire):
    """A row and what became of it. Lists are JSON texts, with an entry for each target."""

    id: UUID
    evaluation_id: UUID
    input: str = Field(examples=["How many days of leave?"])
    expected_output: str = Field(examples=["30 days"])
    actual_output: str = Field(examples=['["You have 30 days."]'])
    metrics: str = Field(examples=['[{"apiLatency":"12.25","totalTokens":120}]'])
    evaluators: str = Field(
        examples=['[[{"name":"Says 30","type":"text","operator":"ContainsAny","value":"30","result":"Pass"}]]']
    )
    llm_evaluators: str = Field(examples=['[{"score":1}]'])
    errors: str = Field(examples=['[""]'])
    run_date: Date


class EvaluationVersion(Wire):
    """A version of an evaluation."""

    id: UUID
    run_date: Date
    version: int = Field(examples=[1])


class Versions(Wire):
    """The versions of a name, oldest first."""

    versions: list[EvaluationVersion]


class OutdatedFlow(Wire):
    """A target that was changed since."""

    chatflow_name: str = Field(examples=["Handbook"])
    chatflow_id: UUID
    chatflow_type: str = Field(examples=["Chatflow"])
    is_outdated: bool = True


class Gone(Wire):
    """A target or dataset that is there no longer."""

    message: str = Field(examples=["Chatflow Handbook not found"])
    id: UUID


class OutdatedState(Wire):
    """What was changed since an evaluation was made."""

    is_outdated: bool = Field(examples=[True])
    chatflows: list[OutdatedFlow]
    dataset: DatasetEntity | str = Field(description="The dataset, where it was changed; else an empty text")
    errors: list[Gone]


class EvaluationIds(Body):
    """Evaluations to remove."""

    ids: list[UUID] = Field(max_length=10_000, description="Unknown ones are passed over", examples=[[ID]])
    is_delete_all_version: bool | None = Field(None, description="With every version of their names", examples=[False])


def listed(evaluation: Evaluation, told: Figures | None) -> ListedEvaluation:
    """An evaluation in a list."""
    return ListedEvaluation(**columns(evaluation, told), **version(evaluation))


def columns(evaluation: Evaluation, told: Figures | None) -> dict[str, Any]:
    """The fields that every shape of an evaluation has."""
    targets = evaluation.plan.targets
    return {
        "id": evaluation.id,
        "name": evaluation.name,
        "evaluation_type": evaluation.type,
        "chatflow_id": _json([str(item.id) for item in targets]),
        "chatflow_name": _json([item.label for item in targets]),
        "dataset_id": evaluation.dataset,
        "dataset_name": evaluation.dataset_name,
        "additional_config": runs.additional(evaluation),
        "average_metrics": runs.average(evaluation, told),
        "status": runs.status(evaluation),
        "run_date": evaluation.created_at,
        "workspace_id": evaluation.workspace,
        "state": evaluation.state,
        "done": evaluation.done,
        "total": evaluation.total,
        "failed": evaluation.failed,
        "job_id": evaluation.job,
    }


def version(evaluation: Evaluation) -> dict[str, Any]:
    """Its place among the versions of its name."""
    return {"latest_eval": evaluation.is_latest, "version": evaluation.version}


def versions(found: Sequence[Evaluation]) -> Versions:
    """The versions of a name."""
    return Versions(
        versions=[EvaluationVersion(id=item.id, run_date=item.created_at, version=item.version) for item in found]
    )


def outdated(evaluation: Evaluation, found: Outdated, dataset: Dataset | None) -> OutdatedState:
    """What was changed. `dataset` is the one that was, if it is there."""
    errors = []
    if found.dataset is None:
        errors.append(Gone(message=f"Dataset {evaluation.dataset_name} not found", id=evaluation.dataset))
    for item in found.targets:
        if item.outdated is None:
            kind = "Document store" if item.target.kind is TargetKind.STORE else "Chatflow"
            errors.append(Gone(message=f"{kind} {item.target.name} not found", id=item.target.id))
    return OutdatedState(
        is_outdated=found.any or bool(errors),
        chatflows=[
            OutdatedFlow(
                chatflow_name=item.target.name,
                chatflow_id=item.target.id,
                chatflow_type=runs.called(item.target),
            )
            for item in found.targets
            if item.outdated
        ],
        dataset=dataset_entity(dataset) if dataset is not None and found.dataset else "",
        errors=errors,
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
