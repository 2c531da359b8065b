"""Thinc layers, one per file: constructor, forward with its backprop, init."""
