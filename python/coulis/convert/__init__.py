"""Makes model files from other projects' weights: ``python -m coulis.convert --help``."""
