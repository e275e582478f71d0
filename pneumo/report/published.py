"""The line to beat: what is published on the official test images."""

MODEL = "ResNet50"
TEST_IMAGES = 624
BY = f"{MODEL} with ImageNet weights on the {TEST_IMAGES} official test images of Kermany et al. (2018)"
FIGURES = {"accuracy": 0.93, "recall": 0.98, "precision": 0.91, "f1": 0.94}
