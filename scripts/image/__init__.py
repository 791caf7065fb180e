"""Makes an image for containers: ``python -m scripts.image``, without a daemon. The same sources give the same bytes."""
