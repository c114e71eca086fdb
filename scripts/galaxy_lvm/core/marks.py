"""What the project's own figures carry, so that no chapter takes one for an image of the sky."""

FIGURE_KEY, FIGURE_VALUE = "Source", "galaxy-lvm"
"""Text in the PNG of every figure (PNG specification, tEXt)."""
