"""RAF-DB: 15,339 faces from the web with seven basic expressions."""
