"""How well: scores against fine-tuning, confidences, whitespace, and families against plain attention."""
