"""What a method has to beat, by name; `floors` fits them."""

FLOORS = ("mean", "ridge", "neighbours", "quadratic")
FLOOR_NAMES = {
    "mean": "mean of the training stars",
    "ridge": "ridge regression on pixels",
    "neighbours": "nearest neighbours",
    "quadratic": "quadratic ridge on components",
}
