"""Speed and quality as ratios to a floor measured in the same run: what `ragstone bench` runs, a file a measure."""
