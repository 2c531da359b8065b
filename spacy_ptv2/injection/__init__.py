"""Inside the frozen model: the context of a call, hooks that read it, attention, LoRA, stages, dropout, families."""
