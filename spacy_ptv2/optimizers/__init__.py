"""Optimizers: one base that clips, averages, restarts and steps; AdamW and Muon as its update rules; schedules."""

from .creation import create_optimizer

__all__ = ["create_optimizer"]
