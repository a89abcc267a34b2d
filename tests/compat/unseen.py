"""Flows of the kinds that Flowise's users export, beyond the samples: made by hand from lists of their nodes and
fields, with what real exports hold besides: positions, notes, old versions of nodes, numbers as texts, fields that
nobody knows, links that stand in texts and in edges.

Nodes that a sample holds are taken from it as they are there, under another id.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parents[1] / "samples" / "flows"

Json = dict[str, Any]


@cache
def _samples() -> dict[str, str]:
    """Node name -> its data in a sample, as JSON."""
    found: dict[str, str] = {}
    for file in sorted(SAMPLES.rglob("*.json")):
        for node in json.loads(file.read_text("utf-8"))["nodes"]:
            found.setdefault(node["data"]["name"], json.dumps(node["data"]))
    return found


def node(name: str, number: int = 0, /, *, base: str = "", outputs: Json | None = None, **given: Any) -> Json:
    """A chatflow's node as exports have it. `base`: the classes of its output, where no sample says."""
    identifier = f"{name}_{number}"
    if name in _samples():
        data: Json = json.loads(_samples()[name])
        data = json.loads(json.dumps(data).replace(f'"{data["id"]}', f'"{identifier}'))
    else:
        data = _made(identifier, name, base)
    data["inputs"] = {**data.get("inputs", {}), **given}
    data["outputs"] = outputs if outputs is not None else data.get("outputs", {})
    return {
        "width": 300,
        "height": 480 + number,
        "id": identifier,
        "position": {"x": 100.25 + 320 * number, "y": -72.4059206},
        "type": "stickyNote" if name == "stickyNote" else "customNode",
        "data": data,
        "selected": False,
        "positionAbsolute": {"x": 100.25 + 320 * number, "y": -72.4059206},
        "dragging": False,
    }


CATEGORIES = {
    "azureChatOpenAI_LlamaIndex": "Chat Models",
    "chatAnthropic_LlamaIndex": "Chat Models",
    "conversationalAgent": "Agents",
    "csvOutputParser": "Output Parsers",
    "github": "Document Loaders",
    "inputModerationSimple": "Moderation",
    "markdownTextSplitter": "Text Splitters",
    "memoryVectorStore": "Vector Stores",
    "pinecone": "Vector Stores",
    "retrieverTool": "Tools",
    "simpleChatEngine": "Engine",
}


def _made(identifier: str, name: str, base: str) -> Json:
    return {
        "id": identifier,
        "label": name,
        "version": 1,
        "name": name,
        "type": base.split("|")[0],
        "baseClasses": base.split("|"),
        "category": CATEGORIES[name],
        "description": "",
        "inputParams": [
            {"label": "Connect Credential", "name": "credential", "type": "credential", "id": f"{identifier}-input-x"}
        ],
        "inputAnchors": [],
        "inputs": {},
        "outputAnchors": [{"id": f"{identifier}-output-{name}-{base}", "name": name, "label": name, "type": base}],
        "outputs": {},
        "selected": False,
    }


def at(identifier: str) -> str:
    """What a field says of a linked node."""
    return f"{{{{{identifier}.data.instance}}}}"


def link(source: Json, target: Json, field: str, kind: str, *, output: str = "") -> Json:
    """An edge as exports have it."""
    data = source["data"]
    classes = "|".join(data["baseClasses"])
    source_handle = f"{source['id']}-output-{output or data['name']}-{classes}"
    target_handle = f"{target['id']}-input-{field}-{kind}"
    return {
        "source": source["id"],
        "sourceHandle": source_handle,
        "target": target["id"],
        "targetHandle": target_handle,
        "type": "buttonedge",
        "id": f"{source['id']}-{source_handle}-{target['id']}-{target_handle}",
        "data": {"label": ""},
    }


def export(nodes: Sequence[Json], edges: Sequence[Json], **more: Any) -> str:
    """The file."""
    return json.dumps({"description": "A flow", "usecases": ["Basic"], **more, "nodes": nodes, "edges": edges})


def conversational_agent() -> str:
    """An agent that speaks its protocol in text, with two tools."""
    tools = [node("calculator", 1), node("serpAPI")]
    memory, model = node("bufferMemory", 1), node("chatOpenAI", temperature="0.9", streaming="", basepath="")
    agent = node(
        "conversationalAgent",
        base="AgentExecutor|BaseChain|Runnable",
        tools=[at(tool["id"]) for tool in tools],
        model=at(model["id"]),
        memory=at(memory["id"]),
        systemMessage="Assistant is a large language model trained by OpenAI.\n\nAssistant is designed to help.",
        inputModeration="",
        maxIterations="",
        undefined="",
    )
    edges = [
        *(link(tool, agent, "tools", "Tool") for tool in tools),
        link(model, agent, "model", "BaseChatModel"),
        link(memory, agent, "memory", "BaseChatMemory"),
    ]
    return export([*tools, memory, model, agent, node("stickyNote")], edges, framework=["Langchain"])


def github_documents() -> str:
    """A repository's pages, asked by a chain."""
    splitter = node("markdownTextSplitter", base="MarkdownTextSplitter|TextSplitter", chunkSize="4000", chunkOverlap="")
    loader = node(
        "github",
        1,
        base="Document",
        outputs={"output": "document"},
        textSplitter=at(splitter["id"]),
        repoLink="https://github.com/FlowiseAI/FlowiseDocs",
        branch="main",
        recursive=True,
        maxConcurrency="",
        ignorePath="",
        maxRetries="",
        metadata="",
        omitMetadataKeys="",
    )
    embeddings = node("openAIEmbeddings")
    store = node(
        "memoryVectorStore",
        1,
        base="Memory|VectorStoreRetriever|BaseRetriever",
        outputs={"output": "retriever"},
        document=[at(loader["id"])],
        embeddings=at(embeddings["id"]),
        topK="",
    )
    model = node("chatOpenAI", modelName="gpt-3.5-turbo", temperature="0.5")
    chain = node(
        "conversationalRetrievalQAChain",
        model=at(model["id"]),
        vectorStoreRetriever=at(store["id"]),
        memory="",
        returnSourceDocuments=True,
    )
    edges = [
        link(splitter, loader, "textSplitter", "TextSplitter"),
        link(loader, store, "document", "Document", output="document"),
        link(embeddings, store, "embeddings", "Embeddings"),
        link(store, chain, "vectorStoreRetriever", "BaseRetriever", output="retriever"),
        link(model, chain, "model", "BaseChatModel"),
    ]
    notes = [node("stickyNote", number) for number in range(3)]
    return export([splitter, loader, embeddings, store, model, chain, *notes], edges)


def input_moderation() -> str:
    """A chain behind a list of words, judged by a second model."""
    prompt = node("promptTemplate", template="Answer user question:\n{text}", promptValues='{"text":"{{question}}"}')
    model, judge = node("chatOpenAI"), node("chatOpenAI", 1, temperature="0")
    guard = node(
        "inputModerationSimple",
        base="Moderation",
        denyList="ignore previous instructions\ndo not follow the directions",
        model=at(judge["id"]),
        moderationErrorMessage="Cannot Process! Input violates content moderation policies.",
    )
    chain = _chain(0, model, prompt, inputModeration=[at(guard["id"])])
    edges = [
        link(guard, chain, "inputModeration", "Moderation"),
        link(model, chain, "model", "BaseLanguageModel"),
        link(prompt, chain, "prompt", "BasePromptTemplate"),
        link(judge, guard, "model", "BaseChatModel"),
    ]
    return export([prompt, model, judge, guard, chain, node("stickyNote"), node("stickyNote", 1)], edges)


def list_parser() -> str:
    """A chain whose answer is a list."""
    parser = node("csvOutputParser", base="CSVListOutputParser|BaseLLMOutputParser|Runnable", autofix=True)
    template = "Answer user's question as best you can: {question}"
    prompt = node("promptTemplate", template=template, promptValues='{"question":"{{question}}"}')
    model = node("chatOpenAI", temperature="0")
    chain = _chain(0, model, prompt, outputParser=at(parser["id"]))
    edges = [
        link(parser, chain, "outputParser", "BaseLLMOutputParser"),
        link(prompt, chain, "prompt", "BasePromptTemplate"),
        link(model, chain, "model", "BaseLanguageModel"),
    ]
    return export([parser, prompt, model, chain, node("stickyNote"), node("stickyNote", 1)], edges)


def multiple_documents() -> str:
    """An agent over two stores that hold documents already."""
    model, memory = node("chatOpenAI", allowImageUploads=""), node("bufferMemory")
    nodes, edges, tools = [model, memory], [], []
    for number, company in enumerate(("Apple", "Tesla")):
        embeddings = node("openAIEmbeddings", number, modelName="text-embedding-ada-002")
        store = node(
            "pinecone",
            number,
            base="Pinecone|VectorStoreRetriever|BaseRetriever",
            outputs={"output": "retriever"},
            document="",
            embeddings=at(embeddings["id"]),
            recordManager="",
            pineconeIndex="flowiseindex",
            pineconeNamespace="pinecone-form10k",
            fileUpload="",
            pineconeTextKey="",
            pineconeMetadataFilter=json.dumps({"source": company.lower()}),
            topK="",
            searchType="similarity",
            fetchK="",
            **{"lambda": ""},
        )
        tool = node(
            "retrieverTool",
            number,
            base="RetrieverTool|DynamicTool|Tool|StructuredTool|Runnable",
            name=f"search_{company.lower()}",
            description=f"Use this function to answer user questions about {company} Inc.",
            retriever=at(store["id"]),
            returnSourceDocuments=True,
            retrieverToolMetadataFilter="",
        )
        edges += [
            link(embeddings, store, "embeddings", "Embeddings"),
            link(store, tool, "retriever", "BaseRetriever", output="retriever"),
        ]
        nodes += [embeddings, store, tool]
        tools.append(tool)
    agent = node(
        "toolAgent",
        tools=[at(tool["id"]) for tool in tools],
        memory=at(memory["id"]),
        model=at(model["id"]),
        chatPromptTemplate="",
    )
    edges += [
        *(link(tool, agent, "tools", "Tool") for tool in tools),
        link(memory, agent, "memory", "BaseChatMemory"),
        link(model, agent, "model", "BaseChatModel"),
    ]
    return export([*nodes, agent, *(node("stickyNote", number) for number in range(3))], edges)


def prompt_chaining() -> str:
    """A chain whose answer stands in another's prompt."""
    first = "You are an AI who performs one task based on the following objective: {objective}.\nHow would you do it?"
    second = "Create new tasks for the objective: {objective}.\nThe last completed task has the result: {result}."
    prompts = [
        node("promptTemplate", template=first, promptValues='{"objective":"{{question}}"}'),
        node(
            "promptTemplate",
            1,
            template=second,
            promptValues='{"objective":"{{question}}","result":"{{llmChain_0.data.instance}}"}',
        ),
    ]
    models = [node("chatOpenAI", number) for number in range(2)]
    chains = [
        _chain(0, models[0], prompts[0], output="outputPrediction"),
        _chain(1, models[1], prompts[1], chainName="LastChain"),
    ]
    edges = [
        link(part, chains[number], field, kind)
        for number in range(2)
        for part, field, kind in (
            (models[number], "model", "BaseLanguageModel"),
            (prompts[number], "prompt", "BasePromptTemplate"),
        )
    ]
    passed = link(chains[0], prompts[1], "promptValues", "json", output="outputPrediction")
    return export([*prompts, *models, *chains], [*edges, passed])


def query_engine() -> str:
    """An engine over a store that holds documents already."""
    model = node(
        "chatAnthropic_LlamaIndex",
        base="ChatAnthropic|BaseChatModel_LlamaIndex",
        modelName="claude-3-haiku",
        temperature="0.9",
        maxTokensToSample="",
        topP="",
    )
    embeddings = node("openAIEmbedding_LlamaIndex")
    store = node(
        "pineconeLlamaIndex",
        document="",
        model=at(model["id"]),
        embeddings=at(embeddings["id"]),
        pineconeMetadataFilter="",
        topK="",
    )
    synthesizer = node("compactrefineLlamaIndex")
    engine = node(
        "queryEngine",
        vectorStoreRetriever=at(store["id"]),
        responseSynthesizer=at(synthesizer["id"]),
        returnSourceDocuments=True,
    )
    edges = [
        link(model, store, "model", "BaseChatModel_LlamaIndex"),
        link(embeddings, store, "embeddings", "BaseEmbedding_LlamaIndex"),
        link(store, engine, "vectorStoreRetriever", "VectorIndexRetriever", output="retriever"),
        link(synthesizer, engine, "responseSynthesizer", "ResponseSynthesizer"),
    ]
    return export([model, embeddings, store, synthesizer, engine], edges, framework=["LlamaIndex"])


def simple_engine() -> str:
    """A conversation by an engine."""
    model = node(
        "azureChatOpenAI_LlamaIndex",
        base="AzureChatOpenAI|BaseChatModel_LlamaIndex",
        modelName="gpt-3.5-turbo-16k",
        temperature="0.9",
        maxTokens="",
        topP="",
        timeout="",
    )
    memory = node("bufferMemory")
    engine = node(
        "simpleChatEngine",
        base="SimpleChatEngine",
        model=at(model["id"]),
        memory=at(memory["id"]),
        systemMessagePrompt="You are a helpful assistant.",
    )
    edges = [link(model, engine, "model", "BaseChatModel_LlamaIndex"), link(memory, engine, "memory", "BaseChatMemory")]
    return export([model, memory, engine], edges)


def _chain(number: int, model: Json, prompt: Json, *, output: str = "llmChain", **more: Any) -> Json:
    given = {"outputParser": "", "chainName": "", "inputModeration": "", **more}
    links = {"model": at(model["id"]), "prompt": at(prompt["id"])}
    return node("llmChain", number, outputs={"output": output}, **links, **given)


def mention(name: str) -> str:
    """A variable as the editor writes it."""
    about = f'class="variable" data-type="mention" data-id="{name}" data-label="{name}"'
    return f"<span {about}>{{{{ {name} }}}}</span>"


MODEL = {
    "cache": "",
    "modelName": "gpt-4o-mini",
    "temperature": "0.9",
    "streaming": True,
    "maxTokens": "",
    "topP": "",
    "frequencyPenalty": "",
    "presencePenalty": "",
    "timeout": "",
    "strictToolCalling": "",
    "stopSequence": "",
    "basepath": "",
    "proxyUrl": "",
    "baseOptions": "",
    "allowImageUploads": "",
    "imageResolution": "low",
    "reasoningEffort": "medium",
}


def step(kind: str, number: int, label: str, /, *, parent: str = "", **inputs: Any) -> Json:
    """An agentflow's node as exports have it."""
    name = f"{kind}Agentflow"
    identifier = f"{name}_{number}"
    for field in [field for field in inputs if field.endswith("Model")]:
        inputs[f"{field}Config"] = {**MODEL, field: inputs[field]}
    decides = kind in ("condition", "conditionAgent", "humanInput")
    outputs = (
        [{"id": f"{identifier}-output-{place}", "label": place, "name": place} for place in range(2)]
        if decides
        else [{"id": f"{identifier}-output-{name}", "label": label, "name": name}]
    )
    made: Json = {
        "id": identifier,
        "position": {"x": 12.5 * number, "y": 80.0},
        "data": {
            "id": identifier,
            "label": label,
            "version": 1.1,
            "name": name,
            "type": kind,
            "color": "#64B5F6",
            "baseClasses": [kind],
            "category": "Agent Flows",
            "description": "",
            "inputParams": [],
            "inputAnchors": [],
            "inputs": {**inputs, "undefined": ""},
            "outputAnchors": outputs,
            "outputs": {name: ""} if decides else {},
            "selected": False,
        },
        "type": {"iteration": "iteration", "stickyNote": "stickyNote"}.get(kind, "agentFlow"),
        "width": 175,
        "height": 71,
        "selected": False,
        "positionAbsolute": {"x": 12.5 * number, "y": 80.0},
        "dragging": False,
    }
    return {**made, "parentNode": parent, "extent": "parent"} if parent else made


def edge(source: Json, target: Json, branch: int | None = None) -> Json:
    """An agentflow's edge as exports have it."""
    output = source["data"]["name"] if branch is None else str(branch)
    handle = f"{source['id']}-output-{output}"
    human = source["data"]["name"] == "humanInputAgentflow"
    said = {} if branch is None else {"edgeLabel": ("proceed", "reject")[branch] if human else str(branch)}
    return {
        "source": source["id"],
        "sourceHandle": handle,
        "target": target["id"],
        "targetHandle": target["id"],
        "data": {"sourceColor": "#64B5F6", "targetColor": "#4DD0E1", "isHumanInput": human, **said},
        "type": "agentFlow",
        "id": f"{source['id']}-{handle}-{target['id']}-{target['id']}",
    }


THEIR_STORE = "570df92b-087b-4d3b-9462-7a11283454a5"
"""A document store of whoever exported a flow."""


def agentic_rag() -> str:
    """Judges the question and what was found, and asks again in other words."""
    start = step(
        "start",
        0,
        "Start",
        startInputType="chatInput",
        formTitle="",
        formDescription="",
        formInputTypes="",
        startEphemeralMemory="",
        startState=[{"key": "query", "value": ""}],
    )
    valid = _judge(0, "Check if query valid", mention("question"), "AI Related", "General")
    asks = _llm(
        0,
        "Generate Query",
        "Given the user question and history, construct a short string that can be used for searching vector database.",
        llmUserMessage="<p>Given the user question and history, construct a short string.</p>",
        llmUpdateState=[{"key": "query", "value": f"<p>{mention('llmAgentflow_0')} </p>"}],
    )
    finds = step(
        "retriever",
        0,
        "Retriever Vector DB",
        retrieverKnowledgeDocumentStores=[{"documentStore": f"{THEIR_STORE}:ai paper"}],
        retrieverQuery=f"<p>{mention('$flow.state.query')} </p>",
        outputFormat="text",
        retrieverUpdateState="",
    )
    fits = _judge(1, "Check if docs relevant", mention("retrieverAgentflow_0"), "Relevant", "Irrelevant")
    answers = _llm(
        1,
        "Generate Response",
        "Answer from the context.",
        llmUserMessage=f"<p>Question: {mention('question')}</p><p>Context: {mention('retrieverAgentflow_0')}</p>",
    )
    again = _llm(
        2,
        "Regenerate Question",
        "Transform the query to produce a better question.",
        llmUpdateState=[{"key": "query", "value": "<p>{{ output }}</p>"}],
    )
    target = f"{finds['id']}-Retriever Vector DB"
    back = step("loop", 0, "Loop back to Retriever", loopBackToNode=target, maxLoopCount="5")
    general = _llm(3, "General Answer", "Be helpful.")
    note = step("stickyNote", 0, "Sticky Note", note="Check the query")
    edges = [
        edge(start, valid),
        edge(valid, asks, 0),
        edge(valid, general, 1),
        edge(asks, finds),
        edge(finds, fits),
        edge(fits, answers, 0),
        edge(fits, again, 1),
        edge(again, back),
    ]
    return export([start, valid, asks, finds, fits, answers, again, back, general, note], edges)


def email_reply(tool: str = "gmail", config: Mapping[str, Any] | None = None) -> str:
    """Writes a letter, shows it to a person, sends it or writes another."""
    fields = [
        {"type": "string", "label": "Subject", "name": "subject", "addOptions": ""},
        {"type": "string", "label": "Body", "name": "body", "addOptions": ""},
        {"type": "options", "label": "Kind", "name": "kind", "addOptions": [{"option": "new"}, {"option": "old"}]},
    ]
    start = step(
        "start",
        0,
        "Start",
        startInputType="formInput",
        formTitle="Email Inquiry",
        formDescription="Incoming email inquiry",
        formInputTypes=fields,
        startState="",
    )
    writes = step(
        "agent",
        0,
        "Email Reply Agent",
        agentModel="chatOpenAI",
        agentMessages=[{"role": "system", "content": "<p>You are a customer support agent.</p>"}],
        agentTools=[
            {
                "agentSelectedTool": "currentDateTime",
                "agentSelectedToolRequiresHumanInput": "",
                "agentSelectedToolConfig": {"agentSelectedTool": "currentDateTime"},
            }
        ],
        agentToolsBuiltInOpenAI="",
        agentKnowledgeDocumentStores="",
        agentKnowledgeVSEmbeddings="",
        agentEnableMemory=True,
        agentMemoryType="allMessages",
        agentUserMessage=f"<p>{mention('$form.subject')}</p><p>{mention('$form.body')}</p>",
        agentReturnResponseAs="userMessage",
        agentUpdateState="",
    )
    asks = step(
        "humanInput",
        0,
        "Human Input",
        humanInputDescriptionType="fixed",
        humanInputDescription="<p>Are you sure you want to proceed?</p>",
        humanInputEnableFeedback=True,
    )
    sends = step(
        "tool",
        0,
        "Send Email",
        toolAgentflowSelectedTool=tool,
        toolInputArgs=[],
        toolUpdateState="",
        toolAgentflowSelectedToolConfig={**(config or {"gmailType": "messages", "messageActions": '["sendMessage"]'})},
    )
    back = step("loop", 0, "Back to Agent", loopBackToNode=f"{writes['id']}-Email Reply Agent", maxLoopCount=5)
    edges = [edge(start, writes), edge(writes, asks), edge(asks, sends, 0), edge(asks, back, 1)]
    return export([start, writes, asks, sends, back], edges)


def iterations() -> str:
    """Plans searches, does each, writes a report."""
    start = step("start", 0, "Start", startInputType="chatInput", startState=[{"key": "found", "value": ""}])
    plans = _llm(
        0,
        "Planner",
        "Output between 2 and 5 terms to search for.",
        llmStructuredOutput=[
            {
                "key": "searches",
                "type": "jsonArray",
                "enumValues": "",
                "jsonSchema": '{"query": {"type": "string", "description": "term"}, "reason": {"type": "string"}}',
                "description": "searches",
            }
        ],
    )
    each = step("iteration", 0, "Iteration", iterationInput=f"<p>{mention('llmAgentflow_0.output.searches')} </p>")
    looks = step(
        "agent",
        0,
        "Search Agent",
        parent=each["id"],
        agentModel="chatOpenAI",
        agentMessages=[{"role": "system", "content": "<p>You are a research assistant.</p>"}],
        agentToolsBuiltInOpenAI="",
        agentTools=[],
        agentEnableMemory=False,
        agentMemoryType="allMessages",
        agentUserMessage=f"<p>Search term: {mention('$iteration.query')}</p><p>Reason: {{{{ $iteration.reason }}}}</p>",
        agentReturnResponseAs="userMessage",
        agentUpdateState="",
    )
    writes = _llm(
        1,
        "Writer",
        "Write a report.",
        llmUserMessage=f"<p>Original query: {mention('question')}</p><p>Found: {mention('iterationAgentflow_0')}</p>",
    )
    note = step("stickyNote", 0, "Sticky Note", note="Reports")
    edges = [edge(start, plans), edge(plans, each), edge(each, writes)]
    return export([start, plans, each, looks, writes, note], edges)


def two_writers() -> str:
    """One model's answer goes to the next."""
    start = step("start", 0, "Start", startInputType="chatInput", startState="")
    first = _llm(0, "First", "Translate.", llmReturnResponseAs="assistantMessage")
    second = _llm(1, "Second", "Improve.", llmEnableMemory="", llmUserMessage=f"<p>{mention('llmAgentflow_0')}</p>")
    return export([start, first, second], [edge(start, first), edge(first, second)])


def _judge(number: int, label: str, given: str, *scenarios: str) -> Json:
    return step(
        "conditionAgent",
        number,
        label,
        conditionAgentModel="chatOpenAI",
        conditionAgentInstructions="<p>Check if user is asking about AI related topic, or just general query</p>",
        conditionAgentInput=f"<p>{given} </p>",
        conditionAgentScenarios=[{"scenario": scenario} for scenario in scenarios],
        conditionAgentOverrideSystemPrompt="",
    )


def _llm(number: int, label: str, system: str, **more: Any) -> Json:
    given: Json = {
        "llmModel": "chatOpenAI",
        "llmMessages": [{"role": "system", "content": f"<p>{system}</p>"}],
        "llmEnableMemory": True,
        "llmMemoryType": "allMessages",
        "llmUserMessage": "",
        "llmReturnResponseAs": "userMessage",
        "llmStructuredOutput": "",
        "llmUpdateState": "",
    }
    return step("llm", number, label, **{**given, **more})
