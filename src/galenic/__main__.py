"""`python -m galenic` is the command line."""

from galenic.cli import main

if __name__ == "__main__":
    main()
