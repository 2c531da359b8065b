"""Comparison of adapters, their parts and full fine-tuning, from one config: methods, runs, tables."""
