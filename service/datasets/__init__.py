"""Datasets: questions with the answers and sources that are expected of flows."""
