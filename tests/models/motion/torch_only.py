"""Runs every motion module and prints, as JSON, what was imported for it beside torch.

python torch_only.py absent       as where MMAction2 and what it needs are not installed
python torch_only.py installed    then asks a registry for one of our components, too
python torch_only.py missing      they are not there
"""

import importlib.util
import json
import sys

OTHERS = ('mmaction', 'mmaction.models', 'mmengine', 'mmcv', 'decord', 'av', 'cv2', 'scipy')


def main(which: str) -> None:
    if which == 'absent':
        sys.modules.update(dict.fromkeys(OTHERS))  # an import of them fails
        find_spec = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *package: (
            None if name in OTHERS else find_spec(name, *package)
        )
    import torch

    import mmaction_emim.models.plain
    import mmaction_emim.ops  # noqa: F401
    from mmaction_emim.models import motion

    x = torch.randn(1, 3, 4, 5, 32)
    shapes = {name: list(getattr(motion, name)(32)(x).shape) for name in motion.__all__}
    imported = [name for name in OTHERS if sys.modules.get(name) is not None]
    found = None
    if which == 'installed':
        from mmaction.registry import MODELS

        found = MODELS.get('EMIMNeck').__module__
    print(json.dumps(dict(shapes=shapes, imported=imported, found=found)))


if __name__ == '__main__':
    main(*sys.argv[1:])
