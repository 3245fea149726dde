"""Pickles that run code when Python loads them, which makes a folder, and files that hold one."""

import io
import os
import pickle
import runpy
import subprocess
import timeit
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Call:
    """An object whose pickle says: call this with these arguments."""

    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.parts = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple]:
        return self.parts


def pickles(folder: Path) -> dict[str, bytes]:
    """Pickles by what is peculiar to them; ``pickle.loads`` of any makes the folder."""
    code = f'__import__("os").mkdir({str(folder)!r})'
    mkdir = Call(os.mkdir, str(folder))
    objects = {
        'os.mkdir': mkdir,
        'os.system': Call(os.system, f'mkdir {folder}'),
        'subprocess': Call(subprocess.call, ['mkdir', str(folder)]),
        'eval': Call(eval, code),
        'exec': Call(exec, code),
        'timeit': Call(timeit.timeit, code, 'pass', timeit.default_timer, 1),
        'runpy': Call(runpy._run_code, code, {}),
        'method': Call(Path.mkdir, folder),
        'in a tensor': Call(torch.storage._load_from_bytes, pickle.dumps(mkdir)),
        'in a list': [dict(pred_score=[mkdir])],
    }
    name = str(folder).encode()
    short = b'\x8c' + bytes([len(name)]) + name
    by_hand = {  # opcodes that Python no longer writes, and names that it looks up in parts
        'INST': b"(S'%s'\nios\nmkdir\n." % name,
        'OBJ': b"(cos\nmkdir\nS'%s'\no." % name,
        'STACK_GLOBAL': b'\x80\x04\x8c\x02os\x8c\x05mkdir\x93' + short + b'\x85R.',
        'dots': b'\x80\x04\x8c\x06shutil\x8c\x08os.mkdir\x93' + short + b'\x85R.',
        'getattr': b'\x80\x04cbuiltins\ngetattr\ncshutil\nos\n\x8c\x05mkdir\x86R'
        + short
        + b'\x85R.',
    }
    return {**{name: pickle.dumps(value) for name, value in objects.items()}, **by_hand}


GADGETS = list(pickles(Path('x')))


def checkpoint(form: str, payload: bytes) -> bytes:
    """A file as ``torch.save`` writes, by its form, of which the pickle is ``payload``."""
    if form == 'pickle':
        return payload
    if form == 'legacy':  # torch before 1.6
        head = (0x1950A86A20F9469CFC6C, 1001, dict(little_endian=True))
        return b''.join(pickle.dumps(part, 2) for part in head) + payload
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('archive/data.pkl', payload)
        archive.writestr('archive/version', '3\n')
        archive.writestr('archive/byteorder', 'little')
        if form == 'TorchScript':
            archive.writestr('archive/constants.pkl', payload)
            archive.writestr('archive/code/__torch__.py', '')
    return file.getvalue()


FORMS = ('zip', 'legacy', 'pickle', 'TorchScript')
