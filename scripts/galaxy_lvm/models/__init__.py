"""Swin blocks, the LVM, task heads and classical baselines."""
