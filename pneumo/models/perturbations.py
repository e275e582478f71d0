"""The fixed perturbations of stress validation: a table, the same for every model and every run."""

STRENGTHS = {
    "zoom": (0.9, 0.8, 0.7),  # share of each side that is kept, about the centre
    "shift": (0.05, 0.1),  # of each side, towards one of four corners; what is uncovered mirrors what is beside it
    "aspect": (1.15, 1.3),  # one side is cropped by this factor
    "exposure": (1.3, 1.6),  # exponent of the grey values, or its inverse
    "contrast": (1.3, 1.6),  # factor about the mean, or its inverse
    "blur": (0.01, 0.02),  # standard deviation, in sides of the image
    "noise": (0.04, 0.08),  # standard deviation, of grey values in [0, 1]
}
PERTURBATIONS = tuple((kind, strength) for kind, strengths in STRENGTHS.items() for strength in strengths)
NAMES = tuple(f"{kind} {strength:g}" for kind, strength in PERTURBATIONS)
