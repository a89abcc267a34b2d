"""What a suite file may hold. Unknown keys are refused; paths are relative to the file, and stay in its folder unless
the command line names a wider one.

The option names of targets, metrics, evaluators and models are those of the HTTP surface; everything else is as here.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

MOST_REPEATS = 20
ALL = "*"


class Part(BaseModel):
    """A mapping of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


Name = Annotated[str, Field(min_length=1, max_length=200)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Texts = Annotated[tuple[Name, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
"""One text, or a list of them."""


class Component(Part):
    """A part of a document store by its name, with its fields."""

    name: Name
    config: dict[str, Any] = Field(default_factory=dict)


class DocumentStore(Part):
    """A document store that the suite fills."""

    name: Name = Field(description="What it is called on the service, and by the targets of this file")
    files: Texts = Field(min_length=1, description="Files, and folders with all they hold")
    splitter: Component | None = Field(None, description="How documents are cut; default: the service's way")
    embedding: Component | None = Field(None, description="What makes vectors; default: the service's embedder")
    vector_store: Component | None = Field(None, description="Where vectors are kept; default: the service's")


class Fields(Part):
    """Under which names the rows of the dataset's file hold what. The defaults are those of an export."""

    input: Name = Field("input", description="The question")
    output: Name = Field("output", description="The answer that is expected; null or empty: none is")
    sources: Name = Field(
        "sources",
        description="What must be found: names of documents, or objects with `source`, `documentId`, `chunkId` or"
        " `quote`",
    )
    metadata: Texts = Field(("metadata",), description="What else is kept: an object, or several fields by their names")
    draft: Name = Field("draft", description="Rows in which it is true are not evaluated")


class Dataset(Part):
    """The questions. A name alone: a dataset that the service has; with a file: the rows of the file."""

    name: Name | None = Field(None, description="Name or id; of a file's rows: the name that they get")
    file: Name | None = Field(None, description="JSON Lines, or CSV with headers")
    fields: Fields = Field(default_factory=Fields)
    leave_out: dict[str, Texts] = Field(
        default_factory=dict, description="Field of the file to values: rows that have one of them are left out"
    )
    unanswerable: dict[str, Texts] = Field(
        default_factory=dict,
        description="Field of the file to values: rows that have one of them have no answer in the documents, as"
        " `metadata.answerable: false` says too",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.name is None and self.file is None:
            raise ValueError("give the name of a dataset that the service has, or a file")
        only = sorted({"fields", "leave_out", "unanswerable"} & self.model_fields_set)
        if self.file is None and only:
            raise ValueError(f"{only[0]} is of a file: name one")
        return self


class Target(Part):
    """What answers the questions: one of `document_store`, `flow`, `flow_file`, or `answers_from` alone."""

    label: Name | None = Field(
        None, description="How results and thresholds name it; default: the name of what answers"
    )
    document_store: Name | None = Field(None, description="Retrieval alone: a document store of this file, or by name")
    flow: Name | None = Field(None, description="A chatflow or agentflow that the service has, by name or id")
    flow_file: Name | None = Field(None, description="An exported chatflow or agentflow")
    answers_from: Name | None = Field(
        None,
        description="A document store. Alone: the smallest chatflow answers from it, with the service's own model;"
        " with `flow_file`: stands for every document store that the file names",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Of a document store `topK`, `filter`, `strategy`, `retrieval`, `principals`; of a flow what its"
        " owner has opened for `overrideConfig`",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("document_store", "flow", "flow_file") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of {' and '.join(given)}, not several")
        if not given and self.answers_from is None:
            raise ValueError("give one of document_store, flow, flow_file, answers_from")
        if self.answers_from is not None and given not in ([], ["flow_file"]):
            raise ValueError(f"answers_from stands alone or beside flow_file, not beside {given[0]}")
        return self

    @property
    def name(self) -> str:
        """How results call it."""
        return self.label or self.document_store or self.flow or self.flow_file or self.answers_from or ""


class Metric(Part):
    """A metric by its name, such as `recall` or `recall@5`, and its options."""

    name: Name
    options: dict[str, Any] = Field(default_factory=dict)


Metrics = tuple[Annotated[Metric, BeforeValidator(_named, json_schema_input_type=str | Metric)], ...]


class Evaluator(Part):
    """An evaluator: its name alone for one that the service has (or its id), else what it is."""

    name: Name
    type: Literal["text", "json", "numeric", "llm"] | None = None
    operator: str | None = None
    value: str | int | None = None
    measure: str | None = None
    prompt: str | None = None
    output_schema: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type is None and self.model_fields_set != {"name"}:
            raise ValueError("an evaluator with fields of its own needs a type: text, json, numeric or llm")
        return self


Evaluators = tuple[Annotated[Evaluator, BeforeValidator(_named, json_schema_input_type=str | Evaluator)], ...]


class Judge(Part):
    """The chat model that judges. Without a name the service's own."""

    name: str = Field("", description="A chat model's node, such as `chatOpenAI`")
    inputs: dict[str, Any] = Field(default_factory=dict, description="Its fields, `modelName` among them; no keys")
    credential: str = Field("", description="Id of a credential that the service keeps")


class Threshold(Part):
    """What a metric must not fall below, or rise above."""

    metric: Name = Field(
        description="A metric as `metrics` names it, or the name of an evaluator; measured in any case"
    )
    target: Texts = Field((ALL,), description="Labels of targets; default: each of them")
    fail_under: float | None = Field(None, allow_inf_nan=False)
    fail_over: float | None = Field(None, allow_inf_nan=False)
    statistic: str = Field(
        "mean",
        pattern=r"^(mean|bound|p\d{1,2}(\.\d{1,3})?)$",
        description="`mean`; `bound`: the end of the mean's interval that is nearer to failing; `p95`: what 95 % of the"
        " scores stay below, of metrics that tell it",
    )

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if self.fail_under is None and self.fail_over is None:
            raise ValueError("give fail_under or fail_over")
        return self


class Baseline(Part):
    """How a run is held against an earlier one."""

    file: Name | None = Field(None, description="What `--save` wrote; `--baseline` comes before it")
    metrics: tuple[Name, ...] | None = Field(
        None, description="Which may not get worse; default: all but times, which tell more of the machine"
    )
    tolerance: float | dict[str, float] = Field(
        0.0, description="How much worse is let pass, though it is real: for all metrics, or by metric"
    )
    level: float = Field(
        0.95,
        gt=0.5,
        lt=1,
        description="How sure a difference must be to count as real; corrected (Holm) for how many metrics are judged",
    )

    @field_validator("tolerance")
    @classmethod
    def _not_negative(cls, value: float | dict[str, float]) -> float | dict[str, float]:
        if any(not each >= 0 for each in (value.values() if isinstance(value, dict) else (value,))):
            raise ValueError("must not be below 0")
        return value

    def tolerated(self, metric: str) -> float:
        """How much worse a metric may be."""
        return self.tolerance.get(metric, 0.0) if isinstance(self.tolerance, dict) else self.tolerance


class Suite(Part):
    """An evaluation suite of Ragstone."""

    version: Literal[1] = Field(1, description="Of this format")
    name: Name = Field(description="Of the evaluation; each run is a further version of it")
    document_stores: tuple[DocumentStore, ...] = Field((), description="Which the suite fills before it asks")
    dataset: Dataset
    targets: tuple[Target, ...] = Field(min_length=1)
    metrics: Metrics | None = Field(None, description="Default: the service's choice")
    evaluators: Evaluators = ()
    judge: Judge | None = None
    repeats: int = Field(1, ge=1, le=MOST_REPEATS, description="How often each question is asked")
    concurrency: int | None = Field(None, ge=1, description="Questions at the same time; default: as the service gives")
    retries: int | None = Field(None, ge=0, description="How often a call is repeated that a passing failure refused")
    one_conversation: bool = Field(False, description="The rows are one conversation, in their order")
    thresholds: tuple[Threshold, ...] = ()
    baseline: Baseline = Field(default_factory=Baseline)
    max_errors: int = Field(0, ge=0, description="Cases that may fail, or whose score is an error")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        labels = [target.name for target in self.targets]
        for place, label in enumerate(labels):
            if label in labels[:place]:
                raise ValueError(f"targets[{place}]: another target is called {label!r} too: give it a label")
        for place, threshold in enumerate(self.thresholds):
            for label in threshold.target:
                if label not in (ALL, *labels):
                    raise ValueError(f"thresholds[{place}].target: there is no target {label!r}, but {_told(labels)}")
        stores = [store.name for store in self.document_stores]
        if len(set(stores)) < len(stores):
            raise ValueError("document_stores: two of them have the same name")
        return self


def _told(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
