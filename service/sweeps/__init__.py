"""Tuning: which of several settings are worth having, told from the scores of evaluations."""
