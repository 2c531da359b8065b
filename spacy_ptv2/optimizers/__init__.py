"""What steps the weights: AdamW and Muon for prompts, schedules of rates, and what tells that training is in vain."""

from .creation import create_optimizer

__all__ = ["create_optimizer"]
