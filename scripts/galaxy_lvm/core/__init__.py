"""What every part stands on: the config, errors, seeds, logs, unfinished state."""
