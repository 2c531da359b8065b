"""Several processes that train one pipeline: who they are, and what they tell each other."""
