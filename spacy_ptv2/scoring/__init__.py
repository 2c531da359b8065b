"""What tasks are scored by: their official definitions, in plain Python, and scorers of examples for `nlp.evaluate`."""
