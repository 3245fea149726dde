"""Imports MMAction2's models where transformers is installed, and prints, as JSON, how that ended.

python vindlu.py upstream     without our package
python vindlu.py ours         after ``import mmaction_emim``
"""

import json
import sys
import warnings
from types import ModuleType

warnings.simplefilter('ignore')


def main(which: str) -> None:
    if which == 'ours':
        import mmaction_emim  # noqa: F401
    else:  # as MMAction2's repository has it
        for name in ('mmaction.models.localizers.drn', 'mmaction.models.localizers.drn.drn'):
            sys.modules.setdefault(name, ModuleType(name)).DRN = object
    try:
        from mmaction.models import multimodal
        from mmaction.registry import MODELS

        if which == 'ours':
            import mmaction_emim.models.registration  # noqa: F401
    except Exception as error:
        print(json.dumps(dict(error=f'{type(error).__name__}: {error}')))
    else:
        vindlu = hasattr(multimodal, 'VindLUVQA')
        try:
            MODELS.build(dict(type='VindLUVQA'))
        except Exception as error:
            built = str(error)
        found = dict(vindlu=vindlu, registered='VindLUVQA' in MODELS, built=built)
        print(json.dumps(dict(error=None, **found)))


if __name__ == '__main__':
    main(*sys.argv[1:])
