"""What came of evaluations, over HTTP: progress, results, summaries, exports. Flowise has none of it."""
