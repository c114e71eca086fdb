"""How results are written, judged and drawn: long tables, verdicts, one style."""
