"""What `spacy train` needs for prompts: optimizer, schedules, planning of steps, the learning curve."""
