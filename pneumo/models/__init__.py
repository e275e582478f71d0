"""Networks, their folders, pixels as a network takes them, perturbations, and the runtime that fixes results."""
