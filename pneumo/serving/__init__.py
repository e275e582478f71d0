"""A trained model in use. Nothing here imports torch: a model's folder and a few small packages are all it takes."""
