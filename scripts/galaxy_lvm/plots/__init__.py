"""One module per kind of figure, one style sheet."""
