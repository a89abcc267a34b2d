"""Agentflows: graphs whose nodes run one after the other, side by side, in branches and in loops (contract b.6).

`flow.compile_agentflow` makes an `AgentFlow` of a graph, once per version; `engine` runs it; `nodes` is the table of
what a node can be.
"""
