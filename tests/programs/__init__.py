"""Whole programs, written as public PyTorch programs are, that must train to the same losses on both libraries."""
