"""Adapters of other libraries, in and out: PEFT, THUDM/P-tuning-v2, adapters.

All three write a position's keys and values as one row; docs/interchange.md describes their files and every axis.
"""
