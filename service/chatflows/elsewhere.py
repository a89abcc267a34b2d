"""Nodes of Flowise that this service has no step for, and what to use in their place: the one table of refusals.

A node that comes here leaves this table for the table of its kind (a test holds that no name stands in both).
"""

from collections.abc import Mapping
from types import MappingProxyType

KEPT_HERE = (
    "Use postgres, faiss or memoryVectorStore, which keep the vectors here, chroma or qdrant, which keep them in such a"
    " server, or documentStoreVS for a document store."
)
"""What to use in place of any vector store that is not here."""

VECTOR_STORES = dict.fromkeys(
    (
        "Astra",
        "couchbase",
        "elasticsearch",
        "kendra",
        "meilisearch",
        "milvus",
        "mongoDBAtlas",
        "openSearch",
        "redis",
        "singlestore",
        "supabase",
        "upstash",
        "vectara",
        "vectaraUpload",
        "weaviate",
        "zep",
        "zepCloud",
    ),
    KEPT_HERE,
)

RETRIEVERS = {
    "awsBedrockKBRetriever": (
        "Load the knowledge base's documents into a document store here, by the S3 loader, and use documentStoreVS;"
        " a cohereRerankRetriever or JinaRerankRetriever above it takes the place of its reranking."
    ),
}


def _compatible(address: str) -> str:
    return (
        f"Its service speaks OpenAI's protocol: use chatOpenAICustom with {address} as its BasePath and the key as a"
        " credential of type openAIApi that names that host among its allowed hosts."
    )


_GATEWAY = (
    "Use chatOpenAICustom with the address of a gateway that offers these models by OpenAI's protocol, or another chat"
    " model."
)

MODELS = {
    "awsChatBedrock": f"Amazon signs calls in a way of its own. {_GATEWAY}",
    "chatBaiduWenxin": _compatible("https://qianfan.baidubce.com/v2"),
    "chatGoogleVertexAI": "It signs in with a service account. Use chatGoogleGenerativeAI, which takes an API key.",
    "chatIBMWatsonx": f"IBM gives out tokens of an hour in exchange for a key. {_GATEWAY}",
    "chatNemoGuardrails": (
        "Use the model behind the guardrails, and inputModerationSimple or inputModerationOpenAI at the chain's"
        " inputModeration."
    ),
    "googlevertexai": "It signs in with a service account. Use chatGoogleGenerativeAI, which takes an API key.",
    "ibmWatsonx": f"IBM gives out tokens of an hour in exchange for a key. {_GATEWAY}",
}

_EMBED = (
    "Use openAIEmbeddingsCustom with the address of a server that offers the model by OpenAI's protocol, or a bundled"
    " embedding (local), which needs no key; what was embedded otherwise is upserted again."
)

EMBEDDINGS = dict.fromkeys(
    ("AWSBedrockEmbeddings", "baiduQianfanEmbeddings", "googlevertexaiEmbeddings", "ibmEmbedding"), _EMBED
)

_TABLE = (
    " has a model write Python, which would run in the server: that is never done here. Load the table into a document"
    " store (csvFile, microsoftExcel) and ask it by a conversationalRetrievalQAChain or a toolAgent with a"
    " retrieverTool; for sums and counts give the toolAgent a customTool over your own API."
)

AGENTS = {
    "airtableAgent": f"It{_TABLE}",
    "autoGPT": "Use an agentflow: an agentAgentflow with a loopAgentflow, which has an end that you set.",
    "babyAGI": "Use an agentflow: an llmAgentflow that plans, and an iterationAgentflow over the plan.",
    "csvAgent": f"It{_TABLE}",
    "openAIAssistant": (
        "An assistant and its files are kept by OpenAI. Use toolAgent with chatOpenAI, the same tools and instructions,"
        " and a retrieverTool over a document store that holds the files."
    ),
}

_CALLS = "Use toolAgent with"

CHAINS = {
    "getApiChain": f"{_CALLS} a requestsGet tool, which holds the address and describes the parameters.",
    "graphCypherQAChain": (
        "It has a model write queries that are run as they are. Load the graph's texts into a document store, or use"
        " toolAgent with a customTool over an API that asks the database."
    ),
    "openApiChain": f"{_CALLS} an openAPIToolkit of the same description.",
    "postApiChain": f"{_CALLS} a requestsPost tool, which holds the address and describes the body.",
    "sqlDatabaseChain": (
        "It has a model write SQL that is run as it is. Use toolAgent with a customTool over an API that asks the"
        " database with statements of yours, or load the tables into a document store (csvFile)."
    ),
    "vectaraQAChain": "Use conversationalRetrievalQAChain over documentStoreVS, with the same documents.",
}

_MEMORY = "Conversations are kept by this service. Use bufferMemory, bufferWindowMemory or conversationSummaryMemory."

MEMORIES = dict.fromkeys(
    (
        "agentMemory",
        "mySQLAgentMemory",
        "postgresAgentMemory",
        "sqliteAgentMemory",
    ),
    _MEMORY,
)

_TEAM = "Agentflows of version 1 do not run here. Build the team as an agentflow of version 2:"

TEAMS = {
    "supervisor": f"{_TEAM} an llmAgentflow that decides, a conditionAgentflow, an agentAgentflow for each worker.",
    "worker": f"{_TEAM} an agentAgentflow with the worker's prompt and tools, and a loopAgentflow back to who decides.",
    "seqAgent": f"{_TEAM} agentAgentflow takes its place.",
    "seqCondition": f"{_TEAM} conditionAgentflow takes its place.",
    "seqConditionAgent": f"{_TEAM} conditionAgentAgentflow takes its place.",
    "seqCustomFunction": f"{_TEAM} customFunctionAgentflow takes its place.",
    "seqEnd": f"{_TEAM} it ends where no node follows; directReplyAgentflow says a last word.",
    "seqExecuteFlow": f"{_TEAM} executeFlowAgentflow takes its place.",
    "seqLLMNode": f"{_TEAM} llmAgentflow takes its place.",
    "seqLoop": f"{_TEAM} loopAgentflow takes its place.",
    "seqStart": f"{_TEAM} startAgentflow takes its place; each llmAgentflow and agentAgentflow names its own model.",
    "seqState": f"{_TEAM} startAgentflow holds the state, and each node may change it.",
    "seqToolNode": f"{_TEAM} toolAgentflow takes its place.",
}

_PAGE = "Use cheerioWebScraper for the pages, or apiLoader for the service's own API."
_FILES = "Export the pages as files and load these with fileLoader, or sync a folder of them with folderFiles."

LOADERS = {
    "airtable": "Use apiLoader with the table's address and a header that carries the token.",
    "apifyWebsiteContentCrawler": f"Pages are fetched by this service itself. {_PAGE}",
    "braveSearchApiLoader": "Use apiLoader with the search's address and a header that carries the key.",
    "confluence": "Use apiLoader with the space's address and a header that carries the token, or export the space as"
    " HTML and load the files with fileLoader.",
    "customDocumentLoader": "It runs JavaScript while documents are loaded, which is not done here. Send what it would"
    " make as plainText or as files.",
    "figma": "Use apiLoader with the file's address and a header that carries the token.",
    "fireCrawl": f"Pages are fetched by this service itself. {_PAGE}",
    "googleDrive": "It signs in on a page of Google's. Download the files and load them with fileLoader.",
    "googleSheets": "It signs in on a page of Google's. Download the sheet as CSV or Excel and load it with csvFile or"
    " microsoftExcel.",
    "jira": "Use apiLoader with the address of a search and a header that carries the token.",
    "notionDB": f"{_FILES}",
    "notionFolder": "Use folderFiles or fileLoader: an export of Notion is a folder of Markdown files.",
    "notionPage": f"{_FILES}",
    "oxylabs": f"Pages are fetched by this service itself. {_PAGE}",
    "searchApi": "Use apiLoader with the search's address and the key.",
    "serpApi": "Use apiLoader with the search's address and the key.",
    "spiderDocumentLoaders": f"Pages are fetched by this service itself. {_PAGE}",
    "vectorStoreToDocument": "It reads what another vector store holds. Upsert the documents themselves.",
}

_GRANT = "It signs in on a page of the provider's. Use a customTool or an openAPIToolkit over its API, with a token."
_API = "Use an openAPIToolkit or a requestsGet tool over its API."
_MCP = (
    "Servers of the Model Context Protocol are not started or called by flows. Use an openAPIToolkit or a customTool"
    " over the API behind the server."
)

TOOLS = {
    "awsDynamoDBKVStorage": "Use a customTool over an API of yours that reads and writes the table.",
    "awsSNS": "Use a requestsPost tool over an API of yours that publishes the message.",
    "codeInterpreterE2B": "It has a model write programs that run at another provider. Use calculator for sums, or a"
    " customTool for what your code does.",
    "composio": f"{_API}",
    "gmail": _GRANT,
    "googleCalendarTool": _GRANT,
    "googleDocsTool": _GRANT,
    "googleDriveTool": _GRANT,
    "googleSheetsTool": _GRANT,
    "jiraTool": _API,
    "jsonPathExtractor": "Use a customTool whose function picks the value.",
    "microsoftOutlook": _GRANT,
    "microsoftTeams": _GRANT,
    "stripeAgentTool": _API,
    "webBrowser": "Use webScraperTool, which fetches a page's text.",
    "readFile": "Tools do not read the server's files. Put the file into a document store and use a retrieverTool.",
    "writeFile": "Tools do not write files on the server. Use a requestsPost or requestsPut tool over a service that"
    " keeps files.",
    **dict.fromkeys(
        (
            "braveSearchMCP",
            "browserlessMCP",
            "customMCP",
            "customMcpServerTool",
            "githubMCP",
            "pipedreamMCP",
            "postgreSQLMCP",
            "sequentialThinkingMCP",
            "slackMCP",
            "supergatewayMCP",
            "teradataMCP",
        ),
        _MCP,
    ),
}

OTHERS = {
    "Neo4j": "Load the graph's texts into a document store and use documentStoreVS.",
    "getVariable": "Write {{$vars.name}}, or {{$flow.state.name}} in an agentflow, where the value is wanted.",
    "ifElseFunction": "Use an agentflow with a conditionAgentflow.",
    "setVariable": "Use an agentflow: its nodes set the flow's state.",
}

ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        **VECTOR_STORES,
        **RETRIEVERS,
        **MODELS,
        **EMBEDDINGS,
        **AGENTS,
        **CHAINS,
        **MEMORIES,
        **TEAMS,
        **LOADERS,
        **TOOLS,
        **OTHERS,
    }
)
"""Node name -> what to use in its place, in whole sentences."""
