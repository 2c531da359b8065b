"""Entities in ONNX Runtime, without spaCy."""
