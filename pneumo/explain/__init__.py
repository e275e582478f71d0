"""Where in the image a network finds its evidence."""
