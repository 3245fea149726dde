"""Names and shapes of weights: ours, the authors', upstream's."""
