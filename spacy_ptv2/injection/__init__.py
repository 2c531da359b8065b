"""What happens inside the frozen model: the one context, the hooks that read it, attention, LoRA, stages, dropout, families."""
