"""What a node of an agentflow can be, by Flowise's names: one file and one row each."""

NODES = {
    "agentAgentflow": "service.agentflows.nodes.agent:Agent",
    "conditionAgentAgentflow": "service.agentflows.nodes.condition_agent:ConditionAgent",
    "conditionAgentflow": "service.agentflows.nodes.condition:Condition",
    "customFunctionAgentflow": "service.agentflows.nodes.custom_function:CustomFunction",
    "directReplyAgentflow": "service.agentflows.nodes.direct_reply:DirectReply",
    "executeFlowAgentflow": "service.agentflows.nodes.execute_flow:ExecuteFlow",
    "httpAgentflow": "service.agentflows.nodes.http:Http",
    "humanInputAgentflow": "service.agentflows.nodes.human_input:HumanInputNode",
    "iterationAgentflow": "service.agentflows.nodes.iteration:Iteration",
    "llmAgentflow": "service.agentflows.nodes.llm:Llm",
    "loopAgentflow": "service.agentflows.nodes.loop:Loop",
    "retrieverAgentflow": "service.agentflows.nodes.retriever:Retriever",
    "startAgentflow": "service.agentflows.nodes.start:Start",
    "toolAgentflow": "service.agentflows.nodes.tool:ToolNode",
}
"""Node name -> "module:Class". Sticky notes are no nodes: the graph leaves them out."""
