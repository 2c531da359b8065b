"""From Docs to padded windows of word pieces, and from hidden states back to tokens."""
