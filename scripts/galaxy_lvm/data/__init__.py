"""Surveys, cutout stores, adaptive crops, degradations and splits."""
