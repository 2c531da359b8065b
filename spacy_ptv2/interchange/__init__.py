"""Adapters of other libraries, in and out: prompts of PEFT, THUDM's P-tuning-v2 and adapters, and PEFT's LoRA.

All prompts write a position's keys and values as one row (`portable.py`); LoRA goes by the names of linear layers
(`lora.py`). docs/guides/interchange.md describes the files and every axis.
"""
