"""The commands of edram-fer, each a function that typer reads its command line from."""
