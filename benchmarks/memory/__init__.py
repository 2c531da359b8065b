"""How much memory: training steps, pipelines over one backbone, processes that run for long."""
