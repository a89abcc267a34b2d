"""The table of components: what is listed, in which shape, and that it is the contract's."""

from xml.etree import ElementTree

import httpx
import pytest

from loaders import FLOWISE_LOADERS
from loaders.splitters import FLOWISE_SPLITTERS, splitter
from service.connectors import CONNECTORS
from service.document_stores.loading.mapping import NO_OPTIONS
from service.errors import Unprocessable
from service.http.icons import icon
from service.nodes import loaders as loader_rows
from service.nodes.service import NODES, check, find, json_object, of_category, switched
from service.nodes.types import Category, Node
from service.providers.embedding import NODES as EMBEDDING_NODES

API = "/api/v1/document-store/components"

CONTRACT = {
    "plainText": "text metadata omitMetadataKeys",
    "textFile": "txtFile metadata omitMetadataKeys",
    "pdfFile": "pdfFile usage legacyBuild metadata omitMetadataKeys",
    "docxFile": "docxFile metadata omitMetadataKeys",
    "csvFile": "csvFile columnName metadata omitMetadataKeys",
    "jsonFile": "jsonFile separateByObject pointersName metadata omitMetadataKeys",
    "jsonlinesFile": "jsonlinesFile pointerName metadata omitMetadataKeys",
    "fileLoader": "file usage legacyBuild pointerName metadata omitMetadataKeys",
    "folderFiles": "folderPath recursive pdfUsage pointerName metadata omitMetadataKeys",
    "cheerioWebScraper": "url relativeLinksMethod limit selector metadata omitMetadataKeys",
    "playwrightWebScraper": "url relativeLinksMethod limit waitUntilGoToOption waitForSelector cssSelector metadata"
    " omitMetadataKeys",
    "github": "repoLink branch recursive maxConcurrency githubBaseUrl githubInstanceApi ignorePath maxRetries metadata"
    " omitMetadataKeys",
    "gitbook": "webPath shouldLoadAllPaths metadata omitMetadataKeys",
    "apiLoader": "method url headers caFile body metadata omitMetadataKeys",
    "recursiveCharacterTextSplitter": "chunkSize chunkOverlap separators",
    "characterTextSplitter": "chunkSize chunkOverlap separator",
    "tokenTextSplitter": "chunkSize chunkOverlap encodingName",
    "markdownTextSplitter": "chunkSize chunkOverlap splitByHeaders",
    "htmlToMarkdownTextSplitter": "chunkSize chunkOverlap",
    "codeTextSplitter": "chunkSize chunkOverlap language",
    "openAIEmbeddings": "modelName stripNewLines batchSize timeout basepath baseOptions dimensions encodingFormat",
    "openAIEmbeddingsCustom": "stripNewLines batchSize timeout basepath baseOptions modelName dimensions"
    " encodingFormat",
    "localAIEmbeddings": "basePath modelName",
    "postgres": "host database port ssl tableName distanceStrategy fileUpload batchSize additionalConfig topK"
    " pgMetadataFilter contentColumnName",
    "chroma": "collectionName chromaURL chromaMetadataFilter topK",
    "qdrant": "qdrantServerUrl qdrantCollection fileUpload qdrantVectorDimension contentPayloadKey metadataPayloadKey"
    " batchSize qdrantSimilarity qdrantCollectionConfiguration topK qdrantFilter",
    "faiss": "basePath topK",
    "pinecone": "pineconeIndex pineconeNamespace fileUpload pineconeTextKey pineconeMetadataFilter topK",
    "memoryVectorStore": "topK",
    "SQLiteRecordManager": "additionalConfig tableName namespace cleanup sourceIdKey",
    "postgresRecordManager": "host database port ssl additionalConfig tableName namespace cleanup sourceIdKey",
    "MySQLRecordManager": "host database port additionalConfig tableName namespace cleanup sourceIdKey",
}
"""Fields of the contract's table b.4, in its order where a component's anchors do not say otherwise."""


def node(name: str) -> Node:
    found = find(name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", CONTRACT)
def test_the_fields_are_those_of_the_contract(name: str) -> None:
    assert {field.name for field in node(name).fields} == set(CONTRACT[name].split())


def test_what_can_be_used_has_a_row_and_what_has_none_is_not_listed() -> None:
    loaders = {item.name for item in of_category(Category.LOADERS)}
    assert loaders == set(FLOWISE_LOADERS) | set(CONNECTORS)
    assert {item.name for item in of_category(Category.SPLITTERS)} == set(FLOWISE_SPLITTERS)
    assert {item.name for item in of_category(Category.EMBEDDINGS)} >= set(EMBEDDING_NODES) | {"local"}
    assert not loaders & set(loader_rows.REFUSED)


def test_a_splitter_takes_its_default_fields() -> None:
    for item in of_category(Category.SPLITTERS):
        values = {field.name: field.default for field in item.fields if field.default is not None}
        choices = {field.name: next(iter(field.choices)) for field in item.fields if field.choices}
        splitter(item.name, {**choices, **values})


def test_languages_of_the_code_splitter_are_all_known() -> None:
    language = node("codeTextSplitter").field("language")
    assert language is not None
    for name in language.choices:
        splitter("codeTextSplitter", {"language": name})


@pytest.mark.parametrize("kind", ["loaders", "embeddings", "vectorstore", "recordmanager"])
async def test_definitions_are_what_forms_read(client: httpx.AsyncClient, kind: str) -> None:
    found = (await client.get(f"{API}/{kind}")).json()
    assert found
    for item in found:
        assert {"label", "name", "version", "type", "icon", "category", "description", "baseClasses", "inputs"} <= set(
            item
        )
        assert item["icon"] == f"/api/v1/node-icon/{item['name']}"
        assert "filePath" not in item
        assert all(field["label"] and field["name"] and field["type"] for field in item["inputs"])
        assert None not in item.values()
    assert [item["label"].lower() for item in found] == sorted(item["label"].lower() for item in found)


async def test_a_definition_has_anchors_choices_outputs_and_a_credential(client: httpx.AsyncClient) -> None:
    loaders = {item["name"]: item for item in (await client.get(f"{API}/loaders")).json()}
    inputs = {item["name"]: item for item in loaders["pdfFile"]["inputs"]}
    assert inputs["pdfFile"]["fileType"] == ".pdf"
    assert [option["name"] for option in inputs["usage"]["options"]] == ["perPage", "perFile"]
    assert inputs["textSplitter"] == {
        "label": "Text Splitter", "name": "textSplitter", "type": "TextSplitter", "optional": True
    }  # fmt: skip
    assert inputs["metadata"]["additionalParams"] is True
    assert [output["name"] for output in loaders["pdfFile"]["outputs"]] == ["document", "text"]
    assert loaders["github"]["credential"]["credentialNames"] == ["githubApi"]
    assert loaders["pdfFile"]["baseClasses"] == ["Document"]


async def test_every_component_has_a_picture_that_anybody_may_see(anonymous: httpx.AsyncClient) -> None:
    for name in NODES:
        response = await anonymous.get(f"/api/v1/node-icon/{name}")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("image/svg+xml")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert ElementTree.fromstring(response.text).tag.endswith("svg")  # noqa: S314  # drawn here
    assert len({icon(item.name, item.label) for item in NODES.values()}) == len(NODES)


async def test_a_picture_of_nothing_is_not_found(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get("/api/v1/node-icon/<script>")
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    ("name", "config", "field"),
    [
        ("pdfFile", {"usage": "perBook"}, "usage"),
        ("pdfFile", {"legacyBuild": "perhaps"}, "legacyBuild"),
        ("cheerioWebScraper", {"limit": "many"}, "limit"),
        ("cheerioWebScraper", {"limit": True}, "limit"),
        ("cheerioWebScraper", {"url": 7}, "url"),
        ("apiLoader", {"headers": "{"}, "headers"),
        ("pdfFile", {"usage": ["perPage"]}, "usage"),
    ],
)
def test_a_value_that_does_not_fit_names_its_field(name: str, config: dict[str, object], field: str) -> None:
    with pytest.raises(Unprocessable, match=f"loader.config.{field}"):
        check(node(name), config, "loader.config")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("pdfFile", "legacyBuild"),
        ("unstructuredFileLoader", "unstructuredAPIUrl"),
        ("unstructuredFileLoader", "strategy"),
        ("unstructuredFileLoader", "encoding"),
    ],
)
def test_a_field_of_a_loader_without_effect_says_so_and_is_no_part_of_the_recipe(name: str, field: str) -> None:
    (found,) = (each for each in node(name).fields if each.name == field)
    assert found.description.startswith("Accepted")
    assert field in NO_OPTIONS


def test_values_as_forms_send_them_fit() -> None:
    check(node("pdfFile"), {"usage": "", "legacyBuild": "true", "unknown": object(), "metadata": "{}"}, "loader.config")
    check(node("cheerioWebScraper"), {"limit": "3", "url": "https://example.org"}, "loader.config")
    assert (switched("true"), switched("False"), switched(True), switched(None)) == (True, False, True, False)
    assert json_object('{"a": 1}', "x") == {"a": 1}
    assert json_object("", "x") == json_object(None, "x") == {}
    with pytest.raises(Unprocessable, match="x: must be a JSON object"):
        json_object("[1]", "x")
