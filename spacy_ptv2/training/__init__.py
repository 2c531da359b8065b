"""Training: our loop, which gives what `spacy train` gives, trials, the range test of learning rates, planning."""
