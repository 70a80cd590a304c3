"""Tensors on a CUDA device, real or emulated."""
