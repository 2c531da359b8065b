"""Training: our loop, with the results of `spacy train`; trials; the range test of learning rates; planning."""
