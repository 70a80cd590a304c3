"""Networks trained on data that ships with the package."""
