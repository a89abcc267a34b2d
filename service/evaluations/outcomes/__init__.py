"""What came of evaluations, over HTTP: progress, results, summaries, comparisons, exports. Flowise has none of it."""
