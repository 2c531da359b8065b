"""Imports and exports adapters of other libraries: prompts of PEFT, THUDM/P-tuning-v2 and adapters, and PEFT's LoRA.

All prompt formats store the keys and values of a position as one row (`portable.py`). LoRA is identified by the names
of linear layers (`lora.py`). docs/guides/interchange.md describes the files and every axis.
"""
