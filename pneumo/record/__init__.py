"""What is committed of a run: params.yaml, metrics/, scores/ and the locks, read from a folder or a commit alike."""
