"""Every setting of the service, described once: name, default, help. The README's table is generated from here."""

import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

PREFIX = "RAGSTONE_"
MIB = 1024 * 1024


ELSEWHERE = ("CONFIG", "URL", "API_KEY", "TAG", "EXTRAS", "PORTS", "SERVERS", "WORKERS")
"""Other variables with the prefix: where settings and the command line's service are, and those of compose.yaml."""


class SettingsError(Exception):
    """A setting is unknown or has a value that cannot be used; the message names it."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens of a model cost, in whatever currency the operator reckons."""

    input: float
    output: float


def _prices(value: Any) -> dict[str, Price]:
    """Prices by model: of a mapping, a JSON text, or the JSON file that a text names. Raises `ValueError`."""
    if isinstance(value, str):
        text = value.strip()
        if text and not text.startswith("{"):
            try:
                text = Path(text).read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"'{value}' is neither a JSON object nor a file that can be read: {error}") from None
        try:
            value = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not valid JSON: {error}") from None
    if not isinstance(value, Mapping):
        raise ValueError("must be a JSON object of models")
    return {model: price if isinstance(price, Price) else _price(model, price) for model, price in value.items()}


def _price(model: str, price: Any) -> Price:
    parts = price if isinstance(price, Mapping) and price and price.keys() <= {"input", "output"} else {"input": None}
    numbers = {name: part for name, part in parts.items() if isinstance(part, int | float) and math.isfinite(part)}
    if not model or len(numbers) < len(parts) or any(isinstance(part, bool) or part < 0 for part in numbers.values()):
        raise ValueError(f"'{model}': must be numbers of at least 0, `input` and `output`, not {price!r}")
    return Price(numbers.get("input", 0.0), numbers.get("output", 0.0))


CHAT_PROVIDERS = ("anthropic", "google", "groq", "mistral", "ollama", "openai", "openrouter")
"""What may stand before the colon of `chat_model`, besides `local`."""


def _chosen(model: str) -> str:
    """The model, if it is written as one. Raises `ValueError`."""
    provider, _, name = model.partition(":")
    if model and (provider not in (*CHAT_PROVIDERS, "local") or not name):
        raise ValueError(f"'{model}' is not PROVIDER:NAME, of {', '.join(CHAT_PROVIDERS)}, or local:FILE.gguf")
    return model


class Settings(BaseModel):
    """The settings of one process. Frozen; built by `load` from a mapping that is passed in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: Path = Field(Path("ragstone-data"), description="Folder of all state: database, uploads, secrets, logs.")
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(
        3000, ge=0, le=65535, description="Port to listen on; `up` takes the next free one when it is taken."
    )
    database_url: SecretStr | None = Field(
        None,
        description="URL of a Postgres >= 15 with pgvector >= 0.8; empty: the embedded one in the data folder.",
    )
    database_pool: int | None = Field(
        None,
        ge=2,
        le=200,
        description="Most database connections a process holds; empty: two for each processor, and two more. A worker"
        " that may have more jobs and runs going than there are processors has one for each of these.",
    )
    keyword_memory: int | None = Field(
        None,
        ge=0,
        description="Bytes of keyword lists that a process remembers between searches, 0 for none; empty: a"
        " sixty-fourth of the machine's memory.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Key that seals credentials, 32 bytes in base64; empty: generated once into the data folder. While"
        " keys are exchanged: 2:NEW,1:OLD.",
    )
    vector_store: SecretStr = Field(
        SecretStr("pgvector://"),
        description="URL of the vector store: pgvector://, chroma:///, chroma://HOST:PORT, qdrant://HOST:PORT."
        " See stores/vector.",
    )
    embedding: str = Field(
        "auto",
        pattern="^(auto|minilm|multilingual)$",
        description="Bundled model of document stores that name none: minilm (English), multilingual, or auto: by the"
        " language of what is first put in.",
    )
    embedding_model_path: Path | None = Field(
        None, description="Folder with model.onnx and tokenizer.json to use in place of the bundled models."
    )
    embedding_threads: int = Field(0, ge=0, le=256, description="Threads that embed; 0: one for each core.")
    chat_model: Annotated[str, AfterValidator(_chosen)] = Field(
        "",
        description="Model that answers where a flow names none: PROVIDER:NAME, of anthropic, google, groq, mistral,"
        " ollama, openai or openrouter, or local:FILE.gguf; empty: extractive.",
    )
    openai_api_key: SecretStr | None = Field(None, description="Key for the chat model openai:NAME.")
    openai_base_url: str = Field("", description="Base URL of an OpenAI-compatible server for openai:NAME.")
    anthropic_api_key: SecretStr | None = Field(None, description="Key for the chat model anthropic:NAME.")
    google_api_key: SecretStr | None = Field(None, description="Key for the chat model google:NAME.")
    groq_api_key: SecretStr | None = Field(None, description="Key for the chat model groq:NAME.")
    mistral_api_key: SecretStr | None = Field(None, description="Key for the chat model mistral:NAME.")
    openrouter_api_key: SecretStr | None = Field(None, description="Key for the chat model openrouter:NAME.")
    ollama_base_url: str = Field("", description="Base URL of the Ollama server for ollama:NAME.")
    local_model: Path | None = Field(None, description="GGUF file for local models (extra `llm`).")
    rerank_model_path: Path | None = Field(
        None, description="Folder of a sentence-transformers cross-encoder that reranks (extra `torch`)."
    )
    prices: Annotated[dict[str, Price], BeforeValidator(_prices)] = Field(
        {},
        description='What models cost, as a JSON object or the path of a JSON file: `{"gpt-4o-mini": {"input": 0.15,'
        ' "output": 0.6}}` by the million of tokens, for this model and its versions (`gpt-4o-mini-2024-07-18`);'
        " empty: no cost is reckoned.",
    )
    store_messages: bool = Field(
        True, description="Keep conversations of flows that do not say (`conversations.store` in their apiConfig)."
    )
    message_days: float = Field(
        0.0,
        ge=0,
        description="Days that messages are kept where a flow does not say (`conversations.days`); 0: always.",
    )
    provider_timeout: float = Field(120.0, gt=0, description="Seconds to wait for a model or embedding provider.")
    max_upload: int = Field(100 * MIB, ge=1, description="Largest file, in bytes.")
    max_request: int = Field(256 * MIB, ge=1, description="Largest request body, in bytes.")
    max_json: int = Field(
        16 * MIB, ge=1, description="Largest request body that is no form, where JSON carries no files, in bytes."
    )
    max_prediction: int = Field(
        50 * MIB,
        ge=1,
        description="Largest question with its uploads, in bytes; without them it is bound by `max_json`.",
    )
    max_picture: int = Field(5 * MIB, ge=1, description="Largest picture that comes with a question, in bytes.")
    max_audio: int = Field(25 * MIB, ge=1, description="Largest sound that comes with a question, in bytes.")
    max_files: int = Field(1000, ge=1, description="Most files in one request.")
    max_metadata: int = Field(16 * 1024, ge=1, description="Largest metadata object of a document, in bytes of JSON.")
    max_request_chunks: int = Field(100_000, ge=1, description="Most chunks that one request brings in place of files.")
    max_chunk_text: int = Field(100_000, ge=1, description="Longest text of a chunk, in characters.")
    max_archive: int = Field(16 * 1024 * MIB, ge=1, description="Largest archive to import, in bytes.")
    max_chunks: int = Field(1_000_000, ge=1, description="Most chunks in one document store.")
    max_queued_jobs: int = Field(
        1000, ge=1, description="Most jobs of a workspace that have not ended; further uploads are told to wait (429)."
    )
    max_page: int = Field(10_000, ge=1, le=100_000, description="Most rows of a list, or of a page of it.")
    min_free_disk: int = Field(
        256 * MIB, ge=0, description="Bytes that uploads leave free on the disk of the data folder."
    )
    body_pause: float = Field(30.0, gt=0, description="Seconds that a request body may pause.")
    body_rate: int = Field(
        4096, ge=1, description="Bytes a second that a request body must reach on average, after the first pause."
    )
    parser_memory: int = Field(
        1024 * MIB, ge=64 * MIB, description="Address space a parser process may take, in bytes."
    )
    parser_cpu: int = Field(120, ge=1, description="CPU seconds a parser process may take for one file.")
    parser_wall: float = Field(300.0, gt=0, description="Seconds a parser process may take for one file.")
    tesseract: str = Field(
        "tesseract", description="Program that reads pictures and scanned pages, by name or path; empty: none."
    )
    ocr_languages: str = Field(
        "eng", description="Languages of pictures by tesseract's codes, joined by `+`; those not installed are skipped."
    )
    ocr_pages: int = Field(500, ge=1, description="Most pages of one file that are read as pictures.")
    ocr_pixels: int = Field(100_000_000, ge=1, description="Most pixels of a picture; a larger one is not decoded.")
    ocr_page_seconds: int = Field(60, ge=1, description="CPU seconds tesseract may take for one page.")
    ocr_seconds: float = Field(3600.0, gt=0, description="Seconds tesseract may take for one file.")
    parser_processes: int = Field(
        0, ge=0, le=64, description="Files that one process reads at the same time; 0: `worker_concurrency`."
    )
    parser_line: int = Field(
        32, ge=0, description="Files of requests that wait for a parser; further requests are told to come back (503)."
    )
    attachment_days: float = Field(30.0, gt=0, description="Days that the files of a conversation are kept.")
    attachment_space: int = Field(
        1024 * MIB, ge=0, description="Most bytes of conversations' files that are kept of one chatflow."
    )
    attachment_share: int = Field(
        128 * MIB, ge=0, description="Most bytes of these that one visitor without an API key brings, by address."
    )
    max_attachments: int = Field(20, ge=1, description="Most files that a conversation brings in one request.")
    max_attachment_text: int = Field(
        2_000_000, ge=1, description="Most characters of text in the files that a conversation brings in one request."
    )
    earlier_text: int = Field(
        200_000, ge=0, description="Most characters of documents of earlier questions that a model sees again."
    )
    earlier_pictures: int = Field(4, ge=0, description="Most pictures of earlier questions that a model sees again.")
    widget_upserts: bool = Field(
        False,
        description="Let chat widgets upsert files without a key, where the flow's vector store has `fileUpload` on.",
    )
    upsert_wait: float = Field(
        600.0, gt=0, description="Seconds an upsert call waits for its job before it answers 202 with the job's URL."
    )
    egress_allow: str = Field(
        "",
        description="Private places that may be called, separated by commas: host, host:port, address or CIDR;"
        " e.g. `127.0.0.1:11434` for a local Ollama.",
    )
    egress_max_bytes: int = Field(100 * MIB, ge=1, description="Largest answer of another host, in bytes, unpacked.")
    egress_timeout: float = Field(60.0, gt=0, description="Seconds a call to a web site may take, redirects included.")
    crawl_pages: int = Field(
        1000, ge=1, le=100_000, description="Most pages of one crawl or sitemap; a loader's `limit` may be lower."
    )
    crawl_robots: bool = Field(True, description="Heed robots.txt when pages are read.")
    ca_bundle: Path | None = Field(
        None, description="PEM file of certificate authorities to trust besides the system's."
    )
    idempotency_hours: float = Field(
        24.0, gt=0, description="Hours that the answer to a request with an Idempotency-Key is kept."
    )
    job_days: float = Field(30.0, gt=0, description="Days that a job is kept after its end.")
    worker_concurrency: int = Field(2, ge=1, le=64, description="Jobs that one worker runs at the same time.")
    run_concurrency: int = Field(
        4,
        ge=1,
        le=64,
        description="Runs of flows for webhooks and schedules, and answers sent back, that one worker has going at the"
        " same time, beside its jobs.",
    )
    evaluation_concurrency: int = Field(
        4,
        ge=1,
        le=64,
        description="Calls to flows, document stores and judges that the evaluations of one worker make at the same"
        " time, beside its jobs and runs; several evaluations share them.",
    )
    max_evaluation_cases: int = Field(
        100_000, ge=1, description="Most cases of an evaluation: rows of the dataset x targets x repeats."
    )
    worker_nice: int = Field(
        5, ge=0, le=19, description="How far a worker leaves the processors to others, in the steps of `nice`."
    )
    sync_folders: str = Field(
        "",
        description="Folders of this machine, absolute and separated by commas, that folder sources may read;"
        " empty: none.",
    )
    javascript: bool = Field(
        False,
        description="Run JavaScript of tools and functions (extra `javascript`), apart from the service: in a process"
        " without files, programs and network, which calls other hosts only by the service.",
    )
    javascript_seconds: float = Field(30.0, gt=0, le=600, description="Seconds that a script may take.")
    javascript_memory: int = Field(
        128 * MIB, ge=16 * MIB, le=2048 * MIB, description="Memory that a script may take, in bytes."
    )
    javascript_processes: int = Field(2, ge=1, le=64, description="Scripts that one process runs at the same time.")
    variables_prefix: str = Field(
        "RAGSTONE_VAR_",
        description="What the names of environment variables begin with whose values runtime variables may have;"
        " the variable's name follows. Empty: none.",
    )
    trust_proxy: bool = Field(
        False, description="Believe X-Forwarded-Proto and the last X-Forwarded-For of the proxy in front."
    )
    cors_origins: str = Field("", description="Origins allowed on all routes, separated by commas; `*`: any.")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least level that is logged.")


def setting_names() -> dict[str, str]:
    """Environment name -> field name."""
    return {PREFIX + name.upper(): name for name in Settings.model_fields}


def load(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from, strongest first: `overrides` (the command line), `environ`, the TOML file RAGSTONE_CONFIG.

    An empty value counts as not set. Raises `SettingsError` naming the setting.
    """
    values: dict[str, Any] = {}
    for layer in _layers(environ, overrides).values():
        values.update(layer)
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_fault(item["type"], item["loc"][0], item["msg"]) for item in error.errors())
        ) from None


def _fault(kind: str, name: int | str, message: str) -> str:
    """What is wrong with a setting. Only the file can name one that there is not."""
    if kind == "extra_forbidden":
        return f"{PREFIX}CONFIG: there is no setting '{name}'{_meant(str(name), Settings.model_fields)}"
    return f"{PREFIX}{str(name).upper()}: {message.removeprefix('Value error, ')}"


def strangers(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """The variables that look like settings and are none, each with what is to be said of it."""
    known = [*setting_names(), *(PREFIX + name for name in ELSEWHERE)]
    values = settings.variables_prefix
    return {
        name: f"{name}: there is no such setting{_meant(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known and not (values and name.startswith(values))
    }


def _meant(name: str, known: Iterable[str]) -> str:
    # What they all begin with would make any two of them alike.
    near = get_close_matches(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known], 1)
    start = PREFIX if name.startswith(PREFIX) else ""
    return f"; did you mean {start}{near[0]}?" if near else "; `ragstone config` lists them all"


def sources(environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Field name -> where its value comes from: `file`, `environment` or `flag`; defaults are left out.

    Raises `SettingsError` when the file cannot be read.
    """
    return {name: source for source, layer in _layers(environ, overrides).items() for name in layer}


def _layers(environ: Mapping[str, str], overrides: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """What each source says, weakest source first."""
    config = environ.get(PREFIX + "CONFIG", "")
    named = {name: environ.get(key, "") for key, name in setting_names().items()}
    return {
        "file": _read_file(Path(config)) if config else {},
        "environment": {name: value for name, value in named.items() if value != ""},
        "flag": {name: value for name, value in (overrides or {}).items() if value is not None},
    }


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{PREFIX}CONFIG: there is no file {path}") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{PREFIX}CONFIG: {path} is not valid TOML: {error}") from None
