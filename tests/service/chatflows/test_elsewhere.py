"""Every node of Flowise 3.1.3 either runs here or is refused in a sentence that says what to use."""

import re

import pytest

from service.agentflows.nodes import NODES as AGENTFLOW_NODES
from service.chatflows.elsewhere import ELSEWHERE
from service.chatflows.engine import instead_of
from service.chatflows.graph import STICKY_NOTES, Node
from service.chatflows.steps import STEPS
from service.nodes.service import NODES, find

NAMES = """
agentAgentflow conditionAgentAgentflow conditionAgentflow customFunctionAgentflow directReplyAgentflow
executeFlowAgentflow httpAgentflow humanInputAgentflow iterationAgentflow llmAgentflow loopAgentflow
retrieverAgentflow startAgentflow stickyNoteAgentflow toolAgentflow anthropicAgentLlamaIndex conversationalAgent
openAIAssistant openAIToolAgentLlamaIndex toolAgent xmlAgent inMemoryCache inMemoryEmbeddingCache momentoCache
redisCache redisEmbeddingsCache upstashRedisCache conversationalRetrievalQAChain conversationChain getApiChain
graphCypherQAChain llmChain multiPromptChain multiRetrievalQAChain openApiChain postApiChain retrievalQAChain
sqlDatabaseChain vectaraQAChain vectorDBQAChain awsChatBedrock azureChatOpenAI azureChatOpenAI_LlamaIndex
chatAlibabaTongyi chatAnthropic chatAnthropic_LlamaIndex chatBaiduWenxin chatCerebras chatCloudflareWorkersAI
chatCohere chatCometAPI chatDeepseek chatFireworks chatGoogleGenerativeAI chatGoogleVertexAI chatGroq_LlamaIndex
chatHuggingFace chatIBMWatsonx chatLitellm chatLocalAI chatMistral_LlamaIndex chatMistralAI chatNemoGuardrails
chatNvidiaNIM chatOllama chatOllama_LlamaIndex chatOpenAI chatOpenAI_LlamaIndex chatOpenAICustom chatOpenRouter
chatPerplexity chatSambanova chatTogetherAI chatTogetherAI_LlamaIndex chatXAI groqChat airtable
apifyWebsiteContentCrawler apiLoader braveSearchApiLoader cheerioWebScraper confluence csvFile customDocumentLoader
documentStore docxFile epubFile figma fileLoader fireCrawl folderFiles gitbook github googleDrive googleSheets jira
jsonFile jsonlinesFile microsoftExcel microsoftPowerpoint microsoftWord notionDB notionFolder notionPage oxylabs
pdfFile plainText playwrightWebScraper puppeteerWebScraper S3 s3Directory searchApi serpApi spiderDocumentLoaders
textFile unstructuredFileLoader vectorStoreToDocument AWSBedrockEmbeddings azureOpenAIEmbeddings
azureOpenAIEmbeddingsLlamaIndex baiduQianfanEmbeddings cohereEmbeddings googleGenerativeAiEmbeddings
googlevertexaiEmbeddings huggingFaceInferenceEmbeddings ibmEmbedding jinaEmbeddings localAIEmbeddings
mistralAIEmbeddings ollamaEmbedding openAIEmbedding_LlamaIndex openAIEmbeddings openAIEmbeddingsCustom
togetherAIEmbedding voyageAIEmbeddings contextChatEngine queryEngine simpleChatEngine subQuestionQueryEngine Neo4j
azureOpenAI cohere fireworks googlevertexai huggingFaceInference_LLMs ibmWatsonx ollama openAI replicate sambanova
togetherAI agentMemory bufferMemory bufferWindowMemory conversationSummaryBufferMemory conversationSummaryMemory
DynamoDBChatMemory mem0 MongoDBAtlasChatMemory mySQLAgentMemory postgresAgentMemory RedisBackedChatMemory
sqliteAgentMemory upstashRedisBackedChatMemory ZepMemory ZepMemoryCloud inputModerationOpenAI inputModerationSimple
supervisor worker advancedStructuredOutputParser csvOutputParser customListOutputParser structuredOutputParser
chatPromptTemplate fewShotPromptTemplate promptTemplate MySQLRecordManager postgresRecordManager SQLiteRecordManager
compactrefineLlamaIndex refineLlamaIndex simpleResponseBuilderLlamaIndex treeSummarizeLlamaIndex awsBedrockKBRetriever
AzureRerankRetriever cohereRerankRetriever customRetriever embeddingsFilterRetriever extractMetadataRetriever
HydeRetriever JinaRerankRetriever llmFilterRetriever multiQueryRetriever promptRetriever RRFRetriever
similarityThresholdRetriever vectorStoreRetriever voyageAIRerankRetriever seqAgent seqCondition seqConditionAgent
seqCustomFunction seqEnd seqExecuteFlow seqLLMNode seqLoop seqStart seqState seqToolNode characterTextSplitter
codeTextSplitter htmlToMarkdownTextSplitter markdownTextSplitter recursiveCharacterTextSplitter tokenTextSplitter
agentAsTool arxiv awsDynamoDBKVStorage awsSNS braveSearchAPI calculator chainTool ChatflowTool codeInterpreterE2B
composio currentDateTime customTool exaSearch gmail googleCalendarTool googleCustomSearch googleDocsTool
googleDriveTool googleSheetsTool jiraTool jsonPathExtractor microsoftOutlook microsoftTeams openAPIToolkit
queryEngineToolLlamaIndex requestsDelete requestsGet requestsPost requestsPut retrieverTool searchAPI searXNG serpAPI
serper stripeAgentTool tavilyAPI webBrowser webScraperTool wolframAlpha braveSearchMCP browserlessMCP customMCP
customMcpServerTool githubMCP pipedreamMCP postgreSQLMCP sequentialThinkingMCP slackMCP supergatewayMCP teradataMCP
customFunction getVariable ifElseFunction setVariable stickyNote Astra chroma couchbase documentStoreVS elasticsearch
faiss kendra meilisearch memoryVectorStore milvus mongoDBAtlas openSearch pinecone pineconeLlamaIndex postgres qdrant
redis simpleStoreLlamaIndex singlestore supabase upstash vectara vectaraUpload weaviate zep zepCloud csvAgent
reactAgentChat airtableAgent conversationalRetrievalToolAgent
"""
CONTRACT = NAMES.split()
"""The names of the contract (b.5, b.6, 1.7)."""

CACHES = {
    "inMemoryCache", "inMemoryEmbeddingCache", "momentoCache", "redisCache", "redisEmbeddingsCache", "upstashRedisCache"
}  # fmt: skip
"""Nodes that a flow is compiled without: they change no answer."""

HERE = {*STEPS, *AGENTFLOW_NODES, *STICKY_NOTES, *CACHES, "documentStore"}


@pytest.mark.parametrize("name", CONTRACT)
def test_it_runs_here_or_says_what_to_use_instead(name: str) -> None:
    if name in HERE or find(name) is not None:
        return
    sentence = ELSEWHERE[name]
    assert sentence.endswith(".")
    assert sentence[0].isupper()
    assert sentence in instead_of(Node("n_0", name, "Mine", "", {}, "", ""))


def test_no_name_stands_in_both_tables() -> None:
    assert not set(ELSEWHERE) & HERE
    assert not {name for name in ELSEWHERE if find(name) is not None}


NAMED = re.compile(r"\b(?:[a-z]+[A-Z][A-Za-z0-9]*|faiss|postgres|chroma|qdrant|calculator|github|jira)\b")
FIELDS = {"inputModeration", "openAIApi"}


def test_what_is_advised_can_be_used() -> None:
    known = {*HERE, *NODES, *FIELDS}
    lacking = {
        f"{name}: {word}"
        for name, sentence in ELSEWHERE.items()
        for word in NAMED.findall(re.sub(r"https?://\S+|\{\{.*?\}\}", "", sentence))
        if word not in known
    }
    assert not lacking
