"""Measurements and attacks of results, with intervals, by evaluators that are tested on planted leaks."""
