"""`ragstone bench`: speed and retrieval quality as ratios to floors measured in the same run."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.cli.exits import CommandError
from service.cli.options import JsonOption

NAMES = (
    "parse",
    "predictions",
    "streams",
    "concurrency",
    "ingestion",
    "during",
    "deletion",
    "memory",
    "footprint",
    "retrieval",
    "evaluation",
    "engines",
)

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    only: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(NAMES)}; default: all."),
    ] = None,
    size: Annotated[float, typer.Option(help="Megabytes of text to upsert.", min=0.01)] = 5.0,
    documents: Annotated[
        Path | None, typer.Option(help="Folder of documents to upsert; default: the samples.", exists=True)
    ] = None,
    requests: Annotated[int, typer.Option(help="Predictions to send.", min=50)] = 1000,
    chunks: Annotated[int, typer.Option(help="Chunks to delete.", min=100)] = 100_000,
    engine_chunks: Annotated[int, typer.Option(help="Chunks to search in each vector store.", min=1000)] = 10_000,
    vector_store: Annotated[
        list[str] | None,
        typer.Option(help="URL of a vector store to measure, once for each.", show_default="pgvector twice, chroma"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure this checkout on a service of its own: exit code 1 when a target is missed.

    Takes minutes; run it on a machine that does nothing else. The measures are in tests/benchmarks.
    """
    checkout = Path(__file__).parents[2]
    if not (checkout / "tests" / "benchmarks").is_dir():
        raise CommandError("benchmarks are part of a checkout of the source, and this is an installed package")
    if only is not None and only not in NAMES:
        raise typer.BadParameter(f"must be one of {', '.join(NAMES)}", param_hint="--only")
    arguments = ["--size", str(size), "--requests", str(requests)]
    arguments += ["--chunks", str(chunks), "--engine-chunks", str(engine_chunks)]
    arguments += [f"--vector-store={url}" for url in vector_store or ()]
    arguments += ["--documents", str(documents.absolute())] if documents else []
    arguments += ["--only", only] if only else []
    arguments += ["--json"] if as_json else []
    command = [sys.executable, "-m", "tests.benchmarks", *arguments]
    raise typer.Exit(subprocess.run(command, cwd=checkout).returncode)
