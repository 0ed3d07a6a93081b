"""`python -m gen_export ...` does what the installed command `gen-export ...` does."""

import sys

from gen_export.cli import main

if __name__ == "__main__":
    sys.argv[0] = "gen-export"
    main()
