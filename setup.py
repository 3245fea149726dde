"""Puts configs, tools and the zoo's index into the package as ``.mim``, for OpenMIM."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PARTS = ('configs', 'tools', 'model-index.yml', 'dataset-index.yml')


class BuildWithMim(build_py):
    """Copies into a wheel; an editable install gets links."""

    def run(self) -> None:
        super().run()
        folder = ROOT if self.editable_mode else Path(self.build_lib)
        mim = folder / 'mmaction_emim' / '.mim'
        mim.mkdir(parents=True, exist_ok=True)
        for name in PARTS:
            source, target = ROOT / name, mim / name
            if self.editable_mode:
                if not target.is_symlink():
                    target.symlink_to(Path('..', '..', name))
            elif source.is_dir():
                ignored = shutil.ignore_patterns('__pycache__')
                shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copy(source, target)


setup(cmdclass=dict(build_py=BuildWithMim))
