"""The palette of all figures, apart from what draws: pages and names use it as well."""

# Okabe and Ito (2008): distinct for readers with colour vision deficiency.
COLOURS = {
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "red": "#D55E00",
    "purple": "#CC79A7",
    "black": "#000000",
    "grey": "#7F7F7F",
}
