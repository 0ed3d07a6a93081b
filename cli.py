"""`python cli.py ...` from a checkout does what the installed command `gen-export ...` does."""

from gen_export.cli import main

if __name__ == "__main__":
    main()
