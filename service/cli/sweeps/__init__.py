"""Tuning: what `ragstone eval sweep` is told in a file, and what it makes of it.

`spec` says what a file may hold, `trials` which settings are tried, `variants` and `flows` what they mean for a
document store and for a flow; `running` has a service try them, `telling` prints what came of it, `applying` sets one
for good.
"""
