"""Predictions over HTTP beside the bare steps: throughput at concurrency 32, added latency at concurrency 1."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tests.benchmarks.corpus import questions, rows
from tests.benchmarks.harness import ModelStub, Service, drive
from tests.benchmarks.measure import Measure, percentile

FLOW_NODES = ("documentStoreVS_0", "chatOpenAI_0", "conversationalRetrievalQAChain_0")


def flow(store: str, credential: str, stub: str) -> str:
    """A chatflow as Flowise exports it: a document store, a chat model, a retrieval chain."""
    retriever, model, chain = FLOW_NODES

    def node(name: str, category: str, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
        kind = name.split("_")[0]
        data = {"id": name, "name": kind, "label": kind, "category": category, "inputs": inputs, **more}
        return {"id": name, "type": "customNode", "data": data}

    def edge(source: str, output: str, target: str, field: str) -> dict[str, Any]:
        start, end = f"{source}-output-{output}-Any", f"{target}-input-{field}-Any"
        return {"source": source, "sourceHandle": start, "target": target, "targetHandle": end, "id": f"{start}-{end}"}

    return json.dumps(
        {
            "nodes": [
                node(retriever, "Vector Stores", {"selectedStore": store}, outputs={"output": "retriever"}),
                node(model, "Chat Models", {"modelName": "stub-model", "basepath": stub}, credential=credential),
                node(
                    chain,
                    "Chains",
                    {
                        "model": f"{{{{{model}.data.instance}}}}",
                        "vectorStoreRetriever": f"{{{{{retriever}.data.instance}}}}",
                        "returnSourceDocuments": True,
                    },
                ),
            ],
            "edges": [
                edge(retriever, "retriever", chain, "vectorStoreRetriever"),
                edge(model, "chatOpenAI", chain, "model"),
            ],
        }
    )


def prepared(service: Service, stub: str) -> tuple[str, str]:
    """A document store of the squad-en passages, and the path of predictions by a chatflow over it."""
    store = service.post("/document-store/store", {"name": "bench predictions"})["id"]
    passages = [
        (f"{row['_id']}.txt", f"{row['title']}\n\n{row['text']}".encode()) for row in rows("squad-en", "corpus.jsonl")
    ]
    service.upload(store, passages)
    values = {"openAIApiKey": "sk-bench", "allowedHosts": "127.0.0.1"}
    secret = {"name": "stub", "credentialName": "openAIApi", "plainDataObj": values}
    credential = service.post("/credentials", secret)["id"]
    chatflow = service.post(
        "/chatflows", {"name": "bench", "type": "CHATFLOW", "flowData": flow(store, credential, stub)}
    )["id"]
    return store, f"/api/v1/prediction/{chatflow}"


def asked(requests: int) -> list[bytes]:
    """The bodies of so many predictions."""
    questioned = (questions("squad-en") * (requests // 612 + 1))[:requests]
    return [json.dumps({"question": question}).encode() for question in questioned]


def run(service: Service, requests: int) -> Iterator[Measure]:
    """Measure on a document store of the squad-en passages."""
    with ModelStub() as stub:
        store, path = prepared(service, stub.url)
        bodies = asked(requests)
        drive(service.url, path, bodies[:64], 8)

        bare = _bare(service, store, stub.url, requests, 32)
        rate, _ = drive(service.url, path, bodies, 32)
        yield Measure(
            "prediction throughput, concurrency 32, over the bare steps",
            rate / bare["rate"],
            0.6,
            details={"requests/s": rate, "bare requests/s": bare["rate"]},
        )
        few = max(50, requests // 4)
        bare = _bare(service, store, stub.url, few, 1)
        _, seconds = drive(service.url, path, bodies[:few], 1)
        for share, name, target in ((0.5, "p50", 5.0), (0.99, "p99", 20.0)):
            ours = percentile(seconds, share) * 1000
            yield Measure(
                f"added latency of a prediction, {name}, concurrency 1",
                ours - bare[name],
                target,
                "ms",
                "lower",
                {"ms": ours, "bare ms": bare[name]},
            )


def _bare(service: Service, store: str, stub: str, requests: int, concurrency: int) -> dict[str, float]:
    table = f"vectors_ds_{store.replace('-', '')}"
    arguments = {
        "url": service.database_url(),
        "table": table,
        "stub": stub,
        "requests": str(requests),
        "concurrency": str(concurrency),
    }
    command = [sys.executable, "-m", "tests.benchmarks.bare"]
    for name, value in arguments.items():
        command += [f"--{name}", value]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
