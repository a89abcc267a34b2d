"""The components: every kind of credential there is, a row a kind, under Flowise's names with Flowise's input names.

Kinds that need a consent page in a browser (OAuth 2) or a file on the server are not among them.
"""

from service.credentials.types import HOSTS, Component, Input, InputType, Value


def component(name: str, label: str, *inputs: Input, version: float = 1.0, optional: bool = False) -> Component:
    """A component, with the input for allowed hosts that all of them have."""
    return Component(name, label, (*inputs, ALLOWED_HOSTS), version=version, optional=optional)


def secret(name: str, label: str, *, optional: bool = False) -> Input:
    """A value that is never shown again."""
    return Input(name, label, InputType.PASSWORD, optional)


def text(name: str, label: str, *, optional: bool = False, default: Value | None = None, binds: bool = False) -> Input:
    """A value that may be shown; `binds`: it says where the secrets are sent."""
    return Input(name, label, InputType.STRING, optional, default, binds)


def url(name: str, label: str, *, default: Value | None = None, binds: bool = False) -> Input:
    """A connection string: never shown again, as it may hold a password."""
    return Input(name, label, InputType.URL, False, default, binds)


def number(name: str, label: str, *, default: Value | None = None, binds: bool = False) -> Input:
    """A number that may be shown."""
    return Input(name, label, InputType.NUMBER, False, default, binds)


def boolean(name: str, label: str) -> Input:
    """A switch."""
    return Input(name, label, InputType.BOOLEAN, True)


ALLOWED_HOSTS = Input(HOSTS, "Allowed hosts (separated by commas)", InputType.STRING, optional=True, binds=True)

ROWS = (
    component("agentflowApi", "Agentflow API", secret("agentflowApiKey", "Agentflow Api Key")),
    component("airtableApi", "Airtable API", secret("accessToken", "Access Token")),
    component("AlibabaApi", "Alibaba API", secret("alibabaApiKey", "Alibaba Api Key")),
    component("anthropicApi", "Anthropic API", secret("anthropicApiKey", "Anthropic Api Key")),
    component("apifyApi", "Apify API", secret("apifyApiToken", "Apify API")),
    component(
        "arizeApi",
        "Arize API",
        secret("arizeApiKey", "API Key"),
        text("arizeSpaceId", "Space ID"),
        text("arizeEndpoint", "Endpoint", default="https://otlp.arize.com", binds=True),
    ),
    component("assemblyAIApi", "AssemblyAI API", secret("assemblyAIApiKey", "AssemblyAI Api Key")),
    component(
        "AstraDBApi",
        "Astra DB API",
        secret("applicationToken", "Astra DB Application Token"),
        text("dbEndPoint", "Astra DB Api Endpoint", binds=True),
        version=2.0,
    ),
    component(
        "awsApi",
        "AWS security credentials",
        secret("awsKey", "AWS Access Key", optional=True),
        secret("awsSecret", "AWS Secret Access Key", optional=True),
        secret("awsSession", "AWS Session Key", optional=True),
        text("roleArn", "Role ARN", optional=True),
        text("externalId", "External ID", optional=True),
        version=1.1,
        optional=True,
    ),
    component(
        "azureCognitiveServices",
        "Azure Cognitive Services",
        secret("azureSubscriptionKey", "Azure Subscription Key"),
        text("serviceRegion", "Service Region"),
        text("apiVersion", "API Version", default="2024-05-15-preview"),
    ),
    component(
        "azureFoundryApi",
        "Azure Foundry API",
        secret("azureFoundryApiKey", "Azure Foundry API Key"),
        text("azureFoundryEndpoint", "Azure Foundry Endpoint", binds=True),
    ),
    component(
        "azureOpenAIApi",
        "Azure OpenAI API",
        secret("azureOpenAIApiKey", "Azure OpenAI Api Key"),
        text("azureOpenAIApiInstanceName", "Azure OpenAI Api Instance Name", binds=True),
        text("azureOpenAIApiDeploymentName", "Azure OpenAI Api Deployment Name"),
        text("azureOpenAIApiVersion", "Azure OpenAI Api Version"),
    ),
    component(
        "baiduQianfanApi",
        "Baidu Qianfan API",
        secret("qianfanAccessKey", "Qianfan Access Key"),
        secret("qianfanSecretKey", "Qianfan Secret Key"),
        version=2.0,
    ),
    component("braveSearchApi", "Brave Search API", secret("braveApiKey", "BraveSearch Api Key")),
    component("browserlessApi", "Browserless API", secret("browserlessApiToken", "API Token")),
    component("cerebrasAIApi", "Cerebras API Key", secret("cerebrasApiKey", "Cerebras API Key"), version=2.0),
    component("chatflowApi", "Chatflow API", secret("chatflowApiKey", "Chatflow Api Key")),
    component(
        "chromaApi",
        "Chroma API",
        secret("chromaApiKey", "Chroma Api Key"),
        text("chromaTenant", "Chroma Tenant"),
        text("chromaDatabase", "Chroma Database"),
    ),
    component(
        "cloudflareApi",
        "Cloudflare API",
        text("cloudflareAccountId", "Cloudflare Account ID"),
        secret("cloudflareApiToken", "Cloudflare API Token"),
    ),
    component("cohereApi", "Cohere API", secret("cohereApiKey", "Cohere Api Key")),
    component("cometApi", "Comet API", secret("cometApiKey", "Comet API Key")),
    component("composioApi", "Composio API", secret("composioApi", "Composio API Key")),
    component(
        "confluenceCloudApi",
        "Confluence Cloud API",
        secret("accessToken", "Access Token"),
        text("username", "Username"),
    ),
    component(
        "confluenceServerDCApi",
        "Confluence Server/Data Center API",
        secret("personalAccessToken", "Personal Access Token"),
    ),
    component(
        "couchbaseApi",
        "Couchbase API",
        url("connectionString", "Couchbase Connection String", binds=True),
        text("username", "Couchbase Username"),
        secret("password", "Couchbase Password"),
    ),
    component("deepseekApi", "DeepseekAI API", secret("deepseekApiKey", "DeepseekAI API Key")),
    component(
        "dynamodbMemoryApi",
        "DynamodbMemory API",
        secret("accessKey", "Access Key"),
        secret("secretAccessKey", "Secret Access Key"),
    ),
    component("E2BApi", "E2B API", secret("e2bApiKey", "E2B Api Key")),
    component(
        "elasticsearchApi",
        "Elasticsearch API",
        text("endpoint", "Elasticsearch Endpoint", binds=True),
        secret("apiKey", "Elasticsearch API Key"),
    ),
    component(
        "elasticSearchUserPassword",
        "ElasticSearch User Password",
        text("cloudId", "Cloud ID", binds=True),
        text("username", "ElasticSearch User"),
        secret("password", "ElasticSearch Password"),
    ),
    component("elevenLabsApi", "Eleven Labs API", secret("elevenLabsApiKey", "Eleven Labs API Key")),
    component("exaSearchApi", "Exa Search API", secret("exaSearchApiKey", "ExaSearch Api Key")),
    component("figmaApi", "Figma API", secret("accessToken", "Access Token")),
    component(
        "fireCrawlApi",
        "FireCrawl API",
        secret("firecrawlApiToken", "FireCrawl API"),
        text("firecrawlApiUrl", "FireCrawl API URL", default="https://api.firecrawl.dev", binds=True),
        version=2.0,
    ),
    component("fireworksApi", "Fireworks API", secret("fireworksApiKey", "Fireworks Api Key")),
    component("githubApi", "Github API", secret("accessToken", "Access Token")),
    component(
        "googleCustomSearchApi",
        "Google Custom Search API",
        secret("googleCustomSearchApiKey", "Google Custom Search Api Key"),
        text("googleCustomSearchApiId", "Programmable Search Engine ID"),
    ),
    component("googleGenerativeAI", "Google Generative AI", secret("googleGenerativeAPIKey", "Google AI API Key")),
    component("googleMakerSuite", "Google MakerSuite", secret("googleMakerSuiteKey", "MakerSuite API Key")),
    component("groqApi", "Groq API", secret("groqApiKey", "Groq Api Key")),
    component("httpApiKey", "HTTP Api Key", text("key", "Key"), secret("value", "Value")),
    component(
        "httpBasicAuth",
        "HTTP Basic Auth",
        text("basicAuthUsername", "Basic Auth Username"),
        secret("basicAuthPassword", "Basic Auth Password"),
    ),
    component("httpBearerToken", "HTTP Bearer Token", secret("token", "Token")),
    component("huggingFaceApi", "HuggingFace API", secret("huggingFaceApiKey", "HuggingFace Api Key")),
    component(
        "ibmWatsonx",
        "IBM Watsonx",
        text("version", "Version"),
        text("serviceUrl", "Service URL", binds=True),
        text("projectId", "Project ID"),
        secret("watsonxAIApikey", "Watsonx AI IAM API Key", optional=True),
        secret("watsonxAIBearerToken", "Watsonx AI Bearer Token", optional=True),
    ),
    component("jinaAIApi", "JinaAI API", secret("jinaAIAPIKey", "JinaAI API Key")),
    component("jiraApi", "Jira API", text("username", "User Name"), secret("accessToken", "Access Token")),
    component("jiraApiBearerToken", "Jira API (Bearer Token)", secret("bearerToken", "Bearer Token")),
    component(
        "langfuseApi",
        "Langfuse API",
        secret("langFuseSecretKey", "Secret Key"),
        text("langFusePublicKey", "Public Key"),
        text("langFuseEndpoint", "Endpoint", default="https://cloud.langfuse.com", binds=True),
    ),
    component(
        "langsmithApi",
        "Langsmith API",
        secret("langSmithApiKey", "API Key"),
        text("langSmithEndpoint", "Endpoint", default="https://api.smith.langchain.com", binds=True),
    ),
    component(
        "langwatchApi",
        "LangWatch API",
        secret("langWatchApiKey", "API Key"),
        text("langWatchEndpoint", "Endpoint", default="https://app.langwatch.ai", binds=True),
    ),
    component("litellmApi", "Litellm API", secret("litellmApiKey", "API Key")),
    component("localAIApi", "LocalAI API", secret("localAIApiKey", "LocalAI Api Key")),
    component(
        "lunaryApi",
        "Lunary AI",
        text("lunaryAppId", "Public Key / Project ID"),
        text("lunaryEndpoint", "Endpoint", default="https://api.lunary.ai", binds=True),
    ),
    component(
        "meilisearchApi",
        "Meilisearch API",
        secret("meilisearchSearchApiKey", "Meilisearch Search API Key"),
        secret("meilisearchAdminApiKey", "Meilisearch Admin API Key", optional=True),
    ),
    component("mem0MemoryApi", "Mem0 Memory API", secret("apiKey", "API Key")),
    component(
        "milvusAuth",
        "Milvus Auth",
        text("milvusUser", "Milvus User"),
        secret("milvusPassword", "Milvus Password"),
    ),
    component("mistralAIApi", "MistralAI API", secret("mistralAIAPIKey", "MistralAI API Key")),
    component(
        "momentoCacheApi",
        "Momento Cache API",
        text("momentoCache", "Cache"),
        secret("momentoApiKey", "API Key"),
        text("momentoEndpoint", "Endpoint", binds=True),
    ),
    component("mongoDBUrlApi", "MongoDB ATLAS", url("mongoDBConnectUrl", "ATLAS Connection URL")),
    component("MySQLApi", "MySQL API", text("user", "User"), secret("password", "Password")),
    component(
        "neo4jApi",
        "Neo4j API",
        text("url", "Neo4j URL", binds=True),
        text("username", "Username"),
        secret("password", "Password"),
    ),
    component("notionApi", "Notion API", secret("notionIntegrationToken", "Notion Integration Token")),
    component("nvidiaNIMApi", "NVIDIA NGC API Key", secret("nvidiaNIMApiKey", "NVIDIA NGC API Key")),
    component("ollamaApi", "Ollama API", secret("ollamaApiKey", "Ollama Api Key")),
    component("openAIApi", "OpenAI API", secret("openAIApiKey", "OpenAI Api Key")),
    component("openRouterApi", "OpenRouter API Key", secret("openRouterApiKey", "OpenRouter API Key")),
    component(
        "openSearchUrl",
        "OpenSearch",
        url("openSearchUrl", "OpenSearch Url", binds=True),
        text("user", "User", optional=True),
        secret("password", "Password", optional=True),
        version=2.0,
    ),
    component(
        "opikApi",
        "Opik API",
        secret("opikApiKey", "API Key"),
        text("opikUrl", "URL", binds=True),
        text("opikWorkspace", "Workspace"),
    ),
    component(
        "oxylabsApi",
        "Oxylabs API",
        text("username", "Oxylabs Username"),
        secret("password", "Oxylabs Password"),
    ),
    component("perplexityApi", "Perplexity API", secret("perplexityApiKey", "Perplexity API Key")),
    component(
        "phoenixApi",
        "Phoenix API",
        secret("phoenixApiKey", "API Key"),
        text("phoenixEndpoint", "Endpoint", default="https://app.phoenix.arize.com", binds=True),
    ),
    component("pineconeApi", "Pinecone API", secret("pineconeApiKey", "Pinecone Api Key")),
    component("PostgresApi", "Postgres API", text("user", "User"), secret("password", "Password")),
    component("PostgresUrl", "Postgres URL", url("postgresUrl", "Postgres URL")),
    component("qdrantApi", "Qdrant API", secret("qdrantApiKey", "Qdrant API Key")),
    component(
        "redisCacheApi",
        "Redis API",
        text("redisCacheHost", "Redis Host", default="127.0.0.1", binds=True),
        number("redisCachePort", "Port", default=6379, binds=True),
        text("redisCacheUser", "User"),
        secret("redisCachePwd", "Password"),
        boolean("redisCacheSslEnabled", "Use SSL"),
    ),
    component("redisCacheUrlApi", "Redis URL", url("redisUrl", "Redis URL", default="redis://localhost:6379")),
    component("replicateApi", "Replicate API", secret("replicateApiKey", "Replicate Api Key")),
    component("sambanovaApi", "Sambanova API", secret("sambanovaApiKey", "Sambanova Api Key")),
    component("searchApi", "Search API", secret("searchApiKey", "SearchApi API Key")),
    component("serpApi", "Serp API", secret("serpApiKey", "Serp Api Key")),
    component("serperApi", "Serper API", secret("serperApiKey", "Serper Api Key")),
    component("singleStoreApi", "SingleStore API", text("user", "User"), secret("password", "Password")),
    component("slackApi", "Slack Bot Token", secret("botToken", "Bot Token"), text("teamId", "Team ID")),
    component("spiderApi", "Spider API", secret("spiderApiKey", "Spider API Key")),
    component("stripeApi", "Stripe API", secret("stripeApiToken", "Stripe API Token")),
    component("supabaseApi", "Supabase API", secret("supabaseApiKey", "Supabase API Key")),
    component("tavilyApi", "Tavily API", secret("tavilyApiKey", "Tavily Api Key"), version=1.1),
    component("teradataBearerToken", "Teradata Bearer Token", secret("token", "Token")),
    component(
        "teradataTD2Auth",
        "Teradata TD2 Auth",
        text("tdUsername", "Teradata TD2 Auth Username"),
        secret("tdPassword", "Teradata TD2 Auth Password"),
    ),
    component(
        "teradataVectorStoreApiCredentials",
        "Teradata Vector Store API Credentials",
        text("tdHostIp", "Teradata Host IP"),
        text("tdUsername", "Username"),
        secret("tdPassword", "Password"),
        text("baseURL", "Vector_Store_Base_URL", binds=True),
        secret("jwtToken", "JWT Token", optional=True),
    ),
    component("togetherAIApi", "TogetherAI API", secret("togetherAIApiKey", "TogetherAI Api Key")),
    component("unstructuredApi", "Unstructured API", secret("unstructuredAPIKey", "API Key")),
    component(
        "upstashRedisApi",
        "Upstash Redis API",
        url("upstashConnectionUrl", "Upstash Redis REST URL", binds=True),
        secret("upstashConnectionToken", "Token"),
    ),
    component(
        "upstashRedisMemoryApi",
        "Upstash Redis Memory API",
        secret("upstashRestToken", "Upstash Redis REST Token"),
    ),
    component(
        "upstashVectorApi",
        "Upstash Vector API",
        url("UPSTASH_VECTOR_REST_URL", "Upstash Vector REST URL", binds=True),
        secret("UPSTASH_VECTOR_REST_TOKEN", "Upstash Vector REST Token"),
    ),
    component(
        "vectaraApi",
        "Vectara API",
        text("customerID", "Vectara Customer ID"),
        text("corpusID", "Vectara Corpus ID"),
        secret("apiKey", "Vectara API Key"),
    ),
    component(
        "voyageAIApi",
        "Voyage AI API",
        text("endpoint", "Voyage AI Endpoint", default="https://api.voyageai.com/v1/embeddings", binds=True),
        secret("apiKey", "Voyage AI API Key"),
    ),
    component("weaviateApi", "Weaviate API", secret("weaviateApiKey", "Weaviate API Key")),
    component("wolframAlphaAppId", "WolframAlpha App ID", secret("wolframAlphaAppId", "App ID")),
    component("xaiApi", "Xai API", secret("xaiApiKey", "X AI API Key")),
    component("zepMemoryApi", "Zep Memory API", secret("apiKey", "API Key")),
)

COMPONENTS = {row.name: row for row in ROWS}
"""Name -> component."""
