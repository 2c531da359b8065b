"""What is trained, in plain torch: no spaCy and no Thinc here."""
