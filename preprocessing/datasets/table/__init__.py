"""Your own images with their labels in a table: CSV, TSV, Parquet or Excel."""
