"""The run folder: write and read its files."""
