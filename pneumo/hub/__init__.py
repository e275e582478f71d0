"""A model with its record as a folder that the Hugging Face Hub takes, and anybody can use without this project."""
