"""What was trained, in safetensors: tensors, their header, whole models, and what they were trained over."""
