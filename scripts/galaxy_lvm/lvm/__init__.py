"""The large vision model: its layers, its weights on disk, its diagrams (paper II.A)."""
