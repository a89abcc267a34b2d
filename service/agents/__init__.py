"""Agents: models that call tools in a loop. Steps of chatflows and nodes of agentflows run the same loops.

`base.Job` says what is to be done, `loops.work` (or one of the loops below it: `tool_loop.use_tools` for models that
call tools by themselves, `text_loop.talk_with` for those that only write) says the events of a run, `base.Ended` last.
"""
