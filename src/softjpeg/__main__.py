"""``python -m softjpeg``, which ``torchrun -m softjpeg`` starts in every process."""

from softjpeg.cli import app

if __name__ == "__main__":
    app(prog_name="softjpeg")
