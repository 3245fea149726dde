"""A controlled study of motion modules: what to train, how, and what came out."""
