"""A trained model as ONNX, which needs no torch to be used."""
