"""Words for indexing, searching and sorting."""

from __future__ import annotations
