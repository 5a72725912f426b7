"""The example of background work: consumers on custom channels."""
