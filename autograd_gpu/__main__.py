"""`python -m autograd_gpu` is `autograd-gpu`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
