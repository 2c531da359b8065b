"""Training: the loop of our own (`loop.py`), which gives what `spacy train` gives, several trials in one pass over the
data, and the range test of learning rates. For `spacy train` itself: planning of steps and the learning curve.
"""
