"""From Docs to padded windows of word pieces, and from the states of pieces back to tokens."""
