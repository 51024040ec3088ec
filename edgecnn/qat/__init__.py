"""Quantization-aware training: a PyTorch module that computes as its int8 network will."""
