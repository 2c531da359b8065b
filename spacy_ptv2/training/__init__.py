"""What `spacy train` needs for prompts beside optimizers: planning of steps and the learning curve. Beside it, several
trials in one pass over the data, and the range test of learning rates.
"""
