"""Training loops, objectives, schedules and checkpoints."""
