"""The build engine of asrbox. `pipeline.py` shows the whole build on one page."""
