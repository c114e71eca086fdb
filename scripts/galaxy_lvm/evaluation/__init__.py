"""Metrics, long-format results and the comparison with the paper."""
