"""What `spacy train` needs for prompts: optimizer, schedules, planning of steps, the learning curve. Beside it, several
trials in one pass over the data, and the range test of learning rates.
"""
