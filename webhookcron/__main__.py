"""`python -m webhookcron`: the command line, also where its script is not on PATH."""

from webhookcron.cli import main

main(prog_name="webhookcron")
