"""For somebody who has a mirror: build on it, install, look, write a report to send back. Not a test."""
