"""Trained parameters in safetensors: tensors, their header, whole models, and what is upstream of them."""
