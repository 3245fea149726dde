"""Generated clips with several labels: which of three colours a clip shows."""

import random
from pathlib import Path

import cv2
import numpy as np

COLOURS = {'blue': (255, 40, 40), 'green': (40, 220, 40), 'red': (40, 40, 255)}


def write_clips(folder: Path, count: int, size: int = 32, frames: int = 8) -> Path:
    """``count`` clips, each of one or two coloured squares that move, and their table, a path."""
    rng, rows = random.Random(0), ['path,class']
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        shown = rng.sample(sorted(COLOURS), rng.choice([1, 2]))
        name = f'a clip {i}.mp4'
        form = cv2.VideoWriter_fourcc(*'mp4v')
        writer = cv2.VideoWriter(str(folder / name), form, 8, (size, size))
        places = rng.sample(range(4), len(shown))
        for t in range(frames):
            img = np.full((size, size, 3), rng.randrange(90, 130), np.uint8)
            for colour, place in zip(shown, places, strict=True):
                y, x = size // 2 * (place // 2) + t % 4, size // 2 * (place % 2) + 4
                img[y : y + size // 3, x : x + size // 3] = COLOURS[colour]
            writer.write(img)
        writer.release()
        rows.append(f'{name},{"|".join(shown)}')
    (folder / 'labels.csv').write_text('\n'.join(rows) + '\n')
    return folder / 'labels.csv'
