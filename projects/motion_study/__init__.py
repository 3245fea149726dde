"""A controlled study of motion modules: what to train, how, and what came out."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the repository
