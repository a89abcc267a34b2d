"""What a suite needs from disk, read before any service is asked: so that a mistake costs no minutes.

A suite may come from whoever proposes a change, and runs on the machine of whoever checks it: it names files in one
folder only, its own unless the command line allows a wider one. Links are followed before that is judged.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.cli.bar import counted
from service.cli.exits import UsageProblem
from service.cli.suites.reading import read
from service.cli.suites.rows import Row, read_rows
from service.cli.suites.suite import DocumentStore, Metric, Suite, Target, Threshold
from service.cli.uploads import File, find_files

if TYPE_CHECKING:
    from service.flow_checks.types import Exported


@dataclass(frozen=True, slots=True)
class Filling:
    """A document store to fill: its files, and what tells that it holds just these, cut and embedded just so."""

    wish: DocumentStore
    files: Sequence[File]
    content: str
    settings: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of a suite lie."""

    folder: Path
    """What paths are relative to."""
    root: Path
    """They lie in it, links followed."""

    def path(self, where: str, name: str) -> Path:
        """The path that a suite names, whether or not there is something. Raises `UsageProblem` for one that leads out
        of the root, before it is looked at."""
        try:
            path = self.folder / Path(name).expanduser()
            inside = path.resolve().is_relative_to(self.root)
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, nobody's home, a null byte
            raise UsageProblem(f"{where}: {name!r} is no path that can be followed: {error}") from None
        if not inside:
            raise UsageProblem(
                f"{where}: {name!r} leads out of {self.root}, and a suite names files inside of it only: move them"
                " there, or name a folder that holds them all with --root"
            )
        return path

    def found(self, where: str, name: str) -> Path:
        """As `path`, of something that is there."""
        path = self.path(where, name)
        if not path.exists():
            raise UsageProblem(f"{where}: there is no {path}; paths are relative to the suite's folder")
        return path


@dataclass(frozen=True, slots=True)
class Plan:
    """A suite with all that its file names."""

    file: Path
    suite: Suite
    fillings: Sequence[Filling]
    rows: Sequence[Row] | None
    """None: the service has the dataset."""
    flows: Mapping[str, "Exported"] = field(default_factory=dict)
    """By the targets' labels."""
    baseline: Path | None = None
    """The earlier run that the suite names."""
    metrics: Sequence[Metric] | None = None
    """Those of the suite and those that only thresholds name; None: the service's choice."""

    @property
    def thresholds(self) -> Sequence[Threshold]:
        """Of the file and of the command line, metrics by their labels."""
        return self.suite.thresholds


def read_plan(file: Path, more: Sequence[Threshold], *, root: Path | None = None, show: bool = False) -> Plan:
    """A suite file and what it names, with more thresholds; `root` is the folder that holds all that it names, its own
    by default; `show` draws how many files are read. Raises `UsageProblem`, which names the file and the key."""
    return planned(file, read(file), more, root=root, show=show)


def planned(
    file: Path, suite: Suite, more: Sequence[Threshold] = (), *, root: Path | None = None, show: bool = False
) -> Plan:
    """As `read_plan`, of a suite that was read from a file."""
    for threshold in more:
        known = [target.name for target in suite.targets]
        if unknown := [name for name in threshold.target if name not in ("*", *known)]:
            raise UsageProblem(f"--fail-under {unknown[0]}:{threshold.metric}: there is no such target in {file}")
    suite = suite.model_copy(update={"thresholds": (*suite.thresholds, *more)})
    folder = file.absolute().parent
    files_at = Place(folder, (root or folder).resolve())
    fillings = [
        _filling(f"{file}: document_stores[{place}]", files_at, wish, show=show)
        for place, wish in enumerate(suite.document_stores)
    ]
    rows = None
    if suite.dataset.file is not None:
        rows = read_rows(files_at.found(f"{file}: dataset.file", suite.dataset.file), suite.dataset)
    flows = {
        target.name: _flow(f"{file}: targets[{place}].flow_file", files_at, target.flow_file)
        for place, target in enumerate(suite.targets)
        if target.flow_file is not None
    }
    earlier = suite.baseline.file
    baseline = None if earlier is None else files_at.path(f"{file}: baseline.file", earlier)
    metrics, thresholds = _measured(file, suite)
    return Plan(file, suite.model_copy(update={"thresholds": thresholds}), fillings, rows, flows, baseline, metrics)


def _filling(where: str, place: Place, wish: DocumentStore, *, show: bool) -> Filling:
    paths = [place.found(f"{where}.files[{number}]", name) for number, name in enumerate(wish.files)]
    try:
        files = find_files(paths)
    except UsageProblem as error:
        raise UsageProblem(f"{where}.files: {error}") from None
    content = hashlib.sha256()
    for name, path in counted(sorted(files), f"Document store {wish.name}: reading files", show=show):
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UsageProblem(f"{where}.files: {path} cannot be read: {error}") from None
        content.update(f"{name}\0{digest}\0".encode())
    parts = wish.model_dump(mode="json", include={"splitter", "embedding", "vector_store"})
    settings = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return Filling(wish, files, content.hexdigest()[:16], settings[:16])


def _flow(where: str, place: Place, name: str) -> "Exported":
    from service.errors import ServiceError
    from service.flow_checks.files import read as read_flows

    path = place.found(where, name)
    try:
        flows = read_flows(path.read_text("utf-8"), path.stem)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"{where}: {path} cannot be read: {error}") from None
    except ServiceError as error:
        raise UsageProblem(f"{where}: {error.message}") from None
    if len(flows) > 1:
        raise UsageProblem(f"{where}: {path} holds {len(flows)} flows; export the one that is meant")
    return flows[0]


def _measured(file: Path, suite: Suite) -> tuple[Sequence[Metric] | None, tuple[Threshold, ...]]:
    """The metrics to measure, with those that only a threshold names; and the thresholds, metrics by their labels."""
    from service.metrics import METRICS

    metrics = list(suite.metrics or ())
    labels = _told_apart([_label(f"{file}: metrics[{place}]", metric) for place, metric in enumerate(metrics)])
    evaluators = {evaluator.name for evaluator in suite.evaluators}
    thresholds = []
    for place, threshold in enumerate(suite.thresholds):
        if threshold.metric in evaluators or threshold.metric in labels:
            thresholds.append(threshold)
            continue
        if threshold.metric.partition("@")[0] not in METRICS:
            known = ", ".join([*labels, *sorted(evaluators)]) or "none"
            raise UsageProblem(
                f"{file}: thresholds[{place}].metric: there is no metric or evaluator {threshold.metric!r};"
                f" this suite has {known}, and metrics are {', '.join(METRICS)}"
            )
        metric = Metric(name=threshold.metric)
        label = _label(f"{file}: thresholds[{place}].metric", metric)
        if label not in labels:
            labels.append(label)
            metrics.append(metric)
        thresholds.append(threshold.model_copy(update={"metric": label}))
    chosen = None if suite.metrics is None and not metrics else metrics
    return chosen, tuple(thresholds)


def _label(where: str, wish: Metric) -> str:
    """How results call a metric. Raises `UsageProblem` for one that cannot be used."""
    from service.errors import ServiceError
    from service.metrics.making import metric

    try:
        return metric(wish.name, wish.options).label
    except ServiceError as error:
        raise UsageProblem(f"{where}: {error.message}") from None


def _told_apart(labels: Sequence[str]) -> list[str]:
    """As the service calls them: one that is there before has a number behind."""
    told: list[str] = []
    for label in labels:
        found, number = label, 1
        while found in told:
            number += 1
            found = f"{label} ({number})"
        told.append(found)
    return told


def store_names(targets: Sequence[Target]) -> Iterator[str]:
    """The document stores that targets name."""
    for target in targets:
        if target.document_store is not None:
            yield target.document_store
        if target.answers_from is not None:
            yield target.answers_from


def asked(target: Target, store_id: str | None, flow_id: str | None) -> dict[str, Any]:
    """A target as `POST /evaluations` takes it."""
    answers = {"storeId": store_id} if target.document_store is not None else {"chatflowId": flow_id}
    return {**answers, "label": target.name, "options": target.options}
