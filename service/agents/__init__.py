"""Agents: models that call tools in a loop. Steps of chatflows and nodes of agentflows run the same loops.

`base.Job` says what is to be done, a loop (`tool_loop.use_tools` for models that call tools by themselves, `react_loop`
and `conversation_loop` for those that only write) says the events of a run, and `base.Ended` as the last of them.
"""
