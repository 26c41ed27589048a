"""`python -m fallback` is the console script `fallback`."""

from fallback.cli import main

if __name__ == "__main__":
    main()
