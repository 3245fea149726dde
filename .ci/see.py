"""Let an environment see what another one has installed; what both have it takes from its own.

ONE/bin/python .ci/see.py OTHER/bin/python
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(sysconfig.get_path('purelib'))


def main() -> None:
    ask = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    there = subprocess.check_output([sys.argv[1], '-c', ask], text=True).strip()
    # As a site's folder, since an editable installation is a .pth file in it.
    (HERE / 'other.pth').write_text(f'import site; site.addsitedir({there!r})\n')


if __name__ == '__main__':
    main()
