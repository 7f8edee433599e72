"""The experiments that `edram-fer reproduce` repeats: what each paper reports, and how it is obtained here."""
