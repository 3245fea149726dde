"""What reads clips passes its tests in processes that cannot import decord, as on Macs and ARM."""

import os
import re
import subprocess
import sys

import pytest

READING = (
    'tests/test_config_frames.py',
    'tests/datasets/transforms',
    'tests/datasets/test_checked.py',
    'tests/tools/test_motion_report.py',
)
# Python runs it when it starts: tests and the processes that they start are without decord.
SITECUSTOMIZE = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] == 'decord':
            raise ModuleNotFoundError("No module named 'decord'", name=name)

sys.meta_path.insert(0, Without())
"""


@pytest.mark.slow
def test_clips_are_read_where_decord_cannot_be_imported(root, tmp_path):
    (tmp_path / 'sitecustomize.py').write_text(SITECUSTOMIZE)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])])
    command = [sys.executable, '-m', 'pytest', '-q', '-rs', '-p', 'no:cacheprovider', *READING]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': path}
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert re.search(r"SKIPPED .*could not import 'decord'", done.stdout)
