"""A folder as people have it: clips of many containers, and what goes wrong in one."""

from pathlib import Path

from .datasets.numbered_clips import write, write_phone_clip

# Suffix -> codec, as encoders of PyAV's wheels can write them.
CONTAINERS = {
    '.MP4': 'libx264',
    '.mov': 'libx264',
    '.mkv': 'libx264',
    '.AVI': 'mpeg4',
    '.webm': 'libvpx',
    '.ts': 'libx264',
    '.flv': 'libx264',
    '.mpg': 'mpeg2video',
    '.m4v': 'libx264',
    '.3gp': 'libx264',
    '.WMV': 'wmv2',
    '.M2TS': 'libx264',
}


def write_own_clips(folder: Path, count: int = 36, classes: int = 3) -> None:
    """``count`` clips ``CLASS/pNN_I.SUFFIX`` of persons NN, no two alike; two of them broken, three
    copies of others, and a text file.
    """
    names = ['clap', 'jump', 'wave'][:classes]
    for i in range(count):
        suffix, codec = list(CONTAINERS.items())[i % len(CONTAINERS)]
        path = folder / names[i % classes] / f'p{i // 6:02}_{i}{suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another brightness and length for each, so that no two files are the same.
        write(path, codec, frames=12 + i // 50, turn=lambda x, i=i: x // 2 + 2 * (i % 50))
    ours, others = (sorted((folder / name).iterdir()) for name in names[:2])
    for clip, gone in zip(ours[:3], ours[-3:], strict=True):
        gone.unlink()
        clip.with_name(f'copy_of_{clip.name}').write_bytes(clip.read_bytes())
    others[0].write_bytes(others[0].read_bytes()[:400])
    others[1].write_bytes(b'')
    (folder / 'notes.txt').write_text('not a clip')


def write_phone_clips(folder: Path, count: int = 40, classes: int = 2) -> None:
    """``count`` clips ``CLASS/pNN_I.mov`` of persons NN, as phones write them, no two alike."""
    for i in range(count):
        path = folder / ('clap', 'jump', 'wave')[i % classes] / f'p{i // 4:02}_{i}.mov'
        path.parent.mkdir(parents=True, exist_ok=True)
        write_phone_clip(path, lambda x, i=i: x // 2 + 2 * i)
