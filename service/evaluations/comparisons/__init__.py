"""Two evaluations held against each other, over HTTP. Flowise has none of it."""
