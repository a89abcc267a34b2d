"""The nodes of agentflows: a row a node, with the fields of the contract (b.4). What has a row can be drawn; whether
it can be run is up to the table of agentflow nodes."""

from service.nodes.types import Category, Field, FieldType, Node

VERSIONS = {
    "startAgentflow": 1.4,
    "llmAgentflow": 1.1,
    "agentAgentflow": 3.2,
    "retrieverAgentflow": 1.1,
    "conditionAgentAgentflow": 1.1,
    "customFunctionAgentflow": 1.1,
    "executeFlowAgentflow": 1.2,
    "httpAgentflow": 1.1,
    "loopAgentflow": 1.2,
    "toolAgentflow": 1.2,
}

MEMORIES = {
    "allMessages": "All messages",
    "windowSize": "The last messages",
    "conversationSummary": "A summary",
    "conversationSummaryBuffer": "A summary and the last messages",
}
ANSWERED_AS = {"userMessage": "A message of the user", "assistantMessage": "A message of the assistant"}
ROLES = {"system": "System", "assistant": "Assistant", "developer": "Developer", "user": "User"}
KINDS = {name: name for name in ("string", "stringArray", "number", "boolean", "enum", "jsonArray")}
FORM_KINDS = {name: name for name in ("string", "number", "boolean", "options")}
COMPARED = {name: name for name in ("string", "number", "boolean")}
OPERATIONS = {
    name: name
    for name in (
        "contains", "notContains", "startsWith", "endsWith", "equal", "notEqual", "regex", "isEmpty", "notEmpty",
        "larger", "largerEqual", "smaller", "smallerEqual",
    )
}  # fmt: skip
METHODS = {name: name for name in ("GET", "POST", "PUT", "DELETE", "PATCH")}


def options(name: str, label: str, choices: dict[str, str], default: str = "", *, optional: bool = False) -> Field:
    """A field with a fixed list of values."""
    return Field(name, label, FieldType.OPTIONS, optional, default or None, choices=choices)


def listed(name: str, label: str, method: str, description: str = "", *, optional: bool = False) -> Field:
    """A field whose values a method lists."""
    return Field(name, label, FieldType.ASYNC_OPTIONS, optional, description=description, method=method)


def array(name: str, label: str, *items: Field, description: str = "", optional: bool = True) -> Field:
    """A list of rows."""
    return Field(name, label, FieldType.ARRAY, optional, description=description, items=items)


def text(name: str, label: str, description: str = "", *, optional: bool = False, default: str | None = None) -> Field:
    """A text that may name values of the run."""
    return Field(name, label, optional=optional, default=default, description=description, rows=4)


def switch(name: str, label: str, description: str = "", *, default: bool | None = None) -> Field:
    """A yes or no."""
    return Field(name, label, FieldType.BOOLEAN, True, default, description)


def pairs(name: str, label: str, description: str = "") -> Field:
    """Keys with values."""
    return array(name, label, Field("key", "Key"), Field("value", "Value"), description=description)


def state(prefix: str) -> Field:
    """What the node makes of the flow's state."""
    key = listed("key", "Key", "listRuntimeStateKeys")
    return array(f"{prefix}UpdateState", "Update Flow State", key, Field("value", "Value"))


def messages(prefix: str) -> Field:
    """What a model reads before the conversation."""
    return array(f"{prefix}Messages", "Messages", options("role", "Role", ROLES), text("content", "Content"))


def memory(prefix: str) -> tuple[Field, ...]:
    """How much of the conversation a model reads."""
    return (
        switch(f"{prefix}EnableMemory", "Enable Memory", "The model reads the conversation so far", default=True),
        options(f"{prefix}MemoryType", "Memory Type", MEMORIES, "allMessages", optional=True),
        Field(f"{prefix}MemoryWindowSize", "Window Size", FieldType.NUMBER, default=20),
        Field(f"{prefix}MemoryMaxTokenLimit", "Max Token Limit", FieldType.NUMBER, default=2000),
    )


def answered(prefix: str) -> tuple[Field, ...]:
    """How a model answers."""
    return (
        text(f"{prefix}UserMessage", "Input Message", "Added behind the conversation", optional=True),
        options(f"{prefix}ReturnResponseAs", "Return Response As", ANSWERED_AS, "userMessage"),
        array(
            f"{prefix}StructuredOutput",
            "JSON Structured Output",
            Field("key", "Key"),
            options("type", "Type", KINDS),
            Field("enumValues", "Enum Values", optional=True),
            Field("jsonSchema", "JSON Schema", FieldType.CODE, optional=True),
            Field("description", "Description"),
            description="The answer is JSON with these keys",
        ),
        state(prefix),
    )


def stores(prefix: str, *, optional: bool = True) -> Field:
    """Document stores to search."""
    return array(
        f"{prefix}KnowledgeDocumentStores",
        "Knowledge (Document Stores)",
        listed("documentStore", "Document Store", "listStores"),
        text("docStoreDescription", "Describe Knowledge", "When the model should look there"),
        switch("returnSourceDocuments", "Return Source Documents"),
        optional=optional,
    )


def node(name: str, label: str, description: str, *fields: Field) -> Node:
    """A node of an agentflow."""
    classes = (name[: -len("Agentflow")].capitalize(),)
    version = VERSIONS.get(name, 1)
    return Node(name, label, Category.AGENT_FLOWS, description, fields, version=version, base_classes=classes)


START = node(
    "startAgentflow",
    "Start",
    "Where a run begins: with a question, a form, a webhook or a schedule",
    options(
        "startInputType",
        "Input Type",
        {
            "chatInput": "Chat Input",
            "formInput": "Form Input",
            "webhookTrigger": "Webhook",
            "scheduleInput": "Schedule",
        },
        "chatInput",
    ),
    Field("formTitle", "Form Title", optional=True),
    Field("formDescription", "Form Description", optional=True),
    array(
        "formInputTypes",
        "Form Input Types",
        options("type", "Type", FORM_KINDS, "string"),
        Field("label", "Label"),
        Field("name", "Variable Name"),
        array("addOptions", "Add Options", Field("option", "Option")),
    ),
    options("webhookMethod", "Webhook Method", METHODS, "POST", optional=True),
    options(
        "webhookResponseMode",
        "Response Mode",
        {"sync": "The answer", "async": "At once, the answer later", "stream": "A stream"},
        "sync",
        optional=True,
    ),
    Field("callbackUrl", "Callback URL", optional=True),
    options(
        "scheduleType",
        "Schedule Type",
        {"visualPicker": "Chosen", "cronExpression": "Cron Expression"},
        "visualPicker",
        optional=True,
    ),
    Field("scheduleCronExpression", "Cron Expression", optional=True),
    Field("scheduleTimezone", "Timezone", optional=True, default="UTC"),
    Field("scheduleDefaultInput", "Question", optional=True),
    switch("startEphemeralMemory", "Ephemeral Memory", "Runs do not see the session's earlier turns"),
    pairs("startState", "Flow State", "What the nodes share while a run goes on"),
    switch("startPersistState", "Persist State", "The state outlives a run, within its session"),
)

ROWS = (
    START,
    node(
        "llmAgentflow",
        "LLM",
        "Has a model write",
        listed("llmModel", "Model", "listModels"),
        messages("llm"),
        *memory("llm"),
        *answered("llm"),
    ),
    node(
        "agentAgentflow",
        "Agent",
        "Has a model use tools and document stores until it can answer",
        listed("agentModel", "Model", "listModels"),
        messages("agent"),
        array(
            "agentTools",
            "Tools",
            listed("agentSelectedTool", "Tool", "listTools"),
            switch("agentSelectedToolRequiresHumanInput", "Require Human Input", "A person agrees to each use"),
        ),
        stores("agent"),
        array(
            "agentKnowledgeVSEmbeddings",
            "Knowledge (Vector Embeddings)",
            listed("vectorStore", "Vector Store", "listVectorStores"),
            listed("embeddingModel", "Embedding Model", "listEmbeddings"),
            Field("knowledgeName", "Knowledge Name"),
            text("knowledgeDescription", "Describe Knowledge"),
            switch("returnSourceDocuments", "Return Source Documents"),
        ),
        *memory("agent"),
        *answered("agent"),
    ),
    node(
        "conditionAgentflow",
        "Condition",
        "Goes on by the first condition that holds, else by the last output",
        array(
            "conditions",
            "Conditions",
            options("type", "Type", COMPARED, "string"),
            text("value1", "Value 1"),
            options("operation", "Operation", OPERATIONS, "equal"),
            text("value2", "Value 2", optional=True),
            optional=False,
        ),
    ),
    node(
        "conditionAgentAgentflow",
        "Condition Agent",
        "Has a model choose how to go on",
        listed("conditionAgentModel", "Model", "listModels"),
        text("conditionAgentInstructions", "Instructions"),
        text("conditionAgentInput", "Input", "What is looked at"),
        array("conditionAgentScenarios", "Scenarios", text("scenario", "Scenario"), optional=False),
        switch("conditionAgentOverrideSystemPrompt", "Override System Prompt"),
        text("conditionAgentSystemPrompt", "Node System Prompt", optional=True),
    ),
    node(
        "loopAgentflow",
        "Loop",
        "Goes back to an earlier node",
        listed("loopBackToNode", "Loop Back To", "listPreviousNodes"),
        Field("maxLoopCount", "Max Loop Count", FieldType.NUMBER, default=5),
        text("fallbackMessage", "Fallback Message", "Said when the count is reached", optional=True),
    ),
    node(
        "iterationAgentflow",
        "Iteration",
        "Does what stands in it for each element of a list",
        text("iterationInput", "Array Input"),
    ),
    node(
        "humanInputAgentflow",
        "Human Input",
        "Waits until a person agrees or declines",
        options(
            "humanInputDescriptionType",
            "Description Type",
            {"fixed": "As written", "dynamic": "Written by a model"},
            "fixed",
        ),
        text("humanInputDescription", "Description", optional=True),
        listed("humanInputModel", "Model", "listModels", optional=True),
        text("humanInputModelPrompt", "Prompt", optional=True),
        switch("humanInputEnableFeedback", "Enable Feedback", default=True),
    ),
    node("directReplyAgentflow", "Direct Reply", "Answers as written", text("directReplyMessage", "Message")),
    node(
        "retrieverAgentflow",
        "Retriever",
        "Finds passages in document stores",
        array(
            "retrieverKnowledgeDocumentStores",
            "Knowledge (Document Stores)",
            listed("documentStore", "Document Store", "listStores"),
            optional=False,
        ),
        text("retrieverQuery", "Retriever Query"),
        options(
            "outputFormat",
            "Output Format",
            {"text": "Text", "textWithMetadata": "Text with Metadata"},
            "text",
        ),
        state("retriever"),
    ),
    node(
        "toolAgentflow",
        "Tool",
        "Uses a tool",
        listed("toolAgentflowSelectedTool", "Tool", "listTools"),
        array(
            "toolInputArgs",
            "Tool Input Arguments",
            listed("inputArgName", "Input Argument Name", "listToolInputArgs"),
            text("inputArgValue", "Input Argument Value"),
        ),
        state("tool"),
    ),
    Node(
        "httpAgentflow",
        "HTTP",
        Category.AGENT_FLOWS,
        "Calls an HTTP API",
        (
            options("method", "Method", METHODS, "GET"),
            Field("url", "URL"),
            pairs("headers", "Headers"),
            pairs("queryParams", "Query Params"),
            options(
                "bodyType",
                "Body Type",
                {"json": "JSON", "raw": "Raw", "formData": "Form Data", "xWwwFormUrlencoded": "x-www-form-urlencoded"},
                optional=True,
            ),
            text("body", "Body", optional=True),
            options(
                "responseType",
                "Response Type",
                {"json": "JSON", "text": "Text", "arraybuffer": "Array Buffer", "base64": "Base64"},
                optional=True,
            ),
        ),
        version=VERSIONS["httpAgentflow"],
        base_classes=("Http",),
        credentials=("httpBasicAuth", "httpBearerToken", "httpApiKey"),
    ),
    node(
        "executeFlowAgentflow",
        "Execute Flow",
        "Runs another flow",
        listed("executeFlowSelectedFlow", "Flow", "listFlows"),
        text("executeFlowInput", "Input"),
        Field("executeFlowOverrideConfig", "Override Config", FieldType.JSON, optional=True),
        options("executeFlowReturnResponseAs", "Return Response As", ANSWERED_AS, "userMessage"),
        state("executeFlow"),
    ),
    node(
        "customFunctionAgentflow",
        "Custom Function",
        "Runs JavaScript, where the operator has switched it on",
        array(
            "customFunctionInputVariables",
            "Input Variables",
            Field("variableName", "Variable Name"),
            text("variableValue", "Variable Value"),
        ),
        Field("customFunctionJavascriptFunction", "JavaScript Function", FieldType.CODE),
        state("customFunction"),
    ),
    node("stickyNoteAgentflow", "Sticky Note", "A remark for people", text("note", "Note", optional=True)),
)
