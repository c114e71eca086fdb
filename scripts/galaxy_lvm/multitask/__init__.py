"""Three tasks on one encoder, their scores, tables and figures (paper III)."""
