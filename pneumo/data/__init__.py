"""The table of images and their packed pixels: what every later step reads."""
