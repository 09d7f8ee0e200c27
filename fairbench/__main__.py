"""``python -m fairbench`` and the command ``fairbench``."""

from fairbench.cli import main

if __name__ == "__main__":
    main()
