"""Evaluators: rules that judge the answers of an evaluation, as workspaces keep them."""
