"""Prompts of other libraries, in and out: PEFT prefix tuning, THUDM's P-tuning-v2, adapters' prefix tuning.

All three write a position's keys and values as one row; docs/interchange.md describes their files and every axis.
"""
