"""Evaluation suites: what `ragstone eval run` is told in a file, and what it makes of a run.

`suite` says what a file may hold, `reading` reads one, `rows` the questions it names; `preparing` brings all of it to a
service, `running` runs it there; `outcome` is what came of it, which `checks` judges, against a `baseline` too, and
`junit` and `telling` tell.
"""
