"""Measurements: ratios against raw work in the same run. `make bench` runs them; nothing here is a test."""
